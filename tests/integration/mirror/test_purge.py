"""What the settings no longer ask for goes when somebody says so, and comes back whole."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from intra42.attempt.work import Identity
from intra42.errors import ConfigError, DataError, DeleteRefused, FatalApiError
from intra42.verify.purge import purge
from tests.harness import NIGHTLY
from tests.integration.mirror import worlds
from tests.integration.mirror.test_coming_back import NO_PISCINE, PISCINE, days

PURGE = {"purge_out_of_scope": True, "allow_mass_delete": True}
BOOKKEEPING = {"schema_migrations", "settings", "tombstones"}


def traces(mirror, numbers):
    """Return where one of the numbers is stored, tombstones apart."""
    tables = mirror.query(
        "select table_name from information_schema.tables "
        "where table_schema = 'intra42' and table_type = 'BASE TABLE'"
    )
    found = []
    with closing(psycopg.connect(mirror.database_url)) as connection:
        for (name,) in tables:
            if name in BOOKKEEPING:
                continue
            rows = connection.execute(
                sql.SQL("select to_jsonb(t) from {} as t").format(sql.Identifier("intra42", name))
            )
            for (row,) in rows.fetchall():
                owners = [row.get(key) for key in ("user_id", "id" if name == "users" else "")]
                owners.append((row.get("payload") or {}).get("user.id"))
                if any(owner in numbers for owner in owners):
                    found.append(name)
    return sorted(set(found))


def refreshed_truth(mirror):
    """Those who were purged are no longer owed."""
    mirror.once_in = {row[0] for row in mirror.query("select id from intra42.users")}
    return mirror.differences()


@pytest.fixture
def wide(loaded):
    """The town, mirrored for campuses 1 and 2, then asked for campus 1 only."""
    mirror = loaded(worlds.town, campus_ids=[1, 2])
    mirror.config = {"campus_ids": [1]}
    return mirror


def test_who_is_out_of_scope_goes_with_every_trace_and_stays_away(wide):
    world = wide.sim.world
    world.delete_attempt(20_100)
    wide.nightly()
    assert wide.value("select row ->> 'status' from intra42.tombstones where id = 20100")

    def spoil(record):
        return record | {"level": "no number"} if record["id"] == 2010 else record

    wide.sim.faults.add("mutate_record", "/v2/cursus_users", times=None, change=spoil)
    wide.nightly()
    assert set(traces(wide, {201})) >= {"users", "cursus_users_levels", "parked_records", "audits"}
    with wide.connect() as connection:
        connection.execute(
            "insert into intra42.to_read values ('x', 'cursus_users', 201, 'refetch')"
        )
        connection.execute("insert into intra42.outsiders values (202, now())")
    run_id = wide.nightly(**PURGE)
    assert traces(wide, {201, 202}) == []
    assert refreshed_truth(wide) == []
    graves = wide.query(
        "select resource, id, row, reason, run_id, purged from intra42.tombstones "
        "where id in (201, 2010, 20100, 201000) order by id, number"
    )
    assert [grave[:2] for grave in graves] == [
        ("users", 201),
        ("cursus_users", 2010),
        ("projects_users", 20_100),
        ("achievements_users", 201_000),
    ]
    assert all(set(row) <= {"id", "user_id"} for _name, _id, row, *_rest in graves)
    assert all(purged for *_rest, purged in graves)
    assert graves[0][3:5] == ("the settings no longer ask for it", run_id)
    wide.sim.faults.clear()
    world.validate_project(201, 12)
    world.touch_user(202, wallet=77)
    before = wide.value("select max(number) from intra42.tombstones")
    wide.sim.ledger.clear()
    days(wide, 2)
    assert wide.query("select id from intra42.users where id in (201, 202)") == []
    assert wide.value("select max(number) from intra42.tombstones") == before
    # Nobody asks whether they are back, as for what the API had dropped.
    asked = [e.query for e in wide.sim.ledger.requests() if "201" in str(e.query)]
    assert asked == []
    assert refreshed_truth(wide) == []


def test_who_is_asked_for_again_comes_back_whole(wide):
    world = wide.sim.world
    wide.nightly(**PURGE)
    world.validate_project(201, 12)
    world.earn_achievement(202, 13)
    days(wide, 1)
    wide.config = {"campus_ids": [1, 2]}
    days(wide, 2)
    assert wide.differences() == []
    rows = "select count(*) from intra42.projects_users where user_id = 201"
    assert wide.value(rows) == 2
    open_graves = "select id from intra42.tombstones where restored_at is null"
    assert wide.query(open_graves) == []


def test_who_moves_back_comes_back_whole(wide):
    wide.nightly(**PURGE)
    wide.sim.clock.advance(hours=24)
    wide.sim.world.transfer(201, 1)
    wide.incremental()
    days(wide, 2)
    assert wide.value("select campus_id from intra42.users where id = 201") == 1
    assert refreshed_truth(wide) == []


def test_rows_of_a_cursus_that_nobody_asks_for_go_and_come_back(loaded):
    mirror = loaded(worlds.pool, **PISCINE)
    mirror.config = dict(NO_PISCINE)
    mirror.nightly(**PURGE)
    assert mirror.query("select 1 from intra42.cursus_users where cursus_id = 9") == []
    assert mirror.query("select 1 from intra42.cursus_users_levels where cursus_id = 9") == []
    assert mirror.query("select id from intra42.users where id between 401 and 408") == []
    assert mirror.query("select id from intra42.users where id = 101") == [(101,)]
    days(mirror, 1)
    assert refreshed_truth(mirror) == []
    mirror.config = dict(PISCINE)
    days(mirror, 2)
    assert mirror.differences() == []
    assert mirror.query("select 1 from intra42.cursus_users where user_id = 101 and cursus_id = 9")


def test_more_than_the_guard_allows_is_refused_with_the_numbers(wide):
    wide.config |= {"max_delete_rows": 1, "max_delete_share": 0.1}
    before = wide.query("select id from intra42.users order by id")
    with pytest.raises(DeleteRefused, match=r"2 of 10 users are out of scope; at most 1 may"):
        wide.nightly(purge_out_of_scope=True)
    assert wide.query("select id from intra42.users order by id") == before
    assert wide.query("select 1 from intra42.tombstones") == []
    wide.nightly(**PURGE)
    assert len(wide.query("select 1 from intra42.users")) == 8


def test_a_purge_is_no_mass_delete_of_the_api_s(wide):
    """The guard of the day counts what the API dropped, not what nobody asks for."""
    wide.config |= {"max_delete_rows": 1, "max_delete_share": 0.0}
    wide.nightly(**PURGE)
    wide.sim.world.unregister(1010)
    wide.nightly()
    assert wide.query("select 1 from intra42.cursus_users where id = 1010") == []


def test_a_few_need_no_override_and_a_quarter_hour_purges_nobody(wide):
    wide.incremental(purge_out_of_scope=True)
    assert len(wide.query("select 1 from intra42.users")) == 10
    wide.nightly()
    assert len(wide.query("select 1 from intra42.users")) == 10
    wide.nightly(purge_out_of_scope=True)
    assert len(wide.query("select 1 from intra42.users")) == 8


def test_the_whole_network_has_nothing_out_of_scope(loaded):
    mirror = loaded(worlds.town, campus_ids=[])
    with pytest.raises(ConfigError, match="names no campus, so the whole network is in scope"):
        mirror.nightly(**PURGE)
    mirror.config = {"campus_ids": [1, 2]}
    mirror.nightly(**PURGE)
    assert len(mirror.query("select 1 from intra42.users")) == 10


@pytest.mark.parametrize(
    "params", [{"campus_ids": "1"}, {"cursus_ids": [21]}, {"updated_from": "2026-01-01T00:00:00Z"}]
)
def test_only_a_run_about_the_settings_may_purge(wide, params):
    with pytest.raises(ConfigError, match="purge_out_of_scope is about what intra42_config asks"):
        wide.nightly(**PURGE, **params)
    assert len(wide.query("select 1 from intra42.users")) == 10


def test_nobody_is_judged_before_his_memberships_are_read(wide):
    with wide.connect() as connection:
        connection.execute(
            "insert into intra42.jobs (dag_id, resource, kind, run_id, scopes) "
            "values (%s, 'campus_users', 'first', 'x', '{all}')",
            [NIGHTLY],
        )
    wide.sim.faults.add("403", "/v2/campus_users", times=None)
    with pytest.raises(FatalApiError):
        wide.nightly(**PURGE)
    with pytest.raises(DataError, match="campus_users are not read to their end yet"):
        wide.task(Identity(dag_id=NIGHTLY, run_id="later"), PURGE, "audit", purge)
    assert len(wide.query("select 1 from intra42.users")) == 10
