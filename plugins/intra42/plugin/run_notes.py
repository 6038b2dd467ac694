"""A note on each finished run: what happened, on Airflow's page of the run, without opening a log.

A task cannot write the note of its run. The scheduler tells listeners of plugins when a run has
ended, and what they write on the run is stored with its state: that costs no task and no request.
The numbers are those that our tasks returned, the reasons those that failed tasks left behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from sqlalchemy import and_, select
from sqlalchemy.orm import object_session

from intra42.operators.base import FAILURE
from intra42.verify.refresh import span

if TYPE_CHECKING:
    from airflow.models import DagRun
    from sqlalchemy.orm import Session

_LONGEST = 1000  # what Airflow's table of notes takes
_SHORTEST = 60  # of a task and its reason
_REFETCH = "Intra42RefetchOperator"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a task: the counts it returned, or why it failed."""

    task_id: str
    task_type: str
    failed: bool
    counts: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001  # as Airflow names it
    """Write the note of a run that succeeded."""
    _note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001
    """Write the note of a run that failed."""
    _note(dag_run)


def _note(run: DagRun) -> None:
    ours = {
        task.task_id: task.task_type
        for task in (run.dag.tasks if run.dag else ())
        if task.task_type.startswith("Intra42")
    }
    if not ours:
        return
    # The scheduler's own session knows the run and must not be committed here; `dag.test` has none.
    session = object_session(run)
    if session is not None:
        _write(session, run, ours)
        return
    from airflow.utils.session import create_session

    with create_session() as fresh:
        _write(fresh, run, ours)


def _write(session: Session, run: DagRun, ours: Mapping[str, str]) -> None:
    # Workers load the plugin as well, and have no use for the scheduler's models.
    from airflow.models.dagrun import DagRunNote

    written = session.get(DagRunNote, run.id)
    if written is not None and written.user_id is not None:
        return  # a person's note stays
    text = note_of(_outcomes(session, run, ours))
    if written is None:
        written = DagRunNote(content=text)  # type: ignore[no-untyped-call]
        written.dag_run_id = run.id
        session.add(written)
    written.content = text


def _outcomes(session: Session, run: DagRun, ours: Mapping[str, str]) -> list[Outcome]:
    """Return what became of our tasks; of a mapped one, once for each of its instances."""
    from airflow.models import TaskInstance
    from airflow.models.xcom import XComModel

    query = (
        select(TaskInstance.task_id, TaskInstance.state, XComModel.value)
        .outerjoin(*left_behind("return_value", FAILURE))
        .where(
            TaskInstance.dag_id == run.dag_id,
            TaskInstance.run_id == run.run_id,
            TaskInstance.task_id.in_(list(ours)),
        )
        .order_by(TaskInstance.task_id, TaskInstance.map_index)
    )
    rows = session.execute(query).all()
    return [
        Outcome(
            task_id=task_id,
            task_type=ours[task_id],
            failed=state == "failed",
            counts=left if isinstance(left, Mapping) else {},
            reason=left if isinstance(left, str) else "",
        )
        for task_id, state, left in rows
    ]


def left_behind(*keys: str) -> tuple[Any, Any]:
    """Return what to join task instances with, and on what, to have what they left under `keys`."""
    from airflow.models import TaskInstance
    from airflow.models.xcom import XComModel

    return XComModel, and_(
        XComModel.dag_id == TaskInstance.dag_id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.run_id == TaskInstance.run_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key.in_(keys),
    )


def note_of(outcomes: Iterable[Outcome]) -> str:
    """Return what happened in a run, in a few short sentences, and why each red task is red."""
    total: Counter[str] = Counter()
    refetched = 0
    failed: dict[str, str] = {}
    verified = ""
    for outcome in outcomes:
        counts = outcome.counts
        total.update({name: count for name, count in counts.items() if isinstance(count, int)})
        if outcome.failed:
            failed[outcome.task_id] = failed.get(outcome.task_id) or outcome.reason
        if outcome.task_type == _REFETCH:
            refetched += counts.get("updated", 0)
        if "verified_median_s" in counts:
            half, most = span(counts["verified_median_s"]), span(counts["verified_most_s"])
            verified = f"Ongoing rows verified {half} ago (median), {most} ago (95 %)."
    requests = "1 request" if total["requests"] == 1 else f"{total['requests']} requests"
    sentences = (
        f"{requests}: {total['inserted']} inserted, {total['updated']} updated, "
        f"{total['deleted']} deleted, {total['parked']} parked.",
        f"Found only by refetching: {refetched}." if refetched else "",
        verified,
    )
    said = " ".join(sentence for sentence in sentences if sentence)
    # Airflow shows the note as Markdown, and at first its first line.
    red = [f"{name} failed: {why}" if why else f"{name} failed" for name, why in failed.items()]
    reasons = _fitting(red, _LONGEST - len(said) - 2)
    return f"{reasons}\n\n{said}" if reasons else said


def _fitting(red: Sequence[str], room: int) -> str:
    """Return all of `red` as paragraphs; where they are too long, as much of each as there is room.

    So no task is left out because another one has much to say.
    """
    while red and len("\n\n".join(red)) > room:
        longest = max(map(len, red))
        if longest <= _SHORTEST:
            break
        red = [text if len(text) < longest else f"{text[: longest - 8]}..." for text in red]
    return "\n\n".join(red)[:room]
