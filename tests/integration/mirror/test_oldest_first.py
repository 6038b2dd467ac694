"""What was verified longest ago comes first, by the number of the request, whatever clocks said."""

from __future__ import annotations

import pytest

from intra42.warehouse.statements import compose, table

TABLES = ("campus_users", "projects_users", "achievements_users", "coalitions_users")


def execute(mirror, text, *values):
    with mirror.connect() as connection:
        connection.execute(text, values or None)


def oldest(mirror, name, *, turn=0, limit=1):
    values = {
        "resource": name,
        "target": f"intra42.{name}",
        "first_seq": 2**62,
        "turn": turn,
        "limit": limit,
    }
    statement = compose("audit/oldest_checks", target=table(name))
    with mirror.connect() as connection:
        return [row[0] for row in connection.execute(statement, values)]


@pytest.mark.parametrize("name", TABLES)
def test_a_time_in_the_future_does_not_keep_a_row_from_its_turn(town, name):
    town.nightly()
    last = town.value(f"select max(id) from intra42.{name}")
    execute(
        town,
        f"update intra42.{name} set _seq = 1, _synced_at = '2099-01-01 00:00+00' where id = %s",
        last,
    )
    execute(
        town,
        "update intra42.verifications set seq = 1, checked_at = '2099-01-01 00:00+00' "
        "where resource = %s and id = %s",
        *(name, last),
    )
    assert oldest(town, name) == [last]


def test_a_level_with_a_time_in_the_future_is_refreshed_in_its_turn(town):
    execute(
        town,
        "update intra42.cursus_users set _seq = 1, _synced_at = '2099-01-01 00:00+00' "
        "where id = 1050",
    )
    execute(town, "delete from intra42.verifications where resource = 'cursus_users' and id = 1050")
    town.config |= {"refresh_chunk_size": 1, "incremental_request_budget": 1}
    town.sim.world.set_level_silently(1050, 7.77)
    run_id = town.incremental()
    assert town.query(
        "select p.ids from intra42.partitions as p join intra42.jobs as j on j.id = p.job_id "
        "where j.kind = 'refetch' and j.run_id = %s",
        run_id,
    ) == [([1050],)]
    assert town.value("select level from intra42.cursus_users where id = 1050") == 7.77


def test_the_parts_of_a_large_table_take_turns_and_leave_no_row_out(town):
    town.nightly()
    rows = {row[0] for row in town.query("select id from intra42.projects_users")}
    # What the database reckons a table to have decides, not what this small one has.
    execute(
        town,
        "update pg_class set reltuples = 1000000 where oid = 'intra42.projects_users'::regclass",
    )
    for step in range(5):
        execute(
            town,
            "update intra42.projects_users set id = id + %s where id = %s",
            step,
            10_100 + 100 * step,
        )
    rows = {row[0] for row in town.query("select id from intra42.projects_users")}
    found = [
        oldest(town, "projects_users", turn=turn, limit=100) for turn in range(700_000, 700_005)
    ]
    assert all(len(part) < len(rows) for part in found)
    assert sorted(number for part in found for number in part) == sorted(rows)
