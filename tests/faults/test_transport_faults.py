"""Every fault of transport, access and paging, at the first, a middle and the last page.

A fault that passes costs one more request and changes nothing. One that lasts ends in red, and no
watermark moves. Faults that need a server of their own are in `test_client.py` and
`test_listings.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.simulator.messages import LedgerEntry, Request
from dev.stack.postgres import Postgres
from intra42.attempt.work import Work
from intra42.errors import Intra42Error
from tests.harness import INCREMENTAL, NIGHTLY, Mirror
from tests.integration.mirror import worlds

POSITIONS = ("first", "middle", "last")
ANYWHERE = "each"

PASSING: dict[str, tuple[str, dict[str, Any]]] = {
    "T1 429, Retry-After 0": ("429_second", {"retry_after": 0}),
    "T1 429, Retry-After 1": ("429_second", {"retry_after": 1}),
    "T1 429, Retry-After a date": ("429_second", {"retry_after": "date:1"}),
    "T1 429, Retry-After negative": ("429_second", {"retry_after": -5}),
    "T1 429 without Retry-After": ("429_second", {"retry_after": None}),
    "T2 500": ("500", {}),
    "T2 502": ("502", {}),
    "T2 503": ("503", {}),
    "T2 504": ("504", {}),
    "T4 no answer in time": ("timeout", {"seconds": 9}),
    "T5 reset in mid-body": ("cut", {}),
    "T6 body shorter than announced": ("short_body", {}),
    "T7 truncated JSON": ("truncated_json", {}),
    "T8 HTML with 200": ("html_200", {}),
    "T9 wrong content type": ("wrong_content_type", {}),
    "T10 error object with 200": ("error_object_200", {}),
    "T11 gzip cut": ("gzip_cut", {}),
    "T12 redirect to a login page": ("redirect_to_login", {}),
    "T15 X-Total missing": ("missing_total", {}),
    "T16 X-Total one too large": ("wrong_total", {"delta": 1}),
    "T16 X-Total one too small": ("wrong_total", {"delta": -1}),
    "T16 X-Total 0": ("wrong_total", {"delta": -1_000_000}),
    "A3 401": ("401", {}),
    "P1 page before comes again": ("duplicate_page", {}),
    "P1 row comes twice": ("duplicate_row", {}),
    "P2 page skipped": ("skipped_page", {}),
    "P3 empty page": ("empty_page", {}),
    "P4 short page": ("short_page", {}),
    "P13 page out of order": ("unsorted", {}),
}
# Waiting a second for each of many listings would only make the suite slow.
SLOW = "T4 no answer in time"

LASTING = {
    **{name: PASSING[name] for name in PASSING if name[:3] not in {"P1 ", "P2 ", "T16"}},
    "T16 X-Total one too large": PASSING["T16 X-Total one too large"],
    "P1 row comes twice": PASSING["P1 row comes twice"],
    "A6 403": ("403", {}),
    "404": ("404", {}),
}


class Run:
    """A kind of run: its DAG, which of its requests are pages, and how many there are unharmed."""

    def __init__(self, dag: str, paths: str, is_page: Callable[[Mapping[str, str]], bool]) -> None:
        self.dag = dag
        self.paths = paths.split()
        self.is_page = is_page
        self.requests = 0
        self.pages: dict[str, int] = defaultdict(int)

    def observe(self, entries: list[LedgerEntry]) -> None:
        """Learn from an unharmed run where its pages are."""
        self.requests = len(entries)
        for entry in entries:
            if entry.path in self.paths and self.is_page(entry.query):
                self.pages[entry.path] += 1
        assert set(self.pages) == set(self.paths)
        assert min(self.pages.values()) >= 3

    def skips(self, path: str, position: str) -> list[int]:
        """Return how many pages come before the one at `position`, or before each of the three."""
        pages = self.pages[path]
        before = {"first": 0, "middle": pages // 2, "last": pages - 1}
        # Each fault adds a request, which the next one must let pass.
        return [before[position]] if position in before else [0, pages // 2 + 1, pages + 1]


_CHANGED = (
    "/v2/cursus/21/users /v2/campus_users /v2/cursus_users /v2/projects_users "
    "/v2/achievements_users /v2/coalitions_users"
)
RUNS = {
    "changes": Run(INCREMENTAL, _CHANGED, lambda query: "range[updated_at]" in query),
    "first load": Run(
        NIGHTLY,
        f"/v2/cursus /v2/campus /v2/cursus/21/projects /v2/blocs {_CHANGED}",
        lambda query: "filter[id]" not in query,
    ),
}


def crowd() -> Any:
    """Return the town with more of what has no page of its own there."""
    sim = worlds.town()
    for number in range(30, 39):
        sim.world.add_cursus(number)
        sim.world.add_campus(number)
        sim.world.add_bloc(number)
    return sim


@pytest.fixture
def build(
    fresh: Callable[..., Mirror], loaded: Callable[..., Mirror], time: PaperTime
) -> Callable[[str], Mirror]:
    """Make a mirror that is about to run: every listing of the run has three pages or more."""

    def make(name: str) -> Mirror:
        mirror = time.rule((loaded if name == "changes" else fresh)(crowd, campus_ids=[1]))
        mirror.sim.harsh.page_cap = 3
        world = mirror.sim.world
        if name == "changes":
            for number in worlds.STUDENTS:
                world.update_row("users", number, wallet=7)
                world.update_row("campus_users", next(_row_ids(world.campus_users, number)))
                world.update_row("cursus_users", number * 10, level=2.5)
                world.update_row("projects_users", number * 100, final_mark=77)
                world.update_row("achievements_users", number * 1000, nbr_of_success=2)
                world.update_row("coalitions_users", number * 10_000, score=5)
        return mirror

    return make


def _row_ids(table: Any, user_id: int) -> Iterator[int]:
    return (row.id for row in table if row.user_id == user_id)


@pytest.fixture
def known(build: Callable[[str], Mirror], postgres: Postgres) -> Callable[[str], Run]:
    """Return a kind of run, observed once without faults."""

    def observed(name: str) -> Run:
        run = RUNS[name]
        if not run.requests:
            mirror = build(name)
            if name == "first load":
                postgres.ensure_database("observed")
                mirror.database_url = postgres.url("observed")
            mirror.run(run.dag)
            run.observe(mirror.sim.ledger.requests())
            assert mirror.differences() == []
        return run

    return observed


class PaperTime:
    """Time that passes at once when a limiter sleeps, and by itself besides."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.slept_s)

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def rule(self, mirror: Mirror) -> Mirror:
        """Let all pauses of `mirror` cost none of ours."""
        plain = mirror.task

        def task(who: Any, params: Any, resource: str, step: Callable[[Work], Any]) -> Any:
            def hurried(work: Work) -> Any:
                limiter: Any = work.client._limiter
                limiter._now, limiter._sleep = self.now, self.sleep
                work.client._sleep = self.sleep
                return step(work)

            return plain(who, params, resource, hurried)

        mirror.task = task  # type: ignore[method-assign]
        return mirror


@pytest.fixture
def time() -> PaperTime:
    return PaperTime()


@contextmanager
def patience(mirror: Mirror, seconds: float) -> Iterator[None]:
    """Wait no longer than that for an answer."""
    before, mirror.api = mirror.api, replace(mirror.api, timeout_s=seconds)
    yield
    mirror.api = before


def plan(mirror: Mirror, run: Run, position: str, fault: str, **times: Any) -> list[Any]:
    """Plan a fault at a page of every listing; a slow or lasting one of the attempts only."""
    kind, options = {**PASSING, **LASTING}[fault]
    paths = ["/v2/projects_users"] if times or fault == SLOW else run.paths

    def strikes(path: str) -> Callable[[Request], bool]:
        return lambda request: request.path == path and run.is_page(request.query)

    return [
        mirror.sim.faults.add(kind, path, skip=skip, when=strikes(path), **times, **options)
        for path in paths
        for skip in run.skips(path, position)
    ]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize(
    ("name", "position"),
    [*(("changes", position) for position in POSITIONS), ("first load", ANYWHERE)],
)
def test_a_fault_that_passes_costs_one_more_request(build, known, name, fault, position):
    run = known(name)
    mirror = build(name)
    planned = plan(mirror, run, position, fault)
    with patience(mirror, 1 if fault == SLOW else 5):
        mirror.run(run.dag)
    hits = sum(one.hits for one in planned)
    assert {one.path for one in planned if one.hits} == {one.path for one in planned}
    assert hits == len(planned) or position == ANYWHERE
    extra = len(mirror.sim.ledger.requests()) - run.requests
    assert 0 <= extra <= hits + _sweeps(run, fault)
    assert mirror.differences() == []
    assert mirror.value("select sum(requests) from intra42.sync_runs where run_id <> 'first'") == (
        run.requests + extra
    )


def _sweeps(run: Run, fault: str) -> int:
    """Return what it costs to read a numbered listing again for each page whose total is wrong."""
    if not fault.startswith(("T16", "P1 ")):
        return 0
    return 3 * sum(run.pages.get(path, 0) for path in ("/v2/cursus", "/v2/campus", "/v2/blocs"))


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts_is_red_in_time_and_moves_no_watermark(
    build, known, time, fault, position
):
    run = known("changes")
    mirror = build("changes")
    state = "select * from intra42.sync_state where resource = 'projects_users'"
    before = mirror.query(state)
    planned = plan(mirror, run, position, fault, times=None)
    time.slept_s = 0
    with patience(mirror, 0.5 if fault == SLOW else 5), pytest.raises(Intra42Error) as error:
        mirror.run(run.dag, run_id="one")
    assert mirror.query(state) == before
    assert 1 <= planned[0].hits <= 10
    # Ten answers of a minute each at worst, and the pauses between them.
    assert time.slept_s < 360
    assert "/v2/projects_users" in str(error.value)
    failed = "select task_id from intra42.sync_runs where status = 'failed'"
    assert mirror.query(failed) == [("primary.projects_users",)]
    mirror.sim.faults.clear()
    mirror.run(run.dag, run_id="one")
    assert mirror.differences() == []


@pytest.mark.parametrize("fifth", range(5))
@pytest.mark.parametrize("quarter", range(4))
def test_a1_a_token_may_expire_before_any_page(build, known, quarter, fifth):
    run = known("changes")
    mirror = build("changes")
    mirror.sim.faults.add("401", "/v2", skip=(5 * quarter + fifth) * run.requests // 20)
    mirror.run(run.dag)
    assert mirror.differences() == []
    assert len(mirror.sim.ledger.requests()) == run.requests + 1
