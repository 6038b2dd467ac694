"""Rows that others point at, and the columns that follow them."""

from __future__ import annotations

import pytest

from dev.simulator.clock import DAY
from intra42.attempt.work import Identity
from intra42.store.page import derive_from
from tests.harness import NIGHTLY
from tests.integration.mirror import worlds


def one(mirror, table, row_id, columns="listed"):
    return mirror.query(f"select {columns} from intra42.{table} where id = %s", row_id)


def test_an_unknown_project_is_fetched_when_an_attempt_mentions_it(town):
    world = town.sim.world
    world.add_project(99, campus_ids=(1,))
    world.add_projects_user(101, 99, id=7)
    links = "select project_id, campus_id from intra42.campus_projects"
    others = set(town.query(links))
    town.incremental()
    assert one(town, "projects", 99, "name") == [("Project 99",)]
    assert set(town.query(links)) == others | {(99, 1)}
    town.nightly()
    assert one(town, "projects", 99) == [(True,)]
    assert town.differences() == []


def test_what_the_api_does_not_give_becomes_a_stub_and_is_filled_once_it_does(town):
    world = town.sim.world
    world.add_project(99, listed=False)
    world.add_projects_user(101, 99, id=7)
    world.add_achievement(98, listed=False)
    world.add_achievements_user(101, 98, id=8)
    world.add_coalition(None, id=97, listed=False)
    world.add_coalitions_user(101, 97, id=9)
    world.add_campus(96, listed=False)
    world.add_campus_user(101, 96, id=910, is_primary=False)
    town.incremental()
    town.nightly()
    stubs = (("projects", 99), ("achievements", 98), ("coalitions", 97), ("campuses", 96))
    for table, row_id in stubs:
        assert one(town, table, row_id, "name, listed") == [(None, False)], table
    assert town.differences() == []

    bloc = world.add_bloc(1, 1)
    world.update_row("projects", 99, listed=True, campus_ids=(1,))
    world.update_row("achievements", 98, listed=True, campus_ids=(1,))
    world.update_row("coalitions", 97, listed=True, bloc_id=bloc.id)
    world.update_row("campus", 96, listed=True)
    town.nightly()
    for table, row_id in stubs:
        [(name, listed)] = one(town, table, row_id, "name, listed")
        assert name is not None
        assert listed is True
    assert town.value("select campus_id from intra42.coalitions_users where id = 9") == 1
    assert town.differences() == []


def test_rows_the_api_lists_no_more_stay_and_say_so(town):
    world = town.sim.world
    world.unlist_campus(2)
    world.unlist_project(13)
    world.update_row("achievements", 13, silent=True, listed=False)
    town.nightly()
    assert one(town, "campuses", 2) == [(False,)]
    assert one(town, "projects", 13) == [(False,)]
    assert one(town, "achievements", 13) == [(False,)]
    assert town.differences() == []


def test_an_unlisted_row_that_can_be_asked_for_by_id_stays_true(town):
    world = town.sim.world
    # It belongs to no configured cursus, so only its id finds it.
    world.add_project(99, cursus_ids=(1,), campus_ids=(1,))
    world.add_projects_user(101, 99, id=7, cursus_ids=(21,))
    town.nightly()
    assert one(town, "projects", 99, "name, listed") == [("Project 99", False)]
    world.update_row("projects", 99, name="Renamed", campus_ids=(1, 2))
    town.nightly()
    assert one(town, "projects", 99, "name, listed") == [("Renamed", False)]
    assert town.differences() == []


def test_link_rows_follow_their_parents_fresh_list(town):
    world = town.sim.world
    world.update_row("projects", 11, campus_ids=(2, 3), cursus_ids=(21, 9))
    world.update_row("achievements", 11, campus_ids=(2,))
    town.nightly()
    links = "select campus_id from intra42.campus_projects where project_id = 11 order by 1"
    assert town.query(links) == [(2,), (3,)]
    assert town.query(
        "select cursus_id from intra42.cursus_projects where project_id = 11 order by 1"
    ) == [(9,), (21,)]
    assert (
        town.query(
            "select 1 from intra42.campus_achievements where achievement_id = 11 and campus_id = 1"
        )
        == []
    )
    graves = town.query("select resource, id from intra42.tombstones order by 1")
    assert graves == [("campus_achievements", 1), ("campus_projects", 11)]
    assert town.differences() == []


def test_an_empty_list_of_a_reference_table_unlists_nothing(town):
    for path in ("/v2/campus", "/v2/blocs", "/v2/cursus/21/projects"):
        town.sim.faults.add("empty_page", path, consistent=True)
    town.nightly()
    for table in ("campuses", "coalitions", "projects"):
        assert town.value(f"select count(*) from intra42.{table} where listed") > 0, table


def test_a_campus_the_api_does_not_list_costs_a_warning_and_no_run(loaded, caplog):
    mirror = loaded(campus_ids=[1, 77])
    mirror.nightly()
    assert "campus 77 is not listed by the API" in caplog.text
    assert mirror.differences() == []


def test_achievements_come_from_the_catalogue_where_many_campuses_are_configured(loaded):
    mirror = loaded(worlds.region, refresh_cursus_ids=[21])
    assert mirror.sim.ledger.requests("/v2/achievements") == []
    mirror.nightly()
    assert len(mirror.sim.ledger.requests("/v2/achievements")) >= 3
    assert not [e for e in mirror.sim.ledger.requests("/v2/campus/") if "achieve" in e.path]
    assert mirror.differences() == []


def test_strangers_are_looked_up_once_and_remembered_for_seven_days(town):
    world = town.sim.world

    def lookups(day):
        world.update_row("projects_users", 20100, final_mark=day)
        town.sim.ledger.clear()
        town.incremental()
        return sum(
            entry.query.get("filter[user_id]") == "201"
            for entry in town.sim.ledger.requests("/v2/campus_users")
        )

    # A student of campus 2 who is a member here: his attempts look in scope.
    world.add_campus_user(201, 1, is_primary=False)
    asked = []
    for day in range(9):
        asked.append(lookups(day))
        town.sim.clock.advance(hours=24)
    assert asked == [1, 0, 0, 0, 0, 0, 0, 1, 0]
    assert town.query("select 1 from intra42.users where id = 201") == []


def test_a_remembered_stranger_who_transfers_enters_at_once(town):
    world = town.sim.world
    world.add_campus_user(201, 1, id=905, is_primary=False)
    world.validate_project(201, 11)
    town.incremental()
    assert town.query("select user_id from intra42.outsiders") == [(201,)]
    town.sim.clock.advance(hours=1)
    world.transfer(201, 1)
    town.incremental()
    assert town.query("select campus_id from intra42.users where id = 201") == [(1,)]
    assert town.differences() == []


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_a_users_campus_follows_and_his_attempts_follow_him(town, dag):
    world = town.sim.world
    world.transfer(101, 2)
    getattr(town, dag)()
    assert one(town, "users", 101, "campus_id") == [(2,)]
    assert one(town, "projects_users", 10100, "campus_id") == [(2,)]
    # No primary campus at all.
    for row in world.campus_users.of("user_id", 101):
        world.update_row("campus_users", row.id, is_primary=False)
    getattr(town, dag)()
    assert one(town, "users", 101, "campus_id") == [(None,)]
    assert one(town, "projects_users", 10100, "campus_id") == [(None,)]
    # Several: the highest id counts.
    for row in world.campus_users.of("user_id", 101):
        world.update_row("campus_users", row.id, is_primary=True)
    getattr(town, dag)()
    assert one(town, "users", 101, "campus_id") == [(2,)]
    town.nightly()
    assert town.differences() == []


def test_an_achievements_cursus_follows_the_enrolments(town):
    world = town.sim.world
    then = world.clock.now_ms() - 100 * DAY
    assert one(town, "achievements_users", 101_000, "cursus_id") == [(21,)]
    world.add_cursus_user(101, 1, id=5, created_at=then)
    town.incremental()
    assert one(town, "achievements_users", 101_000, "cursus_id") == [(21,)]
    world.unregister(1010)
    town.incremental()
    assert one(town, "achievements_users", 101_000, "cursus_id") == [(1,)]
    world.unregister(5)
    town.incremental()
    assert one(town, "achievements_users", 101_000, "cursus_id") == [(None,)]
    town.nightly()
    assert town.differences() == []


@pytest.mark.parametrize("full_refresh", [False, True])
def test_what_two_writers_crossed_is_settled_by_the_next_night(town, full_refresh):
    """Nothing of it has changed at the API: no page brings it back."""
    with town.connect() as connection:
        connection.execute("update intra42.projects_users set campus_id = 2 where id = 10100")
        connection.execute("update intra42.achievements_users set cursus_id = 1 where id = 101000")
        connection.execute("update intra42.users set campus_id = null where id = 102")
    town.nightly(full_refresh=full_refresh)
    assert one(town, "projects_users", 10100, "campus_id") == [(1,)]
    assert one(town, "achievements_users", 101_000, "cursus_id") == [(21,)]
    assert one(town, "users", 102, "campus_id") == [(1,)]
    assert town.differences() == []


def test_what_derives_is_settled_where_nothing_was_asked_yet(town):
    """A task that is tried again may find all its pages read, and has no clock of its own."""
    with town.connect() as connection:
        connection.execute("update intra42.projects_users set campus_id = 2 where id = 10100")

    def step(work):
        return work.commit(lambda: derive_from(work, "campus_users", None, None)), work.requests

    identity = Identity(dag_id=NIGHTLY, run_id="again")
    assert town.task(identity, {}, "campus_users", step) == (1, 0)
    assert one(town, "projects_users", 10100, "campus_id") == [(1,)]
    heard = town.value("select max(clock) from intra42.dag_runs")
    assert one(town, "projects_users", 10100, "_synced_at") == [(heard,)]


def test_a_members_campus_follows_his_coalitions(town):
    world = town.sim.world
    [bloc] = [row for row in world.blocs if row.campus_id == 1]
    world.update_row("blocs", bloc.id, campus_id=2)
    town.nightly()
    assert town.query("select distinct campus_id from intra42.coalitions_users") == [(2,)]
    assert town.differences() == []


def test_an_attempts_cursus_is_the_first_configured_one_of_its_list(loaded):
    mirror = loaded(campus_ids=[1], cursus_ids=[21, 9])
    world = mirror.sim.world
    world.add_projects_user(101, 12, id=5, cursus_ids=(9, 1, 21))
    world.add_projects_user(101, 13, id=6, cursus_ids=(1, 9))
    world.add_projects_user(101, 14, id=7, cursus_ids=(1,))
    mirror.incremental()
    rows = mirror.query("select id, cursus_id from intra42.projects_users where id < 10 order by 1")
    assert rows == [(5, 21), (6, 9)]
    # The list itself changes.
    mirror.sim.clock.advance(hours=1)
    world.update_row("projects_users", 5, cursus_ids=(9,))
    mirror.nightly()
    assert one(mirror, "projects_users", 5, "cursus_id") == [(9,)]
    assert mirror.differences() == []


def test_a_filter_that_does_not_filter_brings_no_foreign_rows(town):
    town.sim.harsh.ignore_cursus_filter = True
    town.sim.world.add_projects_user(101, 12, id=5, cursus_ids=(9,))
    town.nightly()
    assert one(town, "projects_users", 5, "1") == []
    assert town.differences() == []
