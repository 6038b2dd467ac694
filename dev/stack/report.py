"""What the demo prints: progress of a run, failed tasks, and what the mirror holds."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

SCHEMA = "intra42"
TABLES = (
    "cursus",
    "campuses",
    "projects",
    "project_sessions",
    "cursus_projects",
    "campus_projects",
    "achievements",
    "campus_achievements",
    "coalitions",
    "users",
    "campus_users",
    "cursus_users",
    "projects_users",
    "achievements_users",
    "coalitions_users",
)
_DONE = ("success", "skipped", "failed", "upstream_failed", "removed")
_LOUD = ("error", "critical")


class Progress:
    """A line that says how far a run is: rewritten on a terminal, else repeated now and then."""

    def __init__(self, title: str, every_s: float = 5.0) -> None:
        self._title = title
        self._every_s = every_s
        self._began = time.monotonic()
        self._next = 0.0
        self._rewrites = sys.stdout.isatty()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def __call__(self, state: str, tasks: Sequence[dict[str, Any]]) -> None:
        """Show the state of a run and its task instances."""
        done = sum(task["state"] in _DONE for task in tasks)
        running = sorted({_name(task) for task in tasks if task["state"] == "running"})
        line = f"{self._title}: {self.elapsed_s:4.0f} s  {state}  {done}/{len(tasks)} tasks"
        if running:
            line += f"  {', '.join(running)}"
        self.say(line)

    def say(self, line: str) -> None:
        """Show `line` instead of the last one, or below it if some time has passed."""
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"\r\x1b[K{line[:width]}")
            sys.stdout.flush()
        elif self.elapsed_s >= self._next:
            self._next = self.elapsed_s + self._every_s
            print(line, flush=True)

    def end(self, line: str) -> None:
        """Show the last line of all."""
        if self._rewrites:
            sys.stdout.write("\r\x1b[K")
        print(f"{self._title}: {line}", flush=True)


def _name(task: dict[str, Any]) -> str:
    label = task.get("rendered_map_index") or task["map_index"]
    return str(task["task_id"]) if task["map_index"] < 0 else f"{task['task_id']}[{label}]"


def failed_tasks(logs: Path, tasks: Sequence[dict[str, Any]]) -> list[str]:
    """Return one text per failed task: its name and the last errors of its last attempt's log.

    Args:
        logs: AIRFLOW_HOME/logs.
        tasks: Task instances as the REST API gives them.
    """
    texts = []
    for task in tasks:
        if task["state"] != "failed":
            continue
        parts = [f"dag_id={task['dag_id']}", f"run_id={task['dag_run_id']}"]
        parts.append(f"task_id={task['task_id']}")
        if task["map_index"] >= 0:
            parts.append(f"map_index={task['map_index']}")
        log = logs.joinpath(*parts, f"attempt={task['try_number']}.log")
        errors = "".join(f"\n    {line}" for line in last_errors(log)) or "\n    nothing in its log"
        texts.append(f"  {_name(task)} failed, attempt {task['try_number']}, {log}:{errors}")
    return texts


def last_errors(log: Path, limit: int = 3) -> list[str]:
    """Return the last error events of a log of JSON lines, exceptions in one line each."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return []
    errors: list[str] = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict) or record.get("level") not in _LOUD:
            continue
        errors.append(str(record.get("event")))
        errors += [
            f"{detail.get('exc_type')}: {detail.get('exc_value')}"
            for detail in record.get("error_detail") or ()
        ]
    return errors[-limit:]


def requests_used(warehouse_url: str, dag_id: str, run_id: str) -> int:
    """Return how many requests a run has sent to the API."""
    with psycopg.connect(warehouse_url) as connection:
        row = connection.execute(
            "select coalesce(sum(requests), 0) from intra42.sync_runs"
            " where dag_id = %s and run_id = %s",
            (dag_id, run_id),
        ).fetchone()
    return int(row[0]) if row else 0


def table_report(warehouse_url: str, runs: Sequence[tuple[str, str]]) -> list[str]:
    """Return a table: rows now, and inserted, updated, deleted by the runs, per table.

    Args:
        warehouse_url: libpq URL.
        runs: DAG id and run id of each; two DAGs may use the same run id.
    """
    dag_ids, run_ids = zip(*runs, strict=True)
    with psycopg.connect(warehouse_url) as connection:
        changes = {
            str(resource): counts
            for resource, *counts in connection.execute(
                "select t.resource, sum(t.inserted), sum(t.updated), sum(t.deleted)"
                " from intra42.sync_run_tables as t"
                " join intra42.sync_runs as r on r.id = t.sync_run_id"
                " where (r.dag_id, r.run_id) in (select * from unnest(%s::text[], %s::text[]))"
                " group by t.resource",
                (list(dag_ids), list(run_ids)),
            )
        }
        rows = {}
        for table in TABLES:
            query = sql.SQL("select count(*) from {}").format(sql.Identifier(SCHEMA, table))
            found = connection.execute(query).fetchone()
            rows[table] = found[0] if found else 0
    lines = [f"{'table':<22}{'rows':>10}{'inserted':>10}{'updated':>10}{'deleted':>10}"]
    for table in TABLES:
        counts = [str(count or 0) for count in changes.get(table, ())] or ["0"] * 3
        lines.append(f"{table:<22}{rows[table]:>10}" + "".join(f"{count:>10}" for count in counts))
    return lines
