"""As many tasks as the incremental DAG, with its edges and its mapped tasks, and nothing to do.

Only the benchmark's Airflow sees it. The shape is in the JSON file beside it, which the benchmark
writes from what Airflow says about the real DAG. An EmptyOperator would not do, except where the
real DAG has one: Airflow never starts it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator

_SHAPE = json.loads(Path(__file__).with_suffix(".json").read_text())


class Nothing(BaseOperator):
    """Does nothing; `lists` returns what the mapped task is expanded over."""

    def __init__(self, *, lists: bool = False, chunks: Any = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.lists = lists
        self.chunks = chunks

    def execute(self, context: Any) -> list[int] | None:
        """Return as many numbers as the run's conf asks for, or nothing."""
        return list(range(context["dag_run"].conf.get("chunks", 0))) if self.lists else None


with DAG(
    "empty_incremental",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    default_args={"trigger_rule": "none_failed", "retries": 1},
) as dag:
    mapped = {name for name, task in _SHAPE.items() if task["mapped"]}
    listing = {name for name, task in _SHAPE.items() if mapped & set(task["downstream"])}
    tasks: dict[str, Any] = {
        name: EmptyOperator(task_id=name, trigger_rule=task["rule"])
        if task["waits"]
        else Nothing(task_id=name, lists=name in listing)
        for name, task in _SHAPE.items()
        if name not in mapped
    }
    for name in mapped:
        source = next(up for up in listing if name in _SHAPE[up]["downstream"])
        tasks[name] = Nothing.partial(task_id=name).expand(chunks=tasks[source].output)
    for name, task in _SHAPE.items():
        for below in task["downstream"]:
            if below not in mapped:
                tasks[name] >> tasks[below]
