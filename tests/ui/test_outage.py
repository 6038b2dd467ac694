"""Pause and resume over an outage: docs/how-to.md, "Pause and resume"."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.ui.browser import clear_task, open_run, open_task, set_paused, task_row
from tests.ui.school import INCREMENTAL, School

TABLE = "primary.projects_users"


def test_after_days_of_pause_and_a_broken_api_the_next_run_catches_up(
    school: School, page: Page
) -> None:
    # The incremental DAG has not run yet. Two days pass, in which much happens.
    world, clock = school.sim.world, school.sim.clock
    people = [user.id for user in world.students(school.sim.campus_id)]
    for number in range(4):
        clock.advance(hours=12)
        world.validate_project(people[number], mark=100)
        world.earn_achievement(people[number + 1])
        world.touch_user(people[number + 2], wallet=500 + number)
    school.sim.faults.add("503", "/v2/projects_users", times=None)

    with school.new_run(INCREMENTAL) as started:
        set_paused(page, INCREMENTAL, paused=False)
    (run_id,) = started
    assert school.outcome(INCREMENTAL, run_id) == "failed"
    open_run(page, INCREMENTAL, run_id)
    expect(task_row(page, TABLE)).to_contain_text("Failed")
    log = open_task(page, TABLE)
    expect(log).to_contain_text("the API answered 503")

    school.sim.faults.clear()
    page.go_back()
    clear_task(page, TABLE)
    expect(task_row(page, TABLE)).to_contain_text("Success")
    assert school.outcome(INCREMENTAL, run_id) == "success"
    set_paused(page, INCREMENTAL, paused=True)
    assert school.api.dag(INCREMENTAL)["is_paused"]
    assert school.differences() == []
