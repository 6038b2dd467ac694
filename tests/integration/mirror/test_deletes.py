"""Deletes are real: two absences with a witness, a guard, a tombstone, and a way back."""

from __future__ import annotations

import pytest

from dev.simulator import Simulator
from intra42.errors import DeleteRefused, IncompleteListing, NoWitness
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds

# The audit has the same guard; without it these are about the refresh alone.
STRICT = {
    "campus_ids": [1, 2],
    "max_delete_rows": 2,
    "max_delete_share": 0.05,
    "nightly_audit_requests": 0,
}


def enrolments(mirror):
    return {row[0] for row in mirror.query("select id from intra42.cursus_users")}


def tombs(mirror):
    return {
        row[0]
        for row in mirror.query("select id from intra42.tombstones where restored_at is null")
    }


def by_id(request):
    return "filter[id]" in request.query


def crowd() -> Simulator:
    """Two campuses of thirty students with one enrolment each."""
    sim = Simulator("empty")
    for number in (1, 2):
        sim.world.add_campus(number)
    sim.world.add_cursus(21)
    sim.world.add_cursus(1)
    for number in range(101, 161):
        sim.world.add_user(number, campus_id=1 + number % 2)
        sim.world.add_cursus_user(number, id=number * 10)
    sim.clock.advance(hours=24)
    return sim


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
def test_a_row_that_vanished_leaves_a_tombstone(town, dag):
    [before] = town.query(
        "select to_jsonb(e) - '_seq' from intra42.cursus_users as e where id = 1010"
    )
    town.sim.world.unregister(1010)
    run_id = town.run(dag)
    assert enrolments(town) == {number * 10 for number in worlds.STUDENTS} - {1010}
    [grave] = town.query("select resource, id, row, run_id, deleted_at from intra42.tombstones")
    assert grave[:4] == ("cursus_users", 1010, before[0], run_id)
    assert grave[4] == town.sim.clock.now()
    assert town.differences() == []


def test_it_takes_two_answers_of_one_run_to_delete(town):
    town.sim.world.unregister(1010)
    town.sim.ledger.clear()
    town.incremental()
    asked = [
        entry.query["filter[id]"].split(",")
        for entry in town.sim.ledger.requests("/v2/cursus_users")
        if "filter[id]" in entry.query
    ]
    assert ["1010" in ids and len(ids) > 1 for ids in asked] == [True, True]


def test_a_row_hidden_for_one_answer_only_stays(town):
    town.sim.faults.add("missing_row", "/v2/cursus_users", when=by_id, id=1010)
    town.nightly()
    assert 1010 in enrolments(town)
    assert tombs(town) == set()


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
def test_an_empty_answer_is_red_and_deletes_nothing(town, dag):
    town.sim.faults.add("empty_page", "/v2/cursus_users", times=None, when=by_id, consistent=True)
    with pytest.raises(NoWitness):
        town.run(dag)
    assert len(enrolments(town)) == len(worlds.STUDENTS)


def test_an_empty_second_answer_is_red_and_deletes_nothing(town):
    town.sim.world.unregister(1010)
    town.sim.faults.add(
        "empty_page", "/v2/cursus_users", skip=1, times=None, when=by_id, consistent=True
    )
    with pytest.raises(NoWitness, match="there before"):
        town.incremental()
    assert 1010 in enrolments(town)
    assert tombs(town) == set()


def test_a_short_answer_is_red_and_deletes_nothing(town):
    town.sim.faults.add("short_page", "/v2/cursus_users", times=None, when=by_id, rows=3)
    with pytest.raises(IncompleteListing):
        town.nightly()
    assert len(enrolments(town)) == len(worlds.STUDENTS)


def test_a_whole_chunk_that_is_really_gone_is_deleted_beside_a_witness(loaded):
    mirror = loaded(crowd, campus_ids=[1, 2], refresh_chunk_size=5, nightly_audit_requests=0)
    # The second chunk of five: its first answer is empty, a known id is asked beside it.
    gone = sorted(enrolments(mirror))[5:10]
    for row_id in gone:
        mirror.sim.world.unregister(row_id)
    mirror.nightly()
    assert tombs(mirror) == set(gone)
    assert mirror.differences() == []


def test_more_than_a_run_may_delete_is_refused_whole(loaded):
    mirror = loaded(crowd, **STRICT)
    for row_id in (1010, 1020, 1030, 1040):
        mirror.sim.world.unregister(row_id)
    with pytest.raises(DeleteRefused) as refused:
        mirror.nightly()
    assert "4 of 60 rows" in str(refused.value)
    assert "at most 3" in str(refused.value)
    assert "allow_mass_delete" in str(refused.value)
    assert len(enrolments(mirror)) == 60
    assert tombs(mirror) == set()


def test_the_share_of_the_rows_asked_is_allowed(loaded):
    mirror = loaded(crowd, **STRICT | {"max_delete_rows": 0})
    # 5 % of 60 in the run, and of the 30 of each campus at most one in a day.
    for row_id in (1010, 1020):
        mirror.sim.world.unregister(row_id)
    mirror.nightly()
    assert tombs(mirror) == {1010, 1020}


def test_allow_mass_delete_lets_a_person_decide(loaded):
    mirror = loaded(crowd, **STRICT)
    for number in range(101, 131):
        mirror.sim.world.unregister(number * 10)
    with pytest.raises(DeleteRefused):
        mirror.nightly()
    mirror.nightly(allow_mass_delete=True)
    assert len(tombs(mirror)) == 30
    assert mirror.differences() == []


def test_both_dags_together_stay_below_the_guard_of_a_day(loaded):
    mirror = loaded(crowd, **STRICT)
    world, clock = mirror.sim.world, mirror.sim.clock
    # All of campus 2: odd numbers.
    for row_id in (1010, 1030):
        world.unregister(row_id)
    mirror.incremental()
    clock.advance(hours=10)
    world.unregister(1050)
    with pytest.raises(DeleteRefused, match="after 2 deleted in the last 24 hours"):
        mirror.nightly()
    assert tombs(mirror) == {1010, 1030}
    # The other campus has an allowance of its own.
    world.reregister(1040)
    clock.advance(hours=15)
    mirror.nightly()
    assert tombs(mirror) == {1010, 1030, 1050, 1040}
    assert mirror.differences() == []


def test_delete_missing_false_keeps_every_row(town, caplog):
    town.config["delete_missing"] = False
    town.sim.world.unregister(1010)
    town.nightly()
    assert 1010 in enrolments(town)
    assert tombs(town) == set()
    assert "delete_missing is false" in caplog.text


@pytest.mark.parametrize("audited", [0, 120])
def test_a_deleted_row_that_is_back_is_restored_and_its_grave_says_so(town, audited):
    town.config["nightly_audit_requests"] = audited
    town.sim.world.hide("cursus_users", 1010)
    town.nightly()
    assert 1010 not in enrolments(town)
    town.sim.clock.advance(hours=24 * 15)
    town.sim.world.unhide("cursus_users", 1010)
    town.nightly()
    assert 1010 in enrolments(town)
    [row] = town.query("select restored_at from intra42.tombstones where id = 1010")
    assert row[0] == town.sim.clock.now()
    # It can be deleted once more.
    town.sim.world.unregister(1010)
    town.nightly()
    assert tombs(town) == {1010}
    assert town.value("select count(*) from intra42.tombstones") == 2


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
def test_a_registration_under_a_new_id_replaces_the_old_one(town, dag):
    new = town.sim.world.reregister(1010)
    town.run(dag)
    assert new in enrolments(town)
    assert tombs(town) == {1010}
    assert town.differences() == []


def test_a_failing_second_look_can_be_repeated(town):
    town.sim.world.unregister(1010)
    town.sim.faults.add("500", "/v2/cursus_users", skip=1, times=None, when=by_id)
    with pytest.raises(Exception, match="500"):
        town.nightly(run_id="one")
    assert 1010 in enrolments(town)
    town.sim.faults.clear()
    town.nightly(run_id="one")
    assert tombs(town) == {1010}


def test_an_enrolment_of_another_cursus_is_deleted_too(town):
    town.sim.world.add_cursus_user(101, 1, id=7)
    town.incremental()
    assert 7 in enrolments(town)
    town.sim.world.unregister(7)
    town.incremental()
    assert tombs(town) == {7}
    assert town.differences() == []


def test_an_attempt_that_was_made_again_has_its_new_row(town):
    new = town.sim.world.recreate_attempt(10100)
    town.incremental()
    assert town.query("select 1 from intra42.projects_users where id = %s", new) == [(1,)]
