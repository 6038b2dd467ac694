"""Further tables: read where they are asked for, and only there."""

from __future__ import annotations

import pytest

from intra42.errors import ConfigError, IncompleteListing
from tests.integration.mirror import worlds

SKILLS = "/v2/skills"


def asks(mirror, *tables):
    """Ask for further tables, and for nothing else that is new."""
    mirror.config["tables"] = list(tables)


def skilled():
    sim = worlds.town()
    for number in (1, 3, 14):
        sim.world.add_skill(number)
    return sim


@pytest.fixture
def school(loaded):
    """A town with skills, whose mirror has never asked for them."""
    return loaded(skilled, campus_ids=[1])


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
    school.sim.faults.clear()
    school.sim.clock.advance(hours=24)
    school.nightly()
    assert school.differences() == []
    assert school.query("select 1 from intra42.refusals") == []


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
