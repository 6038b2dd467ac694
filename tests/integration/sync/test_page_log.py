"""The page lines of the log: whose page it is, and ten pages of a long listing in one line."""

from __future__ import annotations

import logging
import re
from collections import defaultdict

import pytest

from dev.simulator import Simulator
from intra42.errors import Intra42Error

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
        task += record.name == "intra42.sync.session"  # its closing line
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
    mirror.nightly(run_id="first")
    lines = told(log)
    pages = mirror.value("select sum(pages) from intra42.sync_runs where run_id = 'first'")
    assert sum(line[3] for listing in lines.values() for line in listing) == pages
    long = [listing for listing in lines.values() if sum(line[3] for line in listing) > 10]
    assert long
    for listing in long:
        numbers = [number for number, *_ in listing]
        assert numbers[0] == 1
        assert numbers[-1] == listing[-1][1]
        assert numbers[1:-1] == list(range(10, numbers[-1], 10))
        records = sum(records for _, _, records, _ in listing)
        assert 100 * (numbers[-1] - 1) < records <= 100 * numbers[-1]
    short = [listing for listing in lines.values() if max(of for _, of, *_ in listing) <= 10]
    assert all(line[3] == 1 for listing in short for line in listing)


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
