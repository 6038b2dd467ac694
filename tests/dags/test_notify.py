"""Whoever wants to be told of a failure is, with a text that helps and that holds no data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk import BaseNotifier, Context
from airflow.sdk.exceptions import AirflowFailException

from intra42 import notify
from intra42.dag_factory import INCREMENTAL, build_dag
from intra42.errors import DeleteRefused, IncompleteListing, RetriableApiError
from tests.dags.stack import Stack, load_dag

ALERTS = """
from airflow.sdk import BaseNotifier

class Alert(BaseNotifier):
    template_fields = ("message",)

    def __init__(self, message):
        super().__init__()
        self.message = message

    def notify(self, context):
        with open({file!r}, "a") as file:
            print(self.message, file=file)

def tell(context):
    from intra42.notify import summary
    with open({file!r}, "a") as file:
        print("function: " + summary(context), file=file)

alert = Alert("{{{{ intra42_summary() }}}}")
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the callbacks that Airflow's configuration names write what they are told."""
    file = tmp_path / "said"
    (tmp_path / "my_alerts.py").write_text(ALERTS.format(file=str(file)))
    monkeypatch.syspath_prepend(str(tmp_path))
    names = "my_alerts.alert, my_alerts.tell"
    monkeypatch.setenv("AIRFLOW__INTRA42__ON_FAILURE_CALLBACK", names)
    return file


def test_the_configured_notifier_is_told_once_of_a_failed_run(loaded: Stack, said: Path) -> None:
    loaded.sim.clock.advance(minutes=15)
    loaded.sim.faults.add("403", "/v2/projects_users", times=None)
    run = loaded.incremental()
    assert run.state == "failed"
    notifier, function = said.read_text().splitlines()
    assert function == f"function: {notifier}"
    head = f"task primary.projects_users of {INCREMENTAL} failed (table projects_users)"
    assert notifier.startswith(f"{head} in run {run.run_id}: ")
    assert "403" in notifier
    assert notifier.endswith("Clearing the task is safe: it goes on where it stopped.")
    assert loaded.sim.client_secret not in notifier


def test_a_run_that_succeeds_tells_nobody(loaded: Stack, said: Path) -> None:
    loaded.sim.clock.advance(minutes=15)
    assert loaded.incremental().state == "success"
    assert not said.exists()


def test_without_a_setting_nobody_is_told() -> None:
    assert all(task.on_failure_callback == [] for task in load_dag(INCREMENTAL).tasks)


class Silent(BaseNotifier):
    """Tells nobody."""

    def notify(self, context: Context) -> None:
        """Tell nobody."""


def test_a_dag_of_ones_own_names_its_own_callbacks(said: Path) -> None:
    mine = Silent()
    dag = build_dag(
        "my_mirror",
        schedule="@daily",
        title="mine",
        what="mine",
        reference=False,
        on_failure_callback=[mine],
    )
    assert all(task.on_failure_callback == [mine] for task in dag.tasks)


def caused(error: Exception) -> Exception:
    """Return what Airflow sees where a retry cannot help."""
    try:
        try:
            raise error
        except type(error):
            raise AirflowFailException(str(error)) from None
    except AirflowFailException as seen:
        return seen


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (caused(DeleteRefused("users: 9 of 10 are gone")), "allow_mass_delete"),
        (RetriableApiError("GET /v2/users: the API answered 502"), "The API had a fault"),
        (IncompleteListing("blocs: 3 of 4"), "nothing was believed"),
        (RuntimeError("anything"), "Clearing the task is safe"),
    ],
)
def test_the_summary_says_what_to_do(error: Exception, says: str) -> None:
    assert says in notify.summary({"exception": error})


def test_the_summary_leaves_out_what_a_database_or_a_library_says_of_data() -> None:
    error = psycopg.errors.UniqueViolation("Key (login)=(somebody) already exists")
    context: dict[str, Any] = {
        "exception": error,
        "run_id": "run1",
        "ti": SimpleNamespace(task_id="primary.users", dag_id="mine", map_index=3),
        "task": SimpleNamespace(resource="users"),
    }
    text = notify.summary(context)
    assert text.startswith(
        "task primary.users of mine [3] failed (table users) in run run1: UniqueViolation "
        "(SQLSTATE 23505). "
    )
    assert "somebody" not in text


def test_a_killed_worker_has_a_summary_too() -> None:
    assert notify.summary({"run_id": "run1"}).startswith("a run of intra42 failed in run run1. See")
