"""How the page reads the warehouse: read-only, within seconds, and with a sentence if it cannot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import DictRow

from intra42.errors import ConfigError, Unavailable
from intra42.warehouse.sessions import opened_to_read
from intra42.warehouse.statements import read

log = logging.getLogger(__name__)

Connection = psycopg.Connection[DictRow]
Connect = Callable[[], psycopg.Connection[Any]]

TIMEOUT_MS = 5_000

_UNREACHABLE = (
    "The warehouse cannot be reached through the connection intra42_db. "
    "The state of the mirror is unknown."
)
_NO_SCHEMA = "The schema intra42 is not there yet. The first run of intra42_nightly creates it."
_OLD_SCHEMA = "The schema intra42 is older than this page. The next run of either DAG upgrades it."
_FORBIDDEN = "The login of the connection intra42_db may not read this table of the schema intra42."
_SLOW = "The warehouse did not answer within 5 seconds. It may be busy; try again in a minute."


@contextmanager
def reading(connect: Connect, timeout_ms: int = TIMEOUT_MS) -> Iterator[Connection]:
    """Yield a connection in one read-only transaction, and close it whatever happens.

    Raises:
        Unavailable: there is no such connection, no answer in time, no schema, or an older one.
    """
    with closing(_opened(connect, timeout_ms)) as connection:
        try:
            yield connection
        except (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn) as error:
            connection.rollback()
            raise _missing(connection) from error
        except errors.InsufficientPrivilege as error:
            raise Unavailable(_FORBIDDEN, "forbidden") from error
        except (errors.QueryCanceled, errors.LockNotAvailable) as error:
            raise Unavailable(_SLOW, "slow") from error
        except psycopg.OperationalError as error:
            raise _unreachable(error) from error


def _opened(connect: Connect, timeout_ms: int) -> Connection:
    try:
        return opened_to_read(connect, "page/limits", timeout_ms=timeout_ms)
    except ConfigError as error:
        msg = f"{error}."
        raise Unavailable(msg, "no_connection") from error
    except psycopg.OperationalError as error:
        raise _unreachable(error) from error


def _unreachable(error: psycopg.OperationalError) -> Unavailable:
    # Host and port are not for everybody who may read the DAG: they stand in the server's log.
    log.warning("The page cannot read the warehouse: %s", error)
    return Unavailable(_UNREACHABLE, "unreachable")


def _missing(connection: Connection) -> Unavailable:
    row = connection.execute(read("page/has_schema")).fetchone()
    if row is not None and all(row.values()):
        return Unavailable(_OLD_SCHEMA, "old_schema")
    return Unavailable(_NO_SCHEMA, "no_schema")
