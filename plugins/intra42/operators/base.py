"""What all our operators share: the order of the run, and what an error means to Airflow."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import psycopg
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)
from airflow.sdk.log import mask_secret

from intra42.attempt.work import Identity, Work
from intra42.attempt.written import Written, written
from intra42.errors import (
    DEFECTS,
    FINAL,
    ConfigError,
    DataError,
    QuotaSpent,
    RetriableApiError,
)
from intra42.hooks import Intra42Hook
from intra42.operators import lineage, metrics
from intra42.operators.assets import asset, is_ours
from intra42.run.plan import Does, refuse_unknown_tables, why_skipped
from intra42.run.session import attempt
from intra42.settings import Request, Window, parse_request
from intra42.warehouse.sessions import said

if TYPE_CHECKING:
    from airflow.sdk import Context

# The XCom that a task which fails leaves the reason in; Airflow clears it before the next try.
FAILURE = "failure"
_LONGEST_REASON = 300  # of one trouble; of several, one line each


class Intra42Operator(BaseOperator):
    """Base of the Intra42 operators.

    When the hour's requests are used up, the task defers itself, gives its worker slot back and
    goes on where it stopped. Errors that a retry cannot help with fail the task at once; the
    sentence of an error is left for the note of the run, as the XCom `failure`. When the task
    succeeds, each table whose rows it changed gets an event of its asset, such as `intra42.users`.

    Args:
        intra42_conn_id: connection to the API.
        intra42_db_conn_id: connection to the warehouse.
        config_variable: Airflow variable with the settings, read when the task runs.
        loader_dag_id: the DAG that loads a table for the first time, the same for all operators of
            a DAG. Where it is another DAG than this one, tables it has not loaded yet are left
            alone.
    """

    ui_color = "#e6f4f1"

    def __init__(
        self,
        *,
        intra42_conn_id: str = "intra42_api",
        intra42_db_conn_id: str = "intra42_db",
        config_variable: str = "intra42_config",
        loader_dag_id: str = "intra42_nightly",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.intra42_conn_id = intra42_conn_id
        self.intra42_db_conn_id = intra42_db_conn_id
        self.config_variable = config_variable
        self.loader_dag_id = loader_dag_id
        self._trace: lineage.Trace | None = None

    def execute(self, context: Context) -> Any:
        """Run the task; see the class for what happens when the quota is spent."""
        return self._guarded(context)

    def execute_again(self, context: Context, event: Any = None) -> Any:  # noqa: ARG002
        """Go on after the wait for the quota."""
        return self._guarded(context)

    @abstractmethod
    def run_step(self, context: Context, request: Request) -> Any:
        """Do the work of the task and return small counts for XCom."""

    def hook(self) -> Intra42Hook:
        """Return the hook over this operator's two connections."""
        return Intra42Hook(self.intra42_conn_id, self.intra42_db_conn_id)

    @contextmanager
    def work(self, context: Context, request: Request, resource: str) -> Iterator[Work]:
        """Yield the work of this attempt, with its row in `sync_runs`; tell what it changed."""
        hook = self.hook()
        with attempt(
            hook.connect,
            hook.settings,
            identity_of(context),
            request,
            loader=self.loader_dag_id,
            resource=resource,
        ) as work:
            meter = metrics.Meter(work)
            try:
                yield work
            finally:
                meter.send()
            changed = self.changed(work)
            self._trace = lineage.trace(work)
        self._tell(context, changed)

    def changed(self, work: Work) -> Written | None:
        """Return what this task tells at its end, None where another task does that."""
        return written(work, also=self.tells_for())

    def tells_for(self) -> Collection[str]:
        """Return the ids of the tasks that leave it to this one to tell what they wrote."""
        return ()

    def prepare_for_execution(self) -> Self:
        """Return the task as it runs.

        Airflow knows from the DAG which assets the task may change, and shows that. Which ones it
        has changed is known at its end, and only those get an event. It saves a question to Airflow
        before each task, too.
        """
        task = super().prepare_for_execution()
        task.outlets = [outlet for outlet in self.outlets if not is_ours(outlet)]
        return task

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002
        """Return what OpenLineage's provider asks for after the task, None where nothing ran."""
        return lineage.facets(self._trace) if self._trace else None

    def _tell(self, context: Context, changed: Written | None) -> None:
        if changed is None:
            return
        for table in sorted(changed.tables):
            outlet = asset(table)
            # A new list: the task that the DAG knows has the other one.
            self.outlets = [*self.outlets, outlet]
            context["outlet_events"][outlet].extra = dict(changed.about(table))

    def _guarded(self, context: Context) -> Any:
        try:
            return self.run_step(context, request_of(context, self.config_variable))
        except QuotaSpent as error:
            self.log.warning("%s; the task waits %.0f s without a slot", error, error.wait_s)
            metrics.quota_wait(error.wait_s, self.dag_id, self.task_id)
            self.defer(
                trigger=TimeDeltaTrigger(timedelta(seconds=max(1.0, error.wait_s))),
                method_name="execute_again",
            )
        except (*FINAL, DataError, RetriableApiError) as error:
            reasons = [line[:_LONGEST_REASON] for line in str(error).splitlines()]
            context["ti"].xcom_push(FAILURE, "\n".join(reasons))
            # What may pass, Airflow tries again.
            kind = AirflowFailException if isinstance(error, FINAL) else AirflowException
            raise kind(str(error)) from (error if isinstance(error, DEFECTS) else None)
        except psycopg.Error as error:
            if not said(error):
                raise
            context["ti"].xcom_push(FAILURE, str(error)[:_LONGEST_REASON])
            raise error.with_traceback(None) from None


def skip_if_idle(does: Does, request: Request, resource: str = "") -> None:
    """Skip a task that the run has no use for.

    Raises:
        AirflowSkipException: with the reason.
    """
    reason = why_skipped(does, request, resource)
    if reason:
        raise AirflowSkipException(reason)


def identity_of(context: Context) -> Identity:
    """Return which attempt of which task the context belongs to."""
    instance = context["ti"]
    return Identity(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
        try_number=instance.try_number,
    )


def request_of(context: Context, variable: str) -> Request:
    """Return the order of this run: the variable, its params, and a backfill's interval.

    Raises:
        ConfigError: the variable or a param is invalid.
    """
    params = context.get("params") or {}
    request = parse_request(_read_variable(variable), params, variable=variable)
    refuse_unknown_tables(request)
    run = context["dag_run"]
    if run.run_type == "backfill" and request.window is None:
        if run.data_interval_start is None or run.data_interval_end is None:
            message = "a backfill needs a DAG whose timetable has real data intervals"
            raise ConfigError(message)
        window = Window(since=run.data_interval_start, until=run.data_interval_end)
        return replace(request, window=window, full_refresh=False, tables=())
    return request


def _read_variable(name: str) -> Any:
    """Return the decoded variable, None where there is none.

    Raises:
        ConfigError: it is not JSON.
        AirflowException: it is there, but Airflow could not read it just now.
    """
    # Airflow decodes inside a try block that takes any error for "not here"; so we decode.
    text = Variable.get(name, default=None)
    if text is None:
        # An error of Airflow's API looks like an absent variable too; this question fails then. One
        # of a secrets backend does not: what the last run used tells that something is missing.
        if name in Variable.keys(prefix=name):
            message = f"The Airflow variable {name} is there, but Airflow could not read it"
            raise AirflowException(message)
        return None
    try:
        values = json.loads(text)
    except ValueError as error:
        message = f"The Airflow variable {name} is not valid JSON: {error}"
        raise ConfigError(message) from error
    if isinstance(values, dict) and values.get("hash_secret"):
        mask_secret(values["hash_secret"])
    return values
