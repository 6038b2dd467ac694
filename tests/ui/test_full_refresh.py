"""Read one table again: docs/how-to.md, "Read a table again"."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.ui.browser import TriggerForm, open_run, open_task
from tests.ui.school import NIGHTLY, School

REREAD = "select resource from intra42.jobs where run_id = %s and kind = 'full' order by 1"
COUNT = "select nbr_of_success from intra42.achievements_users where id = %s"


def test_one_table_is_read_again_and_the_others_are_continued(school: School, page: Page) -> None:
    school.sim.clock.advance(hours=2)
    earned = school.value("select min(id) from intra42.achievements_users")
    school.sim.world.update_row("achievements_users", earned, silent=True, nbr_of_success=55)
    form = TriggerForm(page, NIGHTLY)
    form.switch_on("Full refresh")
    form.choose("Only these tables", "achievements_users")
    with school.new_run(NIGHTLY) as started:
        form.submit()
    (run_id,) = started

    assert school.outcome(NIGHTLY, run_id) == "success"
    assert school.value(COUNT, earned) == 55
    # Coalition memberships are read whole in any night.
    assert [row[0] for row in school.query(REREAD, run_id)] == [
        "achievements_users",
        "coalitions_users",
    ]
    open_run(page, NIGHTLY, run_id)
    log = open_task(page, "open_run")
    expect(log).to_contain_text(
        "This run reads all of achievements_users again, and continues the other tables from "
        "their watermarks"
    )
    assert school.differences() == []
