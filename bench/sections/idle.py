"""The quiet incremental run beside a DAG of as many empty tasks, in turn."""

from __future__ import annotations

import json
import shutil
import statistics
from typing import Any

from bench import runs
from bench.context import Context
from bench.outcome import Outcome, spread, text
from bench.upstream import OFF, PER_SECOND
from dev.stack.demo import INCREMENTAL, NIGHTLY
from dev.stack.settings import ROOT

STUDENTS = 600
EMPTY = "empty_incremental"
_MAPPED = "refresh_ongoing.refetch"
_QUARTER_S, _HOUR_S = 900, 3600
_RATES = (PER_SECOND, 8, OFF)
_HOURLY = 600  # requests an hour for each request a second


def section(context: Context) -> Outcome:
    stack, upstream, outcome = context.airflow(), context.upstream, Outcome()
    context.say(f"idle: first load of a campus of {STUDENTS} students")
    runs.forget_mirror(stack.warehouse_url)
    upstream.start("campus", students=STUDENTS)
    context.configure({"campus_ids": [upstream.facts["campus_id"]]})
    runs.measure(stack, upstream, NIGHTLY)
    for per_second in _RATES:
        per_hour = min(per_second * _HOURLY, OFF)
        context.say(f"idle: {_named(per_second)} and {per_hour:,}/h; a run to warm up")
        upstream.limit(per_second, per_hour)
        upstream.advance(_HOUR_S)
        context.finish(INCREMENTAL)
        _add_empty_dag(context)
        _turns(context, outcome, per_second)
    for dag_id in (INCREMENTAL, EMPTY):
        stack.api.set_paused(dag_id, paused=True)
    return outcome


def _add_empty_dag(context: Context) -> None:
    """Give the benchmark's Airflow the empty DAG, in the shape of the real one."""
    folder = context.dags
    if (folder / f"{EMPTY}.py").exists() and context.stack.api.dag(EMPTY):
        return
    found = context.stack.api.call("GET", f"dags/{INCREMENTAL}/tasks")["tasks"]
    shape = {
        task["task_id"]: {
            "downstream": task["downstream_task_ids"],
            "mapped": bool(task["is_mapped"]),
            "waits": task["operator_name"] == "EmptyOperator",
            "rule": task["trigger_rule"],
        }
        for task in found
    }
    (folder / f"{EMPTY}.json").write_text(json.dumps(shape))
    shutil.copy(ROOT / "bench" / "dags" / f"{EMPTY}.py", folder)
    context.stack.wait_for_dag(EMPTY)
    context.stack.api.set_paused(EMPTY, paused=False)
    # The first run of a DAG also writes its version and parses it anew.
    runs.measure(context.stack, context.upstream, EMPTY, {"chunks": 1})


def _turns(context: Context, outcome: Outcome, per_second: int) -> None:
    stack, upstream = context.stack, context.upstream
    quiet: list[runs.Cost] = []
    empty: list[runs.Cost] = []
    count = context.sizes.idle_runs
    for number in range(1, count + 1):
        rate = _named(per_second)
        context.say(f"idle: a quiet quarter {rate} and an empty DAG, {number}/{count}")
        upstream.mutate("quiet_quarter")
        upstream.advance(_QUARTER_S)
        quiet.append(runs.measure(stack, upstream, INCREMENTAL))
        chunks = quiet[-1].instances_of.get(_MAPPED, 0)
        empty.append(runs.measure(stack, upstream, EMPTY, {"chunks": chunks}))
    _tell(outcome, per_second, quiet, empty)


def _named(per_second: int) -> str:
    return "without a quota" if per_second == OFF else f"at {per_second}/s"


def _tell(
    outcome: Outcome, per_second: int, quiet: list[runs.Cost], empty: list[runs.Cost]
) -> None:
    walls, floors = [cost.wall_s for cost in quiet], [cost.wall_s for cost in empty]
    pairs = [one / other for one, other in zip(walls, floors, strict=True)]
    ratio = statistics.median(walls) / statistics.median(floors)
    requests = [cost.requests for cost in quiet]
    # As many requests as a second may have go at once, as many more a second later.
    quota = [max(0, number - 1) // per_second for number in requests]
    refused = sum(cost.refused for cost in quiet)
    facts: dict[str, Any] = {
        "wall_s": spread(walls),
        "empty_dag_wall_s": spread(floors),
        "ratio_of_medians": round(ratio, 2),
        "ratio_pair_by_pair": spread(pairs),
        "tasks": [cost.tasks for cost in quiet],
        "empty_dag_tasks": [cost.tasks for cost in empty],
        "requests": requests,
        "quota_alone_s": spread(quota),
        "answered_429": refused,
        "runs": [cost.as_dict() for cost in quiet],
        "empty_dag_runs": [cost.as_dict() for cost in empty],
    }
    outcome.facts[_named(per_second).replace(" ", "_").replace("/s", "_per_second")] = facts
    outcome.add(
        f"quiet incremental run of {STUDENTS} students {_named(per_second)}, wall",
        text(walls, " s", 1),
        "at most 30 s",
        max(walls) <= 30,
    )
    outcome.add(f"  a DAG of as many empty tasks ({quiet[-1].tasks})", text(floors, " s", 1))
    outcome.add("  ratio of the medians", f"{ratio:.2f}x", "at most 1.5x", ratio <= 1.5)
    outcome.add(
        "  requests; the seconds that the quota alone demands for them",
        f"{max(requests)}, {statistics.median(quota):.1f} s",
        "at most 14",
        max(requests) <= 14,
    )
    middle = sorted(quiet, key=lambda cost: cost.wall_s)[len(quiet) // 2]
    outcome.add(
        "  answered 429; from first request to last",
        f"{refused}; {middle.first_to_last_request_s:.1f} s",
    )
