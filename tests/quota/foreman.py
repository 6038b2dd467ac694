"""Hands the tasks of both DAGs' runs to four processes, as Airflow would."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from intra42.catalog import graph
from tests.harness import NIGHTLY
from tests.quota.timekeeper import Process, Timekeeper


@dataclass(eq=False)
class Task:
    """A task of a run; `state` is waiting, running, deferred, or done."""

    name: str
    after: frozenset[str]
    map_index: int = -1
    chunks: list[int] = field(default_factory=list)
    attempt: int = 1
    state: str = "waiting"


@dataclass(eq=False)
class Run:
    """A run of a DAG, and when what happened to it."""

    dag: str
    id: str
    due: datetime
    tasks: list[Task]
    first_answer: datetime | None = None
    end: datetime | None = None
    deferrals: int = 0

    def ready(self) -> list[Task]:
        """Return the tasks that wait for nothing any more."""
        left = {task.name for task in self.tasks if task.state != "done"}
        return [task for task in self.tasks if task.state == "waiting" and not task.after & left]


@dataclass(frozen=True)
class Sent:
    """A request as it reached the API: whose, and when, in the simulated time and in the real."""

    name: str
    task: Task
    moment: datetime
    real: float


@dataclass(frozen=True)
class Death:
    """Who was killed in which task, and when, in the simulated time and in the real."""

    process: Process
    task: Task
    moment: datetime
    real: float


class Foreman:
    """Gives tasks to whoever is free; a process works for one DAG, which its name begins with."""

    def __init__(self, timekeeper: Timekeeper, api: dict[str, str]) -> None:
        self.config: dict[str, Any] = {}
        self.runs: list[Run] = []
        self.sent: list[Sent] = []
        self.deaths: list[Death] = []
        self._time = timekeeper
        self._api = api
        self._numbers = itertools.count(1)
        self._free: list[Process] = []
        self._busy: dict[Process, tuple[Run, Task]] = {}
        self._condemned: tuple[str, str, Callable[[Process], bool]] | None = None
        timekeeper.listener = self

    # Runs.

    def staff(self, dag: str, processes: int) -> None:
        for _ in range(processes):
            self._time.hire(f"{dag}-{next(self._numbers)}")

    def start(self, dag: str, due: datetime) -> Run:
        """Begin a run."""
        run = Run(dag, f"{dag}_{len(self.runs)}", due, _tasks(dag))
        self.runs.append(run)
        self._hand_out()
        return run

    def running(self, dag: str) -> list[Run]:
        return [run for run in self.runs if run.dag == dag and run.end is None]

    def at_work(self, dag: str) -> int:
        """Return how many processes have a task of this DAG."""
        return sum(run.dag == dag for run, _ in self._busy.values())

    def kill_one(self, dag: str, why: str, holds: Callable[[Process], bool]) -> None:
        """Kill the next process of a DAG that sleeps for this reason and holds that."""
        self._condemned = (dag, why, holds)

    # What the timekeeper tells.

    def free(self, process: Process, message: dict[str, Any]) -> None:
        self._free.append(process)
        if process in self._busy:
            run, task = self._busy.pop(process)
            self._note(run, task, message)
        self._hand_out()

    def asleep(self, process: Process, why: str) -> None:
        if self._condemned is None:
            return
        dag, reason, holds = self._condemned
        run, task = self._busy[process]
        if run.dag == dag and why == reason and holds(process):
            self._condemned = None
            self.deaths.append(Death(process, task, self._time.clock.now(), time.monotonic()))
            self._time.kill(process)

    def woken(self, process: Process, why: str) -> None:
        run, task = self._busy[process]
        now = self._time.clock.now()
        if why == "way there":
            self.sent.append(Sent(process.name, task, now, time.monotonic()))
        elif why == "way back" and run.first_answer is None:
            run.first_answer = now

    def gone(self, process: Process) -> None:
        assert process in [death.process for death in self.deaths], f"{process.name} died"
        run, task = self._busy.pop(process)
        task.attempt += 1
        task.state = "waiting"
        self.staff(run.dag, 1)

    # The rest.

    def _note(self, run: Run, task: Task, message: dict[str, Any]) -> None:
        assert "error" not in message, f"{run.id} {task.name}: {message['error']}"
        now = self._time.clock.now()
        if "wait_s" in message:
            run.deferrals += 1
            task.state = "deferred"
            wait = timedelta(seconds=max(1.0, message["wait_s"]))
            self._time.at(now + wait, lambda: self._resume(task))
            return
        task.state = "done"
        if task.name == "refresh_ongoing.plan":
            run.tasks += _refetches(message["done"])
        if all(each.state == "done" for each in run.tasks):
            run.end = now

    def _resume(self, task: Task) -> None:
        task.state = "waiting"
        self._hand_out()

    def _hand_out(self) -> None:
        for run in self.runs:
            for task in run.ready() if run.end is None else ():
                process = next((one for one in self._free if one.name.startswith(run.dag)), None)
                if process is None:
                    break
                self._free.remove(process)
                self._busy[process] = (run, task)
                task.state = "running"
                self._time.give(
                    process,
                    api=self._api,
                    config=self.config,
                    dag=run.dag,
                    run=run.id,
                    task=task.name,
                    map_index=task.map_index,
                    attempt=task.attempt,
                    chunks=task.chunks,
                )


def _tasks(dag: str) -> list[Task]:
    """Return the tasks of a run with the edges that the DAG has."""
    tasks = [Task("open_run", frozenset())]
    for group in ("reference", "primary") if dag == NIGHTLY else ("primary",):
        before = frozenset(task.name for task in tasks)
        for name, parents in graph.edges(graph.of_group(group)).items():
            after = frozenset(f"{group}.{parent}" for parent in parents)
            tasks.append(Task(f"{group}.{name}", after or before))
    if dag == NIGHTLY:
        tasks.append(Task("primary.audit", frozenset(task.name for task in tasks)))
    tasks.append(Task("refresh_ongoing.plan", frozenset(task.name for task in tasks)))
    return tasks


def _refetches(groups: list[list[int]]) -> list[Task]:
    tasks = [
        Task("refresh_ongoing.refetch", frozenset(), map_index=number, chunks=chunks)
        for number, chunks in enumerate(groups)
    ]
    return [*tasks, Task("refresh_ongoing.delete_missing", frozenset(task.name for task in tasks))]
