"""A server of these tests' own, which may be shot down, and the mirrors of the sync tests on it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from dev.stack.postgres import Postgres
from tests.crashes.puppet import Theatre
from tests.servers import own_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that may be shot: other tests go on using theirs."""
    with own_server() as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            # The tests' servers are faster than that, and forget the latest commits when shot.
            connection.execute("alter role postgres set synchronous_commit = on")
        yield server


@pytest.fixture(scope="session")
def house() -> Iterator[Theatre]:
    theatre = Theatre()
    yield theatre
    theatre.close()


@pytest.fixture
def theatre(house: Theatre) -> Iterator[Theatre]:
    """The process whose children can be killed."""
    yield house
    house.clear()
