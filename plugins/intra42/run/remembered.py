"""The settings that runs of this warehouse used last: a missing one widens nothing in silence.

A secrets backend that fails for a moment, or a key that somebody deletes, looks like the wish for a
default. So what the variable names counts and is remembered; what it does not name may not mirror
more, delete more, or show more in clear text than the last run did.

Each variable has a memory of its own, so that DAGs with different variables do not quarrel. A
variable that has none is measured against those that have. Which columns are hashed belongs to the
tables, and holds for all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from intra42.errors import ConfigError
from intra42.settings import Config, Request
from intra42.warehouse import hashing
from intra42.warehouse.hashing import Hashing
from intra42.warehouse.statements import read

_SCOPE = ("campus_ids", "cursus_ids", "refresh_cursus_ids", "tables")
_KEPT = (*_SCOPE, "delete_missing", "max_delete_share", "max_delete_rows")

Memory = Mapping[str, Mapping[str, Any]]  # settings by variable
Declared = list[tuple[Any, ...]]


def agree(
    connection: psycopg.Connection[Any],
    names: Mapping[str, Any],
    request: Request,
    *,
    may_restore: bool,
) -> Hashing:
    """Return how a task attempt stores text, once its settings are those that somebody wants.

    `names` has the `dag_id` and the `run_id` of whoever uses the settings now.

    Raises:
        ConfigError: a missing setting would widen something; or as `hashing.agree`.
    """
    memory, declared = check(connection, request)
    remember(connection, names, request, memory)
    return hashing.agree(connection, request.config, may_restore=may_restore, declared=declared)


def check(connection: psycopg.Connection[Any], request: Request) -> tuple[Memory, Declared]:
    """Return the settings used last, and how columns are stored.

    Raises:
        ConfigError: a setting is missing and its default would widen something; the message names
            it, and what to write to confirm that.
    """
    rows = connection.execute(read("settings/found")).fetchall()
    memory: Memory = rows[0][0]
    declared = [row[1:] for row in rows if row[1] is not None]
    said = [
        *_about_defaults(request, _missing(request, memory)),
        *_about_hashing(request, [f"{row[0]}.{row[1]}" for row in declared if row[2] is not None]),
    ]
    if said:
        raise ConfigError("; ".join(said))
    return memory, declared


def remember(
    connection: psycopg.Connection[Any],
    names: Mapping[str, Any],
    request: Request,
    memory: Memory,
) -> None:
    """Write down the settings of this run where they are new.

    A run about campuses or cursus of its own changes nothing that is remembered.
    """
    used = _used(request.standing)
    before = memory.get(request.variable)
    if before == used or (before is not None and not request.is_standing):
        return
    known = before or {}
    connection.execute(
        read("settings/remember"),
        {
            **names,
            "variable": request.variable,
            "used": Jsonb(used),
            "scope_changed": any(known.get(key) != used[key] for key in _SCOPE),
        },
    )


def _used(config: Config) -> dict[str, Any]:
    """Return the settings to remember, as JSON has them."""
    values = {key: getattr(config, key) for key in _KEPT}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def _missing(request: Request, memory: Memory) -> dict[str, Any]:
    """Return the settings that are not named, and were narrower: by name, what they were."""
    now = _used(request.standing)
    own = memory.get(request.variable)
    found: dict[str, Any] = {}
    for used in memory.values() if own is None else (own,):
        for key in _KEPT:
            if key in used and key not in (request.named or ()) and _differs(request, key, used):
                found[key] = used[key]
    return {key: value for key, value in found.items() if value != now[key]}


def _differs(request: Request, key: str, used: Mapping[str, Any]) -> bool:
    """Tell whether the default of a setting does more than what was used.

    Without any variable, less of a scope is nobody's wish either.
    """
    before, now = used[key], _used(request.standing)[key]
    if key not in _SCOPE:
        return bool(now > before)
    if request.named is None:
        return set(now) != set(before)
    if key == "campus_ids" and not now:
        return bool(before)
    return not set(now) <= set(before)


def _about_defaults(request: Request, missing: Mapping[str, Any]) -> Iterable[str]:
    if not missing:
        return
    defaults = {key: value for key, value in _used(request.standing).items() if key in missing}
    yield (
        f"{_subject(request, list(missing))}, but the last run here used {_json(missing)}: write "
        f"that to go on as before, or {_json(defaults)} to confirm what the defaults do"
    )


def _about_hashing(request: Request, hashed: Sequence[str]) -> Iterable[str]:
    """Say that a missing `hash_columns` asks for clear text, if any column is hashed."""
    if not hashed or "hash_columns" in (request.named or ()):
        return
    lacks = ["hash_columns"] if request.standing.hash_secret else ["hash_columns", "hash_secret"]
    yield (
        f"{request.variable} has no {' and no '.join(lacks)}, but the mirror keeps "
        f"{', '.join(hashed)} hashed: write {' and '.join(lacks)} as before to go on, or "
        '"hash_columns": [] to have clear text again'
    )


def _subject(request: Request, keys: Sequence[str]) -> str:
    if request.named is None:
        return f"There is no Airflow variable {request.variable}"
    return f"{request.variable} does not name {', '.join(keys)}"


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values)[1:-1]
