"""A world whose listings have three pages, and where its people are in them."""

from __future__ import annotations

import json
from collections import Counter

from dev.simulator import Simulator
from tests.harness import Mirror
from tests.integration.mirror import worlds

SIZE = 40
PLACES = {
    "first page": range(101, 141),
    "middle page": range(141, 181),
    "last page": range(181, 201),
}
EVERYBODY = range(101, 201)


def hundred() -> Simulator:
    """The town with a hundred students, whom every listing shows on three pages."""
    sim = worlds.town()
    sim.clock.advance(hours=-24)
    for number in EVERYBODY:
        if number not in worlds.STUDENTS:
            worlds.person(sim, number, 1)
    sim.clock.advance(hours=24)
    sim.harsh.page_cap = SIZE
    return sim


def read_windows(mirror: Mirror, path: str) -> list[int]:
    """Return how many pages of each window were read to its end."""
    pages: Counter[str] = Counter(
        json.dumps({**entry.query, "range[id]": ""})
        for entry in mirror.sim.ledger.requests(path)
        if "range[updated_at]" in entry.query
    )
    return list(pages.values())
