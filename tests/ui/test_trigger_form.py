"""Trigger a run with the form: docs/how-to.md, "Trigger a run"."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.ui.browser import TriggerForm, open_run, open_task
from tests.ui.school import NIGHTLY, School

WINDOWS = """
    select distinct window_from::date::text, window_to::date::text from intra42.sync_runs
    where run_id = %s and task_id like 'primary.%%'
"""


def test_a_window_is_chosen_in_the_form(school: School, page: Page) -> None:
    form = TriggerForm(page, NIGHTLY)
    form.write("Campuses", str(school.sim.campus_id))
    form.set_moment("Updated from (UTC)", "2026/01/05")
    form.set_moment("Updated to (UTC)", "2026/01/06", "12:30")
    with school.new_run(NIGHTLY) as started:
        form.submit()
    (run_id,) = started

    assert school.outcome(NIGHTLY, run_id) == "success"
    assert school.query(WINDOWS, run_id) == [("2026-01-05", "2026-01-06")]
    open_run(page, NIGHTLY, run_id)
    log = open_task(page, "open_run")
    expect(log).to_contain_text(
        "This run reads exactly what changed from 2026-01-05 00:00:00 UTC until "
        f"2026-01-06 12:30:00 UTC, for campus {school.sim.campus_id} and cursus 21"
    )


def test_ids_have_an_empty_line_for_text_and_may_stay_empty(school: School, page: Page) -> None:
    form = TriggerForm(page, NIGHTLY)
    for title in ("Campuses", "Cursus"):
        line = form.field(title).get_by_role("textbox")
        expect(line).to_have_count(1)
        expect(line).to_have_value("")
        assert line.evaluate("field => field.tagName") == "INPUT"
        assert line.evaluate("field => field.offsetHeight") < 60
    form.write("Cursus", "21, 1")
    expect(form.field("Cursus").get_by_role("textbox")).to_have_value("21, 1")
    form.write("Cursus", "")
    form.set_moment("Updated from (UTC)", "2026/01/05")
    with school.new_run(NIGHTLY) as started:
        form.submit()
    (run_id,) = started
    assert school.outcome(NIGHTLY, run_id) == "success"


def test_a_list_of_ids_is_taken_from_the_rest_api(school: School) -> None:
    conf = {"campus_ids": [school.sim.campus_id], "cursus_ids": "21, 1"}
    window = {"updated_from": "2026-01-05T00:00:00Z", "updated_to": "2026-01-06T00:00:00Z"}
    run_id = school.api.trigger(NIGHTLY, {**conf, **window})
    assert school.outcome(NIGHTLY, run_id) == "success"


def test_what_is_no_list_of_ids_is_refused_before_anything_runs(school: School, page: Page) -> None:
    before = school.run_ids(NIGHTLY)
    form = TriggerForm(page, NIGHTLY)
    form.write("Campuses", "Lyon")
    form.button.click()
    expect(form.dialog).to_contain_text("Invalid input for param campus_ids")
    expect(form.dialog).to_be_visible()
    assert school.run_ids(NIGHTLY) == before


def test_a_window_without_a_start_fails_the_first_task_with_a_sentence(
    school: School, page: Page
) -> None:
    form = TriggerForm(page, NIGHTLY)
    form.set_moment("Updated to (UTC)", "2026/01/06")
    with school.new_run(NIGHTLY) as started:
        form.submit()
    (run_id,) = started

    assert school.outcome(NIGHTLY, run_id) == "failed"
    open_run(page, NIGHTLY, run_id)
    log = open_task(page, "open_run")
    expect(log).to_contain_text(
        "the run's params: updated_to needs updated_from, where the window starts"
    )
    # The sentence is all there is to read: no traceback of ours, no second try.
    expect(log).not_to_contain_text("parse_request")
    tried = [item["try_number"] for item in school.api.task_instances(NIGHTLY, run_id)]
    assert max(tried) == 1
