"""A server of these tests' own, which may be shot down, and the mirrors of the sync tests on it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev.postgres import Postgres
from tests.crashes.puppet import Theatre


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that may be shot: other tests go on using theirs."""
    folder = Path(tempfile.mkdtemp(prefix="intra42-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder / "data")
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        # The tests' servers are faster than that, and forget the latest commits when shot.
        connection.execute("alter role postgres set synchronous_commit = on")
    yield server
    server.stop("immediate")
    shutil.rmtree(folder, ignore_errors=True)


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
