"""The page lines of the log: whose page it is, and ten pages of a long listing in one line."""

from __future__ import annotations

import logging
import re
from collections import defaultdict

import pytest

from dev.simulator import Simulator
from intra42.api.pagination import keyset
from intra42.attempt.work import Identity, Work
from intra42.errors import Intra42Error
from intra42.run.opening import open_run
from intra42.settings import parse_request
from tests.harness import NIGHTLY

LINE = re.compile(
    r"Page (?P<number>\d+)/(?P<of>\d+): (?P<records>\d+) records, \d+ KB, \d+ ms "
    r"\((?P<listing>\w+)(, (?P<pages>\d+) pages)?\)"
)


def city() -> Simulator:
    """A campus whose listing of attempts is far longer than ten pages."""
    return Simulator("campus", seed=3, students=150)


def told(caplog: pytest.LogCaptureFixture) -> dict[tuple[int, str], list[tuple[int, ...]]]:
    """Return number, pages of the listing, records, and pages of each line, by task and listing."""
    found = defaultdict(list)
    task = 0
    for record in caplog.records:
        task += record.name == "intra42.run.session"  # its closing line
        if record.getMessage().startswith("Page "):
            line = LINE.fullmatch(record.getMessage())
            assert line, record.getMessage()
            numbers = (line[name] or "1" for name in ("number", "of", "records", "pages"))
            found[task, line["listing"]].append(tuple(map(int, numbers)))
    return dict(found)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "intra42")
    return caplog


def test_a_long_listing_has_its_first_and_last_page_and_a_line_for_ten(fresh, log):
    mirror = fresh(city, campus_ids=[])
    request = parse_request(mirror.config, {})
    open_run(mirror.connect, mirror.api, Identity(dag_id=NIGHTLY, run_id="first"), request)
    read = []

    def step(work: Work) -> None:
        for page in keyset(work.client, "/v2/projects_users", {}, sortable=False):
            read.append(len(page.records))
            work.log_page(page)
        for page in keyset(work.client, "/v2/cursus/21/users", {}):
            work.log_page(page)

    mirror.task(Identity(dag_id=NIGHTLY, run_id="first"), {}, "projects_users", step)
    lines = told(log)
    ((_, long), (_, short)) = lines.items()
    numbers = [number for number, *_ in long]
    assert len(read) > 20
    assert numbers[0] == 1
    assert numbers[-1] == len(read) == sum(pages for *_, pages in long)
    assert numbers[1:-1] == list(range(10, len(read), 10))
    assert sum(records for _, _, records, _ in long) == sum(read)
    assert 1 < len(short) <= 10
    assert all(pages == 1 for *_, pages in short)


def test_a_line_names_its_listing_where_several_are_under_way(fresh, log):
    mirror = fresh(city, campus_ids=[])
    mirror.nightly()
    lines = told(log)
    names = {name for _task, name in lines}
    assert {"cursus_21_users", "cursus", "campus", "projects_users"} <= names
    assert any(re.fullmatch(r"[a-z_]+_2", name) for name in names)
    for name, listing in lines.items():
        numbers = [number for number, *_ in listing]
        assert numbers == sorted(set(numbers)), name


def test_pages_before_an_error_are_told_as_well(fresh, log):
    mirror = fresh(city, campus_ids=[])
    mirror.nightly()
    log.clear()
    mirror.sim.clock.advance(hours=1)
    mirror.sim.faults.add("404", "/v2/projects_users", skip=14, times=None)
    with pytest.raises(Intra42Error):
        mirror.nightly(run_id="broken", full_refresh=True)
    pages = mirror.value(
        "select pages from intra42.sync_runs "
        "where run_id = 'broken' and resource = 'projects_users' and status = 'failed'"
    )
    listings = [lines for (_task, name), lines in told(log).items() if "projects_users" in name]
    assert sum(line[3] for listing in listings for line in listing) == pages > 10
