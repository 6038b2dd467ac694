"""The last group: refetch ongoing enrolments by id, and delete what is really gone.

In a DAG of your own, chain them: plan, then refetch mapped over the plan's output, then delete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from intra42.config import Request
from intra42.operators.base import Intra42Operator
from intra42.sync import refresh

if TYPE_CHECKING:
    from airflow.sdk import Context

_RESOURCE = "cursus_users"


class Intra42PlanRefreshOperator(Intra42Operator):
    """Choose the ongoing enrolments to refetch; returns the chunk numbers of each mapped task.

    Before, it reads the history of users who entered the scope late in this run.
    """

    def run_step(self, context: Context, request: Request) -> list[list[int]]:
        """Write the chunks into the warehouse.

        Raises:
            AirflowSkipException: the run reads an explicit window and refreshes nothing.
        """
        with self.work(context, request, _RESOURCE) as work:
            refresh.drain_leftovers(work)
            chunks = [] if request.window else refresh.plan_chunks(work)
        if request.window:
            message = "an explicit window refreshes and deletes nothing"
            raise AirflowSkipException(message)
        return chunks


class Intra42RefetchOperator(Intra42Operator):
    """Refetch some chunks of ongoing enrolments by id.

    Args:
        chunks: numbers of the chunks that the plan wrote.
    """

    template_fields = ("chunks",)

    def __init__(self, *, chunks: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chunks = chunks

    def run_step(self, context: Context, request: Request) -> dict[str, int]:
        """Refetch, and note what does not come back."""
        with self.work(context, request, _RESOURCE) as work:
            refresh.refetch(work, self.chunks)
            return work.counts.as_dict()


class Intra42DeleteMissingOperator(Intra42Operator):
    """Ask a second time for what did not come back; delete it, or refuse a mass delete."""

    def run_step(self, context: Context, request: Request) -> dict[str, int]:
        """Delete what two complete answers did not show, each row with its tombstone.

        Raises:
            AirflowSkipException: the run reads an explicit window and deletes nothing.
        """
        if request.window:
            message = "an explicit window refreshes and deletes nothing"
            raise AirflowSkipException(message)
        with self.work(context, request, _RESOURCE) as work:
            refresh.delete_missing(work)
            return work.counts.as_dict()
