from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dev.stack.postgres import Postgres
from intra42.ui.figures import Dags
from intra42.ui.warehouse import Connection, reading
from intra42.warehouse.schema import migrate

DAGS = Dags(nightly="intra42_nightly", incremental="intra42_incremental")

YEAR = Path(__file__).parent / "year.sql"


class Warehouse:
    """A warehouse with the schema and what a test puts into it."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database_url)

    def execute(self, text: str, *values: Any) -> None:
        with closing(psycopg.connect(self.database_url, autocommit=True)) as connection:
            connection.execute(text, values or None)

    def migrate(self) -> Warehouse:
        with closing(psycopg.connect(self.database_url, autocommit=True)) as connection:
            migrate(connection)
        return self

    def attempt(self, dag_id: str, task_id: str, ago: str, **columns: Any) -> None:
        """Add an attempt that began `ago`; it succeeded unless said otherwise."""
        values = {"status": "success", "run_id": f"run {ago}", "resource": "users"} | columns
        names = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        self.execute(
            f"insert into intra42.sync_runs (dag_id, task_id, started_at, {names}) "
            f"values (%s, %s, now() - %s::interval, {marks})",
            dag_id,
            task_id,
            ago,
            *values.values(),
        )

    def run(self, dag_id: str, run_id: str, ago: str) -> None:
        """Add a run that was opened `ago`."""
        self.execute(
            "insert into intra42.dag_runs (dag_id, run_id, first_seq, opened_at) "
            "values (%s, %s, 1, now() - %s::interval)",
            dag_id,
            run_id,
            ago,
        )


@pytest.fixture
def warehouse(database_url: str) -> Warehouse:
    """A warehouse with an empty schema."""
    return Warehouse(database_url).migrate()


@pytest.fixture
def page(warehouse: Warehouse) -> Iterator[Connection]:
    """The page's own connection to it."""
    with reading(warehouse.connect) as connection:
        yield connection


@pytest.fixture(scope="module")
def a_year(postgres: Postgres) -> Iterator[Warehouse]:
    """A warehouse with a year of runs: more than 400,000 attempts."""
    name = f"year_{os.getpid()}"
    postgres.ensure_database(name)
    made = Warehouse(postgres.url(name)).migrate()
    made.execute(YEAR.read_text())
    made.execute("vacuum analyze")
    yield made
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')
