"""Whatever is removed is proven gone in the same way: rows, accounts, pairs, parked records."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from datetime import timedelta

import psycopg
import pytest

from intra42.api.model import Answer
from intra42.attempt.work import Identity
from intra42.catalog import graph
from intra42.errors import DeleteRefused, FatalApiError, Intra42Error, NoWitness
from intra42.verify import absence
from tests.harness import NIGHTLY
from tests.integration.mirror import worlds
from tests.integration.mirror.test_audit import graves, ids
from tests.integration.mirror.test_deletes import by_id, crowd

CHILDREN = [resource.name for resource in graph.children_of_users()]
LINKS = "select project_id, campus_id from intra42.campus_projects order by 1, 2"
EARNED = "select campus_id, achievement_id from intra42.campus_achievements order by 1, 2"


def of_105(request):
    return "105" in request.query.get("filter[user_id]", "").split(",")


def rows_of(mirror, user_id):
    return {
        name: {
            row[0]
            for row in mirror.query(f"select id from intra42.{name} where user_id = %s", user_id)
        }
        for name in CHILDREN
    }


# Accounts.


@pytest.fixture
def shown_in_attempts(town):
    """An anonymised account without enrolments: only attempts show that it is there."""
    town.sim.world.anonymise(105)
    town.sim.world.unregister(1050)
    town.nightly()
    town.sim.clock.advance(hours=24)
    return town


@pytest.mark.parametrize("skip", [0, 1], ids=["first look", "second look"])
@pytest.mark.parametrize("listing", ["cursus_users", "projects_users"])
def test_one_empty_list_of_any_place_erases_nobody(shown_in_attempts, listing, skip):
    mirror = shown_in_attempts
    before = rows_of(mirror, 105)
    mirror.sim.faults.add(
        "empty_page", f"/v2/{listing}", when=of_105, skip=skip, times=1, consistent=True
    )
    with suppress(NoWitness):
        mirror.nightly()
    assert 105 in ids(mirror, "users")
    assert rows_of(mirror, 105) == before
    assert graves(mirror, "users") == set()


def test_an_account_that_only_attempts_show_again_comes_back(town):
    world = town.sim.world
    everything = rows_of(town, 105)
    world.anonymise(105)
    hidden = [(name, row_id) for name, found in everything.items() for row_id in found]
    for name, row_id in hidden:
        world.hide(name, row_id)
    town.nightly()
    assert 105 not in ids(town, "users")
    town.sim.clock.advance(hours=24)
    for name, row_id in hidden:
        if name != "cursus_users":
            world.unhide(name, row_id)
    town.nightly()
    assert rows_of(town, 105) == everything | {"cursus_users": set()}
    assert graves(town, "users") == set()


def test_nobody_asks_for_the_rows_of_an_erased_account(town):
    rows = rows_of(town, 105)
    town.sim.world.delete_user(105)
    town.nightly()
    assert 105 not in ids(town, "users")
    town.once_in.discard(105)
    town.sim.clock.advance(hours=24)
    town.sim.ledger.clear()
    town.nightly()
    asked = [entry for entry in town.sim.ledger.requests("/v2") if "filter[id]" in entry.query]
    for name, found in rows.items():
        for entry in asked:
            if entry.path == f"/v2/{name}":
                assert not {str(n) for n in found} & set(entry.query["filter[id]"].split(","))
    # The account itself is asked for where it could show.
    places = [
        entry.path
        for entry in town.sim.ledger.requests("/v2")
        if "105" in entry.query.get("filter[id]", entry.query.get("filter[user_id]", "")).split(",")
    ]
    assert sorted(places) == ["/v2/cursus_users", "/v2/projects_users", "/v2/users"]
    assert town.differences() == []


def test_too_many_accounts_gone_stop_nothing_else(loaded):
    mirror = loaded(crowd, campus_ids=[1, 2])
    for number in range(101, 125):
        mirror.sim.world.delete_user(number)
    mirror.sim.world.unregister(1500)
    mirror.sim.world.set_level_silently(1510, 7.5)
    with pytest.raises(DeleteRefused, match=r"24 accounts are gone, .* at most 20 of 60"):
        mirror.nightly()
    assert len(ids(mirror, "users")) == 60
    assert mirror.value("select level from intra42.cursus_users where id = 1510") == 7.5
    mirror.nightly(allow_mass_delete=True)
    assert graves(mirror, "users") == set(range(101, 125))
    assert 1500 in graves(mirror, "cursus_users")
    mirror.once_in -= set(range(101, 125))
    assert mirror.differences() == []


# Pairs.


@pytest.mark.parametrize("campuses", [[], [{"id": 2, "name": "cut"}]], ids=["empty", "cut"])
def test_pairs_that_one_list_lacks_stay(town, campuses):
    before = town.query(LINKS)
    assert before
    town.sim.faults.add(
        "mutate_record",
        "/v2/cursus/21/projects",
        change=lambda record: record | {"campus": campuses},
    )
    town.nightly()
    assert town.query(LINKS) == before
    assert town.query("select 1 from intra42.tombstones") == []


def test_pairs_stay_where_the_parent_does_not_come_back(town):
    before = town.query(LINKS)
    town.sim.faults.add(
        "mutate_record",
        "/v2/cursus/21/projects",
        change=lambda record: record | {"campus": []},
    )
    town.sim.faults.add("empty_page", "/v2/projects", times=None, when=by_id, consistent=True)
    town.nightly()
    assert town.query(LINKS) == before


def test_an_achievement_that_one_list_of_a_campus_lacks_stays(town):
    before = town.query(EARNED)
    town.sim.faults.add("missing_row", "/v2/campus/1/achievements", id=13)
    town.nightly()
    assert town.query(EARNED) == before
    assert town.query("select 1 from intra42.tombstones") == []


def test_empty_lists_of_achievements_unlink_nothing_however_often(town):
    before = town.query(EARNED)
    town.sim.faults.add("empty_page", "/v2/campus/1/achievements", times=None, consistent=True)
    town.nightly()
    assert town.query(EARNED) == before


def test_an_achievement_that_the_catalogue_once_gave_no_campus_stays(loaded):
    mirror = loaded(worlds.region, refresh_cursus_ids=[21])
    before = mirror.query(EARNED)
    assert before
    mirror.sim.faults.add(
        "mutate_record", "/v2/achievements", change=lambda record: record | {"campus": []}
    )
    mirror.nightly()
    assert mirror.query(EARNED) == before
    victim = before[0][1]
    mirror.sim.world.update_row("achievements", victim, silent=True, campus_ids=())
    mirror.nightly()
    assert {pair for pair in before if pair[1] == victim}.isdisjoint(mirror.query(EARNED))
    assert mirror.differences() == []


def test_a_pair_that_is_back_has_its_grave_restored(town):
    world = town.sim.world
    world.update_row("projects", 11, campus_ids=(2,))
    town.nightly()
    gone = "select id, restored_at is not null from intra42.tombstones"
    assert town.query(gone) == [(11, False)]
    world.update_row("projects", 11, campus_ids=(1, 2))
    town.nightly()
    assert town.query(gone) == [(11, True)]
    assert town.differences() == []


# Parked records.


@pytest.fixture
def with_parked(town):
    """An attempt whose mark no column can hold."""
    town.sim.world.update_row("projects_users", 10_500, final_mark=2**40)
    town.incremental()
    assert parked(town) == [10_500]
    town.sim.clock.advance(hours=1)
    return town


def parked(mirror):
    return [row[0] for row in mirror.query("select id from intra42.parked_records")]


def test_a_parked_record_that_one_answer_lacks_is_not_forgotten(with_parked):
    with_parked.sim.faults.add("missing_row", "/v2/projects_users", when=by_id, id=10_500)
    with_parked.incremental()
    assert parked(with_parked) == [10_500]


def test_a_parked_record_that_two_answers_lack_is_forgotten(with_parked):
    with_parked.sim.world.delete_row("projects_users", 10_500)
    with_parked.incremental()
    assert parked(with_parked) == []


# Rows.


def answer(connection, mirror, records=()):
    seq = connection.execute("select nextval('intra42.request_seq')").fetchone()[0]
    now = mirror.sim.clock.now()
    return Answer(
        records=list(records),
        total=0,
        per_page=100,
        more=False,
        date=now,
        sent_at=now,
        seq=seq,
        elapsed_ms=1,
        size=1,
    )


def test_a_row_that_appears_between_the_proofs_stays(town):
    resource = graph.get("cursus_users")

    def step(work):
        first = answer(work.connection, town).seq
        seen = answer(work.connection, town)
        work.connection.execute(
            "update intra42.cursus_users set _seq = %s where id = 1010", [seen.seq]
        )
        last = answer(work.connection, town)
        gone = {1010: last, 1020: last}
        return absence.delete(work, resource, gone, 8, {1010: first, 1020: first})

    who = Identity(dag_id=NIGHTLY, run_id="race")
    assert town.task(who, {}, "cursus_users", step) == 1
    assert graves(town, "cursus_users") == {1020}


def test_two_loads_that_are_just_showing_rows_win_against_the_delete(town):
    """One writes a row, one notes another row as verified; both commit after the delete began."""
    resource = graph.get("cursus_users")
    town.nightly()  # each row has been verified
    with (
        closing(psycopg.connect(town.database_url)) as one,
        closing(psycopg.connect(town.database_url)) as two,
    ):

        def step(work):
            first = answer(work.connection, town).seq
            shown = answer(work.connection, town).seq
            one.execute("update intra42.cursus_users set _seq = %s where id = 1010", [shown])
            two.execute(
                "update intra42.verifications set seq = %s "
                "where resource = 'cursus_users' and id = 1020",
                [shown],
            )
            last = answer(work.connection, town)
            gone = dict.fromkeys((1010, 1020, 1030), last)

            def commit_late():
                time.sleep(0.5)
                one.commit()
                two.commit()

            later = threading.Thread(target=commit_late)
            later.start()
            deleted = absence.delete(work, resource, gone, 8, dict.fromkeys(gone, first))
            later.join()
            return deleted

        assert town.task(Identity(dag_id=NIGHTLY, run_id="race"), {}, "cursus_users", step) == 1
    assert graves(town, "cursus_users") == {1030}


@pytest.mark.parametrize("table", ["coalitions_users", "achievements_users", "campus_users"])
def test_a_table_without_a_witness_left_waits_for_a_person(town, table):
    rows = ids(town, table)
    for row_id in rows:
        town.sim.world.delete_row(table, row_id)
    town.sim.world.set_level_silently(1010, 8.5)
    for _ in range(2):
        with pytest.raises(DeleteRefused, match=rf"{table}: none of {len(rows)} ids came back"):
            town.nightly()
        assert ids(town, table) == rows
        assert town.value("select level from intra42.cursus_users where id = 1010") == 8.5
    town.nightly(allow_mass_delete=True)
    assert graves(town, table) == rows
    # Nights after it are green: what may come back is asked for, and its absence is no news.
    town.nightly()
    assert town.differences() == []


def test_without_a_witness_a_person_needs_the_api_to_show_its_users(town):
    rows = ids(town, "coalitions_users")
    for row_id in rows:
        town.sim.world.delete_row("coalitions_users", row_id)
    town.sim.faults.add(
        "empty_page",
        "/v2/users",
        times=None,
        consistent=True,
        when=lambda request: len(request.query.get("filter[id]", "").split(",")) == 5,
    )
    with pytest.raises(NoWitness):
        town.nightly(allow_mass_delete=True)
    assert ids(town, "coalitions_users") == rows


# The guard of a week.


def test_little_a_day_is_too_much_in_a_week(loaded):
    mirror = loaded(crowd, campus_ids=[1], max_delete_rows=2, max_delete_share=0.0)
    left = sorted(row_id for row_id in ids(mirror, "cursus_users"))
    for _ in range(3):
        for row_id in (left.pop(), left.pop()):
            mirror.sim.world.unregister(row_id)
        mirror.nightly()
        mirror.sim.clock.advance(hours=25)
    mirror.sim.world.unregister(left.pop())
    with pytest.raises(DeleteRefused, match="after 6 deleted in the last 7 days; at most 6 of 24 "):
        mirror.nightly()
    mirror.nightly(allow_mass_delete=True)
    assert len(graves(mirror, "cursus_users")) == 7
    # What came back does not count.
    mirror.sim.clock.advance(hours=24 * 8)
    mirror.sim.world.unregister(left.pop())
    mirror.nightly()
    assert mirror.differences() == []


def test_few_accounts_a_day_are_too_many_in_a_week(loaded):
    mirror = loaded(crowd, campus_ids=[1], max_delete_rows=1, max_delete_share=0.0)
    mirror.config["nightly_audit_requests"] = 0
    for number in (102, 104, 106):
        mirror.sim.world.delete_user(number)
        mirror.nightly()
        mirror.sim.clock.advance(hours=25)
    mirror.sim.world.delete_user(108)
    with pytest.raises(DeleteRefused, match="1 accounts are gone, after 3 deleted in the last 7 d"):
        mirror.nightly()


# One trouble stops no other.


def test_a_table_that_cannot_be_counted_stops_no_other(town):
    world = town.sim.world
    for table, row_id in (("projects_users", 10_500), ("coalitions_users", 1_050_000)):
        world.delete_row(table, row_id)
    world.set_level_silently(1010, 6.5)
    town.sim.faults.add(
        "403",
        "/v2/achievements_users",
        times=None,
        when=lambda request: "filter[user_id]" in request.query or "filter[id]" in request.query,
    )
    with pytest.raises(FatalApiError, match="achievements_users"):
        town.nightly()
    assert graves(town, "projects_users") == {10_500}
    assert graves(town, "coalitions_users") == {1_050_000}
    assert town.value("select level from intra42.cursus_users where id = 1010") == 6.5


def test_the_troubles_of_several_tables_are_all_told(town):
    for table in ("achievements_users", "coalitions_users"):
        for row_id in ids(town, table):
            town.sim.world.delete_row(table, row_id)
    with pytest.raises(Intra42Error) as told:
        town.nightly()
    lines = str(told.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["achievements_users", "coalitions_users"]


def test_users_who_entered_late_and_cannot_be_read_stop_no_level(town):
    world = town.sim.world
    world.set_level_silently(1010, 6.5)
    world.validate_project(101, mark=100)
    with town.connect() as connection:
        connection.execute(
            "insert into intra42.to_read (dag_id, resource, user_id, why, run_id) "
            "values ('intra42_incremental', 'achievements_users', 105, 'history', 'before')"
        )
    town.sim.faults.add(
        "403", "/v2/achievements_users", times=None, when=lambda r: "filter[user_id]" in r.query
    )
    town.sim.clock.advance(minutes=15)
    with pytest.raises(FatalApiError):
        town.incremental()
    assert town.value("select level from intra42.cursus_users where id = 1010") >= 6.5
    town.sim.faults.clear()
    town.sim.clock.advance(minutes=15)
    town.incremental()
    assert town.value("select count(*) from intra42.to_read") == 0


def test_witnesses_lie_all_over_a_table_and_are_found_in_a_moment(town):
    """A hundred thousand rows, of which the API has shown a few lately."""
    with town.connect() as connection:
        connection.execute(
            "insert into intra42.achievements_users (id, user_id, achievement_id, _synced_at, "
            "_run_id, _seq) select 2000000 + n, 101, 11, now(), 'many', 1 "
            "from generate_series(1, 100000) as n"
        )
        connection.execute("analyze intra42.achievements_users")
    who = Identity(dag_id=NIGHTLY, run_id="many")

    def step(work):
        took = []
        for _ in range(3):
            began = time.perf_counter()
            found = absence.witnesses(work, "achievements_users", range(2000001, 2000300))
            took.append(time.perf_counter() - began)
        return found, min(took)

    found, best_s = town.task(who, {}, "achievements_users", step)
    assert len(found) == 5
    assert set(found) <= {number * 1000 for number in worlds.STUDENTS}
    assert best_s < 0.1


def test_the_guard_counts_no_further_than_it_needs(town):
    with town.connect() as connection:
        connection.execute(
            "insert into intra42.achievements_users (id, user_id, achievement_id, _synced_at, "
            "_run_id, _seq) select 2000000 + n, 101 + n %% 8, 11, now(), 'many', 1 "
            "from generate_series(1, 100000) as n",
            [],
        )
        connection.execute("analyze intra42.achievements_users")
    resource = graph.get("achievements_users")

    def step(work):
        gone = dict.fromkeys(range(2000001, 2000101), answer(work.connection, town))
        began = time.perf_counter()
        deleted = absence.delete(work, resource, gone, 100_000)
        return deleted, time.perf_counter() - began

    deleted, took_s = town.task(
        Identity(dag_id=NIGHTLY, run_id="many"), {}, "achievements_users", step
    )
    assert deleted == 100
    assert timedelta(seconds=took_s) < timedelta(seconds=1)
