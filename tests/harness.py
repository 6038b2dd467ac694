"""Runs the DAGs' tasks in their order without Airflow: the same functions, one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import count
from typing import Any

import psycopg

from dev.simulator import Simulator
from dev.verify import compare
from intra42.catalog import graph
from intra42.config import parse_request
from intra42.sync import refresh
from intra42.sync.audit import audit
from intra42.sync.erasure import erase
from intra42.sync.opening import open_run
from intra42.sync.primary import sync_primary
from intra42.sync.purge import purge
from intra42.sync.reference import sync_reference
from intra42.sync.session import ApiSettings, attempt
from intra42.sync.work import Identity, Work

NIGHTLY = "intra42_nightly"
INCREMENTAL = "intra42_incremental"


def in_order(group: str) -> list[str]:
    """Return the resources of a group, parents first."""
    edges = graph.edges(graph.of_group(group))
    done: list[str] = []
    while len(done) < len(edges):
        done += [
            name for name, parents in edges.items() if name not in done and parents <= set(done)
        ]
    return done


class Mirror:
    """One warehouse that mirrors one simulator."""

    def __init__(self, database_url: str, sim: Simulator, config: Mapping[str, Any]) -> None:
        self.database_url = database_url
        self.sim = sim
        self.config = dict(config)
        self.api = ApiSettings(
            base_url=sim.url,
            client_id=sim.client_id,
            client_secret=sim.client_secret,
            timeout_s=5,
            # What an application has until the simulator announces more with its first answer.
            requests_per_second=2,
            requests_per_hour=1_000_000,
        )
        self._numbers = count(1)
        self.once_in: set[int] = set()

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database_url)

    def task(
        self,
        identity: Identity,
        params: Mapping[str, Any],
        resource: str,
        step: Callable[[Work], Any],
    ) -> Any:
        request = parse_request(self.config, params)
        with attempt(
            self.connect, self.api, identity, request, loader=NIGHTLY, resource=resource
        ) as work:
            # How long the client pauses between attempts is the business of its own tests.
            work.client._sleep = lambda _seconds: None
            return step(work)

    def run(self, dag_id: str, *, run_id: str | None = None, **params: Any) -> str:
        """Run all tasks of a DAG; return the run id. The first error ends the run."""
        run_id = run_id or f"run{next(self._numbers)}"
        identity = Identity(dag_id=dag_id, run_id=run_id)
        request = parse_request(self.config, params)
        open_run(self.connect, self.api, identity, request)

        def task(name: str, step: Callable[[Work], Any], task_id: str) -> Any:
            who = Identity(dag_id=dag_id, run_id=run_id, task_id=task_id)
            return self.task(who, params, name, step)

        if dag_id == NIGHTLY and request.window is None:
            for name in in_order("reference"):
                resource = graph.get(name)
                task(name, lambda work, r=resource: sync_reference(work, r), f"reference.{name}")
        for name in in_order("primary"):
            resource = graph.get(name)
            task(name, lambda work, r=resource: sync_primary(work, r), f"primary.{name}")
        if dag_id == NIGHTLY and request.window is None:

            def verify(work: Work) -> None:
                erase(work)
                audit(work)
                purge(work)

            task("audit", verify, "primary.audit")
        task("cursus_users", refresh.drain_leftovers, "refresh_ongoing.plan")
        if request.window is None:
            chunks = task("cursus_users", refresh.plan_chunks, "refresh_ongoing.plan")
            for number, group in enumerate(chunks):
                task(
                    "cursus_users",
                    lambda work, g=group: refresh.refetch(work, g),
                    f"refresh_ongoing.refetch{number}",
                )
            task("cursus_users", refresh.delete_missing, "refresh_ongoing.delete_missing")
        self.once_in |= {row[0] for row in self.query("select id from intra42.users")}
        return run_id

    def nightly(self, **params: Any) -> str:
        return self.run(NIGHTLY, **params)

    def incremental(self, **params: Any) -> str:
        return self.run(INCREMENTAL, **params)

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(self.database_url)) as connection:
            return connection.execute(text, values).fetchall()

    def value(self, text: str, *values: Any) -> Any:
        return self.query(text, *values)[0][0]

    def differences(self) -> list[str]:
        """Return how the mirror differs from the simulator's truth."""
        truth = self.sim.truth({**self.config}, also_users=self.once_in)
        with closing(psycopg.connect(self.database_url)) as connection:
            return compare(connection, truth)
