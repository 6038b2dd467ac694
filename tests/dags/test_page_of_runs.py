"""The page never says green over a red run: runs as Airflow has them, and what is wrong with them.

The runs are real ones, some of them moved to another state as the scheduler would have left them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models import DagRun, TaskInstance
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRunNote
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import delete, update

from dev.stack.postgres import Postgres, free_port
from tests.dags.conftest import new_simulator
from tests.dags.environment import HOME, REPOSITORY
from tests.dags.stack import INCREMENTAL, NIGHTLY, Stack
from tests.dags.test_page import ClientOf, client_of, viewer  # noqa: F401  # fixtures

BAD_KEY = {"campus_idz": [1]}
REASON = "unknown key (hidden)"
OPEN_RUN = {"task_id": "open_run", "map_index": -1}
DATABASE = HOME / "airflow.db"


@dataclass(frozen=True)
class Runs:
    """Two runs of the incremental DAG, and Airflow's database before, between and after them."""

    red: str
    green: str
    states: dict[str, Path]

    def put(self, name: str) -> None:
        """Let Airflow know so many of them: none, red, green or both."""
        copy(self.states[name], DATABASE)


def copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@pytest.fixture(scope="module")
def runs(metadata_db: None, postgres: Postgres, tmp_path_factory: Any) -> Iterator[Runs]:
    """A run that fails at its settings, before it has a warehouse, and a good one after it."""
    folder = tmp_path_factory.mktemp("states")
    states = {name: folder / name for name in ("before", "none", "red", "both", "green")}
    copy(DATABASE, states["before"])
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id.in_((NIGHTLY, INCREMENTAL))))
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.flush()
        bag = DagBag(str(REPOSITORY / "dags"))
        sync_bag_to_db(bag, "dags-folder", None, session=session)
    copy(DATABASE, states["none"])
    name = "page_of_runs"
    postgres.ensure_database(name)
    with pytest.MonkeyPatch.context() as patch, new_simulator() as simulator:
        stack = Stack(postgres.url(name), simulator, patch)
        stack.configure(**BAD_KEY)
        red = stack.incremental(retries=False)
        assert red.state == "failed"
        assert not stack.has_schema()
        copy(DATABASE, states["red"])
        stack.configure(campus_ids=[simulator.campus_id])
        green = stack.incremental()
        assert green.state == "success"
    copy(DATABASE, states["both"])
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.run_id == red.run_id))
    copy(DATABASE, states["green"])
    yield Runs(red.run_id, green.run_id, states)
    copy(states["before"], DATABASE)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


def know(runs: Runs, name: str) -> None:
    """Let Airflow know of these runs, with both DAGs unpaused and due in ten minutes."""
    runs.put(name)
    for dag_id in (NIGHTLY, INCREMENTAL):
        plan(dag_id)


def plan(dag_id: str, **values: Any) -> None:
    """Set what Airflow has planned for a DAG."""
    due = datetime.now(UTC) + timedelta(minutes=10)
    usual = {
        "is_paused": False,
        "is_stale": False,
        "has_import_errors": False,
        "next_dagrun_create_after": due,
    }
    with create_session() as session:
        session.execute(
            update(DagModel).where(DagModel.dag_id == dag_id).values(**(usual | values))
        )


def change(run_id: str, **values: Any) -> None:
    """Put a run into another state."""
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(**values))


def no_notes() -> None:
    """Take the notes of all runs away."""
    with create_session() as session:
        session.execute(delete(DagRunNote))


def asked(viewer: TestClient, query: str = "") -> dict[str, Any]:  # noqa: F811
    answer = viewer.get(f"/intra42/api/schedule{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def sentences(viewer: TestClient, of: str = INCREMENTAL) -> list[str]:  # noqa: F811
    """Return what is said to be wrong with a DAG."""
    return [each["sentence"] for each in asked(viewer)["troubles"] if each["dag_id"] == of]


# --- the runs


def test_a_run_that_failed_before_its_first_request_is_listed_and_told(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "red")
    [shown] = asked(viewer)["runs"]
    assert (shown["run_id"], shown["dag_id"], shown["state"]) == (runs.red, INCREMENTAL, "failed")
    assert shown["failed"] == [OPEN_RUN]
    assert shown["failed_tasks"] == 1
    assert "campus_idz" not in shown["note"]  # what somebody wrote
    assert REASON in shown["note"]
    [told] = [each for each in asked(viewer)["troubles"] if each["dag_id"] == INCREMENTAL]
    assert told["level"] == "bad"
    assert told["sentence"].startswith(f"The last run of {INCREMENTAL} failed at open_run: ")
    assert (told["run_id"], told["task"]) == (runs.red, OPEN_RUN)


def test_runs_are_listed_while_the_warehouse_is_away(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    know(runs, "both")
    monkeypatch.setenv("AIRFLOW_CONN_INTRA42_DB", f"postgres://page@127.0.0.1:{free_port()}/none")
    assert viewer.get("/intra42/api/runs").status_code == 503
    assert [run["run_id"] for run in asked(viewer)["runs"]] == [runs.green, runs.red]


def test_a_run_that_succeeded_is_listed_with_its_note_and_no_trouble(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "green")
    [shown] = asked(viewer)["runs"]
    assert (shown["state"], shown["failed"], shown["failed_tasks"]) == ("success", [], 0)
    assert shown["note"] == "0 requests: 0 inserted, 0 updated, 0 deleted, 0 parked."
    assert shown["finished_at"] >= shown["started_at"]
    assert sentences(viewer) == []


def test_a_run_under_way_whose_task_failed_is_told(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "red")
    # As the scheduler leaves it while other tasks are still at work.
    change(runs.red, state="running", end_date=None)
    no_notes()
    [shown] = asked(viewer)["runs"]
    assert (shown["state"], shown["finished_at"]) == ("running", None)
    assert shown["failed"] == [OPEN_RUN]
    assert REASON in shown["note"]  # what the task left behind
    [told] = sentences(viewer)
    assert told.startswith(f"The run of {INCREMENTAL} under way has failed at open_run: ")


def test_a_task_that_is_to_be_tried_again_is_listed_and_no_trouble_yet(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "red")
    change(runs.red, state="running", end_date=None)
    with create_session() as session:
        session.execute(
            update(TaskInstance)
            .where(TaskInstance.run_id == runs.red, TaskInstance.state == "failed")
            .values(state="up_for_retry")
        )
    [shown] = asked(viewer)["runs"]
    assert (shown["failed"], shown["retrying"]) == ([], [OPEN_RUN])
    assert REASON in shown["note"]
    assert sentences(viewer) == []


def test_a_queued_run_is_listed_and_told_only_when_it_waits_long(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "green")
    now = datetime.now(UTC)
    change(runs.green, state="queued", start_date=None, end_date=None, queued_at=now)
    [shown] = asked(viewer)["runs"]
    assert (shown["state"], shown["note"]) == ("queued", "It waits to be started.")
    assert sentences(viewer) == []
    change(runs.green, queued_at=now - timedelta(minutes=12))
    assert sentences(viewer) == [
        f"A run of {INCREMENTAL} has waited 12 min to be started: is the scheduler running?"
    ]
    plan(INCREMENTAL, is_paused=True)
    assert sentences(viewer) == [
        f"{INCREMENTAL} is paused: no run of it begins by itself. A run waits until it is resumed."
    ]


def test_a_green_run_ends_what_a_red_one_before_it_told(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "both")
    assert [run["state"] for run in asked(viewer)["runs"]] == ["success", "failed"]
    assert sentences(viewer) == []


def test_a_red_run_stays_told_behind_newer_runs_that_have_not_ended(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "both")
    change(runs.green, state="running", end_date=None)
    assert [run["state"] for run in asked(viewer)["runs"]] == ["running", "failed"]
    [told] = sentences(viewer)
    assert told.startswith(f"The last run of {INCREMENTAL} failed at open_run: ")


def test_the_last_run_to_end_counts_not_the_last_one_made(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "both")
    # Somebody cleared the older one, and it has just failed again.
    change(runs.red, end_date=datetime.now(UTC) + timedelta(minutes=1))
    [told] = sentences(viewer)
    assert told.startswith(f"The last run of {INCREMENTAL} failed at open_run: ")


def test_a_run_that_was_marked_failed_has_no_reason_and_says_so(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "green")
    change(runs.green, state="failed")
    no_notes()
    assert sentences(viewer) == [
        f"The last run of {INCREMENTAL} failed: no task failed, so somebody marked the run so, "
        "or it took longer than it may."
    ]


def test_a_note_keeps_its_first_sentence_and_loses_addresses(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "green")
    with create_session() as session:
        session.execute(
            update(DagRunNote).values(content="Asked jdoe@student.42.fr about it. All is well.")
        )
    [shown] = asked(viewer)["runs"]
    assert shown["note"] == "Asked (hidden) about it."


def test_one_dag_and_so_many_runs_can_be_asked_for(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "both")
    found = asked(viewer, f"?dag_id={INCREMENTAL}&limit=1")["runs"]
    assert [run["run_id"] for run in found] == [runs.green]
    assert asked(viewer, f"?dag_id={NIGHTLY}")["runs"] == []


# --- the plans


def test_without_a_run_the_page_says_so(viewer: TestClient, runs: Runs) -> None:  # noqa: F811
    know(runs, "none")
    found = asked(viewer)
    assert found["runs"] == []
    assert [each["sentence"] for each in found["troubles"]] == [
        f"{NIGHTLY} has not run yet.",
        f"{INCREMENTAL} has not run yet.",
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"is_paused": True}, f"{INCREMENTAL} is paused: no run of it begins by itself."),
        (
            {"is_stale": True},
            f"Airflow does not have {INCREMENTAL}: its file is missing or was never parsed, or the "
            "DAG processor does not run.",
        ),
        (
            {"has_import_errors": True},
            f"The file of {INCREMENTAL} cannot be imported; Airflow shows why.",
        ),
        ({"next_dagrun_create_after": None}, f"Airflow has planned no run of {INCREMENTAL}."),
        (
            # So long ago that the hour it takes to come to this test does not show.
            {"next_dagrun_create_after": datetime.now(UTC) - timedelta(days=30)},
            f"A run of {INCREMENTAL} should have begun 30.0 d ago and has not: is the scheduler "
            "running?",
        ),
    ],
)
def test_what_keeps_a_dag_from_running_is_told(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
    values: dict[str, Any],
    told: str,
) -> None:
    know(runs, "green")
    plan(INCREMENTAL, **values)
    assert sentences(viewer) == [told]


def test_a_dag_that_airflow_never_saw_is_told(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "none")
    with create_session() as session:
        session.execute(delete(DagModel).where(DagModel.dag_id == INCREMENTAL))
    [told] = sentences(viewer)
    assert told.startswith(f"Airflow does not have {INCREMENTAL}: ")


def test_a_dag_that_is_under_way_is_not_late_for_its_next_run(
    viewer: TestClient,  # noqa: F811
    runs: Runs,
) -> None:
    know(runs, "green")
    change(runs.green, state="running", end_date=None)
    plan(INCREMENTAL, next_dagrun_create_after=datetime.now(UTC) - timedelta(hours=3))
    assert sentences(viewer) == []
