"""The story this project exists for, in a tiny world."""

from __future__ import annotations

from dev.simulator.clock import DAY


def level_of(mirror, enrolment):
    return mirror.value("select level from intra42.cursus_users where id = %s", enrolment)


def test_a_level_moves_silently_and_an_applicant_leaves(fresh):
    mirror = fresh()
    world, clock = mirror.sim.world, mirror.sim.clock

    # Ada (101) is at level 11.16. Grace has an enrolment that begins in ten days.
    world.set_level_silently(1010, 11.16)
    grace = world.new_student(1)
    [enrolment] = [row.id for row in world.cursus_users.of("user_id", grace)]
    world.update_row("cursus_users", enrolment, begin_at=clock.now_ms() + 10 * DAY)
    mirror.nightly()
    assert level_of(mirror, 1010) == 11.16
    assert mirror.differences() == []

    # In the afternoon Ada validates three projects. Each recomputes her level without a trace.
    clock.advance(hours=4)
    touched = world.cursus_users[1010].updated_at
    attempts = {world.validate_project(101, project) for project in (12, 13, 14)}
    world.set_level_silently(1010, 12.69)
    assert world.cursus_users[1010].updated_at == touched
    # Her neighbour's level moves too, with no attempt that would betray it.
    world.set_level_silently(1020, 3.5)

    # The next quarter hour sees her projects and therefore her level, whatever the budget.
    mirror.config["incremental_request_budget"] = 0
    mirror.incremental()
    assert level_of(mirror, 1010) == 12.69
    rows = mirror.query(
        "select id from intra42.projects_users where user_id = 101 and final_mark = 100"
    )
    assert {row[0] for row in rows} == attempts
    assert level_of(mirror, 1020) == 1.0

    # Grace changes her mind and unregisters: the API just stops showing the row.
    world.unregister(enrolment)
    clock.advance(hours=12)
    mirror.nightly()
    assert level_of(mirror, 1020) == 3.5
    assert mirror.query("select 1 from intra42.cursus_users where id = %s", enrolment) == []
    assert mirror.query("select 1 from intra42.users where id = %s", grace) == [(1,)]
    [(resource, row)] = mirror.query(
        "select resource, row from intra42.tombstones where id = %s", enrolment
    )
    assert resource == "cursus_users"
    assert row["user_id"] == grace
    assert row["begin_at"].startswith("2026-03-13")
    assert mirror.differences() == []


def test_the_nightly_run_alone_sees_the_level_too(town):
    world = town.sim.world
    for project in (12, 13, 14):
        world.validate_project(101, project)
    world.set_level_silently(1010, 12.69)
    town.nightly()
    assert level_of(town, 1010) == 12.69
    assert town.differences() == []


def test_an_incremental_budget_refreshes_the_others_too(town):
    town.sim.world.set_level_silently(1070, 8.25)
    town.incremental()
    assert level_of(town, 1070) == 8.25
