"""Piscines through the same settings: who swims, what he does, and who is gone before the start."""

from __future__ import annotations

import logging

import pytest

from dev.simulator.clock import DAY
from intra42.errors import DeleteRefused, NotFound
from tests.integration.mirror import worlds

BOTH = {
    "campus_ids": [1],
    "cursus_ids": [21, *worlds.PISCINES],
    "refresh_cursus_ids": [1, 21, *worlds.PISCINES],
}


@pytest.fixture
def pool(loaded):
    """The pool of `worlds`, mirrored once with all piscines."""
    return loaded(worlds.pool, **BOTH)


def enrolment(mirror, user_id, cursus_id=9):
    """Return the id of a user's enrolment in the API."""
    rows = mirror.sim.world.cursus_users.of("user_id", user_id)
    return next(row.id for row in rows if row.cursus_id == cursus_id)


def mirrored(mirror, user_id, cursus_id=9):
    return mirror.query(
        "select level from intra42.cursus_users where user_id = %s and cursus_id = %s",
        user_id,
        cursus_id,
    )


def graves(mirror):
    return mirror.query("select resource, id, row ->> 'user_id' from intra42.tombstones order by 2")


def test_pisciners_and_what_they_do_are_mirrored(pool):
    users = {row[0] for row in pool.query("select id from intra42.users")}
    # 411 is an applicant and 412 swims elsewhere.
    assert users == {*worlds.STUDENTS, *worlds.PISCINERS, 413}
    attempts = pool.query(
        "select distinct project_id, cursus_id from intra42.projects_users where project_id > 30"
    )
    assert sorted(attempts) == [(31, 9), (34, 69)]
    assert (
        pool.query("select listed from intra42.projects where id in (31, 32, 33, 34)")
        == [(True,)] * 4
    )
    # What belongs to both is of the first of cursus_ids.
    assert pool.query("select cursus_id from intra42.coalitions where id = 91") == [(9,)]
    assert pool.value("select count(*) from intra42.coalitions_users where coalition_id = 91") > 0
    assert pool.differences() == []


def test_without_piscines_in_the_settings_there_are_none(loaded):
    mirror = loaded(worlds.pool, campus_ids=[1])
    mirror.nightly()
    assert mirror.value("select count(*) from intra42.cursus_users where cursus_id = 9") == 0
    assert mirror.value("select count(*) from intra42.users where id > 400") == 0
    assert mirror.differences() == []


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_silent_levels_of_pisciners_are_found(pool, dag):
    world = pool.sim.world
    pool.config["incremental_request_budget"] = 0
    # An attempt at a subject of the piscine recomputes the level without a trace.
    world.validate_project(401, 31)
    level = world.cursus_users[enrolment(pool, 401)].level
    assert level > 0
    if dag == "nightly":
        world.set_level_silently(enrolment(pool, 402), 3.5)
    getattr(pool, dag)()
    assert mirrored(pool, 401) == [(level,)]
    assert dag == "incremental" or mirrored(pool, 402) == [(3.5,)]
    found = pool.query("select distinct user_id, cursus_id from intra42.levels_recomputed_silently")
    assert (401, 9) in found


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_whoever_unregisters_before_or_during_a_piscine_is_deleted(pool, dag):
    world = pool.sim.world
    before, during = enrolment(pool, 407), enrolment(pool, 402)
    for row_id in (before, during):
        world.unregister(row_id)
    anew = world.reregister(enrolment(pool, 403))
    getattr(pool, dag)()
    assert {(resource, user) for resource, _id, user in graves(pool)} == {
        ("cursus_users", "402"),
        ("cursus_users", "403"),
        ("cursus_users", "407"),
    }
    assert mirrored(pool, 407) == mirrored(pool, 402) == []
    assert pool.query("select id from intra42.cursus_users where user_id = 403") == [(anew,)]
    # The accounts stay; no cursus lists them any more, so the nightly run keeps them true.
    world.touch_user(407, wallet=42)
    pool.nightly()
    assert pool.query("select wallet from intra42.users where id = 407") == [(42,)]
    assert pool.differences() == []


def test_an_ended_piscine_stays_and_is_no_longer_refetched(pool):
    world = pool.sim.world
    row_id = enrolment(pool, 401)
    world.set_level_silently(row_id, 5.25)
    world.update_row("cursus_users", row_id, silent=True, end_at=world.clock.now_ms() + DAY)
    pool.nightly()
    pool.sim.clock.advance(hours=24 * 3)
    pool.config["nightly_audit_requests"] = 0
    before = len(pool.sim.ledger.requests("/v2/cursus_users"))
    pool.nightly()
    asked = [
        entry.query.get("filter[id]", "")
        for entry in pool.sim.ledger.requests("/v2/cursus_users")[before:]
    ]
    assert any(str(enrolment(pool, 408)) in ids.split(",") for ids in asked)
    assert not any(str(row_id) in ids.split(",") for ids in asked)
    assert mirrored(pool, 401)[0][0] == 5.25
    # The row of an ended piscine that is gone from the API is the audit's to find.
    world.unregister(row_id)
    pool.nightly()
    assert len(mirrored(pool, 401)) == 1
    pool.config["nightly_audit_requests"] = 120
    pool.nightly()
    assert mirrored(pool, 401) == []
    assert graves(pool) == [("cursus_users", row_id, "401")]
    assert pool.differences() == []


def test_a_piscine_that_loses_too_many_is_refused_until_somebody_allows_it(pool):
    pool.config |= {"max_delete_rows": 3, "max_delete_share": 0.05}
    for number in (401, 402, 403, 404):
        pool.sim.world.unregister(enrolment(pool, number))
    with pytest.raises(DeleteRefused, match="4 of"):
        pool.nightly()
    assert graves(pool) == []
    pool.nightly(allow_mass_delete=True)
    assert len(graves(pool)) == 4
    assert pool.differences() == []


def test_a_pisciner_who_is_accepted_keeps_his_piscine_and_brings_his_cursus(pool):
    world = pool.sim.world
    now = world.clock.now_ms()
    world.update_row("cursus_users", enrolment(pool, 401), end_at=now)
    world.add_cursus_user(401, 21, begin_at=now + 40 * DAY)
    world.touch_user(402, kind="external")  # not accepted
    pool.incremental()
    assert len(mirrored(pool, 401)) == len(mirrored(pool, 401, 21)) == 1
    assert pool.query("select kind from intra42.users where id = 402") == [("external",)]
    pool.nightly()
    assert pool.differences() == []


def test_a_piscine_added_to_the_settings_is_loaded_by_the_next_nightly(loaded, caplog):
    mirror = loaded(worlds.pool, campus_ids=[1])
    mirror.config |= BOTH
    caplog.set_level(logging.INFO)
    mirror.sim.world.validate_project(101, 12)
    mirror.incremental()
    # The cursus that is loaded goes on; the others wait.
    assert mirror.query("select 1 from intra42.projects_users where project_id = 12") == [(1,)]
    assert "1/9" in caplog.text
    mirror.nightly()
    assert len(mirrored(mirror, 401)) == 1
    assert mirror.differences() == []
    mirror.sim.world.unregister(enrolment(mirror, 408))
    mirror.incremental()
    assert mirrored(mirror, 408) == []
    mirror.nightly()
    assert mirror.differences() == []


def test_new_pisciners_enter_with_the_next_incremental_run(pool):
    world = pool.sim.world
    row_id = world.register_pisciner(420, 1, begins=0)
    world.register_pisciner(421, 1, begins=0, kind="external")
    world.register_pisciner(422, 2, begins=0)
    pool.incremental()
    assert pool.query("select id from intra42.cursus_users where user_id > 419") == [(row_id,)]
    assert pool.value("select count(*) from intra42.projects_users where user_id = 420") == 1
    pool.nightly()
    assert pool.differences() == []


def test_enrolments_alone_can_be_mirrored_without_projects(loaded):
    mirror = loaded(worlds.pool, campus_ids=[1], refresh_cursus_ids=[1, 21, 9])
    mirror.sim.world.unregister(enrolment(mirror, 407))
    mirror.nightly()
    assert len(mirrored(mirror, 401)) == 1
    assert mirrored(mirror, 407) == []
    assert mirror.value("select count(*) from intra42.projects_users where user_id = 401") == 0
    assert mirror.differences() == []


def test_a_cursus_that_the_api_does_not_have_is_named_until_the_settings_are_right(pool):
    pool.config["cursus_ids"] = [21, 9, 555]
    with pytest.raises(NotFound, match="/v2/cursus/555/users"):
        pool.nightly()
    pool.config["cursus_ids"] = [21, 9]
    pool.nightly()
    assert pool.differences() == []


def test_a_run_about_one_cursus_leaves_the_rows_as_the_settings_want_them(pool):
    world = pool.sim.world
    world.add_projects_user(101, 33, id=5, cursus_ids=(9, 21))
    world.add_achievements_user(101, 11, id=6)
    pool.nightly(cursus_ids=[9])
    # 21 comes first in the settings, and its projects were not asked for.
    assert pool.query("select cursus_id from intra42.projects_users where id = 5") == [(21,)]
    assert pool.query("select cursus_id from intra42.achievements_users where id = 6") == [(21,)]
    assert pool.query("select id from intra42.projects where not listed") == []
    pool.nightly(cursus_ids=[9], full_refresh=True)
    assert pool.differences() == []


def test_a_run_may_be_about_a_cursus_that_the_settings_do_not_have(loaded):
    mirror = loaded(worlds.pool, campus_ids=[1])
    mirror.nightly(cursus_ids=[9])
    attempts = mirror.query(
        "select distinct project_id, cursus_id from intra42.projects_users where project_id > 30"
    )
    assert attempts == [(31, 9)]
    mirror.nightly()
    assert mirror.value("select listed from intra42.projects where id = 11")
