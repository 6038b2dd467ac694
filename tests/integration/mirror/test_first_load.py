"""The first load equals the truth, a second one changes nothing, and entrants bring everything."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dev.simulator.clock import DAY
from tests.integration.mirror import worlds

TABLES = [
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
]


def tuples(mirror):
    """Return where every row is and which transaction wrote it: the same only if none was."""
    query = " union all ".join(
        f"select '{name}' as name, ctid::text, xmin::text from intra42.{name}" for name in TABLES
    )
    return mirror.query(f"select * from ({query}) as rows order by 1, 2")


def of_user(mirror, user_id):
    return {
        name: mirror.value(f"select count(*) from intra42.{name} where user_id = %s", user_id)
        for name in TABLES
        if name.endswith("_users")
    }


@pytest.mark.parametrize(
    ("build", "config"),
    [
        (worlds.village, {"campus_ids": [67]}),
        (worlds.region, {"campus_ids": [1, 9, 47]}),
        (worlds.region, {"cursus_ids": [21, 9]}),
    ],
    ids=["one campus", "three campuses", "the whole network and two cursus"],
)
def test_a_first_load_equals_the_truth(loaded, build, config):
    mirror = loaded(build, **config)
    assert mirror.value("select count(*) from intra42.projects_users") > 100
    assert mirror.differences() == []


def test_the_whole_network_is_the_default(fresh):
    mirror = fresh(worlds.town, refresh_cursus_ids=[1, 21])
    mirror.nightly()
    assert {row[0] for row in mirror.query("select id from intra42.users")} == {
        *worlds.STUDENTS,
        201,
        202,
    }
    assert mirror.differences() == []


def test_twice_is_once_down_to_the_tuple(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    before = tuples(mirror)
    mirror.nightly()
    mirror.incremental()
    mirror.nightly(full_refresh=True)
    assert tuples(mirror) == before
    assert (
        mirror.value(
            "select sum(inserted + updated + deleted + parked) from intra42.sync_runs "
            "where run_id <> 'first'"
        )
        == 0
    )


def old_student(world, number, campus_id=1):
    """Add somebody all of whose rows are a year old, so that no window shows them."""
    then = world.clock.now_ms() - 365 * DAY
    old = {"created_at": then, "updated_at": then}
    world.add_user(number, **old)
    world.add_campus_user(number, campus_id, **old)
    world.add_cursus_user(number, 21, **old)
    world.add_projects_user(number, 12, **old)
    world.add_achievements_user(number, 12, **old)
    world.add_coalitions_user(number, 11, **old)


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_a_new_student_brings_his_whole_history(town, dag):
    world = town.sim.world
    old_student(world, 401)
    world.touch_user(401, wallet=7)
    getattr(town, dag)()
    assert set(of_user(town, 401).values()) == {1}
    assert town.differences() == []


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_a_transfer_in_brings_his_whole_history(town, dag):
    town.sim.world.transfer(201, 1)
    getattr(town, dag)()
    assert town.query("select campus_id from intra42.users where id = 201") == [(1,)]
    assert of_user(town, 201) == {
        "campus_users": 2,
        "cursus_users": 1,
        "projects_users": 1,
        "achievements_users": 1,
        "coalitions_users": 1,
    }
    assert town.differences() == []


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_an_accepted_applicant_enters(town, dag):
    world = town.sim.world
    world.accept_applicant(301)
    getattr(town, dag)()
    assert town.query("select kind, campus_id from intra42.users where id = 301") == [
        ("student", 1)
    ]
    assert town.differences() == []


def test_somebody_known_only_from_a_new_attempt_enters(loaded):
    town = loaded(worlds.town, campus_ids=[1])
    world = town.sim.world
    old_student(world, 402)
    world.validate_project(402, 13)
    town.incremental()
    assert of_user(town, 402)["projects_users"] == 2
    assert town.differences() == []


def test_somebody_known_only_from_a_new_enrolment_enters(town):
    world = town.sim.world
    then = world.clock.now_ms() - 365 * DAY
    world.add_user(403, created_at=then, updated_at=then)
    world.add_campus_user(403, 1, created_at=then, updated_at=then)
    world.add_achievements_user(403, 12, created_at=then, updated_at=then)
    world.add_cursus_user(403, 21)
    town.incremental()
    assert of_user(town, 403)["achievements_users"] == 1
    assert town.differences() == []


def test_a_campus_added_to_the_settings_is_loaded_by_the_next_nightly_run(town):
    town.config = {"campus_ids": [1, 2]}
    town.incremental()
    assert of_user(town, 201)["projects_users"] == 0
    town.nightly()
    assert of_user(town, 201)["projects_users"] == 1
    assert town.differences() == []


def test_a_cursus_added_to_the_settings_is_loaded_by_the_next_nightly_run(town):
    world = town.sim.world
    then = world.clock.now_ms() - 90 * DAY
    old = {"created_at": then, "updated_at": then}
    world.add_projects_user(101, 12, id=9001, cursus_ids=(9,), **old)
    world.add_cursus_user(101, 9, id=9002, **old)
    worlds.person(town.sim, 601, 1, cursus_id=9)
    town.nightly()
    assert of_user(town, 601)["projects_users"] == 0
    world.clock.advance(hours=24)
    town.config = {"campus_ids": [1], "cursus_ids": [9, 21]}
    town.nightly()
    attempts = town.query("select id from intra42.projects_users where cursus_id = 9 order by id")
    assert attempts == [(9001,), (60_100,)]
    assert town.differences() == []


def test_who_is_out_of_scope_stays_out(town):
    town.sim.world.new_student(2)
    town.sim.world.add_user(501, campus_id=1, kind="admin")
    town.sim.world.add_cursus_user(501)
    town.sim.world.new_student(1, alumni=True)
    town.incremental()
    town.nightly()
    assert {row[0] for row in town.query("select id from intra42.users")} == {*worlds.STUDENTS}


def test_who_was_in_scope_stays_and_stays_true(town):
    world = town.sim.world
    world.transfer(101, 2)
    world.alumnise(102)
    world.touch_user(103, kind="admin", staff=True)
    town.nightly()
    world.clock.advance(hours=24)
    # Later changes of theirs arrive too, loud and silent ones.
    for user_id in (101, 102, 103):
        world.validate_project(user_id, 14)
        world.earn_achievement(user_id, 14)
        world.touch_user(user_id, silent=True, wallet=99)
        world.score_silently(user_id * 10_000, 77)
    town.nightly()
    rows = town.query(
        "select id, campus_id, alumni, kind, wallet from intra42.users where id < 104"
    )
    assert sorted(rows) == [
        (101, 2, False, "student", 99),
        (102, 1, True, "student", 99),
        (103, 1, False, "admin", 99),
    ]
    assert town.differences() == []


def test_somebody_who_moved_away_is_followed_by_the_incremental_run(town):
    world = town.sim.world
    world.transfer(101, 2)
    town.nightly()
    world.clock.advance(hours=1)
    world.validate_project(101, 15, mark=99)
    world.touch_user(101, location="c1r1s1")
    town.incremental()
    assert town.differences() == []


@pytest.mark.parametrize("shown", [False, True], ids=["hidden", "shown"])
def test_an_anonymised_account_loses_its_name_in_the_next_nightly_run(town, shown):
    town.sim.harsh.show_anonymised = shown
    login = town.sim.world.anonymise(101)
    town.nightly()
    assert town.query("select login, first_name, image_link from intra42.users where id = 101") == [
        (login, "3b3", None)
    ]
    assert town.differences() == []


def test_everybody_anonymised_at_once_is_still_followed(town):
    logins = {town.sim.world.anonymise(number) for number in worlds.STUDENTS}
    # One stays, so that the answer about the others can be believed.
    town.sim.world.touch_user(101, login="stayed")
    town.nightly()
    found = {row[0] for row in town.query("select login from intra42.users where id > 101")}
    assert len(found) == 7
    assert found < logins


def test_silent_changes_of_people_and_scores_are_found_by_the_nightly_run(town):
    world = town.sim.world
    world.touch_user(104, silent=True, active=False, anonymize_date="2031-01-01T00:00:00.000Z")
    world.score_silently(1_040_000, 4242)
    town.incremental()
    assert town.value("select active from intra42.users where id = 104") is True
    town.nightly()
    assert town.value("select score from intra42.coalitions_users where id = 1040000") == 4242
    assert town.value("select score from intra42.coalitions where id = 11") == 4242
    assert town.differences() == []


def test_enrolments_are_not_refetched_before_their_first_load(fresh):
    """The only one there may be gone: then nobody is left who could witness its absence."""
    mirror = fresh()
    mirror.sim.world.update_row("cursus_users", 1010, level=2.0)
    now = mirror.sim.clock.now()
    mirror.nightly(updated_from=now - timedelta(hours=1), updated_to=now + timedelta(hours=1))
    assert mirror.query("select id from intra42.cursus_users") == [(1010,)]
    mirror.sim.world.unregister(1010)
    mirror.incremental()
    assert mirror.query("select id from intra42.cursus_users") == [(1010,)]
    mirror.nightly()
    assert mirror.differences() == []
