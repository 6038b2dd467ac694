from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

from dev.simulator.messages import Request
from intra42.catalog import graph
from tests.dags.stack import NIGHTLY, FirstNight, Stack

REFERENCE = {f"reference.{resource.name}" for resource in graph.of_group("reference")}
PRIMARY = {f"primary.{resource.name}" for resource in graph.of_group("primary")}
AUDIT = {"primary.audit"}
REFRESH = {f"refresh_ongoing.{name}" for name in ("plan", "refetch", "delete_missing")}

WALLET = "select wallet from intra42.users where id = %s"
ENROLMENTS = "select count(*) from intra42.cursus_users where id = %s"
SPANS = """
    select distinct window_from, window_to from intra42.sync_runs
    where run_id = %s and task_id like 'primary.%%'
"""


def ongoing(stack: Stack) -> list[Any]:
    """Return the mirrored enrolments in cursus 21 that have not ended."""
    mirrored = {row[0] for row in stack.query("select id from intra42.cursus_users")}
    world = stack.sim.world
    return [
        row
        for row in world.cursus_users
        if row.id in mirrored and row.cursus_id == 21 and world.ongoing(row)
    ]


def students(stack: Stack) -> list[int]:
    return [user.id for user in stack.sim.world.students(stack.sim.campus_id)]


def of_filter_id(request: Request) -> bool:
    return "filter[id]" in request.query


def upheaval(stack: Stack) -> int:
    """Change all that changes upstream, loudly and silently; return the enrolment that went."""
    world, campus_id = stack.sim.world, stack.sim.campus_id or 0
    people, rows = students(stack), ongoing(stack)
    world.validate_project(people[0], mark=100)
    world.earn_achievement(people[1])
    world.touch_user(people[2], location="c1r1s1", wallet=77)
    world.touch_user(people[3], silent=True, wallet=78)
    world.alumnise(people[4])
    world.anonymise(people[5])
    world.new_student(campus_id)
    world.score_silently(next(iter(world.coalitions_users.ids)), 4242)
    world.set_level_silently(rows[-1].id, rows[-1].level + 1)
    world.unregister(rows[-2].id)
    return int(rows[-2].id)


def test_after_the_runs_of_a_day_the_mirror_equals_the_api(loaded: Stack) -> None:
    loaded.sim.clock.advance(minutes=15)
    gone = upheaval(loaded)
    quarter = loaded.incremental()
    assert quarter.states == dict.fromkeys({"open_run"} | PRIMARY | REFRESH, "success")
    assert loaded.query("select resource, id, run_id from intra42.tombstones") == [
        ("cursus_users", gone, quarter.run_id)
    ]

    loaded.sim.clock.advance(hours=20)
    upheaval(loaded)
    assert loaded.differences() != []
    for _ in range(2):
        night = loaded.nightly()
        assert night.states == dict.fromkeys(
            {"open_run"} | REFERENCE | PRIMARY | AUDIT | REFRESH, "success"
        )
    assert night.state == "success"
    assert loaded.differences() == []


def test_xcom_holds_only_counts_and_chunk_numbers(first_night: FirstNight) -> None:
    xcoms = dict(first_night.run.xcoms)
    assert xcoms.pop(("open_run", -1)) == []  # the further tables that are asked for
    assert xcoms.pop(("refresh_ongoing.plan", -1)) == [[1]]
    assert {task_id for task_id, _ in xcoms} >= REFERENCE | PRIMARY | AUDIT
    for (task_id, _), value in xcoms.items():
        assert all(type(count) is int for count in value.values()), task_id
        assert len(json.dumps(value)) < 300
    assert xcoms["primary.users", -1]["inserted"] >= len(first_night.users)


def test_a_mapped_refetch_is_labelled_with_its_chunks_and_what_they_brought(loaded: Stack) -> None:
    loaded.configure(campus_ids=[loaded.sim.campus_id], refresh_chunk_size=1)
    run = loaded.incremental()
    chunks = sum(len(group) for group in run.xcoms["refresh_ongoing.plan", -1])
    each = max(8, math.ceil(chunks / 12))  # no quota binds here
    labels = {
        item.map_index: item.rendered_map_index for item in run.tasks["refresh_ongoing.refetch"]
    }
    assert labels[0] == f"chunks 1 to {each}: 0 changed"
    assert len(labels) == math.ceil(chunks / each) <= 12


def test_the_first_incremental_run_loads_nothing_and_is_green(stack: Stack) -> None:
    run = stack.incremental()
    assert run.state == "success"
    assert run.states["refresh_ongoing.refetch"] == "skipped"
    assert stack.sim.ledger.requests() == []
    assert stack.value("select count(*) from intra42.users") == 0
    assert stack.watermarks() == []


def test_an_explicit_window_reads_only_what_changed_in_it(loaded: Stack) -> None:
    world, clock, people = loaded.sim.world, loaded.sim.clock, students(loaded)
    clock.advance(hours=1)
    world.touch_user(people[0], wallet=101)
    clock.advance(hours=1)
    start = clock.now()
    clock.advance(minutes=5)
    world.touch_user(people[1], wallet=102)
    clock.advance(minutes=5)
    end = clock.now()
    clock.advance(hours=1)
    world.touch_user(people[2], wallet=103)
    gone = ongoing(loaded)[-1]
    world.unregister(gone.id)
    before = loaded.watermarks()

    run = loaded.nightly({"updated_from": start.isoformat(), "updated_to": end.isoformat()})

    assert run.state == "success"
    done = dict.fromkeys({"open_run"} | PRIMARY, "success")
    assert run.states == done | dict.fromkeys(REFERENCE | AUDIT | REFRESH, "skipped")
    changed = [loaded.value(WALLET, people[n]) == 101 + n for n in range(3)]
    assert changed == [False, True, False]
    assert loaded.query(SPANS, run.run_id) == [(start, end)]
    assert loaded.watermarks() == before
    assert loaded.value(ENROLMENTS, gone.id) == 1


def test_an_explicit_window_without_an_end_reads_up_to_now(loaded: Stack) -> None:
    world, clock, people = loaded.sim.world, loaded.sim.clock, students(loaded)
    clock.advance(hours=1)
    world.touch_user(people[0], wallet=101)
    clock.advance(hours=1)
    start = clock.now()
    clock.advance(minutes=5)
    world.touch_user(people[1], wallet=102)
    before = loaded.watermarks()

    run = loaded.incremental({"updated_from": start.isoformat()})

    assert run.states == dict.fromkeys({"open_run"} | PRIMARY, "success") | dict.fromkeys(
        REFRESH, "skipped"
    )
    assert [loaded.value(WALLET, people[n]) == 101 + n for n in range(2)] == [False, True]
    assert loaded.watermarks() == before


def test_a_backfill_run_reads_exactly_its_interval(loaded: Stack) -> None:
    world, clock, people = loaded.sim.world, loaded.sim.clock, students(loaded)
    clock.advance(hours=1)
    world.touch_user(people[0], wallet=101)
    clock.advance(minutes=15)
    start = clock.now()
    end = start + timedelta(minutes=15)
    clock.advance(minutes=10)
    world.touch_user(people[1], wallet=102)
    clock.advance(minutes=20)
    world.touch_user(people[2], wallet=103)
    before = loaded.watermarks()

    run = loaded.incremental(backfill=(start, end))

    assert run.state == "success"
    done = dict.fromkeys({"open_run"} | PRIMARY, "success")
    assert run.states == done | dict.fromkeys(REFRESH, "skipped")
    changed = [loaded.value(WALLET, people[n]) == 101 + n for n in range(3)]
    assert changed == [False, True, False]
    assert loaded.query(SPANS, run.run_id) == [(start, end)]
    assert loaded.watermarks() == before


def test_the_params_override_campuses_and_cursus_of_the_variable(stack: Stack) -> None:
    world = stack.sim.world
    other = next(
        row.id
        for row in world.campuses
        if world.lists_campus(row) and row.id != stack.sim.campus_id
    )
    newcomer = world.new_student(other)
    run = stack.nightly({"campus_ids": [other], "cursus_ids": [21]})
    assert run.state == "success", run.states
    assert stack.query("select distinct campus_id from intra42.users") == [(other,)]
    assert newcomer in stack.once_in
    assert {row[0] for row in stack.query("select scope from intra42.sync_state")} >= {
        f"{other}/21"
    }


def test_a_failing_refetch_makes_the_run_red_and_deletes_nothing(loaded: Stack) -> None:
    gone = ongoing(loaded)[-1]
    loaded.sim.world.unregister(gone.id)
    loaded.sim.clock.advance(hours=1)
    loaded.sim.faults.add("403", "/v2/cursus_users", times=None, when=of_filter_id)
    run = loaded.incremental()
    assert run.state == "failed"
    assert run.states == dict.fromkeys(
        {"open_run", "refresh_ongoing.plan"} | PRIMARY, "success"
    ) | {
        "refresh_ongoing.refetch": "failed",
        "refresh_ongoing.delete_missing": "upstream_failed",
    }
    assert loaded.value(ENROLMENTS, gone.id) == 1
    assert {item.try_number for item in run.tasks["refresh_ongoing.refetch"]} == {1}


def test_a_failing_table_stops_what_needs_it_and_lets_the_others_run(loaded: Stack) -> None:
    loaded.sim.clock.advance(hours=1)
    loaded.sim.faults.add("403", "/v2/projects_users", times=None)
    run = loaded.incremental()
    assert run.state == "failed"
    stopped = {"primary.projects_users": "failed"}
    assert {name: state for name, state in run.states.items() if state != "success"} == stopped
    status = loaded.query(
        "select status from intra42.sync_runs where run_id = %s and resource = 'projects_users'",
        run.run_id,
    )
    assert status == [("failed",)]


def test_a_mass_delete_is_refused_until_the_run_allows_it(loaded: Stack) -> None:
    loaded.configure(campus_ids=[loaded.sim.campus_id], max_delete_rows=1, max_delete_share=0)
    rows = ongoing(loaded)[-3:]
    for row in rows:
        loaded.sim.world.unregister(row.id)
    loaded.sim.clock.advance(hours=1)
    refused = loaded.incremental()
    assert refused.state == "failed"
    assert refused.states["refresh_ongoing.delete_missing"] == "failed"
    assert refused.tasks["refresh_ongoing.delete_missing"][0].try_number == 1
    assert [loaded.value(ENROLMENTS, row.id) for row in rows] == [1, 1, 1]

    allowed = loaded.incremental({"allow_mass_delete": True})
    assert allowed.state == "success", allowed.states
    assert [loaded.value(ENROLMENTS, row.id) for row in rows] == [0, 0, 0]


def test_full_refresh_finds_silent_changes_and_moves_the_watermarks(loaded: Stack) -> None:
    loaded.sim.clock.advance(hours=5)
    attempt = loaded.value("select min(id) from intra42.projects_users")
    loaded.sim.world.update_row("projects_users", attempt, silent=True, final_mark=7)
    mark = "select final_mark from intra42.projects_users where id = %s"
    assert loaded.value(mark, attempt) != 7
    before = {row[:3]: row[3] for row in loaded.watermarks()}

    run = loaded.nightly({"full_refresh": True})

    assert run.state == "success", run.states
    assert loaded.value(mark, attempt) == 7
    after = {row[:3]: row[3] for row in loaded.watermarks() if row[0] == NIGHTLY}
    assert after.keys() == before.keys()
    assert all(after[key] > before[key] for key in after)
    assert loaded.differences() == []


def test_one_emptied_table_stops_neither_levels_nor_other_tables(loaded: Stack) -> None:
    """Red with one sentence, and all else is done; a person's word does the rest."""
    world = loaded.sim.world
    loaded.sim.clock.advance(hours=20)
    emptied = {row[0] for row in loaded.query("select id from intra42.coalitions_users")}
    for row_id in emptied:
        world.delete_row("coalitions_users", row_id)
    vanished = {
        (table, row_id)
        for table, rows in (("projects_users", 3), ("achievements_users", 2))
        for (row_id,) in loaded.query(f"select id from intra42.{table} order by id limit {rows}")
    }
    for table, row_id in vanished:
        world.delete_row(table, row_id)
    recomputed = {row.id: row.level + 1 for row in ongoing(loaded)[:10]}
    for row_id, level in recomputed.items():
        world.set_level_silently(row_id, level)
    graves = "select resource, id from intra42.tombstones"
    levels = "select id, level from intra42.cursus_users where id = any(%s)"

    night = loaded.nightly(retries=False)

    assert night.state == "failed"
    assert {name: state for name, state in night.states.items() if state != "success"} == {
        "primary.audit": "failed"
    }
    assert dict(loaded.query(levels, list(recomputed))) == recomputed
    assert set(loaded.query(graves)) == vanished
    assert loaded.value("select count(*) from intra42.coalitions_users") == len(emptied)
    why = str(night.note).split("\n\n")[0]
    assert why.startswith("primary.audit failed: coalitions_users: none of ")
    assert len(why.splitlines()) == 1

    allowed = loaded.nightly({"allow_mass_delete": True})

    assert allowed.state == "success", allowed.states
    gone = {("coalitions_users", row_id) for row_id in emptied}
    assert set(loaded.query(graves)) == vanished | gone
    assert loaded.nightly().state == "success"
    assert loaded.differences() == []


def test_a_failing_reference_table_stops_only_what_refers_to_it(loaded: Stack) -> None:
    row = ongoing(loaded)[0]
    loaded.sim.world.set_level_silently(row.id, row.level + 1)
    loaded.sim.clock.advance(hours=20)
    loaded.sim.faults.add("403", "/v2/cursus/21/projects", times=None)
    run = loaded.nightly(retries=False)
    assert run.state == "failed"
    assert {name: state for name, state in run.states.items() if state != "success"} == {
        "reference.projects": "failed",
        "primary.projects_users": "upstream_failed",
    }
    level = loaded.value("select level from intra42.cursus_users where id = %s", row.id)
    assert level == row.level
    assert "reference.projects failed: " in str(run.note)
