"""P5 to P12: listings of every length, that move while they are read, or come in small pages."""

from __future__ import annotations

import random

import pytest

from dev.simulator import Simulator
from tests.faults.pages import EVERYBODY, hundred
from tests.integration.mirror import worlds

ATTEMPTS = 1200
FIRST = 100_000


def crowd() -> Simulator:
    """The town with a hundred students who have 1,200 attempts more, all from one moment."""
    sim = hundred()
    sim.harsh.page_cap = 100
    sim.clock.advance(hours=-24)
    for number in range(ATTEMPTS):
        user_id = EVERYBODY[number % len(EVERYBODY)]
        sim.world.add_projects_user(user_id, 11 + number % 7, id=FIRST + number)
    sim.clock.advance(hours=24)
    return sim


def change(mirror, row_ids):
    """Change attempts, all in the same moment."""
    for row_id in row_ids:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=77)


def changed(mirror):
    return mirror.value("select count(*) from intra42.projects_users where final_mark = 77")


def pages(mirror):
    return [
        entry
        for entry in mirror.sim.ledger.requests("/v2/projects_users")
        if "range[updated_at]" in entry.query
    ]


@pytest.mark.parametrize(
    ("rows", "asked"),
    [(100, 1), (200, 2), (0, 1), (1, 1), (101, 2)],
    ids=["P5 a last page of 100", "P5 two pages of 100", "P6 no row", "one row", "one row more"],
)
def test_a_listing_of_any_length_takes_no_page_too_many(loaded, rows, asked):
    mirror = loaded(crowd, campus_ids=[1])
    change(mirror, range(FIRST, FIRST + rows))
    mirror.incremental()
    assert changed(mirror) == rows
    assert len(pages(mirror)) == asked
    assert mirror.differences() == []


MOVES = {
    "P7 updates": ("update",),
    "P8 inserts": ("insert",),
    "P9 deletes": ("delete",),
    "P10 all three": ("update", "insert", "delete"),
}


@pytest.mark.parametrize("many", [1, 5, 50], ids=lambda many: f"{many} a page")
@pytest.mark.parametrize("name", MOVES)
def test_rows_that_move_between_pages_are_neither_missed_nor_stale(loaded, name, many):
    rows_that_move(loaded, MOVES[name], many, length=20)


def test_p10_rows_that_move_between_four_hundred_pages_are_neither_missed_nor_stale(loaded):
    rows_that_move(loaded, MOVES["P10 all three"], 5, length=400)


def rows_that_move(loaded, kinds, many, *, length):
    """Read `length` pages while rows move, then let the mirror come to rest, and compare."""
    mirror = loaded(crowd, campus_ids=[1], nightly_audit_requests=500, max_delete_rows=10_000)
    change(mirror, range(FIRST, FIRST + ATTEMPTS))
    mirror.sim.harsh.page_cap = ATTEMPTS // length
    rng = random.Random(7)

    def move(world):
        world.clock.advance(seconds=1)
        for kind in kinds:
            rows = rng.sample(world.projects_users.ids, many)
            for row_id in rows:
                if kind == "insert":
                    world.retry_project(row_id)
                elif kind == "delete" and len(world.projects_users.ids) > 300:
                    world.delete_attempt(row_id)
                elif kind == "update":
                    world.update_row("projects_users", row_id, final_mark=rng.randrange(100))

    # The long one moves all the while, but not so often that it takes minutes.
    mirror.sim.faults.add(
        "between_pages",
        "/v2/projects_users",
        times=None if length == 20 else 60,
        when=lambda request: "range[updated_at]" in request.query,
        hook=move,
    )
    mirror.incremental()
    mirror.sim.faults.clear()
    assert len(pages(mirror)) >= length * 0.6
    mirror.sim.harsh.page_cap = None
    mirror.incremental()
    mine = dict(mirror.query("select id, final_mark from intra42.projects_users"))
    world = {row.id: row.final_mark for row in mirror.sim.world.projects_users}
    missing = [row_id for row_id in world if row_id not in mine and _ours(mirror, row_id)]
    assert missing == []
    stale = [row_id for row_id in world if row_id in mine and mine[row_id] != world[row_id]]
    assert stale == []
    mirror.nightly()
    mirror.nightly()
    assert mirror.differences() == []


def _ours(mirror, row_id):
    return mirror.sim.world.projects_users[row_id].user_id in EVERYBODY


def test_p11_ten_thousand_rows_of_one_moment_on_the_edge_of_a_window(loaded):
    mirror = loaded(worlds.town, campus_ids=[1])
    world = mirror.sim.world
    for number in range(10_000):
        world.add_projects_user(101 + number % 8, 11, id=FIRST + number)
    # The watermark is that very moment, or a second before: the ties are on both of its sides.
    mirror.incremental()
    assert mirror.value("select count(*) from intra42.projects_users where id >= 100000") == 10_000
    state = mirror.query(
        "select watermark from intra42.sync_state where resource = 'projects_users'"
    )
    assert len(state) == 2
    mirror.sim.ledger.clear()
    mirror.incremental()
    assert mirror.differences() == []


@pytest.mark.parametrize("cap", [30, 1], ids=lambda cap: f"P12 capped at {cap}")
def test_a_page_size_that_the_api_caps_in_silence_loses_nothing(loaded, cap):
    mirror = loaded(worlds.town, campus_ids=[1])
    mirror.sim.harsh.page_cap = cap
    for number in worlds.STUDENTS:
        mirror.sim.world.update_row("projects_users", number * 100, final_mark=77)
    mirror.incremental()
    assert changed(mirror) == len(worlds.STUDENTS)
    mirror.nightly()
    assert mirror.differences() == []
