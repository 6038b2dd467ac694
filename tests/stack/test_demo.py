"""The demo waits for the right run and explains a wrong one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from dev.stack.airflow import AirflowStack, AlreadyRunning
from dev.stack.demo import start_run
from dev.stack.report import TABLES, Progress, failed_tasks, last_errors, table_report


class FakeScheduler:
    """The REST calls of `start_run`, and a scheduler that acts when the DAG is unpaused."""

    def __init__(self, runs: list[tuple[str, str]], *, due: datetime | None) -> None:
        self._runs = runs
        self._due = due
        self.triggered = 0
        self.api = self
        self.processes = SimpleNamespace(check=lambda: None)

    def wait_for_dag(self, _: str) -> dict[str, Any]:
        return {"next_dagrun_run_after": self._due and self._due.isoformat()}

    def runs(self, _: str) -> list[dict[str, Any]]:
        return [{"dag_run_id": name, "state": state} for name, state in reversed(self._runs)]

    def unfinished_runs(self, _: str) -> list[str]:
        return [name for name, state in self._runs if state in ("queued", "running")]

    def set_paused(self, _: str, *, paused: bool) -> None:
        if not paused and self._due and self._due <= datetime.now(UTC):
            self._runs.append(("scheduled__now", "queued"))

    def trigger(self, _: str) -> str:
        self.triggered += 1
        return "manual__now"


PAST = datetime.now(UTC) - timedelta(hours=1)
FUTURE = datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("runs", "due", "chosen"),
    [
        pytest.param([], PAST, "scheduled__now", id="the schedule starts one on unpausing"),
        pytest.param([("old", "success")], FUTURE, "manual__now", id="none is due"),
        pytest.param([], None, "manual__now", id="no schedule"),
        pytest.param([("old", "running")], FUTURE, "old", id="one was left unfinished"),
        pytest.param([("old", "running")], PAST, "old", id="left unfinished, another due"),
    ],
)
def test_exactly_one_run_is_started_or_found(
    runs: list[tuple[str, str]], due: datetime | None, chosen: str
) -> None:
    scheduler = FakeScheduler(runs, due=due)
    assert start_run(scheduler, "intra42_nightly") == chosen  # type: ignore[arg-type]
    assert scheduler.triggered == (chosen == "manual__now")


def test_a_failed_task_is_shown_with_the_errors_of_its_last_attempt(tmp_path: Path) -> None:
    folder = tmp_path / "dag_id=d" / "run_id=r" / "task_id=t" / "map_index=2"
    folder.mkdir(parents=True)
    records = [
        {"level": "info", "event": "Page 1/1: 100 records"},
        {
            "level": "error",
            "event": "Task failed with exception",
            "error_detail": [{"exc_type": "NotFound", "exc_value": "users 7"}],
        },
    ]
    lines = [json.dumps(record) for record in records]
    (folder / "attempt=3.log").write_text("\n".join([*lines, "no JSON at all", "7"]))
    task = {"dag_id": "d", "dag_run_id": "r", "task_id": "t", "map_index": 2, "try_number": 3}
    task |= {"state": "failed", "rendered_map_index": None}
    (text,) = failed_tasks(tmp_path, [task, {**task, "state": "upstream_failed"}])
    assert "t[2] failed, attempt 3" in text
    assert "NotFound: users 7" in text
    assert "Page 1/1" not in text


def test_a_missing_log_is_no_error(tmp_path: Path) -> None:
    assert last_errors(tmp_path / "absent.log") == []


def test_progress_without_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Progress("intra42_nightly", every_s=60)
    task = {"task_id": "primary.users", "map_index": -1, "state": "running"}
    for _ in range(3):
        progress("running", [task, {**task, "task_id": "open_run", "state": "success"}])
    progress.end("success")
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "intra42_nightly:    0 s  running  1/2 tasks  primary.users",
        "intra42_nightly: success",
    ]


def test_the_report_counts_the_rows_and_the_changes_of_the_runs(database_url: str) -> None:
    written = (
        ("intra42_nightly", "one", "users", (2, 0, 0)),
        ("intra42_incremental", "two", "users", (0, 1, 3)),
        ("intra42_incremental", "one", "users", (50, 50, 50)),
    )
    with psycopg.connect(database_url) as connection:
        connection.execute("create schema intra42")
        for table in TABLES:
            connection.execute(f"create table intra42.{table} (id bigint)")
        connection.execute("insert into intra42.users values (1), (2)")
        connection.execute("create table intra42.sync_runs (id int, dag_id text, run_id text)")
        connection.execute(
            "create table intra42.sync_run_tables (sync_run_id int, resource text,"
            " inserted bigint, updated bigint, deleted bigint)"
        )
        for number, (dag_id, run_id, resource, counts) in enumerate(written):
            connection.execute(
                "insert into intra42.sync_runs values (%s, %s, %s)", (number, dag_id, run_id)
            )
            connection.execute(
                "insert into intra42.sync_run_tables values (%s, %s, %s, %s, %s)",
                (number, resource, *counts),
            )
    runs = [("intra42_nightly", "one"), ("intra42_incremental", "two")]
    lines = {line.split()[0]: line.split()[1:] for line in table_report(database_url, runs)}
    assert lines["users"] == ["2", "2", "1", "3"]
    assert lines["campus_projects"] == ["0", "0", "0", "0"]


def test_two_stacks_do_not_share_a_state_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    first = AirflowStack(state=state, say=lambda _: None)
    held = first._take_over()
    (state / "lock").write_text("1")  # the owner: a process that lives and is not us
    with pytest.raises(AlreadyRunning, match="in use by process 1"):
        AirflowStack(state=state, say=lambda _: None)._take_over()
    held.close()
