"""Run a DAG through the scheduler, and say what the run cost and where its time went."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from bench import cpu
from bench.memory import TaskMemory
from bench.upstream import Upstream
from dev.stack.airflow import FINISHED, AirflowApi, AirflowStack
from dev.stack.demo import INCREMENTAL, RunFailed
from dev.stack.report import SCHEMA, TABLES, failed_tasks

_POLL_S = 0.2
_QUARTER_S = 900
_CLOSE_S = 45


@dataclass(kw_only=True)
class Cost:
    """One run of a DAG.

    `wall_s` is from before the REST call that triggers it to the first poll that sees success.
    `busy_s` is the time in which at least one task was running, by Airflow's account; `ours_s` the
    time in which at least one was talking to the API or the warehouse, by the mirror's own.
    """

    run_id: str
    wall_s: float
    busy_s: float
    ours_s: float
    tasks: int
    instances_of: dict[str, int]
    requests: int
    requests_of: dict[str, int]
    refused: int
    first_to_last_request_s: float
    task_rss_mb: list[float]
    cpu_s: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {
            "wall_s": round(self.wall_s, 2),
            "some_task_running_s": round(self.busy_s, 2),
            "some_task_syncing_s": round(self.ours_s, 2),
            "first_to_last_request_s": round(self.first_to_last_request_s, 2),
            "tasks": self.tasks,
            "requests": self.requests,
            "requests_of_tasks": self.requests_of,
            "answered_429": self.refused,
            "cpu_s": self.cpu_s,
            "cores_worth_of_cpu_we_got": round(self.cpu_s["all"] / self.wall_s, 2),
            "task_rss_mb": {
                "smallest": round(min(self.task_rss_mb, default=0.0), 1),
                "largest": round(max(self.task_rss_mb, default=0.0), 1),
                "processes": len(self.task_rss_mb),
            },
        }


def measure(
    stack: AirflowStack, upstream: Upstream, dag_id: str, conf: Mapping[str, Any] | None = None
) -> Cost:
    """Trigger the DAG and measure the run.

    Raises:
        RunFailed: it did not succeed.
    """
    api = stack.api
    _wait_until_quiet(stack, api, dag_id)
    before = len(upstream.ledger())
    with TaskMemory(_scheduler(stack)) as memory:
        used = cpu.seconds(stack)
        began = time.monotonic()
        run_id = api.trigger(dag_id, conf)
        while (state := api.run_state(dag_id, run_id)) not in FINISHED:
            stack.processes.check()
            time.sleep(_POLL_S)
        wall_s = time.monotonic() - began
        used = cpu.between(used, cpu.seconds(stack))
    tasks = api.task_instances(dag_id, run_id)
    if state != "success":
        raise RunFailed("\n".join(failed_tasks(stack.home / "logs", tasks)))
    # A token that was aged by turning the clock is refused: the mirror times it by one that runs.
    requests = [entry for entry in upstream.ledger()[before:] if entry["status"] != 401]
    moments = [entry["real_time"] for entry in requests]
    return Cost(
        run_id=run_id,
        wall_s=wall_s,
        busy_s=_union_s(_span(task["start_date"], task["end_date"]) for task in tasks),
        ours_s=_union_s(_attempts(stack.warehouse_url, dag_id, run_id)),
        tasks=len(tasks),
        instances_of=Counter(task["task_id"] for task in tasks),
        requests=len(requests),
        requests_of=_requests_of_tasks(stack.warehouse_url, dag_id, run_id),
        refused=sum(entry["status"] == 429 for entry in requests),
        first_to_last_request_s=max(moments) - min(moments) if moments else 0.0,
        task_rss_mb=memory.peaks_mb,
        cpu_s=used,
    )


def rows(database_url: str) -> dict[str, int]:
    """Return how many rows each table of the mirror has."""
    with psycopg.connect(database_url) as connection:
        return {
            table: connection.execute(f"select count(*) from {SCHEMA}.{table}").fetchone()[0]  # type: ignore[index]
            for table in TABLES
        }


def forget_mirror(database_url: str) -> None:
    """Drop the mirror with its bookkeeping, the limiter's memory of the last hour included."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"drop schema if exists {SCHEMA} cascade")


def _scheduler(stack: AirflowStack) -> int:
    return int(json.loads((stack.processes.records / "scheduler.json").read_text())["pid"])


def _wait_until_quiet(stack: AirflowStack, api: AirflowApi, dag_id: str) -> None:
    """Let runs of the schedule pass, also of the DAG that is not measured: it would run beside."""
    left = _QUARTER_S - time.time() % _QUARTER_S
    if dag_id.endswith("incremental") and left < _CLOSE_S:
        time.sleep(left + 3)
    while any(api.unfinished_runs(running) for running in {dag_id, INCREMENTAL}):
        stack.processes.check()
        time.sleep(0.5)


def _attempts(database_url: str, dag_id: str, run_id: str) -> list[tuple[float, float]]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            f"select started_at, finished_at from {SCHEMA}.sync_runs"
            " where dag_id = %s and run_id = %s and finished_at is not null",
            (dag_id, run_id),
        ).fetchall()
    return [(start.timestamp(), end.timestamp()) for start, end in found]


def _requests_of_tasks(database_url: str, dag_id: str, run_id: str) -> dict[str, int]:
    """Return what the mirror's own ledger says each task sent, mapped ones taken together."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            f"select task_id, sum(requests) from {SCHEMA}.sync_runs"
            " where dag_id = %s and run_id = %s group by task_id order by min(id)",
            (dag_id, run_id),
        ).fetchall()
    return {str(task): int(requests) for task, requests in found}


def _span(start: str | None, end: str | None) -> tuple[float, float]:
    if start is None or end is None:
        return (0.0, 0.0)
    first, last = (datetime.fromisoformat(moment) for moment in (start, end))
    return first.astimezone(UTC).timestamp(), last.astimezone(UTC).timestamp()


def _union_s(spans: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
