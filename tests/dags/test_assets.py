"""Each table has an asset, and an event of it says what a run changed: all of it, nothing else."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from intra42.catalog import graph
from intra42.operators import Intra42SyncOperator
from intra42.operators.assets import asset
from tests.dags.environment import REPOSITORY
from tests.dags.scheduler import deployed, run_scheduled, scheduled
from tests.dags.stack import INCREMENTAL, NIGHTLY, FirstNight, Run, Stack, load_dag

KINDS = ("inserted", "updated", "deleted")
WRITTEN = """
    select t.resource, sum(t.inserted)::int, sum(t.updated)::int, sum(t.deleted)::int
    from intra42.sync_run_tables as t
    join intra42.sync_runs as r on r.id = t.sync_run_id
    where r.run_id = any(%s)
    group by t.resource
"""


def told(*runs: Run) -> dict[str, tuple[int, ...]]:
    """Return the rows inserted, updated and deleted that events told of, by table."""
    total: dict[str, Counter[str]] = {}
    for run in runs:
        for name, extras in run.events.items():
            for extra in extras:
                total.setdefault(name.removeprefix("intra42."), Counter()).update(
                    {kind: extra[kind] for kind in KINDS}
                )
    return {table: tuple(counts[kind] for kind in KINDS) for table, counts in total.items()}


def ledger(stack: Stack, *runs: Run) -> dict[str, tuple[int, ...]]:
    """Return the rows that the runs wrote, by table."""
    rows = stack.query(WRITTEN, [run.run_id for run in runs])
    return {table: tuple(numbers) for table, *numbers in rows}


def ongoing(stack: Stack) -> list[Any]:
    """Return the mirrored enrolments that have not ended."""
    mirrored = {row[0] for row in stack.query("select id from intra42.cursus_users")}
    world = stack.sim.world
    return [row for row in world.cursus_users if row.id in mirrored and world.ongoing(row)]


def test_every_table_of_the_catalogue_is_the_outlet_of_its_task() -> None:
    outlets = {
        task.task_id: {outlet.name for outlet in task.outlets} for task in load_dag(NIGHTLY).tasks
    }
    for resource in (r for r in graph.read_for_themselves() if not r.is_optional):
        tables = graph.tables_of(resource.name)
        task_id = f"{resource.group}.{resource.name}"
        assert outlets[task_id] == {f"intra42.{table}" for table in tables}
    assert outlets["refresh_ongoing.delete_missing"] == {"intra42.cursus_users"}
    assert (asset("users").name, asset("users").uri) == ("intra42.users", "intra42.users")


def test_a_running_task_has_no_outlet_of_ours_before_it_has_changed_something() -> None:
    theirs = Asset("theirs")
    task = Intra42SyncOperator(task_id="sync", resource="users", outlets=[asset("users"), theirs])
    assert task.prepare_for_execution().outlets == [theirs]
    assert task.outlets == [asset("users"), theirs]


def test_the_first_load_tells_of_every_table_it_filled(first_night: FirstNight) -> None:
    filled = {name for name, counts in told(first_night.run).items() if counts[0]}
    assert filled >= {r.name for r in graph.RESOURCES if not r.is_optional}
    assert filled >= {"cursus_projects", "campus_projects", "campus_achievements"}


def test_a_quiet_run_sends_no_event(loaded: Stack) -> None:
    loaded.sim.clock.advance(minutes=15)
    run = loaded.incremental()
    assert run.state == "success"
    assert run.events == {}


def test_the_events_of_a_run_are_what_its_ledger_says(loaded: Stack) -> None:
    world, clock = loaded.sim.world, loaded.sim.clock
    clock.advance(minutes=15)
    people = [user.id for user in world.students(loaded.sim.campus_id)]
    rows = ongoing(loaded)
    world.validate_project(people[0], mark=100)
    world.touch_user(people[1], wallet=77)
    world.new_student(loaded.sim.campus_id or 0)
    world.set_level_silently(rows[0].id, rows[0].level + 1)
    world.unregister(rows[-1].id)
    run = loaded.incremental()
    assert run.state == "success"
    assert told(run) == ledger(loaded, run)
    assert told(run)["cursus_users"][2] == 1
    (users,) = run.events["intra42.users"]
    since, until, requests = loaded.query(
        "select window_from, window_to, requests from intra42.sync_runs "
        "where run_id = %s and task_id = 'primary.users'",
        run.run_id,
    )[0]
    assert users == {
        "inserted": 1,
        "updated": 1,
        "deleted": 0,
        "requests": requests,
        "window_from": since.isoformat(),
        "window_to": until,
        "dag_id": INCREMENTAL,
        "run_id": run.run_id,
    }
    assert since.utcoffset() == timedelta(0)


def test_a_column_that_follows_another_table_is_told_too(loaded: Stack) -> None:
    world = loaded.sim.world
    loaded.sim.clock.advance(minutes=15)
    person = world.students(loaded.sim.campus_id)[0].id
    home = loaded.value("select campus_id from intra42.users where id = %s", person)
    loaded.execute(f"update intra42.users set campus_id = null where id = {person}")
    loaded.execute(f"update intra42.projects_users set campus_id = null where user_id = {person}")
    attempts = loaded.value(
        "select count(*) from intra42.projects_users where user_id = %s", person
    )
    assert attempts
    run = loaded.nightly()
    assert run.state == "success"
    assert loaded.value("select campus_id from intra42.users where id = %s", person) == home
    assert told(run)["users"][1] >= 1
    assert told(run)["projects_users"][1] >= attempts


@pytest.mark.parametrize("path", ["/v2/projects_users", "/v2/cursus_users"])
def test_what_a_failed_run_wrote_is_told_by_the_next_one(loaded: Stack, path: str) -> None:
    world = loaded.sim.world
    loaded.sim.clock.advance(minutes=15)
    world.new_student(loaded.sim.campus_id or 0)
    loaded.sim.faults.add("403", path, times=None)
    failed = loaded.incremental(retries=False)
    assert failed.state == "failed"
    loaded.sim.faults.clear()
    loaded.sim.clock.advance(minutes=15)
    healed = loaded.incremental()
    assert healed.state == "success"
    written, heard = ledger(loaded, failed, healed), told(failed, healed)
    assert written["users"][0] == 1
    assert heard.keys() == written.keys()
    for table, numbers in written.items():
        assert all(h >= n for h, n in zip(heard[table], numbers, strict=True)), table

    loaded.sim.clock.advance(minutes=15)
    assert loaded.incremental().events == {}


def test_the_dag_of_the_documentation_runs_once_for_what_changed_and_never_for_nothing(
    loaded: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs" / "schedule-on-a-table.md").read_text(encoding="utf-8")
    file = tmp_path / "attempts_report.py"
    file.write_text(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0])
    consumer = deployed(file)
    loaded.sim.clock.advance(minutes=15)
    assert loaded.incremental().events == {}
    assert scheduled(consumer) == []

    loaded.sim.clock.advance(minutes=15)
    world = loaded.sim.world
    world.validate_project(world.students(loaded.sim.campus_id)[0].id, mark=100)
    run = loaded.incremental()
    (extra,) = run.events["intra42.projects_users"]
    assert sum(extra[kind] for kind in KINDS) >= 1
    (started,) = scheduled(consumer)
    assert started.startswith("asset_triggered__")
    heard = run_scheduled(consumer, started, monkeypatch)
    assert heard["report"] == {kind: extra[kind] for kind in KINDS}
    assert scheduled(consumer) == []


def test_an_event_holds_no_data_and_is_small(first_night: FirstNight) -> None:
    for extras in first_night.run.events.values():
        for extra in extras:
            assert len(str(extra)) < 300
            assert all(isinstance(extra[kind], int) for kind in (*KINDS, "requests"))
