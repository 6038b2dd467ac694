"""Further tables: read where they are asked for, and only there."""

from __future__ import annotations

import pytest

from dev.simulator import Simulator
from intra42.errors import ConfigError, DataError, DeleteRefused, IncompleteListing
from intra42.run.plan import INCREMENTAL, NIGHTLY
from intra42.ui import figures
from intra42.ui.warehouse import reading
from tests.integration.mirror import worlds

SKILLS = "/v2/skills"


def asks(mirror, *tables):
    """Ask for further tables, and for nothing else that is new."""
    mirror.config["tables"] = list(tables)


def taught():
    sim = worlds.town()
    for number in (1, 3, 14):
        sim.world.add_skill(number)
    for number in (1, 2, 3):
        sim.world.add_quest(number)
    for student in (*worlds.STUDENTS, 201):
        sim.world.add_quests_user(student, 1, id=student * 10)
        sim.world.add_location(student, 1, id=student, end_at=sim.clock.now())
        sim.world.add_location(student, 2, id=student + 1000)
    for coalition in (11, 12, 21):
        for value in range(250):
            sim.world.add_score(coalition, value)
    sim.clock.advance(hours=1)
    return sim


@pytest.fixture
def school(loaded):
    """A town with some of everything, whose mirror has never asked for more than it must."""
    return loaded(taught, campus_ids=[1])


@pytest.fixture
def whole(school):
    """The same with all further tables."""
    asks(school, "all")
    school.nightly()
    assert school.differences() == []
    school.sim.clock.advance(minutes=15)
    return school


def paths(mirror):
    return [entry.path for entry in mirror.sim.ledger]


def test_a_table_that_nobody_asks_for_costs_no_request(school):
    school.nightly()
    school.incremental()
    assert SKILLS not in paths(school)
    assert school.value("select count(*) from intra42.skills") == 0


@pytest.mark.parametrize("names", [["skills"], ["all"]])
def test_a_table_is_read_once_it_is_asked_for(school, names):
    asks(school, *names)
    school.nightly()
    assert school.differences() == []
    assert school.value("select count(*) from intra42.skills") == 3


def test_a_table_of_the_night_is_left_alone_in_the_quarter_hour(school):
    asks(school, "skills")
    school.nightly()
    before = paths(school).count(SKILLS)
    school.sim.clock.advance(minutes=15)
    school.incremental()
    assert paths(school).count(SKILLS) == before


def test_an_unknown_table_fails_the_first_task_and_lists_those_there_are(school):
    asks(school, "skils")
    with pytest.raises(ConfigError, match=r"tables names 'skils', but may name skills,? .*or all"):
        school.nightly()


def test_what_vanishes_from_a_whole_table_goes_with_a_tombstone(school):
    asks(school, "skills")
    school.nightly()
    school.sim.world.skills.remove(3)
    school.sim.clock.advance(hours=24)
    school.nightly()
    assert school.differences() == []
    assert school.query("select id, row ->> 'slug' from intra42.tombstones") == [(3, "skill-3")]


def test_a_short_answer_removes_nothing_from_a_whole_table(school):
    asks(school, "skills")
    school.nightly()
    for kind in ("empty_page", "500"):
        school.sim.faults.add(kind, SKILLS, times=1)
        school.sim.clock.advance(hours=24)
        school.nightly()
        assert school.differences() == []
    assert school.query("select 1 from intra42.tombstones") == []


@pytest.mark.parametrize("status", ["403", "404"])
def test_a_refused_table_is_left_alone_until_the_right_arrives(school, status, caplog):
    caplog.set_level("INFO")
    asks(school, "skills")
    school.sim.faults.add(status, SKILLS, times=None)
    school.nightly()
    [(said,)] = school.query("select said from intra42.refusals")
    assert said.startswith("skills is left alone: ")
    assert SKILLS in said
    assert status in said
    assert school.value("select count(*) from intra42.skills") == 0
    attempt = "select status, requests from intra42.sync_runs where resource = 'skills'"
    assert school.query(attempt) == [("skipped", 1)]
    assert "[skills] skipped: 0 records: 0 inserted" in caplog.text
    school.sim.faults.clear()
    school.sim.clock.advance(hours=24)
    school.nightly()
    assert school.differences() == []
    assert school.query("select 1 from intra42.refusals") == []


def test_nothing_else_asks_a_table_that_is_refused(school):
    asks(school, "locations", "quests_users")
    school.sim.faults.add("403", "/v2/locations", times=None)
    school.sim.ledger.clear()
    school.nightly()
    worlds.person(school.sim, 901, 1)
    school.sim.world.add_location(901, 1, id=9001, begin_at="2020-01-01T00:00:00Z")
    school.sim.clock.advance(minutes=15)
    school.incremental()
    assert paths(school).count("/v2/locations") == 1
    assert school.value("select count(*) from intra42.quests_users") == 8
    school.sim.faults.clear()
    school.sim.clock.advance(hours=24)
    school.nightly()
    assert school.differences() == []
    assert school.query("select 1 from intra42.locations where id = 9001") == [(1,)]


def test_rows_of_a_table_that_becomes_forbidden_stay(school):
    asks(school, "skills")
    school.nightly()
    school.sim.faults.add("403", SKILLS, times=None)
    school.nightly()
    assert school.value("select count(*) from intra42.skills") == 3
    asks(school)
    school.nightly()
    assert school.value("select count(*) from intra42.skills") == 3


def test_another_trouble_of_a_further_table_is_red_and_stops_no_other(school):
    asks(school, "skills")
    school.sim.world.set_level_silently(1010, 6.5)
    school.sim.faults.add("wrong_total", SKILLS, times=None)
    with pytest.raises(IncompleteListing):
        school.nightly()
    assert school.value("select level from intra42.cursus_users where id = 1010") == 6.5


def test_milestones_come_with_the_window_and_bring_their_quests(whole):
    world = whole.sim.world
    assert whole.value("select count(*) from intra42.quests_users") == 8
    world.set_fields(world.quests_users, 1010, False, validated_at=whole.sim.clock.now())
    world.add_quests_user(102, 2, id=5000)
    whole.incremental()
    assert whole.differences() == []
    assert whole.query("select id from intra42.quests order by id") == [(1,), (2,)]


def test_a_milestone_of_a_quest_that_no_record_shows_keeps_a_stub(whole):
    whole.sim.faults.add(
        "mutate_record",
        "/v2/quests_users",
        times=None,
        change=lambda record: record | {"quest": None, "quest_id": 77},
    )
    whole.sim.world.add_quests_user(102, 2, id=5000)
    whole.incremental()
    assert whole.query("select quest_id from intra42.quests_users where id = 5000") == [(77,)]
    assert whole.query("select name from intra42.quests where id = 77") == [(None,)]


def test_whoever_enters_brings_their_milestones(whole):
    worlds.person(whole.sim, 901, 1)
    whole.sim.world.add_quests_user(901, 3, id=9001, updated_at="2020-01-01T00:00:00Z")
    whole.incremental()
    assert whole.differences() == []
    assert whole.query("select 1 from intra42.quests_users where id = 9001") == [(1,)]


def test_a_milestone_that_vanished_is_found_by_the_audit(whole):
    whole.sim.world.quests_users.remove(1030)
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    assert whole.differences() == []
    graves = "select id from intra42.tombstones where resource = 'quests_users'"
    assert whole.query(graves) == [(1030,)]


def test_a_table_that_comes_back_is_loaded_as_new(whole):
    asks(whole)
    whole.nightly()
    worlds.person(whole.sim, 901, 1)
    whole.sim.world.add_quests_user(901, 3, id=9001, updated_at="2020-01-01T00:00:00Z")
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    assert whole.query("select 1 from intra42.quests_users where id = 9001") == []
    assert whole.query("select 1 from intra42.to_read") == []
    asks(whole, "quests")
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    assert whole.differences() == []
    assert whole.query("select 1 from intra42.quests_users where id = 9001") == [(1,)]


def test_an_explicit_window_leaves_further_tables_alone(whole):
    whole.sim.ledger.clear()
    whole.nightly(updated_from="2026-01-01T00:00:00Z")
    assert not {path for path in paths(whole) if "quests" in path or "skills" in path}


def test_sessions_are_those_on_our_campuses_whoever_sits_there(whole):
    assert whole.value("select count(*) from intra42.locations") == len(worlds.STUDENTS)
    world = whole.sim.world
    world.add_location(101, 1, id=5001)
    world.add_location(101, 2, id=5002)
    world.add_location(201, 1, id=5003)
    whole.incremental()
    assert whole.differences() == []
    assert whole.query("select user_id from intra42.locations where id > 5000") == [(101,)]


def test_a_campus_that_is_added_brings_the_sessions_of_all_who_sat_there(whole):
    whole.config["campus_ids"] = [1, 2]
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    assert whole.differences() == []
    there = "select count(*) from intra42.locations where campus_id = 2 and user_id < 200"
    assert whole.value(there) == len(worlds.STUDENTS)


def test_whoever_moves_away_keeps_their_milestones_true(whole):
    world = whole.sim.world
    world.set_fields(world.quests_users, 1010, False, validated_at=whole.sim.clock.now())
    world.transfer(101, 2)
    whole.incremental()
    assert whole.differences() == []
    whole.sim.clock.advance(minutes=15)
    world.set_fields(world.quests_users, 1010, False, validated_at=None)
    whole.incremental()
    assert whole.differences() == []


def test_a_session_that_closes_is_seen_in_the_next_quarter_hour(whole):
    world = whole.sim.world
    world.add_location(101, 1, id=5001, begin_at="2020-01-01T00:00:00Z")
    world.add_location(102, 1, id=5002)
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    for number in (5001, 5002):
        world.set_fields(world.locations, number, True, end_at=whole.sim.clock.now())
    whole.sim.clock.advance(minutes=15)
    whole.incremental()
    assert whole.differences() == []


def test_a_session_that_is_written_days_late_is_seen(whole):
    begun = whole.sim.clock.now()
    whole.sim.clock.advance(hours=60)
    whole.incremental()
    whole.sim.clock.advance(minutes=15)
    whole.sim.world.add_location(101, 1, id=5001, begin_at=begun)
    whole.incremental()
    assert whole.differences() == []


def test_an_open_session_that_vanishes_goes_in_the_night(whole):
    world = whole.sim.world
    world.add_location(101, 1, id=5001)
    world.add_location(102, 1, id=5002)
    whole.incremental()
    whole.sim.clock.advance(hours=9 * 24)
    world.locations.remove(5001)
    whole.nightly()
    assert whole.differences() == []
    graves = "select id from intra42.tombstones where resource = 'locations'"
    assert whole.query(graves) == [(5001,)]


def test_whoever_enters_brings_their_sessions(whole):
    worlds.person(whole.sim, 901, 1)
    whole.sim.world.add_location(
        901, 1, id=9001, begin_at="2020-01-01T00:00:00Z", end_at="2020-01-01T01:00:00Z"
    )
    whole.incremental()
    assert whole.differences() == []
    assert whole.query("select 1 from intra42.locations where id = 9001") == [(1,)]


def test_a_quiet_quarter_hour_costs_few_requests_with_all_tables(whole):
    whole.incremental()
    whole.sim.clock.advance(minutes=15)
    whole.sim.ledger.clear()
    whole.incremental()
    further = [path for path in paths(whole) if path in {"/v2/locations", "/v2/quests_users"}]
    assert sorted(further) == ["/v2/locations", "/v2/locations", "/v2/quests_users"]


LEDGER = "/v2/coalitions/11/scores"


def test_a_ledger_is_read_whole_and_then_at_its_end(whole):
    assert whole.value("select count(*) from intra42.scores") == 500
    for value in range(130):
        whole.sim.world.add_score(11, value)
    whole.sim.ledger.clear()
    whole.incremental()
    assert whole.differences() == []
    assert paths(whole).count(LEDGER) == 2
    assert paths(whole).count("/v2/coalitions/12/scores") == 1


def test_a_ledger_far_behind_is_read_on_by_the_night_where_it_stopped(whole):
    for value in range(2500):
        whole.sim.world.add_score(11, value)
    whole.incremental()
    assert whole.value("select count(*) from intra42.scores where coalition_id = 11") == 250
    whole.sim.clock.advance(hours=24)
    whole.sim.faults.add(
        "403", LEDGER, times=None, when=lambda r: r.query.get("page[number]") == "9"
    )
    whole.nightly()
    assert whole.value("select count(*) from intra42.scores where coalition_id = 11") == 800
    whole.sim.faults.clear()
    whole.sim.clock.advance(hours=24)
    whole.sim.ledger.clear()
    whole.nightly()
    assert whole.differences() == []
    assert paths(whole).count(LEDGER) <= 1 + 20


@pytest.mark.parametrize("places", [[0], [99], [100], [249], [3, 120, 248], list(range(240, 250))])
def test_an_entry_that_vanishes_is_found_by_its_count(whole, places):
    ids = [row.id for row in whole.sim.world.scores.of("coalition_id", 11)]
    gone = [ids[place] for place in places]
    for number in gone:
        whole.sim.world.scores.remove(number)
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    assert whole.differences() == []
    graves = "select id from intra42.tombstones where resource = 'scores' order by id"
    assert whole.query(graves) == [(number,) for number in gone]


def test_the_end_of_a_ledger_that_ended_with_a_full_page_is_found_gone(whole):
    ids = [row.id for row in whole.sim.world.scores.of("coalition_id", 11)]
    for number in ids[200:]:
        whole.sim.world.scores.remove(number)
    whole.sim.clock.advance(hours=24)
    with pytest.raises(DeleteRefused, match="max_delete_rows"):
        whole.nightly()
    assert whole.value("select count(*) from intra42.scores where coalition_id = 11") == 250
    whole.nightly(allow_mass_delete=True)
    assert whole.differences() == []


def test_an_entry_that_vanished_stays_where_nothing_is_to_be_deleted(whole):
    whole.config["delete_missing"] = False
    first = next(iter(whole.sim.world.scores.of("coalition_id", 11)))
    whole.sim.world.scores.remove(first.id)
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    assert whole.value("select count(*) from intra42.scores where coalition_id = 11") == 250


def test_an_entry_that_is_missing_here_is_found_by_its_count(whole):
    with whole.connect() as connection:
        connection.execute(
            "delete from intra42.scores where id = (select min(id) + 120 from intra42.scores)"
        )
    whole.sim.clock.advance(hours=24)
    whole.nightly()
    assert whole.differences() == []


def test_an_empty_ledger_deletes_nothing(whole):
    whole.sim.faults.add("empty_page", LEDGER, times=None)
    with pytest.raises(DataError):
        whole.nightly()
    assert whole.value("select count(*) from intra42.scores where coalition_id = 11") == 250


def test_a_coalition_without_a_ledger_stops_no_other(whole):
    whole.sim.faults.add("404", LEDGER, times=None)
    whole.sim.world.add_score(12, 7)
    whole.incremental()
    assert whole.differences() == []


def test_ledgers_that_may_not_be_read_are_left_alone_in_one_sentence(whole):
    whole.sim.faults.add("403", "/v2/coalitions/", times=None)
    whole.sim.ledger.clear()
    whole.nightly()
    [(resource, said)] = whole.query("select resource, said from intra42.refusals")
    assert resource == "scores"
    assert "may not read /v2/coalitions/11/scores (403)" in said
    assert [path for path in paths(whole) if path.startswith("/v2/coalitions/")] == [LEDGER]


def test_a_campus_is_mirrored_with_all_its_further_tables(fresh):
    mirror = fresh(lambda: Simulator("campus", students=40), campus_ids=[67], tables=["all"])
    mirror.nightly()
    assert mirror.differences() == []
    for table in ("skills", "quests_users", "locations", "scores"):
        assert mirror.value(f"select count(*) from intra42.{table}") > 5, table
    assert mirror.value("select count(*) from intra42.locations where end_at is null") > 0


def test_the_page_says_which_tables_the_api_refuses_and_shows_no_others(school):
    asks(school, "skills", "scores")
    school.sim.faults.add("403", SKILLS, times=None)
    school.nightly()
    dags = figures.Dags(NIGHTLY, INCREMENTAL)
    with reading(school.connect) as connection:
        shown = {t["table"]: t for t in figures.freshness(connection, dags)["tables"]}
        sizes = {size["table"] for size in figures.sizes(connection)["sizes"]}
    assert shown["skills"]["state"] == "refused"
    assert "may not read /v2/skills" in shown["skills"]["said"]
    assert "scores" in shown
    assert {"skills", "scores"} <= sizes
    assert {"locations", "quests"}.isdisjoint(shown.keys() | sizes)
