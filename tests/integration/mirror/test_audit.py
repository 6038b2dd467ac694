"""Every row's existence is verified in turn, and erasure reaches every copy."""

from __future__ import annotations

import pytest

from dev.simulator.clock import DAY
from intra42.errors import DeleteRefused
from tests.integration.mirror import worlds

CHILDREN = {
    "campus_users": 1,
    "projects_users": 10_500,
    "achievements_users": 105_000,
    "coalitions_users": 1_050_000,
}


def ids(mirror, table):
    return {row[0] for row in mirror.query(f"select id from intra42.{table}")}


def graves(mirror, table):
    return {
        row[0]
        for row in mirror.query(
            "select id from intra42.tombstones where resource = %s and restored_at is null", table
        )
    }


def row_of_105(mirror, table):
    return mirror.value(f"select min(id) from intra42.{table} where user_id = 105")


@pytest.mark.parametrize("table", CHILDREN)
def test_a_row_the_api_dropped_leaves_a_tombstone(town, table):
    gone = row_of_105(town, table)
    town.sim.world.delete_row(table, gone)
    town.nightly()
    assert gone not in ids(town, table)
    assert graves(town, table) == {gone}
    assert town.differences() == []


@pytest.mark.parametrize("table", CHILDREN)
def test_a_row_no_window_ever_showed_arrives(town, table):
    # Dropped from the mirror behind its back, as if it had never been seen.
    missing = row_of_105(town, table)
    with town.connect() as connection:
        connection.execute(f"delete from intra42.{table} where id = %s", [missing])
    town.sim.clock.advance(hours=24)
    town.nightly()
    assert missing in ids(town, table)
    assert town.differences() == []


def test_a_difference_among_many_rows_is_cornered(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    attempts = sorted(ids(mirror, "projects_users"))
    # The first page of a count shows thirty rows; this one is behind it.
    missing = attempts[-2]
    mirror.sim.harsh.page_cap = 30
    assert attempts.index(missing) > 100
    with mirror.connect() as connection:
        connection.execute("delete from intra42.projects_users where id = %s", [missing])
    mirror.sim.clock.advance(hours=24)
    mirror.nightly()
    assert missing in ids(mirror, "projects_users")
    assert mirror.differences() == []


def test_one_gone_and_one_missing_do_not_cancel_out(town):
    world = town.sim.world
    world.delete_row("achievements_users", 105_000)
    then = world.clock.now_ms() - 300 * DAY
    world.add_achievements_user(105, 14, id=104_999, created_at=then, updated_at=then)
    town.sim.clock.advance(hours=24)
    town.nightly()
    assert town.differences() == []


def test_a_dropped_row_that_is_back_is_restored(town):
    town.sim.world.hide("projects_users", 10_500)
    town.nightly()
    assert graves(town, "projects_users") == {10_500}
    town.sim.clock.advance(hours=24)
    town.sim.world.unhide("projects_users", 10_500)
    town.nightly()
    assert graves(town, "projects_users") == set()
    assert town.differences() == []


def test_the_audit_obeys_the_guard(town):
    town.config |= {"max_delete_rows": 2, "max_delete_share": 0.0}
    for number in (101, 102, 103):
        town.sim.world.delete_row("projects_users", number * 100)
    with pytest.raises(DeleteRefused, match="projects_users"):
        town.nightly()
    assert graves(town, "projects_users") == set()
    town.nightly(allow_mass_delete=True)
    assert graves(town, "projects_users") == {10_100, 10_200, 10_300}
    assert town.differences() == []


def test_no_audit_where_its_budget_is_nought(town):
    town.config["nightly_audit_requests"] = 0
    town.sim.world.delete_row("projects_users", 10_500)
    town.nightly()
    assert 10_500 in ids(town, "projects_users")


def test_a_row_hidden_from_one_answer_only_stays(town):
    town.sim.faults.add(
        "missing_row",
        "/v2/projects_users",
        when=lambda request: "filter[user_id]" in request.query,
        id=10_500,
    )
    town.nightly()
    assert 10_500 in ids(town, "projects_users")
    assert town.value("select count(*) from intra42.tombstones") == 0


def anywhere(mirror, text):
    """Return the tables of ours in which a text is still found."""
    tables = mirror.query(
        "select table_name from information_schema.tables "
        "where table_schema = 'intra42' and table_type = 'BASE TABLE'"
    )
    return [
        name
        for (name,) in tables
        if mirror.value(
            f"select count(*) from intra42.{name} as t where to_jsonb(t)::text like %s",
            f"%{text}%",
        )
    ]


def test_an_account_that_is_gone_disappears_from_every_table(town):
    world = town.sim.world
    world.touch_user(105, first_name="Unmistakable", last_name="Personhood")
    town.nightly()
    assert anywhere(town, "Unmistakable") == ["users"]
    # An earlier tombstone of a row of his, and a parked record.
    world.unregister(1050)
    world.touch_user(105, wallet=2**63)
    town.nightly()
    world.delete_user(105)
    town.nightly()
    assert anywhere(town, "Unmistakable") == []
    assert anywhere(town, "user105") == []
    assert town.query("select 1 from intra42.users where id = 105") == []
    buried = town.query("select row from intra42.tombstones where row ->> 'user_id' = '105'")
    assert len(buried) >= 4
    assert all(row.keys() == {"id", "user_id"} for (row,) in buried)
    for table in CHILDREN:
        assert town.query(f"select 1 from intra42.{table} where user_id = 105") == []
    town.once_in.discard(105)
    town.nightly()
    assert town.differences() == []


def test_an_anonymised_account_disappears_from_what_was_parked(town):
    world = town.sim.world
    world.touch_user(105, first_name="Unmistakable", wallet=2**63)
    town.nightly()
    assert "parked_records" in anywhere(town, "Unmistakable")
    world.touch_user(105, wallet=0)
    world.anonymise(105)
    town.nightly()
    assert anywhere(town, "Unmistakable") == []
    assert anywhere(town, "user105") == []


def test_an_account_hidden_from_one_answer_only_stays(town):
    town.sim.faults.add("missing_row", "/v2/users", id=105)
    town.nightly()
    assert 105 in ids(town, "users")
    assert town.differences() == []


def test_an_account_that_is_back_enters_again(town):
    world = town.sim.world
    children = {name: ids(town, name) for name in CHILDREN}
    rows = [("users", 105)]
    for name in (*CHILDREN, "cursus_users"):
        rows += [(name, row.id) for row in world.tables[name].of("user_id", 105)]
    for name, row_id in rows:
        world.hide(name, row_id)
    town.nightly()
    assert 105 not in ids(town, "users")
    town.sim.clock.advance(hours=24)
    for name, row_id in rows:
        world.unhide(name, row_id)
    town.nightly()
    assert 105 in ids(town, "users")
    assert {name: ids(town, name) for name in CHILDREN} == children
    assert town.differences() == []


def test_too_many_accounts_gone_at_once_are_refused(town):
    town.config |= {"max_delete_rows": 2, "max_delete_share": 0.0}
    for number in (101, 102, 103):
        town.sim.world.delete_user(number)
    with pytest.raises(DeleteRefused):
        town.nightly()
    assert len(ids(town, "users")) == len(worlds.STUDENTS)
