"""Runs the DAGs' tasks in their order without Airflow: the same functions, one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import count
from typing import Any

import psycopg

from dev.simulator import Simulator
from dev.verify import compare
from intra42.attempt.work import Identity, Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import Intra42Error, QuotaSpent
from intra42.read.reference import sync_reference
from intra42.run.opening import open_run
from intra42.run.primary import sync_primary
from intra42.run.session import ApiSettings, attempt
from intra42.settings import parse_request
from intra42.verify import refresh
from intra42.verify.audit import verify

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
        """Run all tasks of a DAG; return the run id.

        As in the DAG, a step that fails stops only those that need it: the refresh of levels needs
        no other. The first error is raised at the end; what is no trouble of one step ends the run.
        """
        run = _Run(self, dag_id, run_id or f"run{next(self._numbers)}", params)
        run.all_steps()
        self.once_in |= {row[0] for row in self.query("select id from intra42.users")}
        for other in run.errors[1:]:
            run.errors[0].add_note(str(other))
        if run.errors:
            raise run.errors[0]
        return run.run_id

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


class _Run:
    """The steps of one run of a DAG, and which of them failed."""

    def __init__(self, mirror: Mirror, dag_id: str, run_id: str, params: Mapping[str, Any]) -> None:
        self.mirror = mirror
        self.dag_id = dag_id
        self.run_id = run_id
        self.params = params
        self.errors: list[Intra42Error] = []
        self.failed: set[str] = set()

    def all_steps(self) -> None:
        identity = Identity(dag_id=self.dag_id, run_id=self.run_id)
        request = parse_request(self.mirror.config, self.params)
        open_run(self.mirror.connect, self.mirror.api, identity, request)
        whole = request.window is None
        nightly = whole and self.dag_id == NIGHTLY
        if nightly:
            self.tables("reference", sync_reference)
        self.tables("primary", sync_primary)
        if nightly:
            self.step("audit", verify, "primary.audit")
        self.step("cursus_users", refresh.drain_leftovers, "refresh_ongoing.plan")
        if whole:
            self.refresh()

    def tables(self, group: str, sync: Callable[[Work, Resource], Any]) -> None:
        for name in in_order(group):
            resource = graph.get(name)
            if self.failed.isdisjoint(graph.parents(resource)):
                self.step(name, lambda work, r=resource: sync(work, r), f"{group}.{name}")
            else:
                self.failed.add(name)

    def refresh(self) -> None:
        chunks = self.step("cursus_users", refresh.plan_chunks, "refresh_ongoing.plan")
        for number, group in enumerate(chunks or ()):
            self.step(
                "cursus_users",
                lambda work, g=group: refresh.refetch(work, g),
                f"refresh_ongoing.refetch{number}",
            )
        if not any(name.startswith(("plan", "refetch")) for name in self.failed):
            self.step("cursus_users", refresh.delete_missing, "refresh_ongoing.delete_missing")

    def step(self, name: str, step: Callable[[Work], Any], task_id: str) -> Any:
        who = Identity(dag_id=self.dag_id, run_id=self.run_id, task_id=task_id)
        try:
            return self.mirror.task(who, self.params, name, step)
        except QuotaSpent:
            raise
        except Intra42Error as error:
            self.errors.append(error)
            self.failed.add(task_id.partition(".")[2])
            return None
