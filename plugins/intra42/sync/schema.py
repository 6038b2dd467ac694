"""Create and upgrade the schema `intra42`, and compare it with the catalogue."""

from __future__ import annotations

import logging

import sqlalchemy
from psycopg import errors, sql
from sqlalchemy.dialects import postgresql
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from intra42.catalog.model import Type
from intra42.catalog.resources import RESOURCES
from intra42.errors import CatalogError
from intra42.statements import FOLDER, SCHEMA, compose, read
from intra42.sync.work import Connection
from intra42.warehouse import patient

log = logging.getLogger(__name__)

_OLDEST_SERVER = 140_000
# Longer than PostgreSQL takes to call off an autovacuum that is in the way, its deadlock_timeout.
_LOCK_TIMEOUT = "2s"
_TRIES = 12
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def migrate(connection: Connection) -> list[str]:
    """Apply the migrations of `include/sql/migrations` that are missing; return their names.

    Safe when several runs start at once: they take turns. Each migration is one transaction, so
    a failure leaves the schema at the last complete one.

    Raises:
        CatalogError: the server is too old.
        psycopg.errors.LockNotAvailable: somebody else uses a table for minutes.
    """
    if connection.info.server_version < _OLDEST_SERVER:
        message = (
            f"PostgreSQL {connection.info.server_version // 10_000} is too old for the connection "
            "intra42_db: 14 is the oldest that works"
        )
        raise CatalogError(message)
    names = sorted(path.stem for path in (FOLDER / "migrations").glob("[0-9]*.sql"))
    applied: list[str] = []
    missing = set(names) - _applied(connection)
    if not missing:
        return applied
    with connection.transaction():
        _lock(connection)
        connection.execute(read("state/create_schema"))
    for name in sorted(missing):
        for attempt in Retrying(
            retry=retry_if_exception_type(errors.LockNotAvailable),
            stop=stop_after_attempt(_TRIES),
            wait=wait_exponential(multiplier=0.5, max=15),
            before_sleep=_log_retry,
            reraise=True,
        ):
            with attempt:
                if _apply(connection, name):
                    applied.append(name)
    if applied:
        log.info("Applied migrations %s to schema %s", ", ".join(applied), SCHEMA)
    return applied


def _applied(connection: Connection) -> set[str]:
    try:
        with connection.transaction():
            return {row[0] for row in connection.execute(read("state/migrations"))}
    except (errors.InvalidSchemaName, errors.UndefinedTable):
        return set()


def _lock(connection: Connection) -> None:
    """Become the only one who applies migrations, until the transaction ends."""
    with patient(connection):
        connection.execute(read("state/lock_migrations"))


def _apply(connection: Connection, name: str) -> bool:
    """Apply a migration unless it was; tell whether it was missing."""
    with connection.transaction():
        _lock(connection)
        # While the DDL waits for a long reader, everybody else waits behind it.
        connection.execute(compose("state/lock_timeout", limit=sql.Literal(_LOCK_TIMEOUT)))
        try:
            if not connection.execute(read("state/begin_migration"), {"name": name}).rowcount:
                return False
            connection.execute(read(f"migrations/{name}"))
        except errors.LockNotAvailable as error:
            message = (
                f"migration {name} waited for a lock in vain: {error}. Another session uses a "
                f"table of schema {SCHEMA}: end its transaction, then clear this task"
            )
            raise errors.LockNotAvailable(message) from error
    return True


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("%s (attempt %d of %d)", error, state.attempt_number, _TRIES)


def differences(engine: sqlalchemy.Engine) -> list[str]:
    """Return, one sentence each, where the database differs from the catalogue."""
    inspector = sqlalchemy.inspect(engine)
    found: list[str] = []
    for resource in RESOURCES:
        if not inspector.has_table(resource.name, schema=SCHEMA):
            found.append(f"the table {resource.name} is missing")
            continue
        reflected = {
            column["name"]: _type_name(column["type"])
            for column in inspector.get_columns(resource.name, schema=SCHEMA)
        }
        wanted = {column.name: column.type.value for column in resource.columns}
        wanted |= {"listed": Type.BOOLEAN.value} if resource.listed else {}
        own = {"_synced_at": Type.TIMESTAMP.value, "_run_id": "text", "_seq": "bigint"}
        for name in sorted(reflected.keys() | wanted.keys() | own.keys()):
            have, want = reflected.get(name), (wanted | own).get(name)
            if have != want:
                found.append(f"{resource.name}.{name} is {have}, the catalogue says {want}")
        keys = {
            (key["constrained_columns"][0], key["referred_table"])
            for key in inspector.get_foreign_keys(resource.name, schema=SCHEMA)
        }
        declared = {(ref.column, ref.table) for ref in resource.references}
        found += [f"{resource.name}: foreign key {pair} differs" for pair in keys ^ declared]
    return found


def _type_name(type_: sqlalchemy.types.TypeEngine[object]) -> str:
    if isinstance(type_, sqlalchemy.types.DateTime) and type_.timezone:
        return Type.TIMESTAMP.value
    name = type_.compile(dialect=_DIALECT).lower()
    return {"float": "double precision", "double_precision": "double precision"}.get(name, name)
