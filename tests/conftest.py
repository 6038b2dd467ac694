"""Shared fixtures: a real PostgreSQL server for the whole session, a fresh database per test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev.postgres import Postgres
from tests.dags import environment  # noqa: F401  # Airflow's settings, before anything imports it

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session's own."""
    folder = Path(tempfile.mkdtemp(prefix="intra42-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder / "data")
    server.start()
    yield server
    server.stop("immediate")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database, dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    postgres.ensure_database(name)
    yield postgres.url(name)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')
