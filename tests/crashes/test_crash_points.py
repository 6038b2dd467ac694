"""Named moments at which a task ends: its process, its backend or the database server is shot.

Every run here is a real process that stands still exactly at the point, with the locks and the
transaction it holds there, until it is ended. The next attempt goes on without help.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from dev.stack.postgres import Postgres
from intra42.api.limiter import PostgresLimiter
from tests.crashes.attempts import (
    ALL,
    PAGES,
    asks_for,
    before,
    change_attempts,
    stored,
    watermarks,
)
from tests.crashes.puppet import APPLICATION, LISTING, MIGRATIONS, SWEEP, Theatre
from tests.harness import INCREMENTAL, NIGHTLY, Mirror
from tests.integration.mirror import worlds
from tests.selection import DEEP

TIMES = 25 if DEEP else 1
SOON_S = 5.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat every case in the longer profile."""
    if TIMES > 1:
        metafunc.fixturenames.append("again")
        metafunc.parametrize("again", range(TIMES))


@dataclass(frozen=True)
class Point:
    """A moment: how the puppet calls it, and what its backend is seen doing then.

    Where a statement is to be ended in the middle, `held_by` makes it wait for somebody's row.
    """

    name: str
    shows: str
    held_by: str | None = None
    kept: bool = False  # the page is committed


IDLE = "state = 'idle'"
OPEN = "state = 'idle in transaction'"
LOCKED = "exists (select from pg_locks as l where l.pid = a.pid and l.locktype = 'advisory')"
WAITS = "state = 'active' and wait_event_type = 'Lock'"

POINTS = {
    "K1 after the token": Point("token fetched", f"{OPEN} and {LOCKED}"),
    "K2 after the fetch": Point("fetched", f"{IDLE} and {LOCKED}"),
    "K3 in COPY": Point("copying", "state = 'active' and query ~ 'copy .*stage_projects_users'"),
    "K4 before the merge": Point("merging", f"{OPEN} and {LOCKED}"),
    "K5 in the merge": Point(
        "merging",
        f'{WAITS} and query ~ \'insert into "intra42"."projects_users"\'',
        "select 1 from intra42.projects_users where id = {first} for update",
    ),
    "K6 before the commit": Point("committing", f"{OPEN} and {LOCKED}"),
    "K7 after the commit": Point("committed", f"{IDLE} and {LOCKED}", kept=True),
    "K8 reserving a request": Point(
        "reserving",
        f"{WAITS} and query ~ 'reserve_request'",
        "select 1 from intra42.api_limits for update",
    ),
}


@dataclass
class Scene:
    """One run of a DAG that ends before its time, again and again."""

    mirror: Mirror
    theatre: Theatre
    server: Postgres
    end: str
    dag: str = INCREMENTAL
    tasks: tuple[str, ...] = ("primary.projects_users",)

    def play(self, point: Point, places: list[str], after: Callable[[str], None]) -> None:
        """Let the run end at each of `places`; `after` looks at what it has left there."""
        while places:
            with self._little_asked_again():
                said, died_at = self._attempt(point, places)
            if said["ended"] == "ok":
                # A process that lost a connection it could do without, or open again.
                assert "SIGKILL" not in self.end
                assert point.name in {"reserving", "unlocking"}
                assert places == []
            else:
                assert said["ended"] == ("killed" if "SIGKILL" in self.end else "OperationalError")
                after(died_at)

    def _attempt(self, point: Point | None, places: list[str]) -> tuple[dict[str, Any], str]:
        """Let an attempt run until it ends; return what it said last, and where it was ended."""
        process = self.theatre.begin(
            self.mirror,
            dag=self.dag,
            run_id="one",
            tasks=self.tasks,
            point=point.name if point else "",
            places=places,
        )
        place = ""
        while "place" in (said := self.theatre.said()):
            place = places.pop(0)
            assert said["place"] == place
            assert point
            self._end(point, place, process, said["backend"])
        return said, place

    @contextmanager
    def _little_asked_again(self) -> Iterator[None]:
        """See that no page of the window but the unfinished one is asked for again."""
        answered = self._questions()
        yield
        again = [text for text, times in self._questions().items() if 0 < answered[text] < times]
        assert len(again) <= 1, f"asked again: {again}"

    def _questions(self) -> Counter[str]:
        return Counter(
            json.dumps(entry.query, sort_keys=True)
            for entry in self.mirror.sim.ledger.requests(LISTING)
            if entry.status == 200 and "range[updated_at]" in entry.query
        )

    def _end(self, point: Point, place: str, process: int, backend: int) -> None:
        with self._somebody_holds(point, place) as let_go:
            if point.held_by:
                os.kill(process, signal.SIGUSR1)
            self._see(backend, point.shows)
            if "SIGKILL" in self.end:
                os.kill(process, signal.SIGKILL)
            elif "backend" in self.end:
                self._query(f"select pg_terminate_backend({backend}, 5000)")
            else:
                self.server.stop("immediate")
                self.server.start()
            ended = time.monotonic()
            if not point.held_by:
                os.kill(process, signal.SIGUSR1)
            self._see_gone(backend, ended)
            let_go()
        if self._query("select to_regproc('intra42.reserve_request')") != [(None,)]:
            limiter = PostgresLimiter(
                self.mirror.connect, self.mirror.sim.client_id, per_second=1000, per_hour=10**6
            )
            limiter.wait_turn()
            limiter.close()
            assert time.monotonic() - ended < SOON_S, "no request can be sent"

    @contextmanager
    def _somebody_holds(self, point: Point, place: str) -> Iterator[Callable[[], None]]:
        """Hold the row that the point's statement needs."""
        if point.held_by is None:
            yield lambda: None
            return
        with closing(self.mirror.connect()) as connection:
            connection.execute(point.held_by.format(first=PAGES[place][0]))
            yield connection.close

    def _query(self, text: str) -> list[tuple[object, ...]]:
        return self.mirror.query(text)

    def _see(self, backend: int, shows: str) -> None:
        """Make sure that the run is where it is said to be."""
        text = f"select 1 from pg_stat_activity as a where pid = {backend} and {shows}"
        deadline = time.monotonic() + SOON_S
        while not self._query(text):
            found = self._query(f"select * from pg_stat_activity where pid = {backend}")
            assert time.monotonic() < deadline, f"not at the point, but {found}"
            time.sleep(0.01)

    def _see_gone(self, backend: int, ended: float) -> None:
        """Wait until nothing is left of the run's locks."""
        text = f"select pid, state, query from pg_stat_activity where pid = {backend}"
        if "SIGKILL" in self.end:
            text = f"{text} or application_name = '{APPLICATION}'"
        while found := self._query(text):
            assert time.monotonic() - ended < SOON_S, f"the dead still hold their locks: {found}"
            time.sleep(0.01)

    def finish(self) -> None:
        """The next attempt and the next night converge; each request is in the ledger once."""
        with self._little_asked_again():
            assert self._attempt(None, [])[0]["ended"] == "ok"
        self.mirror.nightly()
        assert self.mirror.differences() == []
        assert self._query("select 1 from intra42.sync_runs where status = 'running'") == []
        counted = self._query("select sum(requests) from intra42.sync_runs where run_id <> 'first'")
        assert counted == [(len(self.mirror.sim.ledger.requests()),)]


ENDS = ("SIGKILL of its process", "its backend is terminated", "the server is shot down")


@pytest.fixture
def scene(town, theatre, postgres, request) -> Scene:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        # Or the sequences of a copied database go back to the copy when the server is shot.
        connection.execute("checkpoint")
    return Scene(town, theatre, postgres, request.param)


ended_by = pytest.mark.parametrize("scene", ENDS, indirect=True)


@ended_by
@pytest.mark.parametrize("name", POINTS)
def test_a_window_that_ends_at_each_of_its_pages_goes_on(scene, name):
    point, mirror = POINTS[name], scene.mirror
    change_attempts(mirror)
    if point.name == "token fetched":
        for place in PAGES:
            mirror.sim.faults.add("401", LISTING, when=asks_for(place))

    def only_whole_pages(place: str) -> None:
        kept = before(place) + list(PAGES[place] if point.kept else ())
        assert stored(mirror) == kept
        position = kept[-1] if kept else 0
        legs = mirror.query("select after from intra42.partitions where not done")
        assert legs == ([] if kept == ALL else [(position,)])
        assert watermarks(mirror) == (kept == ALL)

    scene.play(point, list(PAGES), only_whole_pages)
    scene.finish()


@ended_by
def test_k9_a_delete_sweep_that_ends_goes_on_and_buries_each_row_once(scene):
    """The sweep ends at each page of its second look, and once the rows are deleted."""
    mirror = scene.mirror
    mirror.sim.harsh.page_cap = 2
    gone = [1010, 1020, 1030]
    for row_id in gone:
        mirror.sim.world.unregister(row_id)
    # The tasks that have succeeded are not repeated.
    scene.tasks = ("refresh_ongoing.plan", "refresh_ongoing.refetch0", SWEEP)

    def nothing_is_deleted(_place: str) -> None:
        rows = mirror.query("select id from intra42.cursus_users where id = any(%s)", gone)
        assert len(rows) == len(gone)
        assert mirror.query("select 1 from intra42.tombstones") == []
        scene.tasks = (SWEEP,)

    looks = [f"{SWEEP} {number}" for number in (1, 2, 3)]
    for look in looks:
        scene.play(Point("fetched", IDLE), [look], nothing_is_deleted)
    scene.play(Point("sweeping", f"{OPEN} and {LOCKED}"), ["deleted"], nothing_is_deleted)
    scene.finish()
    graves = mirror.query("select id from intra42.tombstones order by id")
    assert [row_id for (row_id,) in graves] == gone


@ended_by
def test_k10_a_migration_that_ends_leaves_the_one_before(fresh, theatre, postgres, scene):
    scene.mirror = mirror = fresh()
    scene.dag, scene.tasks = NIGHTLY, ("only open_run, which is no task of the harness",)

    def only_whole_migrations(place: str) -> None:
        done = mirror.query("select name from intra42.schema_migrations order by name")
        assert [name for (name,) in done] == MIGRATIONS[: MIGRATIONS.index(place)]
        there = mirror.value("select to_regclass('intra42.sync_runs') is not null")
        assert there == bool(done)

    places = [MIGRATIONS[0], MIGRATIONS[len(MIGRATIONS) // 2], MIGRATIONS[-1]]
    scene.play(Point("migrating", f"{OPEN} and {LOCKED}"), places, only_whole_migrations)
    scene.finish()


@ended_by
def test_k11_a_record_is_parked_with_its_page_or_not_at_all(scene):
    mirror = scene.mirror
    change_attempts(mirror)
    bad = {ids[-1] for ids in PAGES.values()}

    def spoil(record: dict[str, object]) -> dict[str, object]:
        return record | {"updated_at": "yesterday"} if record["id"] in bad else record

    mirror.sim.faults.add("mutate_record", LISTING, times=None, change=spoil)

    def parked_with_their_pages(place: str) -> None:
        parked = mirror.query("select id, attempts from intra42.parked_records order by id")
        assert parked == [(row_id, 1) for row_id in before(place) if row_id in bad]
        assert stored(mirror) == [row_id for row_id in before(place) if row_id not in bad]

    for place in PAGES:
        for point in ("parking", "committing"):
            scene.play(Point(point, f"{OPEN} and {LOCKED}"), [place], parked_with_their_pages)
    mirror.incremental(run_id="one")
    parked = mirror.query("select id, attempts from intra42.parked_records order by id")
    assert parked == [(row_id, 1) for row_id in sorted(bad)]
    mirror.sim.faults.clear()
    scene.finish()
    assert mirror.query("select 1 from intra42.parked_records") == []


# The first primary table, a middle one and the last: a column, and the id of a student's row.
TABLES = {
    "users": ("wallet", 1),
    "coalitions_users": ("score", 10_000),
    "achievements_users": ("nbr_of_success", 1000),
}


@ended_by
def test_k12_a_task_that_ends_while_it_unlocks_has_done_its_work(scene):
    mirror = scene.mirror
    for name, (column, factor) in TABLES.items():
        for number in worlds.STUDENTS:
            mirror.sim.world.update_row(name, number * factor, **{column: 7})
    scene.tasks = tuple(f"primary.{name}" for name in TABLES)

    def the_task_is_complete(place: str) -> None:
        done = scene.tasks[: scene.tasks.index(place) + 1]
        for name, (column, _factor) in TABLES.items():
            rows = mirror.query(f"select 1 from intra42.{name} where {column} = 7")
            assert len(rows) == (len(worlds.STUDENTS) if f"primary.{name}" in done else 0)

    point = Point("unlocking", f"{IDLE} and {LOCKED}")
    scene.play(point, list(scene.tasks), the_task_is_complete)
    scene.finish()
