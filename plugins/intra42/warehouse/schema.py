"""Create and upgrade the schema `intra42`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from psycopg import errors, sql
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from intra42.catalog.comments import comments
from intra42.catalog.resources import RESOURCES
from intra42.errors import CatalogError
from intra42.warehouse.sessions import Connection, patient
from intra42.warehouse.statements import FOLDER, SCHEMA, compose, read, script, table

log = logging.getLogger(__name__)

T = TypeVar("T")

_OLDEST_SERVER = 140_000
# Longer than PostgreSQL takes to call off an autovacuum that is in the way, its deadlock_timeout.
_LOCK_TIMEOUT = "2s"
_TRIES = 12
_BASELINE = ("0001_bookkeeping", "0002_quota", "0003_mirror", "0004_levels")
# The first and the last migration of the schema before the baseline, which was never released.
_PREVIEW = ("0001_api", "0019_shorter_silence")


def migrate(connection: Connection) -> list[str]:
    """Apply what is missing of `include/sql`: the schema, functions and views; return the names.

    A file of `schema/` is applied once. `functions/`, `views.sql` and what follows from the
    catalogue, the view `checks` and comments, say how things are: they are applied again when their
    text has changed. Safe when several runs start at once: they take turns. Each file is one
    transaction, so a failure leaves the schema at the last complete one.

    Raises:
        CatalogError: the server, or the schema it has, is too old.
        psycopg.errors.LockNotAvailable: somebody else uses a table for minutes.
    """
    if connection.info.server_version < _OLDEST_SERVER:
        message = (
            f"PostgreSQL {connection.info.server_version // 10_000} is too old for the connection "
            "intra42_db: 14 is the oldest that works"
        )
        raise CatalogError(message)
    files = _files()
    if files.items() <= _applied(connection).items():
        return []
    with connection.transaction():
        _lock(connection)
        _refuse_older(_applied(connection))
        connection.execute(read("migrations/create_schema"))
    applied = _applied(connection)
    if _PREVIEW[0] in applied:
        _patiently(partial(_adopt, connection))
        applied = _applied(connection)
    missing = [item for item in files.items() if item not in applied.items()]
    changed = [
        name
        for name, checksum in missing
        if _patiently(partial(_apply, connection, name, checksum))
    ]
    if changed:
        log.info("Applied %s to schema %s", ", ".join(changed), SCHEMA)
    return changed


def _files() -> dict[str, str | None]:
    """Return the files in their order: None for each of the schema, a checksum for the others."""
    schema = sorted(path.stem for path in (FOLDER / "schema").glob("[0-9]*.sql"))
    functions = sorted(f"functions/{path.stem}" for path in (FOLDER / "functions").glob("*.sql"))
    repeated = {name: _checksum(script(name)) for name in (*functions, "views")}
    composed = {name: _checksum(compose_()) for name, compose_ in _COMPOSED.items()}
    return dict.fromkeys(schema) | repeated | composed


def _comments() -> sql.Composed:
    """Return the comments of the catalogue as one script."""
    return sql.SQL(";\n").join(
        compose("migrations/describe_table", table=table(name), text=sql.Literal(text))
        if column is None
        else compose(
            "migrations/describe_column",
            column=sql.Identifier(SCHEMA, name, column),
            text=sql.Literal(text),
        )
        for name, column, text in comments()
    )


def _checks() -> sql.Composed:
    """Return the view `checks`, over all tables of the catalogue."""
    shown = (
        compose("migrations/shown", resource=sql.Literal(r.name), table=table(r.name))
        for r in RESOURCES
    )
    return compose("migrations/checks", shown=sql.SQL("\n  union all\n  ").join(shown))


# What follows from the catalogue, by name.
_COMPOSED = {"checks": _checks, "comments": _comments}


def _checksum(text: sql.Composable) -> str:
    return hashlib.sha256(text.as_string().encode()).hexdigest()


def _applied(connection: Connection) -> dict[str, str | None]:
    try:
        with connection.transaction():
            return dict(connection.execute(read("migrations/applied")).fetchall())
    except (errors.InvalidSchemaName, errors.UndefinedTable):
        return {}


def _patiently(step: Callable[[], T]) -> T:
    """Do `step`, again if somebody holds a lock for a while."""
    return Retrying(
        retry=retry_if_exception_type(errors.LockNotAvailable),
        stop=stop_after_attempt(_TRIES),
        wait=wait_exponential(multiplier=0.5, max=15),
        before_sleep=_log_retry,
        reraise=True,
    )(step)


def _lock(connection: Connection) -> None:
    """Become the only one who applies migrations, until the transaction ends."""
    with patient(connection):
        connection.execute(read("migrations/lock"))


def _refuse_older(names: Collection[str]) -> None:
    if _PREVIEW[0] in names and _PREVIEW[1] not in names:
        message = (
            f"schema {SCHEMA} is at {max(names)}, which no version upgrades: only that of "
            f"{_PREVIEW[1]} is taken over. Drop the schema and clear this task: the nightly run "
            "loads it anew"
        )
        raise CatalogError(message)


def _adopt(connection: Connection) -> None:
    """Bring the last schema before the baseline to the baseline."""
    with _one_file(connection, "preview"):
        if _PREVIEW[0] in _applied(connection):
            connection.execute(script("schema/preview"))
            connection.execute(read("migrations/adopt"), {"names": list(_BASELINE)})


def _apply(connection: Connection, name: str, checksum: str | None) -> bool:
    """Apply a file unless it was; tell whether it was missing, or another one."""
    path = name if checksum else f"schema/{name}"
    with _one_file(connection, name):
        values = {"name": name, "checksum": checksum}
        if not connection.execute(read("migrations/begin"), values).rowcount:
            return False
        connection.execute(_COMPOSED[name]() if name in _COMPOSED else script(path))
    return True


@contextmanager
def _one_file(connection: Connection, name: str) -> Iterator[None]:
    """Open the transaction of a file; wait little for a lock, as others wait behind the DDL."""
    with connection.transaction():
        _lock(connection)
        connection.execute(compose("migrations/lock_timeout", limit=sql.Literal(_LOCK_TIMEOUT)))
        try:
            yield
        except errors.LockNotAvailable as error:
            message = (
                f"migration {name} waited for a lock in vain: {error}. Another session uses a "
                f"table of schema {SCHEMA}: end its transaction, then clear this task"
            )
            raise errors.LockNotAvailable(message) from error


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("%s (attempt %d of %d)", error, state.attempt_number, _TRIES)
