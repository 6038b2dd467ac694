"""Two Celery workers with homes of their own, one of which dies: the mirror is true all the same.

`make test-celery` runs it; all is real but the Intra: Redis, PostgreSQL, Airflow, SIGKILL.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from dev.simulator import Simulator
from dev.simulator.messages import LedgerEntry
from dev.stack.airflow import METADATA_DATABASE, WAREHOUSE_DATABASE
from dev.stack.celery import FOLDERS, CeleryStack
from dev.stack.demo import start_run
from dev.stack.processes import recorded_members
from dev.stack.settings import ROOT, STATE
from dev.stack.verify import compare_url

NIGHTLY, INCREMENTAL = "intra42_nightly", "intra42_incremental"
WORKERS = ("worker-1", "worker-2")
STRUCK = "primary.projects_users"
PER_SECOND, PER_HOUR = 4, 5000
MOST_ON_THEIR_WAY = 8  # of one task: answers take long where the machine is busy
TIMEOUT_S = 900  # of one run, on a machine that is busy with other things

# What costs a deployment five minutes: how long Airflow waits for a sign of life of a task, or of
# a worker that has fetched a task and not begun it.
IMPATIENT = {
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "120",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


@dataclass
class Death:
    """What there was to know when a worker died."""

    worker: str
    moment: float
    tasks: set[str]
    members: list[psutil.Process]


@dataclass
class Story:
    """A first load during which one of two workers is shot, and an incremental run after it."""

    stack: CeleryStack
    sim: Simulator
    states: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ran_on: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in WORKERS})
    died: list[Death] = field(default_factory=list)
    asked_by_nightly: int = 0
    _reached: threading.Event = field(default_factory=threading.Event)
    _go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def config(self) -> dict[str, Any]:
        return {"campus_ids": [self.sim.campus_id]}

    @property
    def death(self) -> Death:
        [death] = self.died
        return death

    def tell(self) -> None:
        self.sim.faults.add("between_pages", "/v2/projects_users", skip=4, hook=self._hold)
        try:
            self._run(NIGHTLY)
        finally:
            self._go_on.set()
        self.asked_by_nightly = len(self.requests())
        self._run(INCREMENTAL)

    def _hold(self, _store: object) -> None:
        """Hold an answer back, so that it is on its way when the worker dies."""
        self._reached.set()
        self._go_on.wait(timeout=120)

    def _run(self, dag_id: str) -> None:
        run_id = start_run(self.stack, dag_id)
        deadline = time.monotonic() + TIMEOUT_S

        def look(state: str, tasks: list[dict[str, Any]]) -> None:
            self.stack.processes.check()
            assert time.monotonic() < deadline, f"{dag_id} is still {state}"
            self.tasks[dag_id] = tasks
            here = self._running_where()
            for name, running in here.items():
                self.ran_on[name] |= running
            if self._reached.is_set() and not self.died:
                self._kill(here)

        self.states[dag_id] = self.stack.api.wait(dag_id, run_id, look, interval_s=0.3)

    def _running_where(self) -> dict[str, set[str]]:
        """Return which tasks have their process in which worker's session."""
        with psycopg.connect(self.stack.postgres.url(METADATA_DATABASE)) as connection:
            found = connection.execute(
                "select task_id, pid from task_instance where state = 'running' and pid is not null"
            ).fetchall()
        living = {
            name: {m.pid for m in recorded_members(self.stack.processes.records / f"{name}.json")}
            for name in WORKERS
        }
        return {name: {task for task, pid in found if pid in living[name]} for name in WORKERS}

    def _kill(self, here: dict[str, set[str]]) -> None:
        victims = [name for name, running in here.items() if STRUCK in running]
        if not victims:
            return  # its first heartbeat has not told its process yet
        [victim] = victims
        members = recorded_members(self.stack.processes.records / f"{victim}.json")
        self.stack.processes.kill(victim)
        self.died.append(Death(victim, time.monotonic(), here[victim], members))
        self._go_on.set()

    def requests(self) -> list[LedgerEntry]:
        return self.sim.ledger.requests()

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stack.warehouse_url) as connection:
            return connection.execute(text, values).fetchall()


def files(folder: Path) -> set[Path]:
    """Return all files but compiled bytecode, by their paths in `folder`."""
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {path for path in found if path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """The story, told once."""
    sim = Simulator(
        "campus", seed=3, students=120, limit_second=PER_SECOND, limit_hour=PER_HOUR, running=True
    )
    sim.harsh.page_cap = 40
    with sim, CeleryStack(state=STATE / "celery") as stack:
        for database in (METADATA_DATABASE, WAREHOUSE_DATABASE):
            with psycopg.connect(stack.postgres.url(), autocommit=True) as connection:
                connection.execute(f"drop database {database} with (force)")
            stack.postgres.ensure_database(database)
        shutil.rmtree(stack.home / "logs", ignore_errors=True)  # of the last time
        story = Story(stack, sim)
        stack.start_airflow(
            connections=stack.connections(
                host=sim.url, login=sim.client_id, password=sim.client_secret
            ),
            variables={"intra42_config": json.dumps(story.config)},
            settings=IMPATIENT,
        )
        stack.start_workers(*WORKERS)
        story.tell()
        yield story


def test_both_runs_are_green_although_a_worker_died(story: Story) -> None:
    assert story.states == {NIGHTLY: "success", INCREMENTAL: "success"}
    assert STRUCK in story.death.tasks


def test_nothing_of_the_dead_worker_lives(story: Story) -> None:
    assert len(story.death.members) > len(story.death.tasks)
    assert not any(
        member.is_running() and member.status() != psutil.STATUS_ZOMBIE
        for member in story.death.members
    )


def test_both_workers_had_tasks_and_the_living_one_took_over(story: Story) -> None:
    assert all(story.ran_on.values()), story.ran_on
    tries = {task["task_id"]: task["try_number"] for task in story.tasks[NIGHTLY]}
    assert {name for name, number in tries.items() if number > 1} == story.death.tasks
    assert max(tries.values()) == 2
    [survivor] = set(WORKERS) - {story.death.worker}
    assert STRUCK in story.ran_on[survivor]


def test_the_limiter_holds_across_the_workers(story: Story) -> None:
    requests = story.requests()
    assert {entry.status for entry in requests} == {200}
    seconds = Counter(entry.virtual_time.replace(microsecond=0) for entry in requests)
    assert max(seconds.values()) >= PER_SECOND / 2, "too slow to show anything"
    hours = Counter(
        entry.virtual_time.replace(minute=0, second=0, microsecond=0) for entry in requests
    )
    assert max(hours.values()) <= PER_HOUR


def test_only_what_was_on_its_way_was_asked_again(story: Story) -> None:
    # What an attempt asked for and did not live to store; each page is one request.
    lost = dict(
        story.query(
            "select resource, requests - pages from intra42.sync_runs where status = 'lost'"
        )
    )
    assert {f"primary.{resource}" for resource in lost} <= story.death.tasks
    questions = Counter(
        (entry.path, json.dumps(entry.query, sort_keys=True))
        for entry in story.requests()[: story.asked_by_nightly]
        # Other listings are looked at twice for reasons of their own.
        if entry.path.removeprefix("/v2/") in lost
    )
    again = sum(times - 1 for times in questions.values())
    assert 1 <= again <= sum(lost.values())
    assert max(lost.values()) <= MOST_ON_THEIR_WAY


def test_nothing_was_written_beside_the_code(story: Story) -> None:
    for name in WORKERS:
        for folder in FOLDERS:
            copy = story.stack.machine(name) / folder
            assert files(copy) == files(ROOT / folder), copy


def test_the_ledger_has_every_request_that_the_api_counted(story: Story) -> None:
    [(counted,)] = story.query("select sum(requests) from intra42.sync_runs")
    assert counted == len(story.requests())


def test_the_mirror_equals_the_truth(story: Story) -> None:
    assert compare_url(story.stack.warehouse_url, story.sim.url, story.config) == []
