from __future__ import annotations

import bisect
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from intra42.api.limiter import LocalLimiter, PostgresLimiter
from intra42.errors import QuotaSpent

Connect = Callable[[], psycopg.Connection[Any]]
APP = "an-application"
spawn = multiprocessing.get_context("spawn")


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01 {text}+00:00")


@pytest.fixture
def clock() -> Clock:
    return Clock(at("12:00:00"))


@pytest.fixture
def limiter(connect: Connect, clock: Clock) -> Iterator[PostgresLimiter]:
    with closing(PostgresLimiter(connect, APP, sleep=clock.sleep, now=clock.now)) as made:
        yield made


def most_in(times: list[float], window: float) -> int:
    """Return the most of `times` in any half-open window so long."""
    return max(bisect.bisect_left(times, t + window) - i for i, t in enumerate(times))


def send_for(url: str, seconds: float, start: Any, results: Any) -> None:
    limiter = PostgresLimiter(lambda: psycopg.connect(url), APP, per_second=40, per_hour=10**6)
    limiter.sending()
    start.wait()
    sent: list[tuple[float, int]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        limiter.wait_turn()
        sent.append((time.monotonic(), limiter.sending()))
    limiter.close()
    results.put(sent)


def test_four_processes_together_never_exceed_the_second(warehouse: str) -> None:
    start, results = spawn.Barrier(4), spawn.Queue()
    workers = [
        spawn.Process(target=send_for, args=(warehouse, 2.5, start, results)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    sent = sorted(pair for _ in workers for pair in results.get(timeout=30))
    for worker in workers:
        worker.join()
    times = [moment for moment, _ in sent]
    # A tenth of the second for processes that wake up late on a busy machine.
    assert most_in(times, 0.9) <= 40
    assert len(times) >= 0.9 * 40 * 2.5
    assert len({number for _, number in sent}) == len(sent)


def greedy(limiter: PostgresLimiter, clock: Clock, until: datetime) -> list[float]:
    """Send without rest; when the hour is spent, come back when told to."""
    sent: list[float] = []
    waits = [1.0]
    while clock.time < until:
        try:
            limiter.wait_turn()
        except QuotaSpent as error:
            waits.append(error.wait_s)
            clock.sleep(min(error.wait_s, (until - clock.time).total_seconds()))
        else:
            limiter.sending()
            sent.append(clock.time.timestamp())
    assert 0 < min(waits) <= max(waits) <= 3700
    return sent


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("start", ["12:00:00", "12:52:31"])
def test_three_hours_of_hunger_use_the_quota_and_never_exceed_it(
    connect: Connect, bulk: bool, start: str
) -> None:
    clock = Clock(at(start))
    with closing(
        PostgresLimiter(connect, APP, bulk=bulk, sleep=clock.sleep, now=clock.now)
    ) as limiter:
        sent = greedy(limiter, clock, clock.time + timedelta(hours=3))
    assert most_in(sent, 3600) <= 1200
    assert most_in(sent, 1) <= 2
    assert len(sent) >= 0.95 * 3 * 1200


def test_bulk_work_leaves_each_quarter_hour_its_share(connect: Connect) -> None:
    clock = Clock(at("12:00:00"))
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now}
    nightly = PostgresLimiter(connect, APP, bulk=True, **options)
    quarterly = PostgresLimiter(connect, APP, **options)
    sent: list[float] = []
    for quarter in range(12):
        begin = at("12:00:00") + timedelta(minutes=15 * quarter)
        sent += greedy(nightly, clock, begin + timedelta(seconds=45))
        for _ in range(30):
            quarterly.wait_turn()  # never QuotaSpent
            sent.append(clock.time.timestamp())
    sent += greedy(nightly, clock, at("15:00:00"))
    assert most_in(sent, 3600) <= 1200
    assert len(sent) >= 0.95 * 3600
    nightly.close()
    quarterly.close()


def test_a_pause_holds_everybody_and_then_lets_them_out_one_by_one(
    connect: Connect, clock: Clock
) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now}
    one, other = PostgresLimiter(connect, APP, **options), PostgresLimiter(connect, APP, **options)
    one.wait_turn()
    one.pause(30)
    one.pause(5)  # a shorter one changes nothing
    other.sending()
    assert clock.time == at("12:00:30")
    before = clock.time
    one.wait_turn()
    assert (clock.time - before).total_seconds() == pytest.approx(0.525)
    one.close()
    other.close()


def test_a_pause_too_long_to_sleep_through_reserves_nothing(
    limiter: PostgresLimiter, clock: Clock, connect: Connect
) -> None:
    limiter.pause(1800)
    for call in (limiter.wait_turn, limiter.sending):
        with pytest.raises(QuotaSpent) as error:
            call()
        assert error.value.wait_s == pytest.approx(1800)
    assert clock.time == at("12:00:00")
    with connect() as connection:
        assert connection.execute("select count(*) from intra42.api_usage").fetchone() == (0,)


def test_the_limits_the_api_announces_replace_the_configured_ones_for_all(
    limiter: PostgresLimiter, connect: Connect, clock: Clock
) -> None:
    limiter.learn({"X-Secondly-RateLimit-Limit": "10", "X-Hourly-RateLimit-Limit": "5"})
    with closing(PostgresLimiter(connect, APP, sleep=clock.sleep, now=clock.now)) as other:
        assert len(greedy(other, clock, at("12:00:10"))) == 5
        assert other.per_second == 2
        with connect() as connection:
            other.recall(connection)
        assert other.per_second == 10
    limiter.learn({"X-Secondly-RateLimit-Limit": "0", "X-Hourly-RateLimit-Limit": "many"})
    limiter.learn({"X-Hourly-RateLimit-Limit": "1000000"})
    began = clock.time
    for _ in range(11):
        limiter.wait_turn()
    assert (clock.time - began).total_seconds() == pytest.approx(1.05, abs=0.01)


def test_nothing_remaining_pauses_until_the_full_hour_of_the_api(
    limiter: PostgresLimiter, clock: Clock
) -> None:
    limiter.learn({"X-Hourly-RateLimit-Remaining": "0", "Date": "Sun, 01 Mar 2026 08:40:00 GMT"})
    with pytest.raises(QuotaSpent) as error:
        limiter.wait_turn()
    assert error.value.wait_s == pytest.approx(1201)


def test_every_request_is_counted_in_the_ledger_before_it_is_sent(
    connect: Connect, clock: Clock
) -> None:
    with connect() as connection:
        row = connection.execute(
            "insert into intra42.sync_runs (dag_id, run_id, task_id) values ('d', 'r', 't')"
            " returning id"
        ).fetchone()
    assert row is not None
    with closing(
        PostgresLimiter(connect, APP, run_id=row[0], sleep=clock.sleep, now=clock.now)
    ) as limiter:
        numbers = []
        for _ in range(3):
            limiter.wait_turn()
            numbers.append(limiter.sending())
        limiter.pause(10)
        numbers.append(limiter.sending())  # one request, though it asked twice
    assert numbers == sorted(set(numbers))
    with connect() as connection:
        assert connection.execute("select requests from intra42.sync_runs").fetchone() == (4,)


def test_applications_do_not_wait_for_each_other(connect: Connect, clock: Clock) -> None:
    for name in ("one", "two"):
        with closing(PostgresLimiter(connect, name, sleep=clock.sleep, now=clock.now)) as limiter:
            limiter.wait_turn()
    assert clock.time == at("12:00:00")


def test_a_clock_set_back_by_hours_does_not_stop_the_requests(
    limiter: PostgresLimiter, clock: Clock
) -> None:
    limiter.wait_turn()
    clock.time = at("09:00:00")
    limiter.wait_turn()
    assert clock.time == at("09:00:00")


def test_a_broken_connection_is_opened_again(limiter: PostgresLimiter, connect: Connect) -> None:
    limiter.wait_turn()
    with connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and datname = current_database()"
        )
    limiter.wait_turn()


def hold(url: str, ready: Any) -> None:
    limiter = PostgresLimiter(lambda: psycopg.connect(url), APP, per_second=1000, per_hour=10**6)
    while True:
        limiter.wait_turn()
        ready.set()


def test_a_killed_worker_blocks_nobody(warehouse: str, connect: Connect) -> None:
    ready = spawn.Event()
    worker = spawn.Process(target=hold, args=(warehouse, ready))
    worker.start()
    assert ready.wait(20)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    started = time.monotonic()
    with closing(PostgresLimiter(connect, APP, per_second=1000, per_hour=10**6)) as limiter:
        limiter.wait_turn()
    assert time.monotonic() - started < 2


def test_a_reservation_takes_less_than_a_millisecond(connect: Connect) -> None:
    clock = Clock(datetime.now(UTC))
    with closing(
        PostgresLimiter(connect, APP, per_hour=10**6, sleep=clock.sleep, now=clock.now)
    ) as limiter:
        taken = []
        for _ in range(2000):
            started = time.perf_counter()
            limiter.wait_turn()
            taken.append(time.perf_counter() - started)
    assert sorted(taken)[len(taken) // 2] < 0.001


def test_the_limiter_without_a_database_keeps_the_pace_too() -> None:
    slept: list[float] = []
    limiter = LocalLimiter(per_second=2, per_hour=3, sleep=slept.append)
    for _ in range(3):
        limiter.wait_turn()
    assert slept == [pytest.approx(0.525, abs=0.05), pytest.approx(1.05, abs=0.05)]
    with pytest.raises(QuotaSpent):
        limiter.wait_turn()
    assert [limiter.sending(), limiter.sending()] == [1, 2]


def test_an_hour_of_the_api_that_begins_anew_allows_no_two_bursts(
    connect: Connect, clock: Clock
) -> None:
    """The API says that 1,200 are left right after a full hour, whatever came right before."""
    clock.time = at("12:52:30")
    with closing(PostgresLimiter(connect, APP, sleep=clock.sleep, now=clock.now)) as limiter:
        sent: list[float] = []
        while clock.time < at("14:30:00"):
            try:
                limiter.wait_turn()
            except QuotaSpent as error:
                clock.sleep(error.wait_s)
                continue
            limiter.sending()
            sent.append(clock.time.timestamp())
            hour = clock.time.replace(minute=0, second=0, microsecond=0).timestamp()
            left = 1200 - sum(moment >= hour for moment in sent)
            limiter.learn(
                {
                    "X-Hourly-RateLimit-Remaining": str(max(left, 0)),
                    "Date": format_datetime(clock.time, usegmt=True),
                }
            )
    assert most_in(sent, 3600) <= 1200
    assert len(sent) >= 0.95 * 1200 * 1.6


@pytest.mark.parametrize("jump_h", [2, -2])
def test_an_hour_has_passed_when_it_has_by_the_clock_of_the_api(
    connect: Connect, clock: Clock, jump_h: int
) -> None:
    def told(ahead_h: float) -> dict[str, str]:
        moment = clock.time + timedelta(hours=ahead_h)
        return {"Date": format_datetime(moment, usegmt=True)}

    with closing(
        PostgresLimiter(connect, APP, per_hour=20, sleep=clock.sleep, now=clock.now)
    ) as limiter:
        for _ in range(19):
            limiter.wait_turn()
            limiter.sending()
            limiter.learn(told(0))
        limiter.wait_turn()
        limiter.learn(told(jump_h))
        limiter.sending()
        if jump_h > 0:
            limiter.wait_turn()
            return
        with pytest.raises(QuotaSpent) as error:
            limiter.wait_turn()
        clock.sleep(error.value.wait_s)
        limiter.wait_turn()


def sent_late(limiter: PostgresLimiter, clock: Clock, delays: Iterable[float]) -> list[float]:
    """Send requests, each so many seconds after its slot; return when they went."""
    sent = []
    for late_s in delays:
        limiter.wait_turn()
        clock.sleep(late_s)
        limiter.sending()
        sent.append(clock.time.timestamp())
    return sent


def test_who_wakes_late_sends_no_third_request_within_a_second(
    connect: Connect, clock: Clock
) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now}
    with closing(PostgresLimiter(connect, APP, **options)) as limiter:
        sent = sent_late(limiter, clock, (0, 0.4, 0, 0, 0.5, 0, 0))
    assert most_in(sent, 1) <= 2


def test_who_asks_late_does_not_shift_those_who_come_after(connect: Connect, clock: Clock) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now}
    with closing(PostgresLimiter(connect, APP, per_second=8, per_hour=10**5, **options)) as limiter:
        began = clock.time
        sent = []
        for number in range(160):
            clock.sleep(0.2 if number % 8 == 3 else 0.01)
            limiter.wait_turn()
            limiter.sending()
            sent.append(clock.time.timestamp())
    assert most_in(sent, 1) <= 8
    assert len(sent) / (clock.time - began).total_seconds() > 0.94 * 8


@pytest.mark.parametrize("per_second", [1, 2, 8, 16])
def test_after_a_silence_a_second_is_used_at_once_and_then_evenly(
    connect: Connect, clock: Clock, per_second: int
) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now, "per_hour": 10**5}
    with closing(PostgresLimiter(connect, APP, per_second=per_second, **options)) as limiter:
        for _ in range(2):
            clock.sleep(60)
            began = clock.time.timestamp()
            sent = [moment - began for moment in sent_late(limiter, clock, [0] * 3 * per_second)]
            assert sent[:per_second] == [0] * per_second
            even = [1.05 * (1 + number / per_second) for number in range(2 * per_second)]
            assert sent[per_second:] == pytest.approx(even, abs=0.001)


@pytest.mark.parametrize(("pause_s", "at_once"), [(1.5, 1), (1.6, 8)])
def test_half_a_second_of_room_is_silence_enough(
    connect: Connect, clock: Clock, pause_s: float, at_once: int
) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now, "per_hour": 10**5}
    with closing(PostgresLimiter(connect, APP, per_second=8, **options)) as limiter:
        sent_late(limiter, clock, [0] * 8)
        clock.sleep(pause_s)
        began = clock.time.timestamp()
        sent = [moment - began for moment in sent_late(limiter, clock, [0] * 8)]
    assert sum(moment < 0.001 for moment in sent) == at_once


def test_a_rate_that_is_no_whole_number_is_kept_evenly(connect: Connect, clock: Clock) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now, "per_hour": 10**5}
    with closing(PostgresLimiter(connect, APP, per_second=2.5, **options)) as limiter:
        for _ in range(2):
            clock.sleep(60)
            began = clock.time.timestamp()
            sent = [moment - began for moment in sent_late(limiter, clock, [0] * 12)]
            assert sent == pytest.approx([0.42 * number for number in range(12)], abs=0.001)


@pytest.mark.parametrize("per_second", [2, 8])
def test_whoever_asks_whenever_no_second_has_too_many(
    connect: Connect, clock: Clock, per_second: int
) -> None:
    chance = random.Random(42)
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now, "per_hour": 10**5}
    with closing(PostgresLimiter(connect, APP, per_second=per_second, **options)) as limiter:
        sent = []
        for _ in range(400):
            clock.sleep(chance.choice([0, 0, 0, 0.05, 0.3, 1.5]))
            sent += sent_late(limiter, clock, [chance.choice([0, 0, 0, 0.02, 0.2])])
    assert most_in(sent, 1) <= per_second


def test_a_rate_below_one_a_second_is_kept(connect: Connect, clock: Clock) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now}
    with closing(PostgresLimiter(connect, APP, per_second=0.25, **options)) as limiter:
        sent = sent_late(limiter, clock, (0, 3, 0, 1))
    assert min(later - sooner for sooner, later in pairwise(sent)) >= 4


def test_a_request_that_went_out_late_keeps_the_third_one_back(
    connect: Connect, clock: Clock
) -> None:
    options: dict[str, Any] = {"sleep": clock.sleep, "now": clock.now}
    with closing(PostgresLimiter(connect, APP, **options)) as limiter:
        gone = []
        for late_s in (0, 0.3, 0, 0, 0.2, 0):
            limiter.wait_turn()
            limiter.sending()
            clock.sleep(late_s)
            limiter.sent()
            gone.append(clock.time.timestamp())
    assert most_in(gone, 1) <= 2
