"""Short random histories told through the real DAGs; thousands are told without Airflow.

Each has events upstream, an hour whose requests are used up, a window read from faulty answers, a
run that fails and is cleared, and a task whose process is killed with signal 9; then two clean
nights.
"""

from __future__ import annotations

import math
import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.executors.workloads import BundleInfo
from airflow.models import dagrun
from airflow.models.taskinstance import clear_task_instances
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG
from airflow.sdk.definitions import dag as dag_module
from airflow.sdk.execution_time import supervisor
from sqlalchemy import select

from dev.stack.postgres import Postgres
from intra42.api.client import IntraClient
from intra42.errors import Intra42Error
from tests.convergence.conftest import prepare
from tests.convergence.lines import Pool
from tests.convergence.story import QUIET, Outcome, Story, Trouble
from tests.convergence.upstream import EVENTS
from tests.dags.stack import INCREMENTAL, NIGHTLY, Run, Stack, load_dag
from tests.selection import DEEP

SEEDS = range(60 if DEEP else 3)
FAULTS = (
    *("500", "502", "503", "504", "429_second", "429_hour", "401"),
    *("html_200", "error_object_200", "redirect_to_login", "wrong_content_type"),
    *("empty_page", "short_page", "missing_total", "wrong_total", "unsorted"),
    *("missing_row", "duplicate_row", "duplicate_page", "ignore_range", "nul", "unfit"),
    *("cut", "short_body", "truncated_json"),
)
PLENTY = 1_000_000
MOST_WAITS = 30  # of one run, for the hour's requests


class Red(Intra42Error):
    """A run that failed; Airflow has logged why."""


class TaskProcesses:
    """Runs each task as a worker does: Airflow's supervisor watches a process of the task's own."""

    def __init__(self) -> None:
        self.killed: list[str] = []
        self._pid = 0

    def run(self, ti: Any, task: Any) -> Any:
        process = supervisor.ActivitySubprocess.start(
            what=ti,
            dag_rel_path=Path(task.dag.fileloc).name,
            bundle_info=BundleInfo(name="dags-folder"),
            client=supervisor.InProcessTestSupervisor._api_client(task.dag),
        )
        self._pid = process.pid
        if process.wait() == -signal.SIGKILL:
            self.killed.append(ti.task_id)
        state = process.final_state
        ended: Any = SimpleNamespace(state=state, task=task)
        return supervisor.TaskRunResult(ti=ended, state=state, msg=None, error=None)

    def kill(self, _store: object) -> None:
        os.kill(self._pid, signal.SIGKILL)


class DagStory(Story):
    """A history whose runs are those of the real DAGs."""

    def __init__(self, pool: Pool, seed: int, patch: pytest.MonkeyPatch) -> None:
        config = {"campus_ids": [1], "nightly_audit_requests": 500, "max_delete_rows": 100}
        super().__init__(pool, config)
        self.rng = random.Random(seed)
        self.stack = Stack(pool.url, self.sim, patch)
        self.stack.configure(**config)
        self.waits = 0
        self._patch = patch
        self._latest: tuple[str, Run] | None = None
        self._run_trigger = dag_module._run_inline_trigger
        patch.setattr(dag_module, "_run_inline_trigger", self._wait)
        # How long the client pauses between attempts is the business of its own tests.
        patch.setattr(IntraClient, "pause", lambda _client, _seconds: None)

    def tell(self) -> None:
        """Tell what happens before the two nights."""
        self._tell_of_a_spent_hour()
        chapters = [self._tell_of_a_window, self._tell_of_a_failure, self._tell_of_a_kill]
        self.rng.shuffle(chapters)
        for chapter in chapters:
            for _ in range(self.rng.randint(3, 6)):
                kind = self.rng.choice(list(EVENTS))
                self.event(kind, self.rng.randrange(50), self.rng.randrange(50))
            self.wait(self.rng.choice((1, 15, 60, 240)))
            chapter()

    def nights(self) -> None:
        """Let two clean nights pass."""
        self.upstream.unhide_all()
        for _ in range(2):
            self.wait(24 * 60)
            assert self.run(NIGHTLY).green
        self.checks.at_the_end()

    # The chapters.

    def _tell_of_a_spent_hour(self) -> None:
        """Let the hour's requests run out while everything is loaded for the first time."""
        outcome = self.run(NIGHTLY, Trouble(kind="spent", at=self.rng.randint(12, 20)))
        assert outcome.green
        assert self.waits > 0

    def _tell_of_a_window(self) -> None:
        """Read or backfill a window, and spoil answers; Airflow tries a task that fails again."""
        b = self.rng.randrange(50)
        trouble = Trouble(
            kind="fault",
            at=self.rng.randrange(8),
            name=self.rng.choice(FAULTS),
            a=self.rng.randrange(50),
            b=b - b % 4,  # a pause that the API asks for is a real one here
            times=self.rng.choice((1, 1, 3, 9)),
        )
        since = self.rng.randrange(1, 300)
        self.backfill(self._any_dag(), since, self.rng.randrange(since), trouble)

    def _tell_of_a_failure(self) -> None:
        """Let a run fail, and clear what failed."""
        trouble = Trouble(kind="fault", at=self.rng.randrange(5), name="403")
        assert not self.run(self._any_dag(), trouble).green
        assert self._latest
        dag_id, failed = self._latest
        with self.checks.around([QUIET]) as seen, self._patch.context() as patch:
            patch.setattr(dagrun, "get_or_create_dagrun", _cleared(failed.run_id))
            again = self.stack.run(eager(dag_id))
        assert (again.run_id, again.state) == (failed.run_id, "success"), again.states
        self.checks.after_runs(seen)

    def _tell_of_a_kill(self) -> None:
        """Kill the process of a task while it waits for an answer; Airflow tries it again."""
        outcome = self.run(self._any_dag(), Trouble(kind="kill", at=self.rng.randrange(6)))
        assert outcome.green

    def _any_dag(self) -> str:
        return self.rng.choice((NIGHTLY, INCREMENTAL, INCREMENTAL))

    # How a run is played.

    def _play(
        self, dag: str, outcome: Outcome, trouble: Trouble, params: Mapping[str, Any]
    ) -> None:
        self.waits = 0
        window = tuple(params.values())
        if window and self.rng.random() < 0.5:
            run = self.stack.run(eager(dag), backfill=window)
        else:
            conf = {name: moment.isoformat() for name, moment in params.items()}
            run = self.stack.run(eager(dag), conf)
        outcome.run_id = run.run_id
        self._latest = dag, run
        if run.state != "success":
            outcome.error = Red(f"{run.run_id}: {run.states}")

    @contextmanager
    def _befall(self, trouble: Trouble) -> Iterator[None]:
        processes = TaskProcesses()
        with super()._befall(trouble), self._patch.context() as patch:
            if trouble.kind == "spent":
                self.sim.limits.per_hour = self.sim.limits.used_this_hour() + trouble.at
            elif trouble.kind == "kill":
                patch.setattr(supervisor, "run_task_in_process", processes.run)
                # How long it takes to notice that a process has ended.
                patch.setattr(supervisor, "MIN_HEARTBEAT_INTERVAL", 0.1)
                self.sim.faults.add("between_pages", skip=trouble.at, hook=processes.kill)
            yield
        if trouble.kind == "spent":
            self.sim.limits.per_hour = PLENTY
            self._pass(timedelta(hours=1))
        assert len(processes.killed) == (trouble.kind == "kill")

    def _wait(self, trigger: Any, ti: Any) -> Any:
        """Let the time pass that a deferred task waits; then its trigger fires."""
        self.waits += 1
        assert self.waits < MOST_WAITS, "the tasks make no progress"
        now = datetime.now(UTC)
        # The limiter thinks in quarter hours of the real clock, which stands still meanwhile.
        wait_s = trigger.moment.timestamp() - now.timestamp()
        self._pass(timedelta(minutes=15 * math.ceil(wait_s / 900)))
        return self._run_trigger(DateTimeTrigger(moment=now), ti)

    def _pass(self, time: timedelta) -> None:
        """Let time pass for the API, and for the limiter, whose clock is the real one."""
        self.sim.clock.advance(seconds=time.total_seconds())
        with psycopg.connect(self.pool.url) as connection:
            connection.execute(
                "update intra42.api_limits set slots = '{}', next_slot = next_slot - %(time)s, "
                "paused_until = paused_until - %(time)s",
                {"time": time},
            )
            # Not in one step: a minute may move to where another one still is.
            for away in (timedelta(days=9999), time - timedelta(days=9999)):
                connection.execute("update intra42.api_usage set minute = minute - %s", [away])


def eager(dag_id: str) -> DAG:
    """Return a DAG that tries a failed task again at once."""
    dag = load_dag(dag_id)
    for task in dag.tasks:
        getattr(task, "partial_kwargs", task.__dict__)["retry_delay"] = timedelta(0)
    return dag


def _cleared(run_id: str) -> Callable[..., Any]:
    """Return what gives `dag.test` an old run to go on with, in which failed tasks are cleared."""

    def go_on(*, dag: Any, session: Any, **_: Any) -> Any:
        run = session.scalar(select(dagrun.DagRun).where(dagrun.DagRun.run_id == run_id))
        instances = run.get_task_instances(session=session)
        failed = [one for one in instances if one.state in {"failed", "upstream_failed"}]
        clear_task_instances(failed, session)
        run.dag = dag
        run.state = "running"
        session.commit()
        return run

    return go_on


@pytest.fixture(scope="module")
def pool(postgres: Postgres) -> Iterator[Pool]:
    """A migrated database of our own, emptied for each history."""
    postgres.ensure_database("under_fire")
    with psycopg.connect(postgres.url("under_fire"), autocommit=True) as connection:
        prepare(connection)
    pool = Pool(postgres.url("under_fire"))
    yield pool
    pool.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_after_two_clean_nights_of_the_real_dags_the_mirror_equals_the_world(
    metadata_db: None, pool: Pool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = DagStory(pool, seed, monkeypatch)
    try:
        story.tell()
        story.nights()
        counted = story.stack.value("select sum(requests) from intra42.sync_runs")
        assert counted == len(story.sim.ledger.requests())
    finally:
        story.close()
