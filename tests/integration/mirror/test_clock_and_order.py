"""Clocks and numbers that lie or go back: nothing stored under them is believed for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds

FAR = datetime(2099, 1, 1, tzinfo=UTC)

SEQUENCES = """
select oid::regclass::text
from pg_class
where relkind = 'S' and relnamespace = 'intra42'::regnamespace
"""

# Of the API's clock; the others are of the database.
API_TIMES = """
select c.relname, a.attname
from pg_class as c join pg_attribute as a on a.attrelid = c.oid
where c.relnamespace = 'intra42'::regnamespace and c.relkind = 'r'
  and a.atttypid = 'timestamptz'::regtype
  and a.attname in (
    '_synced_at', 'checked_at', 'audited_at', 'deleted_at', 'restored_at', 'first_seen_at',
    'last_seen_at', 'observed_at', 'unseen_since', 'seen_at', 'watermark', 'clock', 'before'
  )
"""


def reset(mirror, sequence, value=1):
    with mirror.connect() as connection:
        connection.execute("select setval(%s::regclass, %s, false)", [sequence, value])


def age(mirror):
    """Let many runs go by: all sequences are far from their beginning."""
    with mirror.connect() as connection:
        for (name,) in connection.execute(SEQUENCES).fetchall():
            connection.execute("select setval(%s::regclass, 500000)", [name])
    mirror.nightly()


def silent_level(mirror, number, level):
    mirror.sim.world.set_level_silently(number * 10, level)


def level(mirror, number):
    return mirror.value("select level from intra42.cursus_users where id = %s", number * 10)


def later_than(mirror, moment):
    """Return which columns hold a time of the API's that has not come yet."""
    return [
        f"{table}.{column}"
        for table, column in mirror.query(API_TIMES)
        if mirror.query(f'select 1 from intra42."{table}" where "{column}" > %s limit 1', moment)
    ]


def names_of_sequences(mirror):
    return [row[0] for row in mirror.query(SEQUENCES)]


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
def test_every_sequence_that_went_back_is_moved_forward_and_said(town, caplog, dag):
    age(town)
    names = names_of_sequences(town)
    assert "intra42.request_seq" in names
    assert len(names) > 4
    for name in names:
        reset(town, name)
    silent_level(town, 101, 9.5)
    town.sim.world.unregister(1020)
    town.sim.world.validate_project(103, 11)
    town.run(dag)
    assert "The sequence intra42.request_seq stood at 0" in caplog.text
    assert town.query("select * from intra42.advance_sequences(true)") == []
    assert town.value("select last_value from intra42.request_seq") > 500_000
    assert level(town, 101) == 9.5
    assert not town.query("select 1 from intra42.cursus_users where id = 1020")
    assert town.differences() == []
    caplog.clear()
    town.run(dag)
    assert "The sequence" not in caplog.text


@pytest.mark.parametrize("back_to", [1, 499_000, 500_001])
def test_numbers_that_went_back_a_little_are_noticed_as_well(town, back_to):
    age(town)
    reset(town, "intra42.request_seq", back_to)
    silent_level(town, 101, 9.5)
    town.sim.world.unregister(1020)
    town.nightly()
    assert level(town, 101) == 9.5
    assert town.differences() == []


def test_numbers_are_found_where_only_the_mirror_was_restored_from_later(town, caplog):
    """The bookkeeping is old: no run says how far the numbers had got."""
    age(town)
    with town.connect() as connection:
        connection.execute("delete from intra42.dag_runs")
    reset(town, "intra42.request_seq")
    silent_level(town, 101, 9.5)
    town.nightly()
    assert "The sequence intra42.request_seq" in caplog.text
    assert level(town, 101) == 9.5
    assert town.differences() == []


def test_a_run_that_finds_its_numbers_in_order_says_nothing(town, caplog):
    town.nightly()
    town.incremental()
    assert "The sequence" not in caplog.text


def paths(mirror):
    """Return what an ordinary night asks for."""
    mirror.sim.ledger.clear()
    mirror.nightly()
    return sorted({entry.path for entry in mirror.sim.ledger.requests()})


PATHS = [
    "/v2/cursus",
    "/v2/campus",
    "/v2/cursus/21/projects",
    "/v2/campus/1/achievements",
    "/v2/blocs",
    "/v2/cursus/21/users",
    "/v2/cursus/1/users",
    "/v2/users",
    "/v2/campus_users",
    "/v2/cursus_users",
    "/v2/projects_users",
    "/v2/achievements_users",
    "/v2/coalitions_users",
]


def test_the_paths_tried_are_those_of_a_night(town):
    assert paths(town) == sorted(PATHS)


def stir(world):
    world.clock.advance(minutes=1)
    world.validate_project(101, 11)
    world.touch_user(102, wallet=4)
    world.update_row("campus_users", world.campus_users.ids[0])
    world.earn_achievement(103, 12)
    world.update_row("coalitions_users", 1_040_000)
    world.update_row("cursus_users", 1050)


DAYS = timedelta(days=3)


@pytest.mark.parametrize(
    ("path", "date"),
    [
        *((path, FAR) for path in PATHS),
        *((path, date) for path in (PATHS[5], PATHS[10]) for date in (DAYS, -DAYS)),
    ],
    ids=str,
)
def test_one_odd_date_changes_nothing(town, path, date):
    clock = town.sim.clock
    odd = date if isinstance(date, datetime) else clock.now().replace(microsecond=0) + date
    stir(town.sim.world)
    town.sim.world.update_row("cursus_users", 1060, end_at=clock.now() + timedelta(days=30))
    town.sim.faults.add("odd_date", path, date=odd)
    town.nightly()
    clock.advance(hours=1)
    silent_level(town, 106, 7.25)
    town.sim.world.unregister(1080)
    stir(town.sim.world)
    town.incremental()
    assert level(town, 106) == 7.25
    # An outage, longer than any lookback and than the day that is read where nothing is known.
    stir(town.sim.world)
    clock.advance(hours=40)
    stir(town.sim.world)
    town.incremental()
    assert town.differences() == []
    town.nightly()
    assert town.differences() == []
    assert later_than(town, clock.now() + timedelta(seconds=1)) == []
    levels = town.value("select count(level) from intra42.active_students")
    assert levels == len(worlds.STUDENTS) - 1


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
def test_a_watermark_that_was_days_ahead_hides_nothing_after_an_outage(town, dag):
    """An older version believed a Date three days ahead; then nothing ran for forty hours."""
    for _ in range(2):
        stir(town.sim.world)
        town.run(dag)
    with town.connect() as connection:
        connection.execute(
            "update intra42.sync_state set watermark = watermark + interval '3 days'"
        )
    town.config["nightly_audit_requests"] = 0
    town.sim.clock.advance(minutes=5)
    stir(town.sim.world)
    town.sim.clock.advance(hours=40)
    town.run(dag)
    assert [line for line in town.differences() if not line.startswith("coalitions_users")] == []


def test_who_was_looked_up_in_the_future_is_looked_up_again(town):
    town.sim.world.add_user(901, campus_id=2)
    town.sim.world.add_cursus_user(901, 21, id=9010)
    with town.connect() as connection:
        connection.execute("insert into intra42.outsiders values (901, '2099-01-01')")
    town.sim.clock.advance(minutes=5)
    town.sim.world.transfer(901, 1)
    town.sim.world.update_row("cursus_users", 9010)
    town.incremental()
    assert town.query("select 1 from intra42.users where id = 901")


def watermarks(mirror):
    return mirror.query(
        "select dag_id, resource, scope, watermark from intra42.sync_state order by 1, 2, 3"
    )


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
@pytest.mark.parametrize("full_refresh", [False, True])
def test_a_restricted_run_moves_no_watermark_past_what_it_did_not_read(town, dag, full_refresh):
    """A student has left campus 1; only a run about all of the settings asks for them."""
    world = town.sim.world
    town.config["nightly_audit_requests"] = 0
    world.transfer(101, 2)
    town.nightly()
    town.incremental()
    town.sim.clock.advance(hours=2)
    world.validate_project(101, 11)
    world.validate_project(102, 11)
    world.update_row("cursus_users", 1010, grade="Member")
    before = watermarks(town)
    town.sim.clock.advance(hours=9)
    town.run(dag, campus_ids=[1], full_refresh=full_refresh)
    assert watermarks(town) == before
    assert town.query("select 1 from intra42.projects_users where id = 10200 and validated")
    town.sim.clock.advance(hours=9)
    town.run(dag)
    assert town.differences() == []


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
def test_who_comes_to_another_campus_during_a_restricted_run_is_still_let_in(loaded, dag):
    """Tables that are read for all campuses at once let nobody of the others in."""
    mirror = loaded(campus_ids=[1, 3], nightly_audit_requests=0)
    mirror.sim.world.transfer(201, 3)
    mirror.sim.clock.advance(hours=3)
    mirror.run(dag, campus_ids=[1])
    mirror.sim.clock.advance(hours=3)
    mirror.run(dag)
    assert mirror.query("select campus_id from intra42.users where id = 201") == [(3,)]
    assert mirror.differences() == []


def test_a_restricted_run_does_not_remember_who_is_outside_of_it_only(loaded):
    mirror = loaded(campus_ids=[1, 3], nightly_audit_requests=0)
    mirror.sim.world.add_user(902, campus_id=3)
    mirror.sim.world.add_cursus_user(902, 21, id=9020)
    mirror.incremental(campus_ids=[1])
    assert mirror.query("select 1 from intra42.outsiders where user_id = 902") == []
