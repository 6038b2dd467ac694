"""The page is not green over a red run: what a person sees of it, and where the links lead."""

from __future__ import annotations

import re

from playwright.sync_api import FrameLocator, Page, expect

from tests.ui.school import INCREMENTAL, NIGHTLY, School

GREEN = "Every table is as fresh as promised."


def open_page(page: Page) -> FrameLocator:
    """Open the page of the plugin, and wait until it has all its figures."""
    page.goto("/plugin/intra42", wait_until="domcontentloaded")
    shown = page.frame_locator("iframe")
    expect(shown.locator("body[data-loaded=true]")).to_be_visible()
    return shown


def test_a_run_that_fails_before_its_first_request_is_in_the_headline_until_one_succeeds(
    school: School, page: Page
) -> None:
    school.api.set_paused(INCREMENTAL, paused=False)
    school.quiet()
    end_without_start = {"updated_to": "2026-01-01T00:00:00Z"}
    run_id = school.api.trigger(INCREMENTAL, end_without_start)
    assert school.outcome(INCREMENTAL, run_id) == "failed"

    shown = open_page(page)
    summary = shown.locator("#summary")
    expect(summary).to_contain_text(f"The last run of {INCREMENTAL} failed at open_run: ")
    expect(summary).not_to_contain_text(GREEN)
    row = shown.locator("#runs").get_by_role("row").filter(has_text=run_id)
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("updated_to needs updated_from")
    row.get_by_role("link", name="open_run").click()
    expect(page).to_have_url(re.compile(f"/dags/{INCREMENTAL}/runs/.+/tasks/open_run"))
    expect(page.get_by_role("code").first).to_contain_text("updated_to needs updated_from")

    school.run(INCREMENTAL)
    summary = open_page(page).locator("#summary")
    expect(summary).not_to_contain_text("failed")


def test_a_paused_dag_is_in_the_headline(school: School, page: Page) -> None:
    school.api.set_paused(NIGHTLY, paused=True)
    try:
        summary = open_page(page).locator("#summary")
        expect(summary).to_contain_text(f"{NIGHTLY} is paused: no run of it begins by itself.")
        expect(summary).not_to_contain_text(GREEN)
        summary.get_by_role("link", name="The DAG").first.click()
        expect(page).to_have_url(re.compile(r"/dags/intra42_\w+$"))
    finally:
        school.api.set_paused(NIGHTLY, paused=False)
