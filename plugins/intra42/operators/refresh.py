"""The last group: refetch ongoing enrolments by id, and delete what is really gone.

In a DAG of your own, chain them: plan, then refetch mapped over the plan's output, then delete.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from intra42.attempt.work import Work
from intra42.attempt.written import Written, written
from intra42.catalog import graph
from intra42.operators import metrics
from intra42.operators.assets import with_outlets
from intra42.operators.base import Intra42Operator, skip_if_idle
from intra42.run.plan import Does
from intra42.run.steps import plan_refresh
from intra42.settings import Request
from intra42.verify import refresh

if TYPE_CHECKING:
    from airflow.sdk import Context


class Intra42PlanRefreshOperator(Intra42Operator):
    """Choose the ongoing enrolments to refetch; returns the chunk numbers of each mapped task.

    Before, it reads the history of users who entered the scope late in this run.
    """

    def run_step(self, context: Context, request: Request) -> list[list[int]]:
        """Write the chunks into the warehouse.

        Raises:
            AirflowSkipException: the run reads an explicit window and refreshes nothing.
        """
        with self.work(context, request, graph.refetched().name) as work:
            chunks = plan_refresh(work)
        # A task that is skipped tells nobody what it wrote.
        if not work.counts.tables:
            skip_if_idle(Does.DELETE, request)
        return chunks

    def changed(self, work: Work) -> Written | None:
        """Return what an explicit window wrote, which has no `delete_missing` to tell it."""
        return written(work) if work.request.window else None


class Intra42RefetchOperator(Intra42Operator):
    """Refetch some chunks of ongoing enrolments by id.

    Args:
        chunks: numbers of the chunks that the plan wrote.
    """

    def __init__(self, *, chunks: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chunks = chunks
        self.outcome = ""

    @property
    def label(self) -> str:
        """The chunks of this task, and once it has run, what they brought."""
        first, last = self.chunks[0], self.chunks[-1]
        chunks = f"chunk {first}" if first == last else f"chunks {first} to {last}"
        return f"{chunks}: {self.outcome}" if self.outcome else chunks

    def run_step(self, context: Context, request: Request) -> dict[str, int]:
        """Refetch, and note what does not come back."""
        with self.work(context, request, graph.refetched().name) as work:
            absent = refresh.refetch(work, self.chunks)
            metrics.refetched(work)
            missing = f", {absent} missing" if absent else ""
            self.outcome = f"{work.counts.updated} changed{missing}"
            return work.outcome()

    def changed(self, work: Work) -> Written | None:  # noqa: ARG002
        """Return None: one event of `delete_missing`, instead of one by each mapped task."""
        return None


class Intra42DeleteMissingOperator(Intra42Operator):
    """Ask a second time for what did not come back; delete it, or refuse a mass delete.

    It also tells what the plan and the refetches before it have changed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**with_outlets(kwargs, graph.refetched().name))

    def run_step(self, context: Context, request: Request) -> dict[str, int]:
        """Delete what two complete answers did not show, each row with its tombstone.

        Raises:
            AirflowSkipException: the run reads an explicit window and deletes nothing.
        """
        skip_if_idle(Does.DELETE, request)
        with self.work(context, request, graph.refetched().name) as work:
            refresh.delete_missing(work)
            return work.outcome()

    def tells_for(self) -> Collection[str]:
        """Return the ids of the plan and of the refetches before this task."""
        silent = {Intra42PlanRefreshOperator.__name__, Intra42RefetchOperator.__name__}
        before = self.get_flat_relatives(upstream=True) if self.get_dag() else ()
        return [task.task_id for task in before if task.task_type in silent]
