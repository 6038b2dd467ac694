"""Tell people when a run fails: what an `on_failure_callback` can say, and where to set it once.

`{{ intra42_summary() }}` works in the templated fields of every notifier of Airflow's providers;
a function of one's own calls `summary(context)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any

import jinja2
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException

from intra42.errors import ConfigError, DataError, DeleteRefused, Intra42Error, RetriableApiError

Callback = Callable[..., None]

_ADVICE: Sequence[tuple[type[Exception], str]] = (
    (DeleteRefused, "Look at the numbers; if the rows are really gone, trigger the DAG with "
     "allow_mass_delete."),
    (ConfigError, "Correct the setting, then clear the task."),
    (RetriableApiError, "The API had a fault. The next run goes on where this one stopped."),
    (DataError, "The API's answers did not fit together, so nothing was believed. The next run "
     "asks again; if it stays red, see the troubleshooting of the README."),
)  # fmt: skip
_OTHERWISE = "See the task's log. Clearing the task is safe: it goes on where it stopped."


@jinja2.pass_context
def summary(context: Mapping[str, Any]) -> str:
    """Return in a few sentences which task failed, why, and what to do.

    Holds no secret and no data: the text of an error that is not ours is left out.

    Args:
        context: what Airflow hands to a callback.
    """
    instance = context.get("ti")
    error = context.get("exception")
    task_id = getattr(instance, "task_id", None)
    where = f"task {task_id} of {instance.dag_id}" if instance else "a run of intra42"
    index = getattr(instance, "map_index", -1)
    table = getattr(context.get("task"), "resource", None)
    parts = [
        f"{where}{f' [{index}]' if index is not None and index >= 0 else ''} failed",
        f" (table {table})" if table else "",
        f" in run {context['run_id']}" if context.get("run_id") else "",
        f": {reason(error)}" if error is not None else ".",
    ]
    return f"{''.join(parts).rstrip('.')}. {advice(error)}"


def reason(error: BaseException | str) -> str:
    """Return the text of an error of ours, else only what kind of error it is."""
    if isinstance(error, Intra42Error | AirflowException):
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    sqlstate = getattr(error, "sqlstate", None)
    kind = "error" if isinstance(error, str) else type(error).__name__
    return f"{kind} (SQLSTATE {sqlstate})" if sqlstate else kind


def advice(error: BaseException | str | None) -> str:
    """Return what a person can do about an error."""
    causes = (error, getattr(error, "__cause__", None), getattr(error, "__context__", None))
    for cause in causes:
        for kind, text in _ADVICE:
            if isinstance(cause, kind):
                return text
    return _OTHERWISE


def configured() -> list[Callback]:
    """Return the callbacks that Airflow's configuration names, none where it names none.

    `[intra42] on_failure_callback`, or `AIRFLOW__INTRA42__ON_FAILURE_CALLBACK`: names such as
    `my_alerts.tell`, separated by commas, each a function or a notifier in a module that Airflow
    can import.

    Raises:
        ImportError: there is no such module; Airflow shows that as an import error of our DAGs.
        AttributeError: the module has no such name; shown likewise.
    """
    names = conf.get("intra42", "on_failure_callback", fallback="") or ""
    return [resolve_name(name.strip()) for name in names.split(",") if name.strip()]
