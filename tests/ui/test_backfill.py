"""Backfill a week with the dialog: docs/how-to.md, "Backfill a week"."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Page, expect

from dev.stack.airflow import FINISHED
from tests.ui.browser import BackfillForm, open_run, open_task, task_row
from tests.ui.school import NIGHTLY, School, wait_for

WATERMARKS = "select * from intra42.sync_state order by 1, 2, 3"
WALLET = "select wallet from intra42.users where id = %s"
SPANS = """
    select count(distinct window_from), min(window_from), max(window_to) from intra42.sync_runs
    where dag_id = %s and run_id like 'backfill%%' and task_id like 'primary.%%'
"""


def test_a_backfill_of_a_week_reads_its_days_and_moves_nothing(school: School, page: Page) -> None:
    world, clock = school.sim.world, school.sim.clock
    # From 02:00 of a day to 02:00 of the day a week later, something happens at noon of each.
    first = (clock.now() + timedelta(days=1)).replace(hour=2, minute=0, second=0)
    clock.set(first)
    people = [user.id for user in world.students(school.sim.campus_id)][:7]
    for number, user_id in enumerate(people):
        clock.set(first + timedelta(days=number, hours=10))
        world.touch_user(user_id, wallet=700 + number)
    clock.set(first + timedelta(days=9))
    before = school.query(WATERMARKS)

    form = BackfillForm(page, NIGHTLY)
    form.set_range(f"{first:%Y/%m/%d}", f"{first + timedelta(days=6):%Y/%m/%d}")
    expect(form.dialog).to_contain_text("7 runs will be triggered.")
    form.submit()

    def finished() -> list[str]:
        runs = school.api.runs(NIGHTLY)
        states = [run["state"] for run in runs if run["run_type"] == "backfill"]
        done = len(states) == 7 and all(state in FINISHED for state in states)
        return states if done else []

    assert wait_for("the seven runs to end", finished) == ["success"] * 7
    assert [school.value(WALLET, user_id) for user_id in people] == [700 + n for n in range(7)]
    assert school.query(SPANS, NIGHTLY) == [(7, first, first + timedelta(days=7))]
    assert school.query(WATERMARKS) == before

    last = next(run for run in school.api.runs(NIGHTLY) if run["run_type"] == "backfill")
    open_run(page, NIGHTLY, last["dag_run_id"])
    expect(task_row(page, "refresh_ongoing.delete_missing")).to_contain_text("Skipped")
    expect(open_task(page, "primary.users")).to_contain_text("primary.users success: window from")
    # The next night goes on from where the last one stopped, as if there had been no backfill.
    school.run(NIGHTLY)
    assert school.differences() == []
