"""What Airflow itself knows of our DAGs: their next runs, their last runs, and what is wrong.

It comes from Airflow's own database, so it is there when the warehouse is not, and has the runs
that failed before they reached it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models import TaskInstance
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from intra42.operators.base import FAILURE
from intra42.plugin.run_notes import left_behind
from intra42.ui.masking import masked
from intra42.verify.refresh import span

FAILED = "failed"
_RETRYING = "up_for_retry"
_ENDED = ("success", FAILED)
_BEGUN = ("running", "queued")
# The scheduler looks every few seconds; a minute late may be a busy machine.
_PUNCTUAL = timedelta(minutes=5)
_SHOWN_TASKS = 5

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")

Row = dict[str, Any]


def overview(session: Session, dags: Sequence[str], chosen: Sequence[str], limit: int) -> Row:
    """Return the next run of each of `dags`, the last `limit` runs of `chosen`, and all troubles.

    A trouble has a `level` (bad or warn), a sentence, and what it speaks of: the DAG and, where
    there are, the run and the task.
    """
    known = {row.dag_id: row for row in session.execute(_known(dags))}
    plans = [_plan(session, dag_id, known.get(dag_id)) for dag_id in dags]
    troubles = [trouble for plan in plans for trouble in _troubles(plan)]
    return {
        "dags": [{key: plan[key] for key in plan if key not in _INNER} for plan in plans],
        "runs": _last(session, chosen, limit),
        "troubles": sorted(troubles, key=lambda trouble: trouble["level"] != "bad"),
    }


def _known(dags: Sequence[str]) -> Any:
    return select(
        DagModel.dag_id,
        DagModel.is_paused,
        DagModel.is_stale,
        DagModel.has_import_errors,
        DagModel.next_dagrun_create_after,
    ).where(DagModel.dag_id.in_(dags))


# What the troubles are made of and the browser has no use for.
_INNER = ("import_error", "under_way", "planned_at")


def _plan(session: Session, dag_id: str, row: Any) -> Row:
    begun = _last(session, [dag_id], 1)
    plan: Row = {
        "dag_id": dag_id,
        "parsed": row is not None and not row.is_stale,
        "import_error": row is not None and bool(row.has_import_errors),
        "last_run": begun[0] if begun else None,
        "last_ended": next(iter(_last(session, [dag_id], 1, ended=True)), None),
        "under_way": _last(session, [dag_id], _SHOWN_TASKS, states=_BEGUN),
    }
    if not plan["parsed"]:
        return plan
    planned = row.next_dagrun_create_after
    return plan | {
        "paused": row.is_paused,
        "next_run_at": None if row.is_paused else planned,
        "planned_at": planned,
    }


def _last(
    session: Session,
    dags: Sequence[str],
    limit: int,
    *,
    ended: bool = False,
    states: Sequence[str] = (),
) -> list[Row]:
    """Return the runs made last, or those that ended last, newest first."""
    query = (
        select(
            DagRun.dag_id,
            DagRun.run_id,
            DagRun.run_type,
            DagRun.state,
            DagRun.run_after,
            DagRun.queued_at,
            DagRun.start_date,
            DagRun.end_date,
            DagRunNote.content,
        )
        .outerjoin(DagRunNote, DagRunNote.dag_run_id == DagRun.id)
        .where(DagRun.dag_id.in_(dags))
        .limit(limit)
    )
    if ended:
        query = query.where(DagRun.state.in_(_ENDED), DagRun.end_date.is_not(None))
        query = query.order_by(DagRun.end_date.desc(), DagRun.id.desc())
    else:
        # In the order in which they were made: a backfill's are of days long gone.
        query = query.order_by(DagRun.id.desc())
    if states:
        query = query.where(DagRun.state.in_(states))
    found = session.execute(query).all()
    red = _red_tasks(session, dags, [row.run_id for row in found])
    return [_run(row, red.get((row.dag_id, row.run_id), [])) for row in found]


def _red_tasks(
    session: Session, dags: Sequence[str], runs: Sequence[str]
) -> Mapping[tuple[str, str], list[Row]]:
    """Return the failed tasks of each run, and those about to be tried again, first one first."""
    query = (
        select(
            TaskInstance.dag_id,
            TaskInstance.run_id,
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.state,
            XComModel.value,
        )
        .outerjoin(*left_behind(FAILURE))
        .where(
            TaskInstance.dag_id.in_(dags),
            TaskInstance.run_id.in_(runs),
            TaskInstance.state.in_((FAILED, _RETRYING)),
        )
        .order_by(TaskInstance.end_date, TaskInstance.task_id, TaskInstance.map_index)
    )
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in session.execute(query) if runs else ():
        found[row.dag_id, row.run_id].append(
            {
                "task_id": row.task_id,
                "map_index": row.map_index,
                "state": row.state,
                "reason": row.value if isinstance(row.value, str) else "",
            }
        )
    return found


def _run(row: Any, red: list[Row]) -> Row:
    failed = [task for task in red if task["state"] == FAILED]
    retrying = [task for task in red if task["state"] == _RETRYING]
    # A run that was cleared and is under way again still has the note of its last end.
    note = row.content if row.state in _ENDED else None
    return {
        "dag_id": row.dag_id,
        "run_id": row.run_id,
        "run_type": row.run_type,
        "state": row.state,
        "made_at": row.queued_at or row.run_after,
        "started_at": row.start_date,
        "finished_at": row.end_date if row.state in _ENDED else None,
        "failed": _tasks(failed),
        "failed_tasks": len(failed),
        "retrying": _tasks(retrying),
        "note": _said(row.state, note, failed, retrying),
    }


def _tasks(red: list[Row]) -> list[Row]:
    return [
        {"task_id": task["task_id"], "map_index": task["map_index"]} for task in red[:_SHOWN_TASKS]
    ]


def _said(state: str, note: str | None, failed: list[Row], retrying: list[Row]) -> str:
    """Return what is known of a run in one sentence: its note's first, else what its tasks left."""
    told = first_sentence(note or "") or next(
        (first_sentence(task["reason"]) for task in (*failed, *retrying) if task["reason"]), ""
    )
    if told:
        return told
    if failed:
        return "The log of the task says why."
    if state == FAILED:
        return "No task failed, so somebody marked the run so, or it took longer than it may."
    return "It waits to be started." if state == "queued" else ""


def first_sentence(text: str) -> str:
    """Return the first sentence of a note or a reason, without values and the name of its task."""
    first = masked(text.strip().split("\n\n")[0])
    without_task = re.sub(r"^\S+ failed(: |$)", "", " ".join(first.split()))
    return _SENTENCE.split(without_task, maxsplit=1)[0]


def _troubles(plan: Row) -> list[Row]:
    """Return what is wrong with a DAG; nothing where all is well."""
    looks: Iterable[Callable[[Row], Row | None]] = (
        _unparsed,
        _ended_red,
        _turning_red,
        _paused,
        _never_ran,
        _not_begun,
        _not_started,
        _nothing_planned,
    )
    return [found for look in looks if (found := look(plan)) is not None]


def _trouble(plan: Row, level: str, sentence: str, run: Row | None = None) -> Row:
    red = [*run["failed"], *run["retrying"]] if run else []
    return {
        "level": level,
        "sentence": sentence,
        "dag_id": plan["dag_id"],
        "run_id": run["run_id"] if run else None,
        "task": red[0] if red else None,
    }


def _unparsed(plan: Row) -> Row | None:
    name = plan["dag_id"]
    if plan["import_error"]:
        return _trouble(plan, "bad", f"The file of {name} cannot be imported; Airflow shows why.")
    if plan["parsed"]:
        return None
    return _trouble(
        plan,
        "bad",
        f"Airflow does not have {name}: its file is missing or was never parsed, or the DAG "
        "processor does not run.",
    )


def _ended_red(plan: Row) -> Row | None:
    run = plan["last_ended"]
    if run is None or run["state"] != FAILED:
        return None
    return _trouble(plan, "bad", f"The last run of {plan['dag_id']} failed{_where(run)}", run)


def _where(run: Row) -> str:
    """Return at which tasks it failed, and why, as the end of a sentence."""
    names = list(dict.fromkeys(task["task_id"] for task in run["failed"]))
    at = f" at {', '.join(names[:3])}" if names else ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    reason = run["note"].rstrip(".")
    if not names:
        reason = reason[:1].lower() + reason[1:]
    return f"{at}{more}: {reason}." if reason else f"{at}{more}."


def _turning_red(plan: Row) -> Row | None:
    for run in plan["under_way"]:
        if run["failed"]:
            sentence = f"The run of {plan['dag_id']} under way has failed{_where(run)}"
            return _trouble(plan, "bad", sentence, run)
    return None


def _paused(plan: Row) -> Row | None:
    if not plan.get("paused"):
        return None
    waiting = " A run waits until it is resumed." if plan["under_way"] else ""
    return _trouble(
        plan, "warn", f"{plan['dag_id']} is paused: no run of it begins by itself.{waiting}"
    )


def _never_ran(plan: Row) -> Row | None:
    if not plan["parsed"] or plan["last_run"] is not None:
        return None
    return _trouble(plan, "warn", f"{plan['dag_id']} has not run yet.")


def _not_begun(plan: Row) -> Row | None:
    planned = plan.get("planned_at")
    if planned is None or plan["paused"] or plan["under_way"]:
        return None
    late = datetime.now(UTC) - planned
    if late < _PUNCTUAL:
        return None
    return _trouble(
        plan,
        "bad",
        f"A run of {plan['dag_id']} should have begun {span(late.total_seconds())} ago and has "
        "not: is the scheduler running?",
    )


def _not_started(plan: Row) -> Row | None:
    if plan.get("paused"):
        return None
    for run in plan["under_way"]:
        waited = datetime.now(UTC) - run["made_at"]
        if run["state"] == "queued" and len(plan["under_way"]) == 1 and waited > _PUNCTUAL:
            sentence = (
                f"A run of {plan['dag_id']} has waited {span(waited.total_seconds())} to be "
                "started: is the scheduler running?"
            )
            return _trouble(plan, "bad", sentence, run)
    return None


def _nothing_planned(plan: Row) -> Row | None:
    if not plan["parsed"] or plan["paused"] or plan["under_way"] or plan["planned_at"]:
        return None
    return _trouble(plan, "warn", f"Airflow has planned no run of {plan['dag_id']}.")
