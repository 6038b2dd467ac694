"""Several requests under way in one task: nothing is lost, and nothing asked twice without need."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest

from dev.simulator import Simulator
from intra42.api import concurrent
from intra42.errors import QuotaSpent
from tests.integration.mirror import worlds

USERS = "/v2/cursus/21/users"
PARTS = (
    "select count(*) from intra42.partitions as p join intra42.jobs as j on j.id = p.job_id "
    "where j.kind = 'history' and j.resource = 'projects_users' and not p.done"
)


def city():
    """A campus whose listings have several pages each."""
    return Simulator("campus", seed=5, students=60)


class Traffic:
    """Slows every answer down, and counts how many requests are being answered."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def pass_through(self, _store):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self._seconds)
        with self._lock:
            self._now -= 1


@contextmanager
def slow(mirror, path="/v2", seconds=0.1):
    """Make answers slow; seconds outweigh how busy the machine is."""
    traffic = Traffic(seconds)
    mirror.sim.faults.add("between_pages", path, times=None, hook=traffic.pass_through)
    yield traffic
    mirror.sim.faults.clear()


def asked(mirror, path):
    """Count how often each page of an endpoint was asked for and answered."""
    return Counter(
        json.dumps(entry.query, sort_keys=True)
        for entry in mirror.sim.ledger.requests(path)
        if entry.status == 200
    )


def test_slow_answers_are_waited_for_side_by_side(fresh):
    mirror = fresh(city, campus_ids=[67])
    mirror.sim.harsh.page_cap = 20
    with slow(mirror) as traffic:
        mirror.nightly()
    assert traffic.most > 2
    assert mirror.differences() == []
    sent = mirror.value("select sum(requests)::integer from intra42.sync_runs")
    assert sent == len(mirror.sim.ledger.requests("/v2"))


def test_one_in_flight_is_one_at_a_time(fresh):
    mirror = fresh(worlds.village, campus_ids=[67])
    mirror.api = replace(mirror.api, most_in_flight=1)
    with slow(mirror, seconds=0.01) as traffic:
        mirror.nightly()
    assert traffic.most == 1
    assert mirror.differences() == []


def test_a_long_listing_is_split_by_ids_and_read_whole(fresh):
    mirror = fresh(city, campus_ids=[])
    mirror.sim.harsh.page_cap = 4
    with slow(mirror, USERS, 1):
        mirror.nightly()
    ranges = {
        entry.query["range[id]"].split(",")[1]
        for entry in mirror.sim.ledger.requests(USERS)
        if "range[updated_at]" not in entry.query
    }
    assert len(ranges) > 1, "no part ends below the highest id"
    assert mirror.differences() == []
    students = mirror.value(
        "select count(distinct user_id) from intra42.cursus_users where cursus_id = 21"
    )
    # A part more is a page more at most, and an empty one is asked for twice.
    assert len(mirror.sim.ledger.requests(USERS)) <= students / 4 + 3 * len(ranges)


def test_a_split_window_moves_its_watermark_to_the_first_answer(loaded):
    mirror = loaded(city, campus_ids=[67])
    mirror.incremental()
    mirror.sim.clock.advance(hours=2)
    before = mirror.sim.clock.now()
    for row_id in mirror.sim.world.projects_users.ids[:120]:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.harsh.page_cap = 4
    with slow(mirror, "/v2/projects_users", 1):
        mirror.incremental()
    parts = mirror.sim.ledger.requests("/v2/projects_users")
    assert len({entry.query["range[id]"].split(",")[1] for entry in parts}) > 1
    watermark = mirror.value(
        "select watermark from intra42.sync_state "
        "where dag_id = 'intra42_incremental' and resource = 'projects_users'"
    )
    assert (before - watermark).total_seconds() < 5
    mirror.nightly()
    assert mirror.differences() == []


def test_a_window_of_mostly_new_rows_is_not_split_where_there_are_none(loaded, caplog):
    mirror = loaded(city, campus_ids=[67])
    mirror.incremental()
    mirror.sim.clock.advance(hours=2)
    ids = mirror.sim.world.projects_users.ids
    for row_id in (ids[0], *ids[len(ids) // 2 :: 40], *ids[-70:]):
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.harsh.page_cap = 4
    mirror.sim.ledger.clear()
    with slow(mirror, "/v2/projects_users", 1):
        mirror.incremental()
    parts = mirror.sim.ledger.requests("/v2/projects_users")
    ranges = {entry.query["range[id]"].split(",")[1] for entry in parts}
    assert len(ranges) > 1
    assert "which would be odd" not in caplog.text
    changed = mirror.value("select count(*) from intra42.projects_users where final_mark = 7")
    # Only the last page of a part is not full.
    assert len(parts) <= changed / 4 + len(ranges)


class Cut(Exception):
    """Ends a task when so many pages of some kind are stored."""


def cut_at_split(monkeypatch):
    """End the task as soon as a chunk of users was split and a page of it is stored."""
    split = concurrent.middle_of_rest
    seen = []

    def noted(page, *highest):
        middle = split(page, *highest)
        if middle is not None:
            seen.append(middle)
        return middle

    monkeypatch.setattr("intra42.read.partitions.middle_of_rest", noted)
    return seen


def test_a_split_chunk_that_is_interrupted_is_read_to_its_end(fresh, monkeypatch):
    mirror = fresh(city, campus_ids=[67])
    mirror.sim.harsh.page_cap = 20
    seen = cut_at_split(monkeypatch)
    plain = mirror.task

    def task(identity, params, resource, step):
        def armed(work):
            commit = work.commit
            after_split = 0

            def counting(story):
                nonlocal after_split
                result = commit(story)
                after_split += bool(seen)
                if resource == "projects_users" and after_split > 6:
                    raise Cut
                return result

            work.commit = counting
            return step(work)

        seen.clear()
        return plain(identity, params, resource, armed)

    mirror.task = task
    with slow(mirror, "/v2/projects_users", 1):
        with pytest.raises(Cut):
            mirror.nightly(run_id="one")
        mirror.task = plain
        parts = mirror.value(PARTS)
        assert parts > 1, "nothing was split"
        mirror.nightly(run_id="one")
    assert mirror.value(PARTS) == 0
    assert mirror.differences() == []


def test_what_is_left_of_a_chunk_is_read_though_a_part_of_it_was_done(fresh, monkeypatch):
    mirror = fresh(city, campus_ids=[67])
    mirror.sim.harsh.page_cap = 20
    seen = cut_at_split(monkeypatch)
    plain = mirror.task

    def task(identity, params, resource, step):
        def armed(work):
            commit = work.commit
            most = 0

            def counting(story):
                nonlocal most
                result = commit(story)
                if resource == "projects_users" and seen:
                    left = mirror.value(PARTS)
                    most = max(most, left)
                    if 0 < left < most:
                        raise Cut
                return result

            work.commit = counting
            return step(work)

        seen.clear()
        return plain(identity, params, resource, armed)

    mirror.task = task
    with slow(mirror, "/v2/projects_users", 1):
        with pytest.raises(Cut):
            mirror.nightly(run_id="one")
        mirror.task = plain
        mirror.nightly(run_id="one")
    assert mirror.value(PARTS) == 0
    assert mirror.differences() == []


def test_what_was_answered_when_the_hour_is_spent_is_not_asked_again(fresh):
    mirror = fresh(city, campus_ids=[67])
    mirror.sim.harsh.page_cap = 20
    mirror.sim.limits.per_hour = 100
    plain = mirror.task
    spent = 0

    def task(*order):
        nonlocal spent
        while True:
            try:
                return plain(*order)
            except QuotaSpent:
                spent += 1
                mirror.sim.clock.advance(hours=1, minutes=2)
                with mirror.connect() as connection:
                    # An hour passes for the API; on the wall it does not.
                    connection.execute("update intra42.api_limits set paused_until = null")
                    connection.execute("delete from intra42.api_usage")

    mirror.task = task
    with slow(mirror, seconds=0.02):
        mirror.nightly()
    assert spent
    assert mirror.differences() == []
    for path in ("/v2/projects_users", "/v2/achievements_users"):
        loaded_pages = {
            text: times
            for text, times in asked(mirror, path).items()
            if "filter[user_id]" in text and "2147483647" in text
        }
        assert set(loaded_pages.values()) == {1}, path
