"""Open a run, and bring one table up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from intra42.catalog import graph
from intra42.operators.assets import with_outlets
from intra42.operators.base import Intra42Operator, identity_of, skip_if_idle
from intra42.run.opening import open_run, unreachable
from intra42.run.plan import Does, asked_of, refuse_unknown_keys, steps
from intra42.run.steps import sync
from intra42.settings import Request

if TYPE_CHECKING:
    from airflow.sdk import Context


class Intra42OpenRunOperator(Intra42Operator):
    """Create or upgrade the schema, check settings and connections, say what the run will do."""

    def run_step(self, context: Context, request: Request) -> list[str]:
        """Open the run; return the further tables that are asked for, each a mapped task.

        Raises:
            AirflowException: the warehouse cannot be reached; one sentence says what to set.
            psycopg.OperationalError: it was reached, but can do nothing, as where its disk is full.
        """
        if context.get("dag") is not None:
            refuse_unknown_keys(context["dag_run"].conf or {}, context["dag"].params)
        hook = self.hook()
        settings = hook.settings
        try:
            open_run(hook.connect, settings, identity_of(context), request)
        except psycopg.OperationalError as error:
            message = unreachable(error, self.intra42_db_conn_id)
            if message is None:
                raise
            raise AirflowException(message) from error
        loads = self.dag_id == self.loader_dag_id
        return [name for step in steps(loads=loads) for name in asked_of(step, request)]


class Intra42SyncOperator(Intra42Operator):
    """Bring one table of the mirror up to date.

    Reference tables are read whole. Primary tables continue from the DAG's watermark, and so do
    those further tables that have one. The params `full_refresh`, `updated_from` and `updated_to`
    of the run ask for something else. Returns the counts of rows inserted, updated, unchanged,
    deleted and parked.

    Args:
        resource: name of the table, such as `projects_users`. A table that comes with another one
            is filled by reading that one.
    """

    def __init__(self, *, resource: str, **kwargs: Any) -> None:
        super().__init__(**with_outlets(kwargs, resource))
        self.resource = resource

    def run_step(self, context: Context, request: Request) -> dict[str, int]:
        """Sync the table.

        Raises:
            AirflowSkipException: the run has no use for it, or the API refuses to show it.
        """
        resource = graph.read_with(self.resource)
        skip_if_idle(Does.SYNC, request, resource.name)
        with self.work(context, request, resource.name) as work:
            sync(work, resource)
            outcome = work.outcome()
        if work.left_alone:
            raise AirflowSkipException(work.left_alone)
        return outcome
