"""Runs the DAGs' tasks in their order without Airflow: the same functions, one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import count
from typing import Any

import psycopg

from dev.simulator import Simulator
from dev.stack.verify import compare
from intra42.attempt.work import Identity, Work
from intra42.errors import Intra42Error, QuotaSpent
from intra42.run import runner
from intra42.run.opening import open_run
from intra42.run.plan import DAGS, INCREMENTAL, NIGHTLY, Does, Step
from intra42.run.session import ApiSettings, attempt
from intra42.run.steps import take
from intra42.settings import parse_request


def in_order(group: str) -> list[str]:
    """Return the resources of a group, parents first."""
    return [
        step.resource for step in DAGS[NIGHTLY] if step.does is Does.SYNC and step.group == group
    ]


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
        run_id = run_id or f"run{next(self._numbers)}"
        request = parse_request(self.config, params)

        def perform(step: Step, number: int, chunks: Sequence[int]) -> Any:
            name = step.name if number < 0 else f"{step.name}{number}"
            who = Identity(dag_id=dag_id, run_id=run_id, task_id=name)
            if step.does is Does.OPEN:
                try:
                    return open_run(self.connect, self.api, who, request)
                except Intra42Error as error:
                    raise _Over(error) from error
            try:
                return self.task(who, params, step.resource, lambda work: take(step, work, chunks))
            except QuotaSpent as spent:
                raise _Over(spent) from spent

        try:
            errors = runner.run(DAGS[dag_id], request, perform, (Intra42Error,)).errors
        except _Over as over:
            raise over.error from None
        self.once_in |= {row[0] for row in self.query("select id from intra42.users")}
        for other in errors[1:]:
            errors[0].add_note(str(other))
        if errors:
            raise errors[0]
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


class _Over(Exception):
    """What is no trouble of one step, and ends the run."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
