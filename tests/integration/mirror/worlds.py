"""Small worlds that are the same each time they are built, so that a first load can be copied."""

from __future__ import annotations

from dev.simulator import Simulator

STUDENTS = range(101, 109)


def town() -> Simulator:
    """One configured campus (1), another one (2), eight students here and two there.

    Student n has the enrolment n * 10, the attempt n * 100, the achievement n * 1000 and the
    coalition membership n * 10000. Everything happened a day ago.
    """
    sim = Simulator("empty")
    world = sim.world
    for number in (1, 2, 3):
        world.add_campus(number)
    for number in (1, 9, 21):
        world.add_cursus(number)
    for number in range(11, 18):
        world.add_project(number, campus_ids=(1, 2))
        world.add_achievement(number, campus_ids=(1, 2))
    for campus_id in (1, 2):
        bloc = world.add_bloc(campus_id)
        for number in (1, 2):
            world.add_coalition(bloc.id, id=campus_id * 10 + number)
    for number in STUDENTS:
        person(sim, number, 1)
    for number in (201, 202):
        person(sim, number, 2)
    world.add_user(301, campus_id=1, kind="external")
    sim.clock.advance(hours=24)
    return sim


def person(sim: Simulator, number: int, campus_id: int, *, cursus_id: int = 21) -> None:
    """Add a student with one row of everything."""
    world = sim.world
    world.add_user(number, campus_id=campus_id)
    world.add_cursus_user(number, cursus_id, id=number * 10, level=1.0)
    world.add_projects_user(number, 11, id=number * 100, cursus_ids=(cursus_id,))
    world.add_achievements_user(number, 11, id=number * 1000)
    world.add_coalitions_user(number, campus_id * 10 + 1, id=number * 10_000)


PISCINES = (3, 4, 9, 69, 77, 79, 80)
PISCINERS = range(401, 409)


def pool() -> Simulator:
    """The town with a piscine under way on its campus, and all that surrounds one.

    Of the pisciners 401 to 408, the last two have not begun and the one before them ended long ago.
    411 is an applicant, 412 swims on another campus, 413 in a discovery piscine; student 101 was a
    pisciner, too.
    """
    sim = town()
    world = sim.world
    for number in set(PISCINES) - {9}:
        world.add_cursus(number)
    for number, cursus_ids in ((31, (9,)), (32, (4, 9)), (33, (9, 21)), (34, (69,))):
        world.add_project(number, campus_ids=(1, 2), cursus_ids=cursus_ids)
    world.add_coalition(world.add_bloc(1, 9).id, id=91)
    for number in PISCINERS:
        begins = {406: -100, 407: 3, 408: 10}.get(number, -5)
        world.register_pisciner(number, 1, begins=begins)
    world.register_pisciner(411, 1, begins=-5, kind="external")
    world.register_pisciner(412, 2, begins=-5)
    world.register_pisciner(413, 1, cursus_id=69, begins=-2)
    world.register_pisciner(101, 1, begins=-400)
    sim.clock.advance(hours=24)
    return sim


def village() -> Simulator:
    """A campus as the API has them, with every kind of account."""
    return Simulator("campus", seed=3, students=20)


def region() -> Simulator:
    """Several campuses."""
    return Simulator("region", seed=3, students=36)
