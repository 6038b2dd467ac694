"""Watermarks and windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from intra42.catalog import graph
from intra42.read.history import packed
from intra42.read.window import Scope, as_range, groups, outside, scopes, since_watermark
from intra42.settings import Config, Window

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def keys(name, **settings):
    return [scope.key for scope in scopes(graph.get(name), Config(**settings))]


def test_scopes_are_a_campus_and_a_cursus_where_the_resource_has_them():
    assert keys("users", campus_ids=(67, 1)) == ["67/21", "1/21", "67/1", "1/1"]
    assert keys("users") == ["all/21", "all/1"]
    assert keys("projects_users", campus_ids=(67,), cursus_ids=(21, 9)) == ["67/21", "67/9"]
    assert keys("campus_users", campus_ids=(67, 1)) == ["all"]


def test_an_open_window_ends_in_the_far_future_and_a_closed_one_where_it_says():
    assert as_range(Window(since=NOON)) == "2026-03-03T12:00:00.000Z,9999-12-31T23:59:59.999Z"
    closed = Window(since=NOON, until=NOON + timedelta(hours=1, milliseconds=5))
    assert as_range(closed) == "2026-03-03T12:00:00.000Z,2026-03-03T13:00:00.005Z"


def test_a_watermark_later_than_the_api_starts_a_day_back():
    lookback = timedelta(minutes=30)
    assert since_watermark(NOON, lookback, NOON).since == NOON - lookback
    late = NOON + timedelta(seconds=1)
    assert since_watermark(late, lookback, NOON).since == NOON - timedelta(hours=24)


def test_scopes_whose_watermarks_agree_share_a_listing():
    marks = {
        Scope(1, 21): NOON,
        Scope(2, 21): NOON + timedelta(hours=23),
        Scope(3, 21): NOON + timedelta(hours=25),
    }
    found = groups(marks)
    assert [(len(group.scopes), group.watermark) for group in found] == [
        (2, NOON),
        (1, NOON + timedelta(hours=25)),
    ]


def test_rows_before_the_window_are_counted_and_unknown_ones_not():
    window = Window(since=NOON)
    moments = [NOON, NOON - timedelta(milliseconds=500), NOON - timedelta(seconds=2), None]
    assert outside(window, moments) == 1


@given(st.lists(st.integers(0, 300), min_size=1, max_size=100))
def test_packed_users_fill_pages_and_nobody_waits_for_ever(known):
    candidates = list(enumerate(known, start=1))
    chosen = packed(candidates)
    assert chosen
    assert chosen == [user for user, _rows in candidates][: len(chosen)]
    total = sum(known)
    if len(chosen) < len(candidates) and len(chosen) > 1:
        taken = sum(known[: len(chosen)])
        assert taken <= total // 100 * 100
