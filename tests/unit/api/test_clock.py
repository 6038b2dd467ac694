"""Which Date of an answer is believed: one odd one changes nothing, two in a row do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from intra42.api.clock import ApiClock

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
ODD = [
    NOON + timedelta(days=3),
    NOON - timedelta(days=3),
    datetime(2099, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
]


def agreed_at_noon() -> ApiClock:
    clock = ApiClock()
    clock.recall(NOON, agreed=True)
    return clock


def near(moment: datetime) -> bool:
    return abs(moment - NOON) < timedelta(minutes=1)


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_date_is_not_believed_and_not_remembered(odd, caplog):
    clock = agreed_at_noon()
    assert near(clock.believe(odd))
    assert "not believed" in caplog.text
    assert clock.believe(NOON) == NOON
    assert near(clock.believe(odd))


@pytest.mark.parametrize("odd", ODD)
def test_a_clock_that_was_set_is_believed_with_the_second_answer(odd):
    clock = agreed_at_noon()
    clock.believe(odd)
    assert clock.believe(odd) == odd
    assert clock.agreed
    assert clock.believe(odd) == odd


def test_two_odd_dates_that_differ_prove_nothing():
    clock = agreed_at_noon()
    assert near(clock.believe(ODD[0]))
    assert near(clock.believe(ODD[1]))
    assert clock.believe(NOON) == NOON


@pytest.mark.parametrize("odd", ODD)
def test_of_the_first_two_answers_that_disagree_the_earlier_one_counts(odd):
    clock = ApiClock()
    assert clock.believe(odd) == odd
    assert not clock.agreed
    second = clock.believe(NOON)
    assert second <= max(NOON, odd) if odd > NOON else near(second - (odd - NOON))
    assert clock.believe(NOON) == NOON
    assert clock.agreed


def test_clocks_of_several_servers_may_differ_by_minutes():
    clock = agreed_at_noon()
    for minutes in (5, -4, 3, 0):
        moment = NOON + timedelta(minutes=minutes)
        assert clock.believe(moment) == moment
