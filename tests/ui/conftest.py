"""One Airflow and one browser for all of these tests; each gets a window of its own.

They are not part of `make test`: `make test-ui` says that they are wanted, and brings Playwright.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dev.stack.settings import ADMIN, STATE
from tests.ui.browser import PATIENCE_MS, log_in, open_browser
from tests.ui.school import School, open_school

PICTURES = STATE / "ui"

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember that a test failed, for the picture of what was on the screen then."""
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    expect.set_options(timeout=PATIENCE_MS)
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def school(browser: Browser) -> Iterator[School]:
    """A running Airflow whose nightly DAG has loaded the campus; the incremental is paused."""
    folder = Path(tempfile.mkdtemp(prefix="intra42-ui-"))
    folder.chmod(0o755)
    with open_school(folder) as school:
        school.first_night()
        yield school
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cookies(school: School, browser: Browser) -> Any:
    """What the browser keeps of a person who is logged in."""
    with browser.new_context(base_url=school.stack.base_url) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        log_in(page, ADMIN, school.stack.keys.admin_password)
        return context.storage_state()


@pytest.fixture
def page(
    request: pytest.FixtureRequest, school: School, browser: Browser, cookies: Any
) -> Iterator[Page]:
    """A window of somebody who is logged in; no fault is left in the API, no run is under way."""
    school.sim.faults.clear()
    school.quiet()
    with browser.new_context(
        base_url=school.stack.base_url,
        storage_state=cookies,
        viewport={"width": 1440, "height": 900},
    ) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
        if request.node.stash.get(_failed, False):
            PICTURES.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W+", "_", request.node.name)
            page.screenshot(path=PICTURES / f"{name}.png")
