"""Both DAGs from one factory: tasks and edges come from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TaskGroup

from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.notify import Callback, configured, summary
from intra42.operators import (
    Intra42AuditOperator,
    Intra42DeleteMissingOperator,
    Intra42OpenRunOperator,
    Intra42PlanRefreshOperator,
    Intra42RefetchOperator,
    Intra42SyncOperator,
)
from intra42.operators.assets import asset
from intra42.run.plan import INCREMENTAL, NIGHTLY, Does, Step, steps
from intra42.settings import LOADER_PARAMS

__all__ = ["INCREMENTAL", "NIGHTLY", "build_dag"]

_TABLES = [resource.name for resource in graph.of_group("primary")]


def _param(default: Any, description: str, **schema: Any) -> Param:
    """Return a param, to be checked by a draft that takes half the time of the latest one.

    Every task checks all params of its DAG before it begins, a mapped one twice.
    """
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return Param(default, description, schema={**draft, **schema})


def _ids(title: str, example: str) -> Param:
    """Return a param that takes a list of ids, or the text that a person writes into the form.

    The form makes a line for text of what has no single type and is empty; of several types beside
    each other it makes an editor of JSON, six lines high.
    """
    return _param(
        None,
        anyOf=[
            {"type": "null"},
            {"type": "string", "pattern": r"^\s*([1-9][0-9]*(\s*,\s*[1-9][0-9]*)*)?\s*$"},
            {"type": "array", "items": {"type": "integer", "minimum": 1}},
        ],
        title=title,
        description=f"Ids for this run only, such as {example}; empty: those of intra42_config.",
    )


_PARAMS = {
    "campus_ids": _ids("Campuses", "1, 67"),
    "cursus_ids": _ids("Cursus", "21"),
    "full_refresh": _param(
        default=False,
        type="boolean",
        title="Full refresh",
        description="Read everything again, whatever the watermarks say.",
    ),
    "tables": _param(
        [],
        type=["null", "array"],
        items={"type": "string", "enum": _TABLES},
        examples=_TABLES,  # the form offers them to choose from
        title="Only these tables",
        description="Of a full refresh, for this run; empty: all. Others are continued as usual.",
    ),
    "updated_from": _param(
        None,
        type=["null", "string"],
        format="date-time",
        title="Updated from (UTC)",
        description="Read exactly what changed since then; nothing is deleted, no watermark moves.",
    ),
    "updated_to": _param(
        None,
        type=["null", "string"],
        format="date-time",
        title="Updated to (UTC)",
        description="End of the explicit window; empty: now. Needs 'Updated from'.",
    ),
    "allow_mass_delete": _param(
        default=False,
        type="boolean",
        title="Allow a mass delete",
        description="Delete what is gone even if it is more than the guard allows.",
    ),
    "purge_out_of_scope": _param(
        default=False,
        type="boolean",
        title="Purge what is out of scope",
        description="Remove users of campuses and cursus that intra42_config does not ask for.",
    ),
}

_DOC = """
### Mirror of the 42 Intra API: {title}

{what}

* **Trigger** it to catch up now; the form can restrict campuses and cursus, read everything again,
  or read an explicit window.
* **Backfill** reads exactly the intervals asked for, deletes nothing and moves no watermark.
* **Retry** or clear any task at any time: pages already stored are not asked for again.

Connections `intra42_api` and `intra42_db`, variable `intra42_config`; tables in schema `intra42`.
Every attempt's requests and rows are in `intra42.sync_runs`.
"""

_TABLE_DOC = """
{title}

* **Writes** {tables}: the asset of each gets an event when rows of it have changed.
* **Reads** `{endpoint}`: {reads}{nightly}.
* **Returns** (XCom) the numbers of its requests, and of rows inserted, updated, deleted, parked.
* **Skipped?** The run reads an explicit window. **Green with 0 requests?** The nightly run has not
  finished the first load. **Red?** The last line of the log says why; clear the task to go on.

```sql
select * from intra42.sync_runs where resource = '{name}' order by id desc limit 20
```
"""


def build_dag(
    dag_id: str,
    *,
    schedule: str,
    title: str,
    what: str,
    reference: bool,
    tags: Iterable[str] = (),
    on_failure_callback: Iterable[Callback] | None = None,
) -> DAG:
    """Return one of the mirror's DAGs.

    Args:
        dag_id: name of the DAG, and of its watermarks.
        schedule: cron expression in UTC; each run has the real interval between two ticks.
        title: one line for the DAG's documentation.
        what: what a run does, in Markdown.
        reference: whether the reference tables are read first.
        tags: more tags than `intra42`.
        on_failure_callback: functions or notifiers that are called when a task has failed for good;
            those that Airflow's configuration names if None, see `intra42.notify`.
    """
    callbacks = configured() if on_failure_callback is None else list(on_failure_callback)
    with DAG(
        dag_id=dag_id,
        description=title,
        schedule=CronDataIntervalTimetable(schedule, timezone="UTC"),
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        render_template_as_native_obj=True,
        tags=["intra42", *tags],
        doc_md=_DOC.format(title=title, what=what),
        user_defined_macros={"intra42_summary": summary},
        default_args={
            "owner": "intra42",
            "retries": 1,
            "retry_delay": timedelta(seconds=20),
            "execution_timeout": timedelta(hours=12),
            # A skipped task must not skip what needs it; a failed one must stop it.
            "trigger_rule": "none_failed",
            "on_failure_callback": callbacks,
        },
    ) as dag:
        _add(steps(loads=reference))
    # A Param remembers what it last resolved, so no two DAGs may share one. Last, because each
    # task above would copy all of them, and every process of a task parses this file anew.
    unused = frozenset() if reference else LOADER_PARAMS
    dag.params.update(deepcopy({name: _PARAMS[name] for name in _PARAMS if name not in unused}))
    return dag


_GROUPS = {
    "reference": "The reference tables of the mirror",
    "primary": "The primary tables of the mirror",
    "further": "The further tables that intra42_config asks for",
    "refresh_ongoing": "Refetch ongoing enrolments: silent levels, vanished rows",
}
# What a task is made with, by what it does; tables and refetches need more.
_OPERATORS = {
    Does.OPEN: Intra42OpenRunOperator,
    Does.AUDIT: Intra42AuditOperator,
    Does.PLAN: Intra42PlanRefreshOperator,
    Does.DELETE: Intra42DeleteMissingOperator,
    Does.NOTHING: EmptyOperator,
}


def _add(plan: Iterable[Step]) -> None:
    """Add the tasks of a plan to the DAG, in their groups, behind those before them."""
    groups: dict[str, TaskGroup] = {}
    tasks: dict[str, Any] = {}
    for step in plan:
        if step.group and step.group not in groups:
            groups[step.group] = TaskGroup(step.group, tooltip=_GROUPS[step.group])
        with groups[step.group] if step.group else nullcontext():
            tasks[step.name] = _task(step, tasks)
        tasks[step.name].set_upstream([tasks[name] for name in step.after])


def _task(step: Step, tasks: Mapping[str, Any]) -> Any:
    """Return the task of a step.

    One that settles waits for others, failed or not, unless none succeeded. With `open_run` among
    them, a run that could not be opened goes no further. The scheduler marks it by itself, without
    a process. It is skipped where one of the others is, which stops nothing: what follows runs
    unless a task before it has failed. Airflow takes the state of a run from its last task, which
    fails with any of those before.
    """
    if step.does is Does.SYNC:
        resource = graph.get(step.resource)
        return Intra42SyncOperator(
            task_id=step.task, resource=resource.name, doc_md=_table_doc(resource)
        )
    if step.does is Does.FURTHER:
        tables = [table for name in step.further for table in graph.tables_of(name)]
        return Intra42SyncOperator.partial(
            task_id=step.task,
            doc_md=step.what,
            map_index_template="{{ task.resource }}",
            outlets=[asset(table) for table in tables],
        ).expand(resource=tasks["open_run"].output)
    if step.does is Does.REFETCH:
        [planned] = step.after
        return Intra42RefetchOperator.partial(
            task_id=step.task,
            doc_md=step.what,
            # Airflow renders it again when the task has run.
            map_index_template="{{ task.label }}",
            max_active_tis_per_dagrun=8,
        ).expand(chunks=tasks[planned].output)
    rule = {"trigger_rule": "all_done_min_one_success"} if step.settles else {}
    return _OPERATORS[step.does](task_id=step.task, doc_md=step.what, **rule)


def _table_doc(resource: Resource) -> str:
    tables = graph.tables_of(resource.name)
    return _TABLE_DOC.format(
        title=resource.title,
        tables=", ".join(f"`intra42.{table}`" for table in tables),
        endpoint=resource.endpoint,
        reads=f"what changed since the watermark, by `{resource.cursor_field}`"
        if resource.cursor_field
        else "all of it",
        nightly="; all rows every night, because they also change silently"
        if resource.nightly
        else "",
        name=resource.name,
    )
