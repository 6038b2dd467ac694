from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from dev.postgres import Postgres
from dev.simulator import Simulator
from tests.harness import Mirror
from tests.integration.sync import worlds

Build = Callable[[], Simulator]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def first_loads(postgres: Postgres) -> Callable[[Build, dict[str, Any]], str]:
    """Databases with a finished first load, one per world and settings, to be copied."""
    made: dict[str, str] = {}

    def template(build: Build, config: dict[str, Any]) -> str:
        key = f"{build.__name__} {json.dumps(config, sort_keys=True)}"
        if key not in made:
            name = f"first_load_{next(_numbers)}"
            postgres.ensure_database(name)
            with build() as sim:
                mirror = Mirror(postgres.url(name), sim, config)
                mirror.nightly(run_id="first")
            with psycopg.connect(postgres.url(name)) as connection:
                # Another simulator knows nothing of this one's tokens.
                connection.execute("delete from intra42.api_tokens")
            made[key] = name
        return made[key]

    return template


@pytest.fixture
def fresh(database_url: str) -> Iterator[Callable[..., Mirror]]:
    """Make a mirror that has never run: `fresh(world, campus_ids=[1])`."""
    with ExitStack() as stack:

        def make(build: Build = worlds.town, **config: Any) -> Mirror:
            sim = stack.enter_context(build())
            return Mirror(database_url, sim, config or {"campus_ids": [1]})

        yield make


@pytest.fixture
def loaded(postgres: Postgres, first_loads: Any) -> Iterator[Callable[..., Mirror]]:
    """Make a mirror whose first load is done; its ledger is empty, its clock an hour later."""
    with ExitStack() as stack:

        def make(build: Build = worlds.town, **config: Any) -> Mirror:
            config = config or {"campus_ids": [1]}
            template = first_loads(build, config)
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
