"""Shared fixtures: a real PostgreSQL server for the session, fresh databases, mirrors in them."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from dev.simulator import Simulator
from dev.stack.postgres import Postgres
from tests.dags import environment  # noqa: F401  # Airflow's settings, before anything imports it
from tests.harness import Mirror
from tests.integration.mirror import worlds
from tests.selection import leave_out, wants_all
from tests.servers import own_server

Build = Callable[[], Simulator]

_numbers = itertools.count(1)

# `make test-celery` asks for the first; it takes minutes, and needs a Redis server.
# `make test-ui` asks for the second; it takes minutes, too, and needs Chromium.
_TARGETS = {"workers": "INTRA42_CELERY", "ui": "INTRA42_UI"}
collect_ignore = [folder for folder, asked in _TARGETS.items() if not os.environ.get(asked)]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Let one worker more than there are cores run: tests wait for clocks about half their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest story; try fewer combinations of faults, unless all are asked for."""
    # One worker tells it for minutes: begun last, the others would wait for it.
    items.sort(key=lambda item: item.path.parent.name != "quota")
    if wants_all(config):
        return
    left_out = set(leave_out(items))
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session's own."""
    with own_server() as server:
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database, dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    postgres.ensure_database(name)
    yield postgres.url(name)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


class FirstLoads:
    """Databases with a finished first load, one per server, world and settings, to be copied."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str], str] = {}

    def template(self, server: Postgres, build: Build, config: dict[str, Any]) -> str:
        """Return the name of such a database."""
        world = f"{build.__module__}.{build.__qualname__}"
        key = (server.url(), world, json.dumps(config, sort_keys=True))
        if key not in self._made:
            name = f"first_load_{next(_numbers)}"
            server.ensure_database(name)
            with build() as sim:
                Mirror(server.url(name), sim, config).nightly(run_id="first")
            with psycopg.connect(server.url(name)) as connection:
                # Another simulator knows nothing of this one's tokens.
                connection.execute("delete from intra42.api_tokens")
            self._made[key] = name
        return self._made[key]


@pytest.fixture(scope="session")
def first_loads() -> FirstLoads:
    """First loads that are done once."""
    return FirstLoads()


@pytest.fixture
def fresh(database_url: str) -> Iterator[Callable[..., Mirror]]:
    """Make a mirror that has never run: `fresh(world, campus_ids=[1])`."""
    with ExitStack() as stack:

        def make(build: Build = worlds.town, **config: Any) -> Mirror:
            sim = stack.enter_context(build())
            return Mirror(database_url, sim, config or {"campus_ids": [1]})

        yield make


@pytest.fixture
def loaded(postgres: Postgres, first_loads: FirstLoads) -> Iterator[Callable[..., Mirror]]:
    """Make a mirror whose first load is done; its ledger is empty, its clock an hour later."""
    with ExitStack() as stack:

        def make(build: Build = worlds.town, **config: Any) -> Mirror:
            config = config or {"campus_ids": [1]}
            template = first_loads.template(postgres, build, config)
            name = f"copy_{next(_numbers)}"
            with psycopg.connect(postgres.url(), autocommit=True) as connection:
                connection.execute(f'create database "{name}" template "{template}"')
            stack.callback(_drop, postgres, name)
            sim = stack.enter_context(build())
            sim.clock.advance(hours=1)
            mirror = Mirror(postgres.url(name), sim, config)
            mirror.once_in = {row[0] for row in mirror.query("select id from intra42.users")}
            return mirror

        yield make


@pytest.fixture
def town(loaded: Callable[..., Mirror]) -> Mirror:
    """The town of `worlds`, mirrored once for campus 1."""
    return loaded(worlds.town, campus_ids=[1])


def _drop(postgres: Postgres, name: str) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')
