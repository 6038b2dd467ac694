"""The history of levels: every one that was observed, once, and how it was found."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from intra42.attempt.work import Identity
from intra42.store.loading import Provenance
from intra42.verify import refresh
from intra42.warehouse.schema import migrate
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror.test_merge import enrolment, merge, merge_at_once

HISTORY = (
    "select previous_level, level, found_by from intra42.cursus_users_levels "
    "where cursus_user_id = %s order by number"
)


def history(mirror, row_id=1010):
    return mirror.query(HISTORY, row_id)


def entries(mirror):
    return mirror.value("select count(*) from intra42.cursus_users_levels")


def test_the_first_load_is_the_base_of_every_history(fresh):
    mirror = fresh()
    mirror.nightly(run_id="first night")
    rows = mirror.query(
        "select h.cursus_user_id, h.user_id, h.cursus_id, h.previous_level, h.level, "
        "h.found_by, h.observed_at, h.unseen_since, h.dag_id, h.run_id "
        "from intra42.cursus_users_levels as h order by h.cursus_user_id"
    )
    expected = mirror.query(
        "select id, user_id, cursus_id, null::float8, level, 'first', _synced_at, "
        "null::timestamptz, 'intra42_nightly', 'first night' from intra42.cursus_users order by id"
    )
    assert rows == expected
    assert len(rows) == 8


def test_a_change_says_how_it_was_found(town):
    world = town.sim.world
    world.update_row("cursus_users", 1010, level=2.0)  # moves updated_at
    world.set_level_silently(1020, 3.0)
    town.incremental()
    town.sim.clock.advance(hours=12)
    world.set_level_silently(1010, 2.5)
    world.update_row("cursus_users", 1030, level=4.0)
    town.nightly()
    assert history(town) == [(None, 1.0, "first"), (1.0, 2.0, "event"), (2.0, 2.5, "nightly")]
    assert history(town, 1020) == [(None, 1.0, "first"), (1.0, 3.0, "refresh")]
    assert history(town, 1030) == [(None, 1.0, "first"), (1.0, 4.0, "event")]


def test_a_change_of_anything_else_is_no_entry(town):
    before = entries(town)
    town.sim.world.update_row("cursus_users", 1010, grade="Cadet")
    town.sim.world.update_row("cursus_users", 1020, silent=True, skills=((3, 1.5),))
    town.incremental()
    town.nightly()
    assert town.value("select grade from intra42.cursus_users where id = 1010") == "Cadet"
    assert entries(town) == before


def test_silent_recomputes_show_how_long_they_were_unseen(town):
    town.incremental()  # confirms every ongoing row
    seen_at = town.value(
        "select checked_at from intra42.checks where resource = 'cursus_users' and id = 1010"
    )
    town.sim.clock.advance(hours=5)
    town.sim.world.set_level_silently(1010, 7.5)
    town.sim.world.update_row("cursus_users", 1020, level=2.0)
    town.sim.clock.advance(hours=2)
    town.nightly(run_id="the night")
    shown = "select * from intra42.levels_recomputed_silently"
    [row] = town.query(shown)
    observed_at = town.value("select _synced_at from intra42.cursus_users where id = 1010")
    unseen_for = observed_at - seen_at
    assert row == (
        *(1010, 101, 21, 1.0, 7.5, seen_at, observed_at, unseen_for),
        *("nightly", NIGHTLY, "the night"),
    )
    assert timedelta(hours=7) <= unseen_for < timedelta(hours=8)


def test_a_row_that_was_never_confirmed_was_unseen_since_it_was_stored(town):
    stored = town.value("select _synced_at from intra42.cursus_users where id = 1010")
    with psycopg.connect(town.database_url) as connection:
        connection.execute("delete from intra42.verifications where resource = 'cursus_users'")
    town.sim.world.set_level_silently(1010, 7.5)
    town.incremental()
    assert town.query("select unseen_since from intra42.levels_recomputed_silently") == [(stored,)]


def test_a_stale_answer_leaves_no_entry(town):
    listing, direct = Provenance.LISTING, Provenance.DIRECT
    merge(town, [(1002, direct, enrolment(5.0, minutes=10))])
    before = entries(town)
    merge(
        town,
        [
            (1001, direct, enrolment(4.0, minutes=10)),
            (1001, listing, enrolment(4.0, minutes=5)),
            (1003, listing, enrolment(4.0, minutes=5)),
        ],
    )
    assert entries(town) == before
    assert history(town)[-1] == (1.0, 5.0, "event")


def test_twice_is_once_in_the_history_too(town):
    town.sim.world.set_level_silently(1010, 7.5)
    town.nightly(run_id="night")
    before = town.query(HISTORY, 1010)
    town.nightly(run_id="night")
    town.nightly(full_refresh=True)
    town.incremental()
    now = town.sim.clock.now()
    town.nightly(updated_from=now - timedelta(days=3))
    assert town.query(HISTORY, 1010) == before == [(None, 1.0, "first"), (1.0, 7.5, "nightly")]
    assert entries(town) == 9


def test_an_undone_page_takes_its_entries_along(town):
    """What a killed task had merged and not committed was never observed."""
    town.sim.world.set_level_silently(1010, 7.5)
    who = Identity(dag_id=INCREMENTAL, run_id="killed")
    [group] = town.task(who, {}, "cursus_users", refresh.plan_chunks)

    def interrupt():
        raise KeyboardInterrupt

    def step(work):
        work.save_ledger = interrupt  # the last thing before the commit
        refresh.refetch(work, group)

    with pytest.raises(KeyboardInterrupt):
        town.task(who, {}, "cursus_users", step)
    assert history(town) == [(None, 1.0, "first")]
    town.incremental()
    assert history(town) == [(None, 1.0, "first"), (1.0, 7.5, "refresh")]


def test_two_writers_at_once_leave_an_unbroken_chain(town):
    """Each entry begins at the level where the one before it ended."""
    past = [
        (seq, Provenance.DIRECT, enrolment(float(seq), row_id=row))
        for seq in range(1001, 1041)
        for row in (1010, 1020, 1030)
    ]
    merge_at_once(town, past)
    for row_id in (1010, 1020, 1030):
        chain = history(town, row_id)
        assert [before for before, _level, _how in chain[1:]] == [
            level for _before, level, _how in chain[:-1]
        ]
        assert chain[-1][1] == 1040.0


def test_the_history_of_a_deleted_enrolment_stays(town):
    world = town.sim.world
    world.set_level_silently(1010, 7.5)
    town.incremental()
    world.unregister(1010)
    town.nightly()
    assert town.query("select 1 from intra42.cursus_users where id = 1010") == []
    kept = history(town)
    assert kept == [(None, 1.0, "first"), (1.0, 7.5, "refresh")]
    # It is back: at the same level there is nothing to add, at another one it begins anew.
    merge(town, [(100_000, Provenance.DIRECT, enrolment(7.5))])
    assert history(town) == kept
    with psycopg.connect(town.database_url) as connection:
        connection.execute("delete from intra42.cursus_users where id = 1010")
    merge(town, [(100_001, Provenance.DIRECT, enrolment(8.0))])
    assert history(town) == [*kept, (None, 8.0, "first")]


@pytest.mark.parametrize("event", ["delete_user", "anonymise"])
def test_an_erased_or_anonymised_account_has_no_history(town, event):
    town.sim.world.set_level_silently(1010, 7.5)
    town.incremental()
    getattr(town.sim.world, event)(101)
    town.nightly()
    assert town.query("select 1 from intra42.cursus_users_levels where user_id = 101") == []
    if event == "anonymise":
        town.sim.world.set_level_silently(1010, 7.0)
        town.nightly()
        assert town.value("select level from intra42.cursus_users where id = 1010") == 7.0
        assert history(town) == []
    assert town.value("select count(distinct user_id) from intra42.cursus_users_levels") == 7


def test_an_upgrade_begins_with_what_is_there(town):
    with psycopg.connect(town.database_url, autocommit=True) as connection:
        connection.execute("drop table intra42.cursus_users_levels cascade")
        connection.execute("drop function intra42.note_first_levels cascade")
        connection.execute("drop function intra42.note_changed_levels cascade")
        connection.execute("drop function intra42.is_anonymised")
        ours = ["0004_levels", "functions/levels", "views"]
        connection.execute("delete from intra42.schema_migrations where name = any(%s)", (ours,))
        assert migrate(connection) == ours
    rows = town.query(
        "select cursus_user_id, level, found_by, observed_at, dag_id, run_id "
        "from intra42.cursus_users_levels order by cursus_user_id"
    )
    assert rows == town.query(
        "select id, level, 'first', _synced_at, null::text, _run_id "
        "from intra42.cursus_users order by id"
    )
    assert len(rows) == 8
    town.sim.world.set_level_silently(1010, 7.5)
    town.incremental()
    assert history(town) == [(None, 1.0, "first"), (1.0, 7.5, "refresh")]


def test_a_first_load_does_not_read_the_whole_history_for_each_enrolment(town):
    """A plan made for an empty history is kept for the whole of a first load."""
    number = 2_000
    with town.connect() as connection:
        connection.autocommit = True
        connection.execute("truncate intra42.cursus_users, intra42.cursus_users_levels")
        connection.execute("analyze intra42.cursus_users_levels")
        for first in range(10_000, 10_000 + number, 100):
            connection.execute(
                "insert into intra42.cursus_users (id, user_id, cursus_id, level, _synced_at, _seq)"
                " select number, 101, 21, 1, now(), 1"
                " from generate_series(%s::int, %s::int) as number",
                (first, first + 99),
            )
        connection.execute("select pg_stat_force_next_flush()")
        read = connection.execute(
            "select seq_tup_read from pg_stat_user_tables where relname = 'cursus_users_levels'"
        ).fetchone()
    assert entries(town) == number
    assert read[0] < number


def test_every_history_ends_where_the_enrolment_is(town):
    world = town.sim.world
    for day in range(3):
        for row_id in range(1010, 1090, 10 * (day + 1)):
            world.set_level_silently(row_id, 2.0 + day + row_id / 1000)
        world.validate_project(101 + day, 12)
        town.incremental()
        town.sim.clock.advance(hours=8)
        world.update_row("cursus_users", 1010 + 10 * day, level=9.0 + day)
        town.nightly()
    latest = town.query(
        "select distinct on (cursus_user_id) cursus_user_id, level "
        "from intra42.cursus_users_levels order by cursus_user_id, number desc"
    )
    assert latest == town.query("select id, level from intra42.cursus_users order by id")
    assert town.differences() == []
