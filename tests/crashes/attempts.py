"""The window of attempts of the town, on three pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dev.simulator.messages import Request
from tests.crashes.puppet import LISTING
from tests.harness import INCREMENTAL, Mirror

SIZE = 3
# A page is named by the id after which it begins.
PAGES = {"0": (10100, 10200, 10300), "10300": (10400, 10500, 10600), "10600": (10700, 10800)}
ALL = [row_id for ids in PAGES.values() for row_id in ids]


def change_attempts(mirror: Mirror) -> None:
    """Give the next run a window of three pages."""
    mirror.sim.harsh.page_cap = SIZE
    for row_id in ALL:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)


def stored(mirror: Mirror) -> list[int]:
    """Return which of the changed attempts have arrived."""
    rows = mirror.query("select id from intra42.projects_users where final_mark = 7 order by id")
    return [row_id for (row_id,) in rows]


def before(place: str) -> list[int]:
    """Return the attempts of the pages before one."""
    return [row_id for row_id in ALL if row_id <= int(place)]


def watermarks(mirror: Mirror) -> int:
    """Return how many watermarks the quarter hour's run has for attempts: none before its first."""
    return mirror.value(
        "select count(*) from intra42.sync_state where dag_id = %s and resource = %s",
        INCREMENTAL,
        "projects_users",
    )


def asks_for(place: str) -> Callable[[Request], bool]:
    """Return what recognises the question for a page of the window."""
    start = f"{int(place) + 1},"
    return lambda request: (
        "range[updated_at]" in request.query and request.query["range[id]"].startswith(start)
    )


def at_page(mirror: Mirror, place: str, action: Callable[[], None]) -> None:
    """Let something happen when a page is asked for, before it is answered.

    Pages come one by one then: where answers are slow, those before would be stored with it.
    """
    mirror.api = replace(mirror.api, most_in_flight=1)
    mirror.sim.faults.add(
        "between_pages", LISTING, when=asks_for(place), hook=lambda _store: action()
    )
