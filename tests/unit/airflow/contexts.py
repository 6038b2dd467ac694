"""What Airflow hands to a task, as far as our operators look at it."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.execution_time.context import OutletEventAccessors


def context(
    params: dict[str, Any] | None = None,
    *,
    dag_id: str = "intra42_nightly",
    task_id: str = "task",
    run_type: str = "manual",
    interval: tuple[datetime | None, datetime | None] = (None, None),
) -> Any:
    """Return the context of a task's first attempt; `pushed` of its `ti` are the XComs."""
    pushed: dict[str, Any] = {}
    return {
        "ti": SimpleNamespace(
            dag_id=dag_id,
            run_id="run1",
            task_id=task_id,
            map_index=-1,
            try_number=1,
            pushed=pushed,
            xcom_push=pushed.__setitem__,
        ),
        "dag_run": SimpleNamespace(
            run_type=run_type, data_interval_start=interval[0], data_interval_end=interval[1]
        ),
        "params": params or {},
        "outlet_events": OutletEventAccessors(),
    }
