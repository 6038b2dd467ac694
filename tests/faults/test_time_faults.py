"""Clocks that are wrong, step and jump; changes that come late; runs that take too long."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from dev.simulator import clock as simulated
from tests.faults.pages import EVERYBODY, PLACES, hundred, read_windows
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds
from tests.integration.mirror.test_checkpoints import Killed, kill_at

PRIMARY = (
    "users",
    "campus_users",
    "cursus_users",
    "projects_users",
    "achievements_users",
    "coalitions_users",
)
REPORTED = "later than the API's clock"


@pytest.fixture
def mirror(loaded):
    """A hundred students on three pages; nothing is audited, so that windows must find it."""
    return loaded(hundred, campus_ids=[1], nightly_audit_requests=0)


def marks(mirror, resource="projects_users"):
    """Return the watermarks of both DAGs."""
    rows = mirror.query(
        "select dag_id, max(watermark) from intra42.sync_state where resource = %s group by 1",
        resource,
    )
    return {dag_id: watermark.astimezone(UTC) for dag_id, watermark in rows}


def windows(mirror, path="/v2/projects_users"):
    """Return where the windows began and ended that were asked for."""
    asked = [
        entry.query["range[updated_at]"]
        for entry in mirror.sim.ledger.requests(path)
        if "range[updated_at]" in entry.query
    ]
    return [tuple(map(datetime.fromisoformat, ends.split(","))) for ends in asked]


def with_mark(mirror, mark):
    return {
        row[0] // 100
        for row in mirror.query("select id from intra42.projects_users where final_mark = %s", mark)
    }


def mark(mirror, numbers, final_mark, **fields):
    """Change the attempts of some students."""
    for number in numbers:
        mirror.sim.world.update_row("projects_users", number * 100, final_mark=final_mark, **fields)


@pytest.mark.parametrize("hours", [-24, -1, 1, 24], ids=lambda hours: f"M1 {hours:+} h")
def test_the_clocks_of_worker_and_warehouse_do_not_matter(fresh, monkeypatch, hours):
    """The API's clock is so far ahead of both."""
    start = datetime.now(UTC) + timedelta(hours=hours - 24)
    monkeypatch.setattr(simulated, "DEFAULT_START", start)
    mirror = fresh(worlds.town, campus_ids=[1])
    clock = mirror.sim.clock
    mirror.nightly()
    for number in (101, 102):
        clock.advance(minutes=15)
        mark(mirror, [number], 50)
        mirror.sim.ledger.clear()
        mirror.incremental()
        assert number in with_mark(mirror, 50)
        assert timedelta(0) <= clock.now() - marks(mirror)[INCREMENTAL] <= timedelta(seconds=3)
    mirror.sim.world.unregister(1080)
    clock.advance(hours=20)
    mirror.nightly()
    assert mirror.query("select id, deleted_at from intra42.tombstones") == [
        (1080, clock.now().replace(microsecond=0))
    ]
    assert mirror.value("select max(_synced_at) from intra42.projects_users") <= clock.now()
    assert mirror.differences() == []


@pytest.mark.parametrize("lookback", [0, 30, 2000], ids=lambda minutes: f"lookback {minutes}")
@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL], ids=lambda dag: f"M2 {dag}")
def test_a_clock_that_steps_back_five_minutes_hides_no_change(town, caplog, dag, lookback):
    # The first window reaches back to a change, so that the watermark moves.
    town.config |= {"lookback_minutes": 90, "nightly_audit_requests": 0}
    mark(town, [101], 50)
    town.sim.clock.advance(hours=1)
    town.run(dag)
    town.config["lookback_minutes"] = lookback
    before = marks(town)[dag]
    town.sim.clock.advance(minutes=-5)
    with caplog.at_level("WARNING"):
        town.run(dag)
    assert REPORTED in caplog.text
    mark(town, [102], 50)
    town.run(dag)
    assert with_mark(town, 50) == {101, 102}
    assert marks(town)[dag] <= town.sim.clock.now() < before
    assert town.differences() == []


@pytest.mark.parametrize("place", list(PLACES)[1:], ids=lambda place: f"M2 at the {place}")
def test_a_clock_that_steps_back_while_a_window_is_unfinished_hides_no_change(mirror, place):
    mark(mirror, EVERYBODY, 50)
    heal = kill_at(mirror, list(PLACES).index(place) + 1, "/v2/projects_users")
    with pytest.raises(Killed):
        mirror.incremental(run_id="one")
    heal()
    mirror.sim.clock.advance(hours=-2)
    mark(mirror, [101, 200], 60)
    mirror.incremental(run_id="one")
    assert with_mark(mirror, 60) == {101, 200}
    assert marks(mirror)[INCREMENTAL] <= mirror.sim.clock.now()
    mirror.nightly()
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"M2 before the {place}")
def test_a_clock_that_steps_back_while_pages_are_read_hides_no_change(mirror, place):
    """What changes afterwards has an older time than what changed before."""
    mark(mirror, EVERYBODY, 50)
    late = [PLACES["first page"][0], PLACES[place][0], PLACES["last page"][-1]]

    def step_back(world):
        world.clock.advance(minutes=-5)
        mark(mirror, late, 60)

    mirror.sim.faults.add(
        "between_pages", "/v2/projects_users", skip=list(PLACES).index(place), hook=step_back
    )
    mirror.incremental()
    assert read_windows(mirror, "/v2/projects_users") == [len(PLACES)]
    mirror.sim.clock.advance(minutes=1)
    mirror.incremental()
    assert with_mark(mirror, 60) == set(late)
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("seconds", "dag"),
    [(1, INCREMENTAL), (600, INCREMENTAL), (7200, NIGHTLY)],
    ids=["M3 a second late", "M3 ten minutes late", "M3 two hours late"],
)
def test_what_is_committed_late_is_found(mirror, seconds, dag, place):
    """Shorter than the lookback by the next run, otherwise by the next night."""
    mirror.sim.clock.advance(hours=9)
    late = PLACES[place][0]
    mark(mirror, set(EVERYBODY) - {late}, 50)
    mirror.incremental()
    now = mirror.sim.clock.now()
    mark(mirror, [late], 60, updated_at=now - timedelta(seconds=seconds))
    added = mirror.sim.world.add_projects_user(
        PLACES[place][-1],
        12,
        created_at=now - timedelta(seconds=seconds),
        updated_at=now - timedelta(seconds=seconds),
    )
    mirror.sim.clock.advance(minutes=10)
    mirror.run(dag)
    assert with_mark(mirror, 60) == {late}
    assert mirror.query("select 1 from intra42.projects_users where id = %s", added.id)
    assert mirror.differences() == []


def offset_of(text):
    """Write the same moment with another offset."""
    moment = datetime.fromisoformat(text).astimezone(ZoneInfo("Asia/Kathmandu"))
    return moment.isoformat(timespec="milliseconds")


ODD = {
    "M4 null": lambda _: None,
    "M4 another offset": offset_of,
    "M4 microseconds": lambda text: text.replace("Z", "987Z"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", ODD)
def test_times_in_another_form_hide_no_change(mirror, odd, place):
    row_id = PLACES[place][0] * 100

    def change(record):
        if record["id"] != row_id:
            return record
        return record | {"updated_at": ODD[odd](record["updated_at"])}

    fault = mirror.sim.faults.add("mutate_record", "/v2/projects_users", times=None, change=change)
    for minutes, final_mark in ((15, 50), (30, 60)):
        mirror.sim.clock.advance(minutes=minutes)
        mark(mirror, EVERYBODY, final_mark)
        mirror.incremental()
        assert with_mark(mirror, final_mark) == set(EVERYBODY)
    assert mirror.query("select 1 from intra42.parked_records") == []
    assert [line for line in mirror.differences() if ": updated_at is" not in line] == []
    if odd == "M4 another offset":
        assert mirror.differences() == []
    fault.times = 0
    mirror.sim.clock.advance(minutes=1)
    mark(mirror, EVERYBODY, 70)
    mirror.incremental()
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("year", [1970, 2999], ids=lambda year: f"M4 {year}")
def test_times_far_away_hide_no_change(mirror, year, place):
    """What changed before any window is found in its turn, like a silent change."""
    mirror.config["nightly_audit_requests"] = 120
    strange = PLACES[place][0]
    far = datetime(year, 1, 1, tzinfo=UTC)
    mark(mirror, EVERYBODY, 50)
    mark(mirror, [strange], 60, updated_at=far)
    mirror.incremental()
    assert with_mark(mirror, 50) == set(EVERYBODY) - {strange}
    assert (with_mark(mirror, 60) == {strange}) is (year == 2999)
    assert marks(mirror)[INCREMENTAL] <= mirror.sim.clock.now()
    mirror.nightly()
    assert mirror.differences() == []
    # It changes once more, and its time is right again.
    mirror.sim.clock.advance(minutes=15)
    mark(mirror, [strange], 70)
    mirror.incremental()
    assert with_mark(mirror, 70) == {strange}
    assert mirror.differences() == []


@pytest.fixture
def paris(monkeypatch):
    """Let this process and every session of the warehouse live in Paris."""
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()

    def move(mirror):
        with psycopg.connect(mirror.database_url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"alter database \"{name}\" set timezone to 'Europe/Paris'")
        assert mirror.value("show timezone") == "Europe/Paris"

    yield move
    monkeypatch.undo()
    time.tzset()


NIGHTS = {
    "M5 an hour is skipped": (
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        ("2026-03-29T01:40:00+01:00", "2026-03-29T03:20:00+02:00"),
    ),
    "M5 an hour comes twice": (
        datetime(2026, 10, 25, 1, tzinfo=UTC),
        ("2026-10-25T02:40:00+02:00", "2026-10-25T02:20:00+01:00"),
    ),
}


@pytest.mark.parametrize("night", NIGHTS)
def test_a_night_in_which_clocks_change_is_like_any_other(town, paris, night):
    """Windows join, and one of forty minutes holds those, whatever the clocks on the wall show."""
    shift, (since, until) = NIGHTS[night]
    paris(town)
    clock = town.sim.clock
    town.sim.app.secret_valid_until = 10**11
    clock.set(shift - timedelta(minutes=50))
    attempts = dict.fromkeys(worlds.STUDENTS)
    for number in attempts:
        attempts[number] = clock.now()
        mark(town, [number], 50)
        town.sim.ledger.clear()
        known = marks(town).get(INCREMENTAL, marks(town)[NIGHTLY])
        town.incremental()
        assert number in with_mark(town, 50)
        assert windows(town)[0][0] == known - timedelta(minutes=30)
        assert timedelta(0) <= clock.now() - marks(town)[INCREMENTAL] <= timedelta(seconds=3)
        clock.advance(minutes=15)
    town.nightly()
    assert town.differences() == []

    with town.connect() as connection:
        connection.execute("update intra42.projects_users set final_mark = null, updated_at = null")
    town.run(INCREMENTAL, updated_from=since, updated_to=until)
    span = [datetime.fromisoformat(text) for text in (since, until)]
    assert span[1] - span[0] == timedelta(minutes=40)
    inside = {number for number, moment in attempts.items() if span[0] <= moment <= span[1]}
    assert with_mark(town, 50) == inside
    assert len(inside) == 3


@pytest.mark.parametrize(("dag", "minutes"), [(INCREMENTAL, 7), (NIGHTLY, 60)])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"M6 at the {place}")
def test_a_run_that_takes_longer_than_its_interval_loses_nothing(mirror, dag, minutes, place):
    """Each answer takes its time, and meanwhile rows change again that were just read."""
    mirror.config["lookback_minutes"] = 0
    mark(mirror, EVERYBODY, 50)
    began = mirror.sim.clock.now()
    again = [PLACES["first page"][0], PLACES[place][0], PLACES["last page"][-1]]
    first_id = 1 if place == "first page" else (PLACES[place][0] - 1) * 100 + 1
    mirror.sim.faults.add(
        "between_pages",
        "/v2/projects_users",
        # Not the third request or so: tokens expire on the way.
        when=lambda request: request.query.get("range[id]", "").startswith(f"{first_id},"),
        hook=lambda _world: mark(mirror, again, 60),
    )
    mirror.sim.faults.add(
        "between_pages", times=None, hook=lambda world: world.clock.advance(minutes=minutes)
    )
    mirror.run(dag)
    interval = timedelta(minutes=15) if dag == INCREMENTAL else timedelta(hours=24)
    assert mirror.sim.clock.now() - began > interval
    moved = marks(mirror)[dag]
    mirror.sim.faults.clear()
    mirror.sim.ledger.clear()
    mirror.run(dag)
    assert windows(mirror)[0][0] == moved
    assert with_mark(mirror, 60) == set(again)
    assert mirror.differences() == []


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
@pytest.mark.parametrize(
    "ahead",
    [timedelta(minutes=1), timedelta(days=300_000)],
    ids=["M7 by a minute", "M7 by centuries"],
)
def test_a_watermark_in_the_future_is_never_kept_in_silence(town, caplog, dag, ahead):
    mark(town, [101], 50)
    town.run(dag)
    town.sim.clock.advance(hours=2)
    with town.connect() as connection:
        connection.execute(
            "update intra42.sync_state set watermark = %s", [town.sim.clock.now() + ahead]
        )
    for _ in range(2):
        caplog.clear()
        with caplog.at_level("WARNING"):
            town.run(dag)
        assert REPORTED in caplog.text or marks(town)[dag] <= town.sim.clock.now()
        town.sim.clock.advance(seconds=20)
    mark(town, [102], 50)
    town.run(dag)
    assert with_mark(town, 50) == {101, 102}
    assert marks(town)[dag] <= town.sim.clock.now()
    assert town.differences() == []


@pytest.mark.parametrize("resource", PRIMARY, ids=lambda name: f"M7 {name}")
def test_a_watermark_that_is_lost_is_found_again(town, resource):
    """The incremental run goes on from the nightly one's; without any, the nightly begins anew."""
    mark(town, [101], 50)
    town.sim.world.touch_user(102, wallet=4)
    town.incremental()
    for dag in (INCREMENTAL, NIGHTLY):
        with town.connect() as connection:
            connection.execute(
                "delete from intra42.sync_state where resource = %s and dag_id = %s",
                [resource, dag],
            )
        town.sim.world.update_row(resource, town.value(f"select min(id) from intra42.{resource}"))
        town.sim.clock.advance(hours=3)
        town.run(dag)
        assert town.differences() == []
    assert marks(town, resource)


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
@pytest.mark.parametrize("place", PLACES)
def test_an_empty_list_that_agrees_with_itself_is_healed_by_the_next_run(mirror, dag, place):
    """On the first page nothing tells it from quiet; later ones are asked for again at once."""
    for table in PRIMARY:
        for row_id in list(mirror.sim.world.tables[table].ids):
            mirror.sim.world.update_row(table, row_id)
    mark(mirror, EVERYBODY, 50)
    mirror.incremental()
    before = marks(mirror)
    mirror.sim.clock.advance(hours=3)
    mark(mirror, EVERYBODY, 60)
    lies = [
        mirror.sim.faults.add(
            "empty_page",
            f"/v2(/cursus/[0-9]+)?/{table}",
            when=lambda request: "range[updated_at]" in request.query,
            skip=list(PLACES).index(place),
            consistent=True,
        )
        for table in PRIMARY
    ]
    mirror.run(dag)
    assert sum(lie.hits for lie in lies) >= 1
    if place == "first page":
        assert marks(mirror) == before
        assert with_mark(mirror, 50) == set(EVERYBODY)
        mirror.run(dag)
    assert with_mark(mirror, 60) == set(EVERYBODY)
    assert mirror.query("select 1 from intra42.tombstones") == []
    assert mirror.differences() == []


def stir(world, numbers):
    """Let everything happen that can happen to students, to another one each time."""
    world.clock.advance(seconds=1)
    world.unregister(next(numbers) * 10)
    world.reregister(next(numbers) * 10)
    world.delete_attempt(next(numbers) * 100)
    world.recreate_attempt(next(numbers) * 100)
    world.validate_project(next(numbers), 11)
    world.earn_achievement(next(numbers), 12)
    world.delete_coalition_user(next(numbers) * 10_000)
    world.transfer(next(numbers), 2)
    world.alumnise(next(numbers))
    world.anonymise(next(numbers))
    world.delete_user(next(numbers))
    world.transfer(world.new_student(2), 1)


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"moved before the {place}")
def test_a_world_that_moves_while_every_table_is_read_is_mirrored_truly(mirror, dag, place):
    mirror.config |= {"nightly_audit_requests": 120, "max_delete_rows": 100}
    for table in PRIMARY:
        for row_id in list(mirror.sim.world.tables[table].ids):
            mirror.sim.world.update_row(table, row_id)
    numbers = iter(random.Random(1).sample(EVERYBODY, len(EVERYBODY)))
    moves = [
        mirror.sim.faults.add(
            "between_pages",
            f"/v2(/cursus/21)?/{table}",
            skip=list(PLACES).index(place),
            hook=lambda world: stir(world, numbers),
        )
        for table in PRIMARY
    ]
    mirror.run(dag)
    assert [move.hits for move in moves] == [1] * len(PRIMARY)
    for _ in range(2):
        mirror.sim.clock.advance(hours=24)
        mirror.nightly()
    assert mirror.differences() == []
