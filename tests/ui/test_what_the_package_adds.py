"""What the package adds to Airflow's own pages: the page "Intra42" and the connection type."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.ui.browser import open_dag
from tests.ui.school import NIGHTLY, School


def test_the_page_in_the_menu_shows_how_fresh_every_table_is(school: School, page: Page) -> None:
    page.goto("/", wait_until="domcontentloaded")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Intra42").click()
    shown = page.frame_locator("iframe")
    expect(shown.get_by_role("heading", name="Intra42")).to_be_visible()
    expect(shown.get_by_text("Freshness of every table")).to_be_visible()
    for table in ("project_sessions", "coalitions_users"):
        row = shown.get_by_role("listitem").or_(shown.get_by_role("row")).filter(has_text=table)
        expect(row.first).to_contain_text(re.compile("fresh|due"))
    expect(shown.get_by_text("no failed attempt").first).to_be_visible()


def test_the_page_is_a_tab_of_our_dags(school: School, page: Page) -> None:
    open_dag(page, NIGHTLY)
    page.get_by_role("link", name="Intra42", exact=True).last.click()
    shown = page.frame_locator("iframe")
    expect(shown.get_by_text("Freshness of every table")).to_be_visible()


def test_a_connection_made_with_the_form_can_be_tested(school: School, page: Page) -> None:
    page.goto("/connections", wait_until="domcontentloaded")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("intra42_mine")
    form.get_by_role("combobox").first.click()
    page.get_by_role("option", name="42 Intra API").click()
    form.get_by_label("Base URL").or_(form.locator("input[name=host]")).first.fill(school.sim.url)
    form.locator("input[name=port]").fill(school.sim.url.rpartition(":")[2])
    form.locator("input[name=login]").fill(school.sim.client_id)
    form.locator("input[name=password]").fill(school.sim.client_secret)
    form.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="intra42_mine")
    expect(row).to_be_visible()
    with page.expect_response(lambda answer: "/connections/test" in answer.url) as caught:
        row.get_by_role("button", name="Test Connection").click()
    answer = caught.value.json()
    assert answer.get("status") is True, answer
    for fact in ("as Simulated mirror (id ", "without roles", "requests an hour", "secret expires"):
        assert fact in answer["message"]
