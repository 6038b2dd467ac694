"""The package without Airflow, as every child uses it: settings, parents, one task's work."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from bench.upstream import CLOCK
from dev.simulator import Simulator
from dev.simulator.resources import RESOURCES as SHAPES
from intra42.api.model import Answer
from intra42.attempt.work import Identity, Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.run.opening import open_run
from intra42.run.session import ApiSettings, attempt
from intra42.settings import parse_request
from intra42.store.decode import cut_all
from intra42.store.loading import Provenance
from intra42.store.page import store_all
from intra42.store.rows import Cutter, Row

DAG = "intra42_nightly"
RUN = "bench"
PARENTS = ("cursus", "campuses", "projects", "users", "campus_users")
_TABLES = {"campuses": "campus"}  # the simulator's name of a table, where it is another
_BATCH = 1000


@dataclass(frozen=True)
class Warehouse:
    """A database, the API it mirrors, and the settings of the mirror."""

    url: str
    api: ApiSettings
    config: Mapping[str, Any]

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url)

    def open_run(self) -> None:
        identity = Identity(dag_id=DAG, run_id=RUN, task_id="open_run")
        open_run(self.connect, self.api, identity, parse_request(self.config, {}))

    def attempt(self, name: str, **params: Any) -> AbstractContextManager[Work]:
        """Return the context of one attempt of the task of a table."""
        identity = Identity(dag_id=DAG, run_id=RUN, task_id=f"primary.{name}")
        request = parse_request(self.config, params)
        return attempt(self.connect, self.api, identity, request, loader=DAG, resource=name)


def settings(facts: Mapping[str, Any], *, per_second: float = 100_000) -> ApiSettings:
    """Return the connection to a simulator; what it announces replaces the limits."""
    return ApiSettings(
        base_url=facts["url"],
        client_id=facts["client_id"],
        client_secret=facts["client_secret"],
        requests_per_second=per_second,
        requests_per_hour=1_000_000_000,
    )


def serve(world: str, students: int) -> Simulator:
    """Return a simulator in this process, with the world that `Upstream` would serve."""
    moment = datetime.fromisoformat(CLOCK.replace("Z", "+00:00"))
    simulator = Simulator(world, students=students or None, clock=moment)
    gc.collect()
    gc.freeze()  # the world stays; looking through it again and again would be measured, too
    return simulator


def facts_of(simulator: Simulator) -> dict[str, Any]:
    return {
        "url": simulator.url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
    }


def answer(seq: int) -> Answer:
    """Return an answer that says when and as which request rows were seen."""
    moment = datetime.fromisoformat(CLOCK.replace("Z", "+00:00"))
    return Answer(
        records=[],
        total=0,
        per_page=100,
        more=False,
        date=moment,
        sent_at=moment,
        seq=seq,
        elapsed_ms=0,
        size=0,
    )


def rows_of(
    simulator: Simulator, resource: Resource, cursus_ids: Sequence[int], records: Iterable[Any]
) -> list[Row]:
    """Return records of the simulator's world, cut to rows as the package does."""
    shape = SHAPES[_TABLES.get(resource.name, resource.name)].shape
    world = simulator.world
    rows, unfit = cut_all(Cutter(resource, cursus_ids), (shape(world, item) for item in records))
    if unfit:
        raise ValueError(
            f"{len(unfit)} records of {resource.name} cannot be cut: {unfit[0].reason}"
        )
    return rows


def batches(
    work: Work,
    resource: Resource,
    rows: Sequence[Row],
    size: int,
    first_seq: int,
    provenance: Provenance,
) -> Iterator[Callable[[], None]]:
    """Yield steps that store `size` rows in a transaction, as the answer to a request each."""
    for number, batch in enumerate(chunked(rows, size)):
        page = answer(first_seq + number)
        seen = [(row, page) for row in batch]
        yield lambda seen=seen: work.commit(  # type: ignore[misc]
            lambda: store_all(work, resource, seen, provenance)
        )


def load_parents(simulator: Simulator, warehouse: Warehouse) -> None:
    """Store what rows of users refer to: all of the world's cursus, campuses, projects, users."""
    for name in PARENTS:
        resource = graph.get(name)
        records = simulator.world.tables[_TABLES.get(name, name)].rows.values()
        rows = rows_of(simulator, resource, warehouse.config["cursus_ids"], records)
        with warehouse.attempt(name) as work:
            for step in batches(work, resource, rows, _BATCH, 1, Provenance.DIRECT):
                step()


@dataclass
class Measured:
    """What one piece of work cost this process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


def measured(step: Callable[[], Any]) -> Measured:
    began, used = time.monotonic(), time.process_time()
    step()
    return Measured(time.monotonic() - began, time.process_time() - used)


def say(facts: Mapping[str, Any]) -> None:
    print(json.dumps(facts), flush=True)
