"""Bugs that trying to break the core has found, each kept as the test that caught it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.harness import NIGHTLY
from tests.integration.mirror import worlds
from tests.integration.mirror.test_checkpoints import Killed, kill_at
from tests.integration.mirror.test_deletes import crowd


def state(mirror):
    return mirror.query(
        "select dag_id, resource, scope, watermark from intra42.sync_state order by 1,2,3"
    )


def hour_of(start):
    return {
        "updated_from": start.isoformat(),
        "updated_to": (start + timedelta(hours=1)).isoformat(),
    }


def test_an_empty_list_of_achievements_unlinks_nothing(town):
    town.sim.faults.add("empty_page", "/v2/campus/1/achievements", consistent=True)
    town.nightly()
    assert town.value("select count(*) from intra42.campus_achievements where campus_id = 1") == 7


def test_an_empty_catalogue_of_achievements_unlinks_nothing(loaded):
    town = loaded(worlds.town, refresh_cursus_ids=[1, 21])
    town.sim.faults.add("empty_page", "/v2/achievements", consistent=True)
    town.nightly()
    assert town.value("select count(*) from intra42.campus_achievements where campus_id = 1") == 7


@pytest.mark.parametrize("value", [..., [1], {}])
def test_a_user_record_without_an_id_is_parked(town, value):
    def change(record):
        if record["id"] != 105:
            return record
        rest = {key: found for key, found in record.items() if key != "id"}
        return rest if value is ... else rest | {"id": value}

    town.sim.faults.add("mutate_record", "/v2/users", times=None, change=change)
    town.nightly()
    assert town.value("select count(*) from intra42.parked_records where resource = 'users'") == 1


def test_an_explicit_window_leaves_an_interrupted_window_of_others_alone(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    for row_id in mirror.sim.world.projects_users.ids[:80]:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.harsh.page_cap = 30
    heal = kill_at(mirror, 2, "/v2/projects_users")
    with pytest.raises(Killed):
        mirror.nightly(run_id="one")
    heal()
    before = state(mirror)
    mirror.sim.ledger.clear()
    start = mirror.sim.clock.now() - timedelta(days=9)
    mirror.run(NIGHTLY, run_id="backfill", **hour_of(start))
    assert state(mirror) == before
    starts = {
        e.query["range[updated_at]"][:13]
        for e in mirror.sim.ledger.requests("/v2/projects_users")
        if "range[updated_at]" in e.query
    }
    assert len(starts) == 1


def test_an_explicit_window_leaves_an_unfinished_first_load_alone(fresh):
    mirror = fresh(worlds.village, campus_ids=[67])
    heal = kill_at(mirror, 2, "/v2/projects_users")
    with pytest.raises(Killed):
        mirror.nightly(run_id="one")
    heal()
    before = state(mirror)
    start = mirror.sim.clock.now() - timedelta(days=9)
    mirror.run(NIGHTLY, run_id="backfill", **hour_of(start))
    assert state(mirror) == before


def test_the_incremental_run_loads_nothing_from_nothing_even_when_told_to_refresh(fresh):
    mirror = fresh()
    mirror.incremental(full_refresh=True)
    assert mirror.sim.ledger.requests("/v2") == []


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_a_duplicate_that_hides_the_last_row_is_noticed(town, dag):
    for number in worlds.STUDENTS:
        town.sim.world.update_row("projects_users", number * 100, final_mark=50)
    town.sim.clock.advance(minutes=1)
    town.config |= {"lookback_minutes": 0, "nightly_audit_requests": 0}
    town.sim.faults.add("duplicate_row", "/v2/projects_users")
    getattr(town, dag)()
    town.sim.clock.advance(hours=2)
    getattr(town, dag)()
    assert town.value("select final_mark from intra42.projects_users where id = 10800") == 50


def test_an_entrant_whose_record_is_bad_is_parked_and_enters_once_it_is_good(town):
    world = town.sim.world
    world.touch_user(201, silent=True, wallet=2**63)
    world.transfer(201, 1)
    town.sim.clock.advance(minutes=1)
    town.incremental()
    assert town.query("select resource, id from intra42.parked_records") == [("users", 201)]
    # It becomes good without a trace.
    town.sim.clock.advance(hours=2)
    world.touch_user(201, silent=True, wallet=5)
    town.incremental()
    town.nightly()
    assert town.query("select wallet from intra42.users where id = 201") == [(5,)]


def test_an_attempt_without_its_list_of_cursus_is_not_lost(town):
    town.sim.world.update_row("projects_users", 10100, final_mark=50)
    town.sim.faults.add(
        "mutate_record",
        "/v2/projects_users",
        times=None,
        change=lambda record: {k: v for k, v in record.items() if k != "cursus_ids"},
    )
    town.config["lookback_minutes"] = 0
    town.sim.clock.advance(minutes=1)
    town.incremental()
    stored = town.query("select final_mark, cursus_id from intra42.projects_users where id = 10100")
    parked = town.query("select 1 from intra42.parked_records where id = 10100")
    assert stored == [(50, 21)] or parked


@pytest.mark.parametrize("bad", [2**63, 2**70, -(2**63) - 1, 0, -5])
def test_an_impossible_id_in_a_list_of_links_harms_only_itself(town, bad):
    town.sim.faults.add(
        "mutate_record",
        "/v2/cursus/21/projects",
        change=lambda r: r | {"campus": [*r["campus"], {"id": bad}]} if r["id"] == 12 else r,
    )
    town.sim.world.update_row("projects", 13, name="Renamed")
    town.nightly()
    assert town.value("select name from intra42.projects where id = 13") == "Renamed"


@pytest.mark.parametrize("coalitions", [5, "x", {"id": 1}, [5]])
def test_a_bloc_with_a_bad_list_harms_only_itself(town, coalitions):
    [bloc] = [row.id for row in town.sim.world.blocs if row.campus_id == 2]
    town.sim.faults.add(
        "mutate_record",
        "/v2/blocs",
        times=None,
        change=lambda r: r | {"coalitions": coalitions} if r["id"] == bloc else r,
    )
    town.sim.world.score_silently(1_010_000, 55)
    town.nightly()
    assert town.value("select score from intra42.coalitions where id = 11") == 55


def test_small_chunks_whose_witness_is_gone_too_still_delete(loaded):
    mirror = loaded(crowd, campus_ids=[1, 2], refresh_chunk_size=1, nightly_audit_requests=0)
    mirror.sim.world.unregister(1010)
    mirror.sim.world.unregister(1600)
    mirror.nightly()
    assert mirror.differences() == []


def test_a_long_nightly_run_does_not_look_like_a_watermark_in_the_future(town, caplog):
    """Another run that was opened later, and heard the API's clock earlier, proves nothing."""
    town.sim.world.validate_project(101, 12)
    town.incremental(run_id="quarter")
    town.sim.clock.advance(hours=3)
    town.sim.world.touch_user(102, wallet=5)
    # A nightly run that was opened before the quarter hour ends now.
    town.nightly(run_id="long")
    with town.connect() as connection:
        connection.execute(
            "update intra42.dag_runs set opened_at = opened_at - interval '5 hours' "
            "where run_id = 'long'"
        )
        connection.execute("delete from intra42.sync_state where dag_id = 'intra42_incremental'")
    town.sim.clock.advance(hours=1)
    caplog.clear()
    town.incremental()
    assert "later than the API's clock" not in caplog.text


def test_a_run_restricted_to_a_campus_does_not_unlist_the_achievements_of_the_others(loaded):
    town = loaded(campus_ids=[1, 2])
    town.sim.world.update_row("achievements", 13, campus_ids=(1,))
    town.nightly()
    town.nightly(campus_ids=[2])
    assert town.query("select listed from intra42.achievements where id = 13") == [(True,)]


def test_the_audit_of_students_stays_within_its_budget(loaded):
    mirror = loaded(worlds.village, campus_ids=[67], nightly_audit_requests=5)
    bad = mirror.sim.world.new_student(67)
    mirror.sim.world.touch_user(bad, wallet=2**63)
    mirror.sim.harsh.page_cap = 2
    run_id = mirror.nightly()
    asked = mirror.value(
        "select sum(requests) from intra42.sync_runs where run_id = %s "
        "and task_id = 'primary.audit'",
        run_id,
    )
    assert asked <= 8


def test_a_window_from_the_beginning_of_time_is_read(town):
    town.sim.world.validate_project(101, 12)
    town.incremental(updated_from="0001-01-01T00:00:00Z")
    assert town.value("select count(*) from intra42.projects_users where project_id = 12") == 1


def test_a_parked_record_the_api_dropped_is_forgotten(town):
    town.sim.world.add_projects_user(101, 12, id=5)
    fault = town.sim.faults.add(
        "mutate_record",
        "/v2/projects_users",
        times=None,
        change=lambda r: r | {"status": 5} if r["id"] == 5 else r,
    )
    town.incremental()
    fault.times = 0
    town.sim.world.delete_row("projects_users", 5)
    for _ in range(4):
        town.sim.clock.advance(hours=2)
        town.nightly()
    assert town.query("select 1 from intra42.parked_records") == []
