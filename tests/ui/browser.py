"""The browser, and the hands of a person at Airflow's UI: what is clicked is what is read there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

# Nobody waits that long; a busy machine may.
PATIENCE_MS = 120_000
NO_MOMENT = "Select date and time"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of the browser: INTRA42_CHROMIUM, or one of the usual names.

    Raises:
        FileNotFoundError: there is none; the message says what to install.
    """
    wanted = os.environ.get("INTRA42_CHROMIUM")
    for name in [wanted] if wanted else _NAMES:
        if found := shutil.which(name):
            return found
    where = f"INTRA42_CHROMIUM is {wanted}, which is no program" if wanted else "there is none here"
    message = (
        f"The browser tests need Chromium, and {where}: install it (Debian and Ubuntu: "
        "apt-get install chromium; macOS: brew install --cask chromium), or name a Chromium or "
        "Chrome with INTRA42_CHROMIUM=/path/to/it"
    )
    raise FileNotFoundError(message)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Yield a headless Chromium with a profile of its own."""
    # Chromium's sandbox refuses to run as root.
    flags = [*_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        yield browser
        browser.close()


def log_in(page: Page, user: str, password: str) -> None:
    """Log in through Airflow's own form, and arrive where the page was going."""
    page.goto("/", wait_until="domcontentloaded")
    page.get_by_label("Username").fill(user)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Dags", exact=True).first).to_be_visible()


def open_dag(page: Page, dag_id: str) -> None:
    """Open the page of a DAG."""
    page.goto(f"/dags/{dag_id}", wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name=dag_id).first).to_be_visible()


def set_paused(page: Page, dag_id: str, *, paused: bool) -> None:
    """Pause or resume the DAG with the switch beside its name."""
    open_dag(page, dag_id)
    switch = page.get_by_role("checkbox").first
    if switch.is_checked() == paused:
        # The box itself is hidden behind the switch that is drawn.
        switch.locator("xpath=..").click()
        confirm = page.get_by_role("button", name="Confirm")
        if confirm.count():
            confirm.click()
    expect(switch).to_be_checked(checked=not paused)


class TriggerForm:
    """The dialog behind the button "Trigger" of a DAG."""

    def __init__(self, page: Page, dag_id: str) -> None:
        """Open the form."""
        self.page = page
        open_dag(page, dag_id)
        page.get_by_role("button", name="Trigger").first.click()
        self.dialog = page.get_by_role("dialog").filter(has_text="Single Run").first
        expect(self.dialog).to_be_visible()

    def field(self, title: str) -> Locator:
        """Return the part of the form that is titled so."""
        return self.dialog.get_by_role("group").filter(has=self.page.get_by_text(title, exact=True))

    def write(self, title: str, text: str) -> None:
        """Write into a field for text."""
        self.field(title).get_by_role("textbox").fill(text)

    def switch_on(self, title: str) -> None:
        """Set a switch."""
        box = self.dialog.get_by_role("checkbox", name=title)
        box.locator("xpath=..").click()
        expect(box).to_be_checked()

    def choose(self, title: str, option: str) -> None:
        """Choose one more value in a field that offers some."""
        self.field(title).get_by_role("combobox").click()
        self.page.get_by_role("option", name=option, exact=True).click()
        expect(self.field(title).get_by_text(option, exact=True)).to_be_visible()

    def set_moment(self, title: str, date: str, time: str = "00:00") -> None:
        """Set a time: the date as YYYY/MM/DD, the time as HH:mm."""
        self.pick(self.field(title).get_by_text(NO_MOMENT), date, time)

    def pick(self, empty: Locator, date: str, time: str) -> None:
        """Click on an empty field for a time, and write day and time into what opens."""
        empty.click()
        day = self.page.get_by_placeholder("YYYY/MM/DD").filter(visible=True)
        day.fill(date)
        hour = self.page.get_by_role("textbox", name="HH:mm").filter(visible=True)
        hour.fill(time)
        hour.press("Enter")
        self.page.keyboard.press("Escape")
        expect(day).to_have_count(0)

    @property
    def button(self) -> Locator:
        """The button at the end of the form."""
        return self.dialog.get_by_role("button", name="Trigger", exact=True)

    def submit(self) -> None:
        """Press the button, and see the form close."""
        self.button.click()
        expect(self.dialog).to_be_hidden()


class BackfillForm(TriggerForm):
    """The same dialog, where "Backfill" is chosen instead of "Single Run"."""

    def __init__(self, page: Page, dag_id: str) -> None:
        """Open the form, and choose a backfill."""
        super().__init__(page, dag_id)
        self.dialog.get_by_text("Run this Dag for a range of dates").click()
        expect(self.dialog).to_contain_text("Date Range")

    def set_range(self, first: str, last: str) -> None:
        """Set the days of the "Date Range", "From" and "To", each as YYYY/MM/DD."""
        empty = self.dialog.get_by_text(NO_MOMENT)
        self.pick(empty.nth(0), first, "00:00")
        self.pick(empty.nth(0), last, "23:59")

    @property
    def button(self) -> Locator:
        """The button at the end of the form."""
        return self.dialog.get_by_role("button", name="Run Backfill", exact=True)


def open_run(page: Page, dag_id: str, run_id: str) -> None:
    """Open the page of a run: the list of its tasks."""
    page.goto(f"/dags/{dag_id}/runs/{quote(run_id, safe='')}", wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name=run_id)).to_be_visible()


def task_row(page: Page, task_id: str, label: str = "") -> Locator:
    """Return the row of a task on the page of its run; `label` is the map index as it is shown."""
    link = page.get_by_role("link", name=task_id, exact=True)
    # A row's text has nothing between its cells: "chunk 1Failed".
    chosen = re.compile(rf"{label}(?!\d)")
    return page.get_by_role("row").filter(has=link).filter(has_text=chosen).first


def open_task(page: Page, task_id: str, label: str = "") -> Locator:
    """Click on a task on the page of its run, and return its log."""
    row = task_row(page, task_id, label)
    # The label of a chunk that is done goes on with what it brought.
    row.get_by_role("link", name=re.compile(rf"^{label or task_id}\b")).last.click()
    # A long log is shown from its end, without the lines that are out of sight.
    log = page.get_by_role("code").first
    expect(log).to_contain_text("Post Execute")
    return log


def clear_task(page: Page, task_id: str, label: str = "") -> Locator:
    """Clear a task, and what comes after it, from the page of its run; return its row."""
    row = task_row(page, task_id, label)
    row.get_by_role("button", name="Clear Task Instance").click()
    dialog = page.get_by_role("dialog").filter(has_text="Clear Task Instance")
    expect(dialog.get_by_role("row").filter(has_text=task_id).first).to_be_visible()
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog).to_be_hidden()
    return row
