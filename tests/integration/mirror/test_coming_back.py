"""What the settings asked for, did not ask for, and ask for again is loaded as if it were new."""

from __future__ import annotations

import random

import pytest

from dev.simulator.clock import DAY
from intra42.errors import FatalApiError
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds

BOTH = {"campus_ids": [1, 2]}
HERE = {"campus_ids": [1]}
# A budget of 0: what comes back does not wait for the audit to find it.
AUDITED = pytest.mark.parametrize("audited", [0, 120])
PISCINE = {"campus_ids": [1], "cursus_ids": [21, 9], "refresh_cursus_ids": [1, 21, 9]}
NO_PISCINE = {"campus_ids": [1], "cursus_ids": [21], "refresh_cursus_ids": [1, 21]}


def configure(mirror, config, audited=120):
    mirror.config = {**config, "nightly_audit_requests": audited}


def days(mirror, number):
    """Let nights pass, each with a quarter hour after it."""
    for _night in range(number):
        mirror.nightly()
        mirror.sim.clock.advance(hours=8)
        mirror.incremental()
        mirror.sim.clock.advance(hours=16)


def scopes(mirror, dag_id=NIGHTLY):
    query = "select distinct scope from intra42.sync_state where dag_id = %s order by scope"
    return {row[0] for row in mirror.query(query, dag_id)}


def is_remembered(mirror, campus_id):
    """Whether any DAG knows how far it has read a campus."""
    found = scopes(mirror) | scopes(mirror, INCREMENTAL)
    return any(scope.startswith(f"{campus_id}/") for scope in found)


def long_ago(world):
    """Return times that no window reaches any more: only who is new shows such rows."""
    then = world.clock.now_ms() - 90 * DAY
    return {"created_at": then, "updated_at": then}


def a_person_from_elsewhere(world, number, campus_id):
    """Somebody of a campus nobody asks for, with an old row of everything."""
    old = long_ago(world)
    world.add_user(number, campus_id=campus_id, **old)
    world.add_cursus_user(number, 21, id=number * 10, **old)
    world.add_projects_user(number, 11, id=number * 100, **old)
    world.add_achievements_user(number, 11, id=number * 1000, **old)
    world.add_coalitions_user(number, 11, id=number * 10_000, **old)


@AUDITED
def test_a_campus_that_comes_back_comes_with_whoever_moved_there_meanwhile(loaded, audited):
    mirror = loaded(worlds.town, **BOTH)
    world = mirror.sim.world
    for number in (701, 702):
        a_person_from_elsewhere(world, number, 3)
    days(mirror, 1)
    configure(mirror, HERE, audited)
    days(mirror, 1)
    assert is_remembered(mirror, 1)
    assert not is_remembered(mirror, 2)
    world.transfer(701, 2)
    newcomer = world.new_student(2)
    # Who moved away from here stays in the mirror, and so do those of the campus that is gone.
    world.transfer(101, 2)
    world.transfer(202, 1)
    world.validate_project(101, 12)
    world.validate_project(201, 12)
    world.earn_achievement(201, 13)
    world.set_level_silently(2010, 7.5)
    days(mirror, 3)
    assert mirror.differences() == []
    assert mirror.query("select id from intra42.users where id in (701, %s)", newcomer) == []
    world.transfer(702, 2)
    configure(mirror, BOTH, audited)
    mirror.incremental()
    days(mirror, 2)
    assert is_remembered(mirror, 2)
    assert mirror.differences() == []
    there = "select count(*) from intra42.achievements_users where user_id in (701, 702)"
    assert mirror.value(there) == 2


def test_nobody_hides_behind_an_account_that_the_listing_no_longer_shows(loaded):
    """As many are hidden as came: their number tells nothing."""
    mirror = loaded(worlds.town, **BOTH)
    world = mirror.sim.world
    a_person_from_elsewhere(world, 701, 3)
    configure(mirror, HERE)
    days(mirror, 1)
    world.transfer(701, 2)
    world.hide("users", 202)
    days(mirror, 1)
    configure(mirror, BOTH)
    days(mirror, 2)
    assert mirror.value("select campus_id from intra42.users where id = 701") == 2
    assert mirror.differences() == []


@AUDITED
def test_a_cursus_that_comes_back_comes_whole(loaded, audited):
    mirror = loaded(worlds.pool, **PISCINE)
    world = mirror.sim.world
    days(mirror, 1)
    configure(mirror, NO_PISCINE, audited)
    days(mirror, 1)
    assert not any(scope.endswith("/9") for scope in scopes(mirror) | scopes(mirror, INCREMENTAL))
    world.register_pisciner(420, 1, begins=-1)
    world.add_projects_user(420, 31, id=42_000, cursus_ids=(9,), **long_ago(world))
    world.transfer(401, 2)
    for number in (401, 402, 101):
        enrolment = next(r for r in world.cursus_users.of("user_id", number) if r.cursus_id == 9)
        world.update_row("cursus_users", enrolment.id, level=3.25)
        world.add_projects_user(number, 32, id=number * 100 + 7, cursus_ids=(9,))
    days(mirror, 3)
    configure(mirror, PISCINE, audited)
    mirror.incremental()
    days(mirror, 2)
    assert mirror.differences() == []
    found = mirror.query("select id from intra42.projects_users where id %% 100 = 7 order by id")
    assert found == [(10_107,), (40_107,), (40_207,)]


def test_rows_that_vanished_meanwhile_are_gone_when_their_cursus_is_back(loaded):
    mirror = loaded(worlds.pool, **PISCINE)
    world = mirror.sim.world
    configure(mirror, NO_PISCINE)
    days(mirror, 1)
    gone = next(r for r in world.cursus_users.of("user_id", 406) if r.cursus_id == 9)
    world.unregister(gone.id)
    attempt = world.add_projects_user(402, 31, cursus_ids=(9,))
    days(mirror, 1)
    world.delete_attempt(attempt.id)
    configure(mirror, PISCINE)
    days(mirror, 2)
    assert mirror.differences() == []


def test_the_whole_network_narrowed_and_widened_again(loaded):
    mirror = loaded(worlds.town, campus_ids=[])
    world = mirror.sim.world
    a_person_from_elsewhere(world, 701, 3)
    world.hide("cursus_users", 7010)  # enrolled only later, by an old date
    configure(mirror, HERE)
    days(mirror, 2)
    world.unhide("cursus_users", 7010)
    days(mirror, 1)
    configure(mirror, {"campus_ids": []})
    days(mirror, 2)
    assert mirror.differences() == []


def test_an_unfinished_first_load_of_what_nobody_asks_for_leaves_nothing(town, caplog):
    caplog.set_level("INFO")
    town.config = dict(BOTH)
    town.sim.faults.add("403", "/v2/projects_users", times=None)
    with pytest.raises(FatalApiError):
        town.nightly()
    unfinished = "select resource, scopes from intra42.jobs where finished_at is null"
    assert ("projects_users", ["2/21"]) in town.query(unfinished)
    town.sim.faults.clear()
    town.config = dict(HERE)
    caplog.clear()
    days(town, 1)
    assert "projects_users: nobody asks for 2/21 any more" in caplog.text
    assert town.query(unfinished) == []
    assert not is_remembered(town, 2)
    # Who had entered stays, with all his rows.
    assert town.differences() == []
    world = town.sim.world
    a_person_from_elsewhere(world, 701, 2)
    town.config = dict(BOTH)
    days(town, 2)
    assert town.differences() == []


def test_a_listing_for_two_campuses_speaks_for_the_one_that_is_left(loaded):
    mirror = loaded(worlds.town, **BOTH)
    mirror.sim.world.validate_project(101, 12)
    mirror.sim.faults.add("403", "/v2/projects_users", times=None)
    with pytest.raises(FatalApiError):
        mirror.nightly()
    legs = "select distinct scopes from intra42.partitions where cardinality(scopes) > 0"
    assert mirror.query(legs) == [(["1/21", "2/21"],)]
    mirror.sim.faults.clear()
    configure(mirror, HERE)
    days(mirror, 1)
    assert mirror.query("select 1 from intra42.jobs where finished_at is null") == []
    assert not is_remembered(mirror, 2)
    assert mirror.differences() == []


@pytest.mark.parametrize("params", [{"campus_ids": "2"}, {"updated_from": "2026-01-01T00:00:00Z"}])
@pytest.mark.parametrize("dag_id", [NIGHTLY, INCREMENTAL])
def test_a_run_about_something_of_its_own_forgets_nothing(loaded, dag_id, params):
    mirror = loaded(worlds.town, **BOTH)
    mirror.incremental()
    before = mirror.query("select dag_id, resource, scope from intra42.sync_state order by 1, 2, 3")
    mirror.config = dict(HERE)
    mirror.run(dag_id, **params)
    after = mirror.query("select dag_id, resource, scope from intra42.sync_state order by 1, 2, 3")
    assert after == before


def test_each_dag_forgets_its_own_watermarks(loaded):
    """Another one may go by another variable."""
    mirror = loaded(worlds.town, **BOTH)
    mirror.sim.world.validate_project(201, 12)
    mirror.incremental()
    assert "2/21" in scopes(mirror, INCREMENTAL)
    mirror.config = dict(HERE)
    mirror.incremental()
    assert "2/21" not in scopes(mirror, INCREMENTAL)
    assert "2/21" in scopes(mirror, NIGHTLY)
    mirror.nightly()
    assert "2/21" not in scopes(mirror, NIGHTLY)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_while_it_is_away_the_mirror_ends_at_the_truth(loaded, seed):
    rng = random.Random(seed)
    mirror = loaded(worlds.pool, **{**PISCINE, "campus_ids": [1, 2]})
    world = mirror.sim.world
    for number in (701, 702, 703):
        a_person_from_elsewhere(world, number, 3)
    away = rng.choice([PISCINE, NO_PISCINE, {**NO_PISCINE, "campus_ids": [2]}])
    people = [*worlds.STUDENTS, 201, 202, 401, 402, 403, 412, 701, 702, 703]
    events = [
        lambda who: world.transfer(who, rng.choice([1, 2, 3])),
        lambda who: world.validate_project(who, rng.choice([11, 12])),
        lambda who: world.add_projects_user(who, 31, cursus_ids=(9,)),
        lambda who: world.earn_achievement(who, rng.choice([12, 13])),
        lambda who: world.touch_user(who, wallet=rng.randrange(100)),
        lambda _who: world.new_student(rng.choice([1, 2])),
        lambda _who: world.register_pisciner(rng.randrange(800, 900), rng.choice([1, 2])),
        lambda who: world.add_coalitions_user(who, rng.choice([11, 22])),
    ]
    for config in (away, {**PISCINE, "campus_ids": [1, 2]}):
        for _day in range(2):
            for _event in range(6):
                rng.choice(events)(rng.choice(people))
            configure(mirror, config, audited=0)
            rng.choice([mirror.nightly, mirror.incremental])()
            mirror.sim.clock.advance(hours=rng.choice([1, 24]))
    configure(mirror, {**PISCINE, "campus_ids": [1, 2]})
    days(mirror, 2)
    assert mirror.differences() == []
