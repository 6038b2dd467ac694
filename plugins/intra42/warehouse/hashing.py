"""Columns that are stored as HMAC-SHA-256: which, by which key, and since when.

The key is used here only: it never goes to the database. What was stored before the settings
changed is the business of `rewriting`.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from intra42.catalog.model import Resource
from intra42.catalog.resources import RESOURCES
from intra42.errors import ConfigError, SettingsChanged
from intra42.settings import Config
from intra42.warehouse.sessions import patient
from intra42.warehouse.statements import read

log = logging.getLogger(__name__)

ColumnName = tuple[str, str]  # resource, column
Values = tuple[Any, ...]

_UNKNOWN = "value"  # what a parked record has instead of fields where it is no object
# Of the scheme as well as of the key: what was hashed otherwise is hashed anew when this changes.
_MARK = "intra42: which hash_secret this is, of hashes that know their column"


@dataclass(frozen=True, kw_only=True, slots=True)
class Hashing:
    """How one task attempt stores text: the columns it hashes, by resource, and the key.

    `version` is that of the settings it agreed upon; None where there was no agreement. `reread`
    has, by resource, the last request before its values must be read again.
    """

    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    version: int | None = None
    reread: Mapping[str, int] = field(default_factory=dict)

    def value(self, text: str) -> str:
        """Return the HMAC-SHA-256 of `text`, 64 hexadecimal digits."""
        return hmac.digest(self.secret.encode(), text.encode(), "sha256").hex()

    def stored(self, column: str, text: str) -> str:
        """Return what stands for `text` in `column` (`table.column`).

        Equal texts of two columns do not join: hashed is `table.column:text`.
        """
        return self.value(f"{column}:{text}")

    def storing(self, resource: Resource) -> Callable[[Values], Values]:
        """Return what makes a row's values, in catalogue order, those to be stored."""
        chosen = self.columns.get(resource.name, frozenset())
        hashed = [f"{resource.name}.{n}" if n in chosen else "" for n in resource.column_names]
        if not chosen:
            return lambda values: values
        return lambda values: tuple(
            self.stored(column, value) if column and value is not None else value
            for value, column in zip(values, hashed, strict=True)
        )

    def payload(
        self, resource: Resource, payload: Mapping[str, Any], only: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Return the fields of a parked record with hashed columns hashed, whatever their type.

        A record that is no object may hold anything, so it is hashed as a whole. `only` restricts
        the columns to some of those that are hashed.
        """
        chosen = self.columns.get(resource.name, frozenset())
        if only is not None:
            chosen = chosen & frozenset(only)
        if not chosen:
            return dict(payload)
        names = {".".join(c.path): c.name for c in resource.columns if c.name in chosen}
        names[_UNKNOWN] = _UNKNOWN
        return {
            key: self.stored(f"{resource.name}.{names[key]}", _as_text(value))
            if key in names and value is not None
            else value
            for key, value in payload.items()
        }

    def hold(self, connection: psycopg.Connection[Any]) -> None:
        """Keep the settings as they are until the end of the transaction.

        Raises:
            SettingsChanged: they are others already.
        """
        if self.version is None:
            return
        row = connection.execute(read("hashing/hold")).fetchone()
        if row is None or row[0] != self.version:
            message = (
                "hash_columns or hash_secret changed while this task worked; what it stored "
                "before is kept, and its retry goes on with the new settings"
            )
            raise SettingsChanged(message)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def allowed() -> list[str]:
    """Return what `hash_columns` may name, as `table.column`."""
    return [
        f"{resource.name}.{column.name}"
        for resource in RESOURCES
        for column in resource.columns
        if column.can_be_hashed
    ]


def chosen(config: Config) -> set[ColumnName]:
    """Return the columns that `hash_columns` names.

    Raises:
        ConfigError: one of them cannot be hashed; the message lists those that can.
    """
    possible = allowed()
    for name in config.hash_columns:
        if name not in possible:
            message = (
                f"intra42_config: hash_columns has {name!r}, which is no text column that may be "
                f"hashed; allowed are {', '.join(possible)}"
            )
            raise ConfigError(message)
    return {_split(name) for name in config.hash_columns}


def _split(name: str) -> ColumnName:
    resource, column = name.split(".")
    return resource, column


def agree(
    connection: psycopg.Connection[Any],
    config: Config,
    *,
    may_restore: bool,
    declared: Sequence[tuple[Any, ...]] | None = None,
) -> Hashing:
    """Return how this attempt stores text, and write down where that is new.

    `declared` is what was written down before, None where nobody has asked for it yet. Called
    before the attempt's first request, so that whatever it is shown has a later number than the
    change. Only where it `may_restore` is a column that is hashed stored in clear text again; else
    it stays hashed until somebody does.

    Raises:
        ConfigError: as `chosen`; or columns are hashed and there is no key.
    """
    wanted = chosen(config)
    found = Hashing(secret=config.hash_secret)
    mark = _mark(found) if config.hash_secret else None
    declared = _declared(connection) if declared is None else declared
    if _changes(declared, wanted, mark, may_restore=may_restore):
        with connection.transaction():
            with patient(connection):
                connection.execute(read("hashing/lock"))
            # Somebody else may have written the same just now.
            declared = _declared(connection)
            for columns, key in _changes(declared, wanted, mark, may_restore=may_restore):
                _declare(connection, columns, key)
        declared = _declared(connection)
    return _agreed(declared, config.hash_secret)


def _mark(hashing: Hashing) -> str:
    return hashing.value(_MARK)[:16]


def _declared(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(read("hashing/declared")).fetchall()


def _changes(
    declared: Sequence[tuple[Any, ...]],
    wanted: set[ColumnName],
    mark: str | None,
    *,
    may_restore: bool,
) -> list[tuple[set[ColumnName], str | None]]:
    """Return the columns that are to be stored otherwise than written down, with their key."""
    known = {(row[0], row[1]): row[2] for row in declared}
    hashed = {name for name, key in known.items() if key is not None}
    if not may_restore:
        wanted = wanted | hashed
        if wanted and mark is None:
            names = ", ".join(sorted(".".join(name) for name in wanted))
            message = (
                f"intra42_config has no hash_secret, but the mirror keeps {names} hashed: set it, "
                "or trigger intra42_nightly, which reads their clear text again"
            )
            raise ConfigError(message)
    changes: list[tuple[set[ColumnName], str | None]] = [
        ({name for name in wanted if known.get(name) != mark}, mark),
        (hashed - wanted, None),
    ]
    return [(columns, key) for columns, key in changes if columns]


def _declare(
    connection: psycopg.Connection[Any], columns: set[ColumnName], key: str | None
) -> None:
    ordered = sorted(columns)
    connection.execute(
        read("hashing/declare"),
        {
            "fingerprint": key,
            "resources": [name[0] for name in ordered],
            "columns": [name[1] for name in ordered],
        },
    )
    log.warning(
        "From now on %s %s",
        ", ".join(".".join(name) for name in ordered),
        "are stored hashed; the nightly run rewrites what is there"
        if key
        else "are stored in clear text; the nightly run reads them again",
    )


def _agreed(declared: Sequence[tuple[Any, ...]], secret: str) -> Hashing:
    columns: dict[str, set[str]] = defaultdict(set)
    reread: dict[str, int] = defaultdict(int)
    for resource, column, key, from_seq, again, _version in declared:
        if key is not None:
            columns[resource].add(column)
        if again:
            reread[resource] = max(reread[resource], from_seq)
    return Hashing(
        columns={name: frozenset(found) for name, found in columns.items()},
        secret=secret,
        version=max((row[5] for row in declared), default=0),
        reread=dict(reread),
    )
