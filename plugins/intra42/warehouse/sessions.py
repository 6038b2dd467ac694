"""Where every connection to the warehouse begins: what it relies on is set, not taken for granted.

A role, a database, the environment, the extra of an Airflow connection and a pooler each may choose
how a session writes times, counts, waits and looks up names. `include/sql/warehouse.sql`
says what we need; it takes one round trip, together with all else that a session begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import errors, sql
from psycopg.rows import DictRow, TupleRow, dict_row, tuple_row

from intra42.errors import ConfigError
from intra42.warehouse.statements import compose, read

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]

# Far longer than a notification takes, shorter than the patience of who watches the first task.
_NEWS_S = 10.0
_PREPARE_THRESHOLD = 5  # psycopg's own
_SEPARATOR = sql.SQL("\n;\n")
_POOLED = (
    "The connection intra42_db leads through a pooler that gives one session of PostgreSQL to "
    "several clients (transaction or statement mode, or sessions that are not reset), where the "
    "locks, settings and temporary tables of a task get lost: connect directly to the server, or "
    "set pool_mode = session for this database (docs/deployment.md)"
)
_ADVICE: dict[type[psycopg.Error], str] = {
    errors.QueryCanceled: (
        "if a statement_timeout ended it, raise that of the role of the connection intra42_db"
    ),
    errors.LockNotAvailable: "another session holds what is needed: end its transaction",
    errors.TransactionTimeout: "raise transaction_timeout of the role of the connection intra42_db",
    errors.ReadOnlySqlTransaction: (
        "let the connection intra42_db lead to the primary server, or take back "
        "default_transaction_read_only of the database or the server"
    ),
    errors.InsufficientPrivilege: (
        "the role of the connection intra42_db needs usage and create on the schema intra42, to "
        "own the tables in it, and temporary on the database"
    ),
    errors.DiskFull: "make room on the disk of the database server",
    errors.OutOfMemory: "give the database server more memory, or its sessions less",
    errors.ConfigurationLimitExceeded: (
        "raise that limit of the role of the connection intra42_db"
    ),
    errors.DuplicatePreparedStatement: _POOLED,
    errors.InvalidSqlStatementName: _POOLED,
}


def opened(connect: Connect, *parts: str, **values: Any) -> psycopg.Connection[TupleRow]:
    """Open a session that is ours alone, ready for our statements.

    Each statement is a transaction of its own, but in `connection.transaction()`; rows are tuples.

    Args:
        connect: opens a connection to the warehouse.
        parts: further statements that the session begins with.
        values: what those have in their places.

    Raises:
        ConfigError: the database or the session cannot serve; the message says what to change.
        psycopg.errors.ReadOnlySqlTransaction: the server is a standby.
    """
    connection = connect()
    try:
        _forget_habits(connection)
        _look_at_server(connection)
        was_used, fires_no_triggers, _name = _begin(
            connection,
            "warehouse/settings",
            "warehouse/in_utc",
            "quota/notice_lost_client",
            *parts,
            "warehouse/session",
            local=False,
            session=uuid4().hex,
            **values,
        )
        _look_at_session(connection, was_used, fires_no_triggers)
    except BaseException:
        connection.close()
        raise
    return connection


def opened_to_read(connect: Connect, *parts: str, **values: Any) -> psycopg.Connection[DictRow]:
    """Open a read-only transaction; rows are dicts.

    Its settings end with it, so that it may share its session with others.

    Args:
        connect: opens a connection to the warehouse.
        parts: further statements that the transaction begins with.
        values: what those have in their places.
    """
    connection = connect()
    try:
        _forget_habits(connection)
        connection.autocommit = False
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        connection.row_factory = dict_row
        # A statement that is prepared would outlive the transaction.
        connection.prepare_threshold = None
        _begin(connection, "warehouse/settings", "warehouse/in_utc", *parts, local=True, **values)
    except BaseException:
        connection.close()
        raise
    return connection


def prove_own(connection: Connection, connect: Connect) -> None:
    """See that what `connection` does to its session neither reaches another nor gets lost.

    A pooler may look like the server itself. But between two statements only a session of our own
    hears what a second connection tells it.

    Raises:
        ConfigError: a pooler shares sessions; the message says what to change.
    """
    channel = f"intra42_{uuid4().hex}"
    connection.execute(compose("warehouse/listen", channel=sql.Identifier(channel)))
    before = connection.execute(read("warehouse/whose")).fetchone()
    with closing(opened(connect)) as other:
        other.execute(read("warehouse/notify"), {"channel": channel})
        heard = list(connection.notifies(timeout=_NEWS_S, stop_after=1))
        # The other one is still there: it may have been given the session of this one.
        after = connection.execute(read("warehouse/whose")).fetchone()
    if not heard or before != after:
        raise ConfigError(_POOLED)


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """Open a transaction for a statement that waits for others: 10 minutes, whatever the limits.

    Raises:
        psycopg.errors.LockNotAvailable: it waited in vain.
    """
    with connection.transaction():
        connection.execute(read("warehouse/patience"))
        yield
        connection.execute(read("warehouse/resume"))


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """Say in one sentence what a person can change, where the warehouse refuses; `what` begins it.

    The error stays of the class it is. Others, such as a connection that was lost, stay as they
    are.
    """
    try:
        yield
    except psycopg.Error as error:
        advice = _ADVICE.get(type(error))
        if advice is None or said(error):
            raise
        reason = error.diag.message_primary or " ".join(str(error).split())
        message = f"{what}: the warehouse refused ({reason}): {advice}"
        raise type(error)(message) from error


def said(error: psycopg.Error) -> bool:
    """Tell whether `error` is a sentence of ours about an error of the server."""
    return isinstance(error.__cause__, psycopg.Error)


def _forget_habits(connection: Connection) -> None:
    """Undo what the extra of an Airflow connection may ask psycopg for."""
    connection.autocommit = True
    connection.isolation_level = connection.read_only = connection.deferrable = None
    connection.row_factory = tuple_row
    connection.cursor_factory = psycopg.Cursor
    connection.server_cursor_factory = psycopg.ServerCursor
    connection.prepare_threshold = _PREPARE_THRESHOLD


def _look_at_server(connection: Connection) -> None:
    """Refuse what no setting can mend, from what the server told when it let us in."""
    info = connection.info
    encoding = info.parameter_status("server_encoding")
    if encoding not in {None, "UTF8"}:
        message = (
            f"The database {info.dbname} of the connection intra42_db stores text as {encoding}, "
            "which does not have the letters of all names: make one with encoding UTF8"
        )
        raise ConfigError(message)
    if info.parameter_status("in_hot_standby") == "on":
        message = (
            "The server of the connection intra42_db is a standby, which has only read-only "
            f"transactions: {_ADVICE[errors.ReadOnlySqlTransaction]}"
        )
        raise errors.ReadOnlySqlTransaction(message)


def _look_at_session(connection: Connection, was_used: bool, fires_no_triggers: bool) -> None:
    """Refuse what is left after all settings."""
    if was_used:
        raise ConfigError(_POOLED)
    if fires_no_triggers:
        message = (
            "Sessions of the connection intra42_db fire no triggers, which keep foreign keys and "
            f"history: as a superuser, alter role {connection.info.user} reset "
            "session_replication_role"
        )
        raise ConfigError(message)


def _begin(connection: Connection, *names: str, **values: Any) -> tuple[Any, ...]:
    """Run statements as the first ones, in one round trip; return the row of the last."""
    if connection.info.parameter_status("client_encoding") != "UTF8":
        # psycopg writes the values below in the encoding that the session has now.
        connection.execute(read("warehouse/encoding"))
    with psycopg.ClientCursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(_SEPARATOR.join(map(read, names)), values)
        while cursor.nextset():
            pass
        return cursor.fetchone() or ()
