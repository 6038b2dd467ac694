from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev.stack.postgres import Postgres
from intra42.warehouse.schema import migrate

_HERE = Path(__file__).parent
_SCRIPTS = (_HERE.parent / "ui" / "year.sql", _HERE / "network.sql")


@pytest.fixture(scope="session")
def network(postgres: Postgres) -> Iterator[str]:
    """The URL of a warehouse that mirrors a network of 40,000 students for a year."""
    name = f"network_{os.getpid()}"
    postgres.ensure_database(name)
    url = postgres.url(name)
    build(url)
    yield url
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


def build(url: str) -> None:
    """Fill the database; indexes that no key needs are made at the end, in half the time."""
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection)
        # Foreign keys and triggers would take as long as all the rest.
        connection.execute("set session_replication_role = replica")
        connection.execute("set maintenance_work_mem = '256MB'")
        found = connection.execute(
            "select c.relname, pg_get_indexdef(i.indexrelid) from pg_index as i "
            "join pg_class as c on c.oid = i.indexrelid "
            "where c.relnamespace = 'intra42'::regnamespace and not i.indisunique"
        ).fetchall()
        for index, _definition in found:
            connection.execute(f"drop index intra42.{index}")
        for script in _SCRIPTS:
            connection.execute(script.read_text())
        for _index, definition in found:
            connection.execute(definition)
        connection.execute("vacuum analyze")
