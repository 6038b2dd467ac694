"""A mass delete, refused, allowed and undone: docs/how-to.md, "Undo a mass delete"."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from playwright.sync_api import Page, expect

from tests.ui.browser import TriggerForm, open_run, open_task, task_row
from tests.ui.school import NIGHTLY, School

OPERATE = Path(__file__).parents[2] / "docs" / "operate.md"
THERE = "select count(*) from intra42.cursus_users where id = any(%s)"
OPEN_TOMBSTONES = """
    select count(*) from intra42.tombstones
    where resource = 'cursus_users' and id = any(%s) and restored_at is null
"""


def test_a_mass_delete_is_refused_then_allowed_then_undone(school: School, page: Page) -> None:
    gone = [row.id for row in school.ongoing()[-8:]]
    school.sim.clock.advance(hours=2)
    for enrolment in gone:
        school.sim.world.hide("cursus_users", enrolment)

    run_id = trigger(school, page, allow=False)
    assert school.outcome(NIGHTLY, run_id) == "failed"
    red = [name for name, state in school.states(NIGHTLY, run_id).items() if state == "failed"]
    assert len(red) == 1
    open_run(page, NIGHTLY, run_id)
    expect(task_row(page, red[0])).to_contain_text("Failed")
    log = open_task(page, red[0])
    expect(log).to_contain_text("are gone")
    expect(log).to_contain_text(
        "Nothing was deleted; look at the API, then trigger the DAG with allow_mass_delete"
    )
    assert school.value(THERE, gone) == len(gone)

    run_id = trigger(school, page, allow=True)
    assert school.outcome(NIGHTLY, run_id) == "success"
    assert school.value(THERE, gone) == 0
    assert school.value(OPEN_TOMBSTONES, gone) == len(gone)

    put_back_as_the_readme_says(school, gone[0])
    assert school.value(THERE, gone) == 1
    assert school.value(OPEN_TOMBSTONES, gone) == len(gone) - 1

    for enrolment in gone:
        school.sim.world.unhide("cursus_users", enrolment)
    school.sim.clock.advance(hours=2)
    run_id = school.run(NIGHTLY)
    assert school.value(THERE, gone) == len(gone)
    assert school.value(OPEN_TOMBSTONES, gone) == 0
    open_run(page, NIGHTLY, run_id)
    expect(task_row(page, "refresh_ongoing.delete_missing")).to_contain_text("Success")
    assert school.differences() == []


def trigger(school: School, page: Page, *, allow: bool) -> str:
    """Trigger the nightly DAG with the form, and return the run's id."""
    form = TriggerForm(page, NIGHTLY)
    if allow:
        form.switch_on("Allow a mass delete")
    with school.new_run(NIGHTLY) as started:
        form.submit()
    return started[0]


def put_back_as_the_readme_says(school: School, enrolment: int) -> None:
    """Run the documented statements for a row that the API still hides."""
    (text,) = re.findall(r"```sql\n(begin;\n.+?commit;)\n```", OPERATE.read_text(), re.DOTALL)
    with psycopg.connect(school.stack.warehouse_url, autocommit=True) as connection:
        connection.execute(text.replace("123456", str(enrolment)))
