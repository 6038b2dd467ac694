"""What each step of a run does with the work of its task attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.read.reference import sync_reference
from intra42.run.access import unless_refused
from intra42.run.plan import Does, Step
from intra42.run.primary import sync_primary
from intra42.run.tail import sync_tail
from intra42.run.whole import sync_whole
from intra42.verify import refresh
from intra42.verify.audit import verify


def take(step: Step, work: Work, chunks: Sequence[int] = ()) -> Any:
    """Take a step other than the first; `chunks` are those of a refetch."""
    match step.does:
        case Does.SYNC | Does.FURTHER:
            return sync(work, graph.read_with(step.resource))
        case Does.AUDIT:
            return verify(work)
        case Does.PLAN:
            return plan_refresh(work)
        case Does.REFETCH:
            return refresh.refetch(work, chunks)
        case Does.DELETE:
            return refresh.delete_missing(work)
        case _:
            message = f"{step.name} is no step that has a task's work"
            raise ValueError(message)


def sync(work: Work, resource: Resource) -> None:
    """Bring a table up to date: one without a cursor is read whole, others from their watermark."""
    if resource.is_optional:
        unless_refused(work, resource, _way(resource))
        return
    (sync_reference if resource.group == "reference" else sync_primary)(work, resource)


def _way(resource: Resource) -> Callable[[Work, Resource], None]:
    """Return how an optional table is read."""
    if resource.tail_of is not None:
        return sync_tail
    return sync_whole if resource.cursor_field is None else sync_primary


def plan_refresh(work: Work) -> list[list[int]]:
    """Read the histories of those who entered late; return the chunks of each refetch."""
    refresh.drain_leftovers(work)
    return [] if work.request.window else refresh.plan_chunks(work)
