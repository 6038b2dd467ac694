"""Hands the tasks of both DAGs' runs to the processes, as Airflow would."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from dev.virtual.records import Death, Run, Sent, Task, refetches_of, tasks_of
from dev.virtual.timekeeper import Process, Timekeeper


class TaskFailed(Exception):
    """A task failed as often as it may be tried."""


class Foreman:
    """Gives tasks to whoever is free; a process works for one DAG, which its name begins with.

    Args:
        timekeeper: Who tells what the processes do.
        api: `url`, `client_id` and `client_secret`.
        retries: How often a task that failed is tried again; one that was killed always is.
        retry_delay_s: How long after.
    """

    def __init__(
        self,
        timekeeper: Timekeeper,
        api: dict[str, str],
        *,
        retries: int = 0,
        retry_delay_s: float = 0,
    ) -> None:
        self.config: dict[str, Any] = {}
        self.runs: list[Run] = []
        self.sent: list[Sent] = []
        self.deaths: list[Death] = []
        self.errors: list[str] = []
        self._time = timekeeper
        self._api = api
        self._retries = retries
        self._retry_delay = timedelta(seconds=retry_delay_s)
        self._numbers = itertools.count(1)
        self._free: list[Process] = []
        self._busy: dict[Process, tuple[Run, Task]] = {}
        self._asking: dict[Process, dict[str, Any]] = {}
        self._last: dict[Process, Sent] = {}
        self._condemned: tuple[str, str, Callable[[Process], bool]] | None = None
        self._doomed: dict[Process, float] = {}
        timekeeper.listener = self

    # Runs.

    def staff(self, dag: str, processes: int) -> None:
        """Hire processes for a DAG."""
        for _ in range(processes):
            self._time.hire(f"{dag}-{next(self._numbers)}")

    def start(self, dag: str, due: datetime) -> Run:
        """Begin a run."""
        run = Run(dag, f"{dag}_{len(self.runs)}", due, tasks_of(dag))
        self.runs.append(run)
        self._hand_out()
        return run

    def running(self, dag: str) -> list[Run]:
        """Return the runs that have not ended."""
        return [run for run in self.runs if run.dag == dag and run.end is None]

    def kill_one(self, dag: str, why: str, holds: Callable[[Process], bool]) -> None:
        """Kill the next process of a DAG that sleeps for this reason and holds that."""
        self._condemned = (dag, why, holds)

    def working(self, dag: str) -> list[Process]:
        """Return the processes that have a task of this DAG, in no order that chance made."""
        found = [process for process, (run, _) in self._busy.items() if run.dag == dag]
        return sorted(found, key=lambda process: process.name)

    def kill(self, process: Process, after_answer_s: float | None = None) -> None:
        """Kill a process that sleeps, now or so many real seconds after its next answer."""
        if after_answer_s is None:
            self._note_death(process, process.sleep[1])
            self._time.kill(process)
        else:
            self._doomed[process] = after_answer_s

    # What the timekeeper tells.

    def free(self, process: Process, message: dict[str, Any]) -> None:
        """Note how an order ended, and give the next one."""
        self._free.append(process)
        if process in self._busy:
            run, task = self._busy.pop(process)
            self._note(run, task, message)
        self._hand_out()

    def asleep(self, process: Process, message: dict[str, Any]) -> None:
        """Note what is asked and answered; kill who is condemned."""
        why = message["why"]
        if why == "way there":
            self._asking[process] = message
        elif why == "way back":
            sent = self._last[process]
            sent.status, sent.rows = message["status"], message["rows"]
        if self._condemned is None:
            return
        dag, reason, holds = self._condemned
        if self._busy[process][0].dag == dag and why == reason and holds(process):
            self._condemned = None
            self.kill(process)

    def woken(self, process: Process, why: str) -> float | None:
        """Note requests and first answers; say who is to be killed at work."""
        run, task = self._busy[process]
        now = self._time.clock.now()
        if why == "way there":
            asked = self._asking.pop(process)
            sent = Sent(
                process.name, run, task, asked["path"], asked["params"], now, time.monotonic()
            )
            self._last[process] = sent
            self.sent.append(sent)
        elif why == "way back":
            run.first_answer = run.first_answer or now
            doom_s = self._doomed.pop(process, None)
            if doom_s is not None:
                self._note_death(process, "at work")
            return doom_s
        return None

    def gone(self, process: Process) -> None:
        """Let somebody else try the task of who is dead."""
        if process not in [death.process for death in self.deaths]:
            message = f"{process.name} died"
            raise AssertionError(message)
        run, task = self._busy.pop(process)
        self._try_again(task)
        self.staff(run.dag, 1)

    # The rest.

    def _note_death(self, process: Process, why: str) -> None:
        _, task = self._busy[process]
        now = self._time.clock.now()
        self.deaths.append(Death(process, task, why, now, time.monotonic()))

    def _note(self, run: Run, task: Task, message: dict[str, Any]) -> None:
        now = self._time.clock.now()
        if "error" in message:
            self.errors.append(f"{run.id} {task.name}: {message['error']}")
            task.failures += 1
            if task.failures > self._retries:
                raise TaskFailed(self.errors[-1])
            self._try_again(task)
            return
        if "wait_s" in message:
            run.deferrals += 1
            wait = timedelta(seconds=max(1.0, message["wait_s"]))
            self._let_wait(task, wait)
            return
        task.state = "done"
        if task.name == "refresh_ongoing.plan":
            run.tasks += refetches_of(message["done"])
        if all(each.state == "done" for each in run.tasks):
            run.end = now

    def _try_again(self, task: Task) -> None:
        task.attempt += 1
        if self._retry_delay:
            self._let_wait(task, self._retry_delay)
        else:
            task.state = "waiting"

    def _let_wait(self, task: Task, wait: timedelta) -> None:
        task.state = "deferred"
        self._time.at(self._time.clock.now() + wait, lambda: self._resume(task))

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
