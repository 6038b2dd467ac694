"""Achievements are read by campus or from the catalogue, whichever costs fewer requests."""

from __future__ import annotations

import pytest

from dev.simulator import Simulator
from intra42.attempt.work import Identity
from intra42.catalog import graph
from intra42.read.reference import sync_reference
from intra42.run.opening import open_run
from intra42.settings import parse_request
from tests.harness import NIGHTLY


def land(campuses: int, each: int, others: int) -> Simulator:
    """Campuses with `each` achievements of their own, and `others` of a campus far away."""
    sim = Simulator("empty")
    world = sim.world
    for number in range(1, campuses + 2):
        world.add_campus(number)
    for number in range(campuses * each):
        world.add_achievement(number + 1, campus_ids=(number % campuses + 1,))
    for number in range(others):
        world.add_achievement(10_000 + number, campus_ids=(campuses + 1,))
    return sim


def asked(mirror):
    """Read campuses and achievements as each night does.

    Returns the requests to the catalogue, without those for ids, and those to campuses.
    """
    mirror.sim.ledger.clear()
    for name in ("campuses", "achievements"):
        who = Identity(dag_id=NIGHTLY, run_id="run", task_id=f"reference.{name}")
        open_run(mirror.connect, mirror.api, who, parse_request(mirror.config, {}))
        mirror.task(who, {}, name, lambda work, n=name: sync_reference(work, graph.get(n)))
    campuses = mirror.sim.ledger.requests("/v2/campus/")
    catalogue = mirror.sim.ledger.requests("/v2/achievements")
    return sum("filter[id]" not in entry.query for entry in catalogue), len(campuses)


def is_true(mirror):
    """Tell whether the mirror has the achievements of each configured campus, and no others."""
    ours = mirror.config["campus_ids"]
    return set(
        mirror.query(
            "select campus_id, achievement_id from intra42.campus_achievements "
            "where campus_id = any(%s)",
            ours,
        )
    ) == {(c, row.id) for row in mirror.sim.world.achievements for c in row.campus_ids if c in ours}


@pytest.mark.parametrize(
    ("campuses", "each", "others", "first", "later"),
    [
        pytest.param(1, 20, 300, (0, 1), (0, 1), id="one-campus-asks-nothing-else"),
        pytest.param(1, 120, 0, (0, 2), (0, 2), id="one-campus-of-two-pages"),
        pytest.param(2, 20, 300, (0, 2), (0, 2), id="two-campuses-could-save-one-request"),
        pytest.param(4, 20, 500, (1, 4), (0, 4), id="campuses-are-cheaper"),
        pytest.param(4, 20, 100, (2, 0), (2, 0), id="the-catalogue-is-cheaper"),
        pytest.param(4, 110, 0, (5, 1), (5, 0), id="campuses-take-two-pages-each"),
    ],
)
def test_first_pages_tell_once_and_later_nights_know(fresh, campuses, each, others, first, later):
    mirror = fresh(lambda: land(campuses, each, others), campus_ids=[*range(1, campuses + 1)])
    assert [asked(mirror) for _night in range(3)] == [first, later, later]
    assert is_true(mirror)


def test_more_campuses_than_pages_read_the_catalogue_without_asking_one(fresh):
    mirror = fresh(lambda: land(6, 20, 100), campus_ids=[*range(1, 7)])
    assert asked(mirror) == (3, 0)
    assert is_true(mirror)


def test_campuses_that_have_grown_are_left_for_the_catalogue(fresh):
    mirror = fresh(lambda: land(4, 20, 450), campus_ids=[1, 2, 3, 4])
    assert asked(mirror) == (1, 4)
    world = mirror.sim.world
    for number in range(320):
        world.update_row("achievements", 10_000 + number, campus_ids=(number % 4 + 1, 5))
    # By campus once more, which shows that they have a hundred each now.
    assert asked(mirror) == (0, 4)
    for number in range(320, 400):
        world.update_row("achievements", 10_000 + number, campus_ids=(number % 4 + 1, 5))
    assert asked(mirror) == (0, 8)
    # Six pages of the catalogue, eight by campus.
    assert [asked(mirror) for _night in range(2)] == [(6, 0), (6, 0)]
    assert is_true(mirror)


def test_a_campus_the_catalogue_spells_otherwise_is_asked_for_its_own_list(fresh):
    mirror = fresh(lambda: land(4, 20, 0), campus_ids=[1, 2, 3, 4])

    def blank(record):
        return record | {"campus": [f"{name} " for name in record["campus"]]}

    mirror.sim.faults.add("mutate_record", "/v2/achievements", times=None, change=blank)
    assert asked(mirror) == (1, 4)
    assert is_true(mirror)


def test_campuses_that_share_a_name_are_asked_for_their_own_lists(fresh):
    mirror = fresh(lambda: land(4, 20, 0), campus_ids=[1, 2, 3, 4])
    mirror.sim.world.update_row("campus", 2, name="Here")
    mirror.sim.world.update_row("campus", 3, name="Here")
    assert asked(mirror) == (1, 2)
    assert is_true(mirror)


def test_an_empty_catalogue_decides_nothing(fresh):
    mirror = fresh(lambda: land(4, 20, 100), campus_ids=[1, 2, 3, 4])
    mirror.sim.faults.add("empty_page", "/v2/achievements", consistent=True)
    assert asked(mirror) == (1, 4)
    assert mirror.value("select count(*) from intra42.listing_totals") == 0
    assert is_true(mirror)
