"""Runs, their tasks and edges, and what is noted of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from dev.virtual.timekeeper import Process
from intra42.catalog import graph

NIGHTLY = "intra42_nightly"
INCREMENTAL = "intra42_incremental"


@dataclass(eq=False)
class Task:
    """A task of a run; `state` is waiting, running, deferred, or done."""

    name: str
    after: frozenset[str]
    map_index: int = -1
    chunks: list[int] = field(default_factory=list)
    attempt: int = 1
    failures: int = 0
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


@dataclass(eq=False)
class Sent:
    """A request as it reached the API: whose, and when, in the simulated time and in the real.

    `rows` is how many the answer had, by its own headers.
    """

    name: str
    run: Run
    task: Task
    path: str
    params: dict[str, str]
    moment: datetime
    real: float
    status: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Death:
    """Who was killed in which task and state, and when, in the simulated time and in the real."""

    process: Process
    task: Task
    why: str
    moment: datetime
    real: float


def tasks_of(dag: str) -> list[Task]:
    """Return the tasks of a run with the edges that the DAG has."""
    tables = [r for g in groups_of(dag) for r in graph.of_group(g)]
    names = {resource.name: f"{resource.group}.{resource.name}" for resource in tables}
    tasks = [Task("open_run", frozenset())]
    for name, parents in graph.edges(tables).items():
        after = frozenset(names[parent] for parent in parents)
        tasks.append(Task(names[name], after or frozenset({"open_run"})))
    # In the DAG, these two come after the others whether they succeeded or not.
    if dag == NIGHTLY:
        tasks.append(Task("primary.audit", frozenset(task.name for task in tasks)))
    tasks.append(Task("refresh_ongoing.plan", frozenset(task.name for task in tasks)))
    return tasks


def groups_of(dag: str) -> tuple[str, ...]:
    """Return the groups of tables that a DAG reads."""
    return ("reference", "primary") if dag == NIGHTLY else ("primary",)


def refetches_of(groups: list[list[int]]) -> list[Task]:
    """Return the mapped tasks that a plan made, and who comes after them."""
    tasks = [
        Task("refresh_ongoing.refetch", frozenset(), map_index=number, chunks=chunks)
        for number, chunks in enumerate(groups)
    ]
    return [*tasks, Task("refresh_ongoing.delete_missing", frozenset(task.name for task in tasks))]
