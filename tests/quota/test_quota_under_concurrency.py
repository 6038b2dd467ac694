"""Four processes, two DAGs, three hours of hunger, two deaths: the API's limits are kept and used.

The time is simulated, everything else is real: processes, PostgreSQL, requests, SIGKILL. The
simulated API is the referee; it counts by fixed seconds and clock hours.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from dev.simulator import Simulator
from dev.stack.postgres import Postgres
from dev.virtual.clock import VirtualClock
from dev.virtual.foreman import Foreman
from dev.virtual.records import Run, Sent
from dev.virtual.timekeeper import Process, Timekeeper
from tests.harness import INCREMENTAL, NIGHTLY, Mirror

PER_SECOND, PER_HOUR = 2, 1200
NIGHT = datetime(2026, 3, 3, 2, tzinfo=UTC)
HOURS = [NIGHT + timedelta(hours=number) for number in range(3)]
LARGE, SMALL = 1, 9  # campuses
STUDENTS = 250


class Office:
    """A small campus that is mirrored already, a large one whose first load takes three hours."""

    def __init__(self, sim: Simulator, timekeeper: Timekeeper, mirror: Mirror) -> None:
        self.sim = sim
        self.mirror = mirror
        self.time = timekeeper
        api = {name: getattr(sim, name) for name in ("url", "client_id", "client_secret")}
        self.foreman = Foreman(timekeeper, api)
        for dag in (NIGHTLY, INCREMENTAL):
            self.foreman.staff(dag, 2)

    def hungry_night(self) -> None:
        """Let the first load of the large campus begin, and the quarter hours go on."""
        self.foreman.config = self.mirror.config | {
            "refresh_chunk_size": 2,
            "incremental_request_budget": 5,
        }
        # Small pages make much work of few rows.
        self.sim.harsh.page_cap = 2
        self._nightly()
        self._quarter_hour()
        for hour in HOURS:
            # While the bulk work sends as fast as it may, somebody triggers a run by hand.
            self.time.at(hour + timedelta(minutes=8, seconds=30), self._incremental)
        self.time.at(HOURS[0] + timedelta(minutes=7, seconds=30), self._kill_with_a_slot)
        self.time.at(HOURS[1] + timedelta(minutes=5), self._kill_while_asking)
        self.time.until(lambda: not self.foreman.running(NIGHTLY))
        self.time.until(lambda: not self.foreman.running(INCREMENTAL))

    def quiet_nights(self) -> None:
        """Let two more nights pass, with pages as large as ever."""
        self.sim.harsh.page_cap = None
        self.foreman.config = self.mirror.config
        for days in (1, 2):
            self.time.at(NIGHT + timedelta(days=days), self._nightly)
        self.time.until(lambda: len(self.nights) == 3 and not self.foreman.running(NIGHTLY))

    @property
    def nights(self) -> list[Run]:
        return [run for run in self.foreman.runs if run.dag == NIGHTLY]

    @property
    def quarters(self) -> list[Run]:
        return [run for run in self.foreman.runs if run.dag == INCREMENTAL]

    def moments(self) -> list[datetime]:
        """Return when the API counted its requests."""
        return sorted(entry.virtual_time for entry in self.sim.ledger.requests())

    def seconds(self) -> list[datetime]:
        """Return in which second each of them was."""
        return [moment.replace(microsecond=0) for moment in self.moments()]

    def _quarter_hour(self) -> None:
        if self.foreman.running(NIGHTLY):
            self.sim.world.busy_quarter()
            self._incremental()
            self.time.at(self.sim.clock.now() + timedelta(minutes=15), self._quarter_hour)

    def _nightly(self) -> None:
        self.foreman.start(NIGHTLY, self.sim.clock.now())

    def _incremental(self) -> None:
        if not self.foreman.running(INCREMENTAL):
            self.foreman.start(INCREMENTAL, self.sim.clock.now())

    def _kill_with_a_slot(self) -> None:
        def holds(process: Process) -> bool:
            [(slot,)] = self.mirror.query("select next_slot from intra42.api_limits")
            return bool(slot > self.sim.clock.now()) and self._holds_a_table(process)

        self.foreman.kill_one(NIGHTLY, "slot", holds)

    def _kill_while_asking(self) -> None:
        self.foreman.kill_one(NIGHTLY, "way back", self._holds_a_table)

    def _holds_a_table(self, process: Process) -> bool:
        """Tell whether it has the lock of its table, and is not the only one at work."""
        held = self.mirror.query(
            "select 1 from pg_locks join pg_stat_activity using (pid) "
            "where locktype = 'advisory' and granted and application_name = %s",
            process.name,
        )
        return bool(held) and len(self.foreman.working(NIGHTLY)) == 2


@pytest.fixture(scope="module")
def office(postgres: Postgres) -> Iterator[Office]:
    """The story, told once."""
    postgres.ensure_database("office")
    url = postgres.url("office")
    clock = VirtualClock()
    with ExitStack() as stack:
        sim = Simulator("region", seed=5, students=STUDENTS, clock=clock, limit_second=10**6)
        stack.enter_context(sim)
        mirror = Mirror(url, sim, {"campus_ids": [SMALL]})
        mirror.nightly(run_id="before")
        with psycopg.connect(url, autocommit=True) as connection:
            for table in ("api_limits", "api_usage", "api_tokens", "sync_runs"):
                connection.execute(f"delete from intra42.{table}")
        sim.ledger.clear()
        sim.limits.per_second, sim.limits.per_hour = PER_SECOND, PER_HOUR
        clock.forward_to(NIGHT)
        mirror.config["campus_ids"] = [SMALL, LARGE]
        # Not pytest's own folder: the path of a socket must be short.
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="intra42-quota-")))
        timekeeper = stack.enter_context(Timekeeper(clock, folder, url))
        office = Office(sim, timekeeper, mirror)
        office.hungry_night()
        office.quiet_nights()
        yield office


def most_in(moments: list[datetime], window: timedelta) -> int:
    """Return the most of `moments` in any half-open window so long."""
    return max(bisect.bisect_left(moments, m + window) - i for i, m in enumerate(moments))


def test_no_second_and_no_hour_has_more_requests_than_the_api_allows(office: Office) -> None:
    # Now and then a token has expired.
    assert {entry.status for entry in office.sim.ledger.requests()} <= {200, 401}
    seconds = office.seconds()
    assert max(Counter(seconds).values()) <= PER_SECOND
    hours = Counter(moment.replace(minute=0, second=0) for moment in seconds)
    assert max(hours.values()) <= PER_HOUR
    moments = office.moments()
    assert most_in(moments, timedelta(seconds=1)) <= PER_SECOND
    assert most_in(moments, timedelta(hours=1)) <= PER_HOUR


def test_while_there_is_work_95_percent_of_each_hour_are_used(office: Office) -> None:
    night = office.nights[0]
    assert night.end is not None
    assert night.end > HOURS[-1] + timedelta(hours=1), "the world is too small for three hours"
    hours = Counter(moment.replace(minute=0, second=0) for moment in office.seconds())
    assert min(hours[hour] for hour in HOURS) >= 0.95 * PER_HOUR


def test_incremental_runs_are_served_before_the_bulk_load(office: Office) -> None:
    due = {run.due for run in office.quarters}
    assert due >= {NIGHT + timedelta(minutes=15 * number) for number in range(13)}
    assert due >= {hour + timedelta(minutes=8, seconds=30) for hour in HOURS}
    for run in office.quarters:
        assert run.first_answer is not None
        assert run.end is not None
        # All four ask at once, each for one slot, and a request takes a third of a second.
        assert run.first_answer - run.due <= timedelta(seconds=3), run.id
        # Some thirty requests, one after the other, while the bulk load sends two for each. Pages
        # of two rows make that more than its share: then it waits for a minute that frees some, at
        # times for two.
        assert run.end - run.due <= timedelta(minutes=3), run.id


def test_when_the_hour_is_spent_the_tasks_defer_and_come_back(office: Office) -> None:
    assert office.nights[0].deferrals >= 3
    attempts = office.mirror.query(
        "select status, count(*) from intra42.sync_runs where run_id = %s group by 1",
        office.nights[0].id,
    )
    # However often an attempt waits it is one, and only those who were killed have no end.
    assert dict(attempts).keys() == {"success", "lost"}
    assert dict(attempts)["lost"] == len(office.foreman.deaths)


@pytest.mark.parametrize(
    "number", [0, 1], ids=["K8 with a slot reserved", "C3 waiting for its answer"]
)
def test_a_killed_process_blocks_nobody_for_five_seconds(office: Office, number: int) -> None:
    assert len(office.foreman.deaths) == 2
    death = office.foreman.deaths[number]
    later = [sent for sent in office.foreman.sent if sent.real > death.real]
    others = [sent for sent in later if sent.task is not death.task and NIGHTLY in sent.name]
    heirs = [sent for sent in later if sent.task is death.task]

    # A slot is waited for in the simulated time, a lock in the real one.
    def soon(sent: Sent) -> bool:
        return sent.moment - death.moment < timedelta(seconds=5) and sent.real - death.real < 5

    assert soon(others[0]), "the other process of the bulk load"
    assert soon(heirs[0]), "who takes over the task, and needs the lock of its table"


def test_the_ledger_has_every_request_that_the_api_counted(office: Office) -> None:
    counted = office.mirror.value("select sum(requests) from intra42.sync_runs")
    assert counted == len(office.moments())


def test_in_the_end_the_mirror_equals_the_world(office: Office) -> None:
    assert office.mirror.differences() == []
