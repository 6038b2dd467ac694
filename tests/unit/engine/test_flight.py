"""Several series under way: as many as the rate needs, in order, and nothing answered is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from intra42.api.auth import MemoryTokens, Token
from intra42.api.client import IntraClient
from intra42.api.concurrent import Concurrent, Series, middle_of_rest
from intra42.api.model import Answer
from intra42.api.pace import LocalLimiter
from intra42.api.pagination import LAST_ID, Listing, Page
from intra42.errors import IncompleteListing, QuotaSpent

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def page(number: int, *, ids: tuple[int, ...] = (1, 2, 3), remaining: int = 0) -> Page:
    """A page of a listing in which `remaining` rows are still to come."""
    answer = Answer(
        records=[{"id": one} for one in ids],
        total=len(ids) + remaining,
        per_page=len(ids),
        more=remaining > 0,
        date=NOW,
        sent_at=NOW,
        seq=number,
        elapsed_ms=1,
        size=10,
    )
    return Page(
        number=number,
        pages=number,
        records=answer.records,
        answer=answer,
        after=0,
        last_id=max(ids),
        remaining=remaining,
        done=not remaining,
        listing=Listing("/v2/users", {}),
    )


class Sky:
    """Counts what is under way; each answer takes a while."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def pages(self, count: int, error: Exception | None = None) -> Iterator[Page]:
        for number in range(1, count + 1):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.02)
            with self.lock:
                self.now -= 1
            if error is not None and number == count:
                raise error
            yield page(number, remaining=count - number)


@pytest.fixture
def sky() -> Sky:
    return Sky()


def client(*, rate: float, latency_s: float, most: int = 24) -> IntraClient:
    """A client that has measured `latency_s`; nothing is sent with it."""
    tokens = MemoryTokens(lambda: Token(value="token", expires_in_s=7200))
    made = IntraClient(
        "http://127.0.0.1:9", tokens, LocalLimiter(per_second=rate), most_in_flight=most
    )
    made.latency_s = latency_s
    return made


def landings(flown: IntraClient, series: list[Series]) -> list[tuple[Series, Page]]:
    waiting = iter(series)
    with Concurrent(flown, lambda: next(waiting, None)) as concurrent:
        return [one for landed in concurrent for one in landed]


@pytest.mark.parametrize(("rate", "latency_s"), [(2, 0.05), (2, 0.3), (8, 0.05)])
def test_one_at_a_time_is_asked_where_that_keeps_the_rate(sky, rate, latency_s):
    landings(client(rate=rate, latency_s=latency_s), [Series(sky.pages(2)) for _ in range(12)])
    assert sky.most == 1


@pytest.mark.parametrize(("rate", "latency_s"), [(2, 1), (2, 3), (8, 0.5), (8, 1)])
def test_as_many_are_under_way_as_slow_answers_need(sky, rate, latency_s):
    series = [Series(sky.pages(2)) for _ in range(12)]
    assert len(landings(client(rate=rate, latency_s=latency_s), series)) == 24
    assert rate * latency_s < sky.most <= rate * latency_s + 2


def test_no_more_are_under_way_than_the_client_may_have(sky):
    landings(client(rate=100, latency_s=3, most=4), [Series(sky.pages(2)) for _ in range(9)])
    assert sky.most == 4


def test_few_are_under_way_where_no_quota_binds(sky):
    landings(client(rate=1000, latency_s=3), [Series(sky.pages(2)) for _ in range(20)])
    assert sky.most == 8


def test_the_pages_of_a_series_come_in_order(sky):
    series = [Series(sky.pages(4)) for _ in range(5)]
    came = landings(client(rate=8, latency_s=3), series)
    for one in series:
        assert [page.number for of, page in came if of is one] == [1, 2, 3, 4]


@pytest.mark.parametrize(("rate", "latency_s"), [(2, 0.01), (8, 3)])
def test_what_was_answered_is_handed_out_before_an_error(sky, rate, latency_s):
    good = [Series(sky.pages(1)) for _ in range(3)]
    bad = Series(sky.pages(1, IncompleteListing("a page is short")))
    later = [Series(sky.pages(1)) for _ in range(20)]
    came: list[Series] = []
    waiting = iter([*good, bad, *later])

    def fly() -> None:
        flown = client(rate=rate, latency_s=latency_s)
        with Concurrent(flown, lambda: next(waiting, None)) as concurrent:
            for landed in concurrent:
                came.extend(series for series, _page in landed)

    with pytest.raises(IncompleteListing, match="short"):
        fly()
    assert set(good) <= set(came)
    # What was already under way came too, and nothing was asked for afterwards.
    assert len(list(waiting)) == 20 - (len(came) - 3)


def test_a_spent_quota_hides_no_worse_error(sky):
    series = [
        Series(sky.pages(1, QuotaSpent("the hour is spent", 60))),
        Series(sky.pages(1, IncompleteListing("a page is short"))),
    ]
    with pytest.raises(IncompleteListing):
        landings(client(rate=8, latency_s=3), series)


def test_a_series_that_has_enough_is_asked_no_more(sky):
    class First(Series):
        def arrived(self, page: Page, spare: int) -> bool:
            del page, spare
            return False

    came = landings(client(rate=8, latency_s=3), [First(sky.pages(5)), Series(sky.pages(2))])
    assert sorted(page.number for _series, page in came) == [1, 1, 2]


def test_series_that_come_up_meanwhile_are_flown_too(sky):
    waiting = [Series(sky.pages(1))]

    class Mother(Series):
        def stored(self, page: Page) -> None:
            del page
            waiting.append(Series(sky.pages(1)))

    waiting.append(Mother(sky.pages(1)))
    flown = client(rate=8, latency_s=3)
    came = 0
    with Concurrent(flown, lambda: waiting.pop() if waiting else None) as concurrent:
        for landed in concurrent:
            for series, one in landed:
                series.stored(one)
                came += 1
    assert came == 3


def test_a_rest_is_halved_where_its_ids_are_expected():
    # A hundred ids are as dense as those of the page: 10 apart.
    first = page(1, ids=(1000, 1010, 1020), remaining=30)
    assert middle_of_rest(first) == 1020 + 20 * 30 // 2 // 2
    assert middle_of_rest(first, highest=1120) == 1070
    # What is known to be there says more than the first few, of which most may be old.
    assert middle_of_rest(first, known=1100) == 1060
    assert middle_of_rest(first, known=1021) == 1020 + 30 // 2
    assert middle_of_rest(first, known=5000) == middle_of_rest(first, known=900) == 1170


def test_a_short_rest_is_not_halved():
    assert middle_of_rest(page(1, remaining=17)) is None
    assert middle_of_rest(page(1, remaining=18), highest=4) is None
    assert middle_of_rest(replace(page(1, remaining=99), last_id=LAST_ID)) is None
