"""Scope is decided before a record is parked: nothing is kept of people who are not mirrored."""

from __future__ import annotations

import pytest

from intra42.verify.audit import purge_parked
from tests.integration.mirror import worlds
from tests.integration.mirror.test_asked import task
from tests.integration.mirror.test_audit import anywhere
from tests.integration.mirror.test_bad_input import spoil

BAD = 2**63


def parked(mirror):
    return mirror.query(
        "select resource, id, payload from intra42.parked_records order by resource, id"
    )


def ids(mirror):
    return [row[:2] for row in parked(mirror)]


@pytest.fixture
def watched(town):
    """The town, whose applicant 301 and neighbour 201 have names that would be recognised."""
    for number in (301, 201):
        town.sim.world.touch_user(number, first_name="Unmistakable")
    town.sim.world.add_cursus_user(301, 21, id=3010)
    return town


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_an_applicant_with_a_bad_record_is_not_parked(watched, dag):
    watched.sim.world.touch_user(301, wallet=BAD)
    getattr(watched, dag)()
    assert parked(watched) == []
    assert anywhere(watched, "Unmistakable") == []


def test_an_applicant_who_is_looked_up_is_not_parked(watched):
    world = watched.sim.world
    world.touch_user(201, silent=True, kind="external", wallet=BAD)
    world.transfer(201, 1)
    watched.incremental()
    watched.nightly()
    assert parked(watched) == []
    assert anywhere(watched, "Unmistakable") == []


def test_a_student_of_another_campus_is_not_parked(watched):
    """He is in a listing that says nothing about where he lives."""
    world = watched.sim.world
    world.touch_user(201, wallet=BAD)
    watched.sim.faults.add(
        "ignore_filter", "/v2/cursus/21/users", times=None, filter="primary_campus_id"
    )
    watched.incremental()
    assert parked(watched) == []
    assert anywhere(watched, "Unmistakable") == []


def test_a_student_of_ours_is_parked_before_he_was_ever_stored(town):
    newcomer = town.sim.world.new_student(1, wallet=BAD)
    town.incremental()
    assert ids(town) == [("users", newcomer)]
    assert parked(town)[0][2]["wallet"] == BAD


WIDE = {
    "achievements_users": ("nbr_of_success", "a lot"),
    "coalitions_users": ("score", "high"),
    "campus_users": ("is_primary", 5),
    "projects_users": ("status", 5),
    "cursus_users": ("level", "high"),
}


@pytest.mark.parametrize("table", WIDE)
def test_a_bad_row_of_somebody_who_is_not_mirrored_is_not_parked(town, table):
    world = town.sim.world
    for number in (101, 201):
        [row_id, *_] = world.tables[table].where("user_id", number)
        world.update_row(table, row_id)
        field, value = WIDE[table]
        spoil(town, f"/v2/{table}", row_id, **{field: value})
    # Attempts and enrolments are asked for by campus.
    for name in ("campus", "campus_id"):
        town.sim.faults.add("ignore_filter", f"/v2/{table}", times=None, filter=name)
    town.incremental()
    [first, *_] = world.tables[table].where("user_id", 101)
    assert ids(town) == [(table, first)]
    owner = parked(town)[0][2]
    assert owner.get("user_id", owner.get("user.id")) == 101
    assert town.value("select sum(parked) from intra42.sync_runs where try_number = 1") >= 1


@pytest.mark.parametrize("user", [None, 5, {"id": None}, {"id": "x"}])
def test_of_a_bad_row_of_nobody_knows_whom_only_its_id_is_kept(town, user):
    town.sim.world.update_row("cursus_users", 1010, level=2.0)
    spoil(town, "/v2/cursus_users", 1010, user=user)
    town.incremental()
    assert parked(town) == [("cursus_users", 1010, {})]
    town.sim.faults.clear()
    town.nightly()
    town.nightly()
    assert parked(town) == []
    assert town.differences() == []


def test_an_account_without_an_id_is_parked_without_its_values(watched):
    world = watched.sim.world
    world.touch_user(101, first_name="Unmistakable")
    world.touch_user(301, wallet=5)
    for number in (101, 301):
        spoil(watched, "/v2/cursus/21/users", number, id=None)
    watched.sim.faults.add("ignore_filter", "/v2/cursus/21/users", times=None)
    watched.incremental()
    assert parked(watched) == [("users", None, {})]
    assert "parked_records" not in anywhere(watched, "Unmistakable")
    watched.nightly()
    assert parked(watched) == [("users", None, {})]


def test_what_became_good_but_is_out_of_scope_now_is_unparked(town):
    newcomer = town.sim.world.new_student(1, wallet=BAD, first_name="Unmistakable")
    town.incremental()
    assert ids(town) == [("users", newcomer)]
    town.sim.world.transfer(newcomer, 2)
    town.sim.world.touch_user(newcomer, wallet=5)
    town.sim.clock.advance(hours=2)
    town.incremental()
    assert parked(town) == []
    assert anywhere(town, "Unmistakable") == []


def test_what_is_out_of_scope_and_still_bad_is_unparked(town):
    newcomer = town.sim.world.new_student(1, wallet=BAD, first_name="Unmistakable")
    town.incremental()
    town.sim.world.touch_user(newcomer, silent=True, kind="external")
    town.sim.clock.advance(hours=2)
    town.incremental()
    town.incremental()
    assert parked(town) == []
    assert anywhere(town, "Unmistakable") == []


def test_a_run_about_another_campus_keeps_what_is_parked(loaded):
    mirror = loaded(worlds.town, campus_ids=[1, 2])
    newcomer = mirror.sim.world.new_student(1, wallet=BAD)
    mirror.incremental()
    for _ in range(3):
        mirror.sim.clock.advance(hours=2)
        mirror.incremental(campus_ids=[2])
    assert ids(mirror) == [("users", newcomer)]


def test_what_was_parked_of_others_before_is_purged_each_night(town):
    with town.connect() as connection:
        for number, (resource, row_id, payload) in enumerate(
            [
                ("users", 301, '{"id": 301, "kind": "external", "email": "a@b"}'),
                ("users", 302, '{"id": 302, "kind": "student", "alumni?": true, "email": "a@b"}'),
                ("users", 303, '{"id": 303, "kind": "student", "alumni?": false}'),
                ("users", 101, '{"id": 101, "kind": "external"}'),
                ("achievements_users", 5, '{"user_id": 999}'),
                ("achievements_users", 6, '{"user_id": 101}'),
                ("cursus_users", 7, '{"user.id": 999}'),
                ("cursus_users", None, '{"level": 5}'),
                ("projects", 8, '{"name": "libft"}'),
            ]
        ):
            connection.execute(
                "insert into intra42.parked_records (resource, id, fingerprint, payload, reason, "
                "run_id, first_seen_at, last_seen_at, last_run_id, wait_runs) values "
                "(%s, %s, %s, %s, 'bad', 'old', now(), now(), 'old', 99)",
                [resource, row_id, str(row_id or f"none {number}"), payload],
            )
    task(town, "users", lambda reader: purge_parked(reader.work))
    assert parked(town) == [
        ("achievements_users", 6, {"user_id": 101}),
        ("cursus_users", None, {}),
        ("projects", 8, {"name": "libft"}),
        ("users", 101, {"id": 101, "kind": "external"}),
        ("users", 303, {"id": 303, "kind": "student", "alumni?": False}),
    ]
