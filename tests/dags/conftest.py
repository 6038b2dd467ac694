from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from dev.simulator import Simulator
from dev.stack.postgres import Postgres
from tests.dags import environment  # noqa: F401  # before Airflow
from tests.dags.stack import FirstNight, Stack

TEMPLATE = "first_night"


def new_simulator() -> Simulator:
    """Return a campus of 30 students, always the same."""
    return Simulator("campus", seed=3, students=30)


@pytest.fixture(scope="session")
def metadata_db() -> None:
    """Airflow's metadata database, migrated."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def first_night(metadata_db: None, postgres: Postgres) -> FirstNight:
    """A warehouse that the first nightly run has filled, as a template for others."""
    postgres.ensure_database(TEMPLATE)
    with pytest.MonkeyPatch.context() as patch, new_simulator() as simulator:
        stack = Stack(postgres.url(TEMPLATE), simulator, patch)
        run = stack.nightly()
        assert run.state == "success", run.states
        assert stack.differences() == []
    return FirstNight(run, frozenset(stack.once_in))


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A campus of 30 students."""
    with new_simulator() as simulator:
        yield simulator


@pytest.fixture
def stack(
    metadata_db: None, database_url: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Stack:
    """Both DAGs over an empty warehouse."""
    return Stack(database_url, sim, monkeypatch)


@pytest.fixture
def loaded(first_night: FirstNight, postgres: Postgres, stack: Stack) -> Stack:
    """Both DAGs over a warehouse in the state after the first nightly run."""
    name = urlsplit(stack.database_url).path.lstrip("/")
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}"')
        connection.execute(f'create database "{name}" template {TEMPLATE}')
    # The token in the copied warehouse is one that this simulator gave out.
    stack.sim.tokens.issue()
    stack.once_in = set(first_night.users)
    return stack
