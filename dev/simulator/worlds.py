"""Worlds made from a seed: one campus, a region, the whole network, or nothing."""

from __future__ import annotations

import gc
import random
from dataclasses import dataclass

from dev.simulator import catalogue, names
from dev.simulator.clock import Clock
from dev.simulator.further_world import add_further
from dev.simulator.people import Population
from dev.simulator.world import World

_WEIGHTS = {1: 9, 22: 4, 16: 3, 21: 3, 29: 3, 26: 2, 14: 2, 49: 3, 50: 2, 20: 2, 37: 2}


@dataclass(frozen=True)
class Plan:
    """The size of a world."""

    students: int
    campus_ids: tuple[int, ...]
    projects: int
    other_projects: int
    achievements: int
    cursuses: int
    attempts: tuple[int, int]


_ALL = tuple(int(line[0]) for line in names.CAMPUSES)

WORLDS = {
    "campus": Plan(500, (67,), 120, 20, 120, 12, (10, 25)),
    "region": Plan(5000, (1, 9, 41, 47, 48, 14), 200, 60, 300, 20, (10, 25)),
    "network": Plan(40_000, _ALL, 535, 300, 1042, 75, (22, 32)),
}


def build(name: str, clock: Clock, seed: int, students: int | None) -> World:
    """Make the world `name`; `empty` has no rows at all."""
    world = World(clock)
    if name == "empty":
        return world
    plan = WORLDS[name]
    rng = random.Random(f"{name}/{seed}")
    shares = _shares(plan.campus_ids, students or plan.students)
    # Millions of small objects and no cycles: the collector would only look at them for nothing.
    collecting = gc.isenabled()
    gc.disable()
    try:
        catalogue.add_campuses(world, shares)
        catalogue.add_cursuses(world, plan.cursuses)
        catalogue.add_projects(world, rng, plan.projects, plan.other_projects)
        catalogue.add_achievements(world, rng, plan.achievements)
        catalogue.add_coalitions(world, [*plan.campus_ids, *_neighbours(plan.campus_ids)])
        Population(world, rng, plan.attempts).add(shares, _neighbours(plan.campus_ids))
        # A network has millions of them, which nobody asks for there.
        if name != "network":
            add_further(world, catalogue.birth(2015))
    finally:
        if collecting:
            gc.enable()
    # A look through a large one holds up every answer for most of a second.
    if len(world.projects_users) > 20_000:
        gc.freeze()
    return world


def _neighbours(campus_ids: tuple[int, ...]) -> list[int]:
    """Return three campuses whose people turn up now and then."""
    return [number for number in _ALL if number not in campus_ids][:3]


def _shares(campus_ids: tuple[int, ...], students: int) -> dict[int, int]:
    weights = {number: _WEIGHTS.get(number, 1) for number in campus_ids}
    whole = sum(weights.values())
    shares = {number: students * weight // whole for number, weight in weights.items()}
    shares[campus_ids[0]] += students - sum(shares.values())
    return shares
