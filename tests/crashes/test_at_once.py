"""Several at once: twins of a run, readers of what is merged, a reader in a migration's way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from contextlib import closing
from copy import copy
from dataclasses import replace

import psycopg
import pytest
from psycopg import IsolationLevel, errors

from intra42.operators import Intra42OpenRunOperator
from intra42.warehouse import schema, statements
from intra42.warehouse.statements import FOLDER
from tests.crashes.attempts import ALL, PAGES, change_attempts, stored
from tests.crashes.puppet import LISTING
from tests.dags.stack import Stack
from tests.harness import INCREMENTAL
from tests.integration.mirror import worlds
from tests.unit.airflow.contexts import context

SOON_S = 5.0


class Twin:
    """The same run once more, in this process: all of its tasks, or some."""

    def __init__(self, mirror, *tasks) -> None:
        self.error = None
        self._mirror = copy(mirror)
        if tasks:
            self._mirror.task = lambda identity, *args: (
                mirror.task(identity, *args) if identity.task_id in tasks else [[1, 2, 3]]
            )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._mirror.incremental(run_id="one")
        except Exception as error:  # noqa: BLE001  # the test judges
            self.error = error

    def sees_the_other(self) -> None:
        """Wait until it waits for its twin."""
        waits = "select 1 from pg_locks where locktype = 'advisory' and not granted"
        deadline = time.monotonic() + 10 * SOON_S
        while not self._mirror.query(waits):
            assert self._thread.is_alive(), f"it did not wait: {self.error!r}"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def ended(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert self.error is None


def questions(mirror, path, kind):
    """Count how often each question of a kind was answered."""
    return Counter(
        json.dumps(entry.query, sort_keys=True)
        for entry in mirror.sim.ledger.requests(path)
        if kind in entry.query
    )


@pytest.mark.parametrize("place", PAGES, ids=["first page", "middle page", "last page"])
def test_c2_a_zombie_and_its_successor_ask_for_each_page_once(town, theatre, place):
    """Airflow gave the first one up, but it lives."""
    change_attempts(town)
    # No row is young enough for the lookback of the next window.
    town.sim.clock.advance(hours=2)
    zombie = theatre.begin(
        town, dag=INCREMENTAL, run_id="one", tasks=[], point="fetched", places=[place]
    )
    assert theatre.said()["place"] == place
    successor = Twin(town)
    successor.sees_the_other()
    os.kill(zombie, signal.SIGUSR1)
    assert theatre.said() == {"ended": "ok"}
    successor.ended()
    assert stored(town) == ALL
    # Whoever comes second looks whether there is more by now, which takes one request.
    asked = questions(town, LISTING, "range[updated_at]")
    assert list(asked.values()) == [1] * (len(PAGES) + 1)
    town.nightly()
    assert town.differences() == []


def test_c2_a_zombie_and_its_successor_refetch_each_chunk_once(loaded, theatre):
    town = loaded(worlds.town, campus_ids=[1], refresh_chunk_size=3)
    for number in worlds.STUDENTS:
        town.sim.world.set_level_silently(number * 10, 2.5)
    task = "refresh_ongoing.refetch0"
    zombie = theatre.begin(
        town, dag=INCREMENTAL, run_id="one", tasks=[], point="fetched", places=[f"{task} 1"]
    )
    assert theatre.said()["place"] == f"{task} 1"
    successor = Twin(town, task)
    successor.sees_the_other()
    os.kill(zombie, signal.SIGUSR1)
    assert theatre.said() == {"ended": "ok"}
    successor.ended()
    assert set(questions(town, "/v2/cursus_users", "filter[id]").values()) == {1}
    assert town.differences() == []


def test_c2_a_zombie_that_wakes_when_its_successor_is_done_changes_nothing(town, theatre):
    change_attempts(town)
    place = list(PAGES)[1]
    zombie = theatre.begin(
        town, dag=INCREMENTAL, run_id="one", tasks=[], point="fetched", places=[place]
    )
    backend = theatre.said()["backend"]
    town.query("select pg_terminate_backend(%s, 5000)", backend)
    for row_id in ALL:
        town.sim.world.update_row("projects_users", row_id, final_mark=8)
    town.incremental(run_id="one")
    rows = "select * from intra42.projects_users order by id"
    before = town.query(rows), town.query("select * from intra42.sync_state order by 1, 2, 3")
    os.kill(zombie, signal.SIGUSR1)
    assert theatre.said() == {"ended": "OperationalError"}
    after = town.query(rows), town.query("select * from intra42.sync_state order by 1, 2, 3")
    assert after == before
    town.nightly()
    assert town.differences() == []


PAGE, MERGES = 8, 200


def busy():
    """The town, where everybody has tried two hundred times more."""
    sim = worlds.town()
    sim.clock.advance(hours=-24)
    for number in range(PAGE * MERGES - len(worlds.STUDENTS)):
        owner = worlds.STUDENTS[number % len(worlds.STUDENTS)]
        sim.world.add_projects_user(owner, 11, id=30_000 + number)
    sim.clock.advance(hours=24)
    return sim


class Reader:
    """Somebody who looks at the mirror all the time and never sees half a page."""

    PARTS = (
        "select count(*) from intra42.projects_users where final_mark = 7",
        "select coalesce(max(id), 0) from intra42.projects_users where final_mark = 7",
        "select max(p.after) from intra42.partitions as p "
        "join intra42.jobs as j on j.id = p.job_id "
        "where j.resource = 'projects_users' and not p.done",
        "select coalesce(max(updated), 0) from intra42.sync_run_tables "
        "where resource = 'projects_users' and sync_run_id > {first_run}",
        "select count(*) from intra42.sync_state "
        f"where resource = 'projects_users' and dag_id = '{INCREMENTAL}'",
    )

    def __init__(self, mirror, level: IsolationLevel) -> None:
        first_run = mirror.value("select max(id) from intra42.sync_runs")
        parts = [part.format(first_run=first_run) for part in self.PARTS]
        # One statement is one snapshot; a transaction of its own is one where it can be repeated.
        whole = [f"select {', '.join(f'({part})' for part in parts)}"]
        self._statements = parts if level is IsolationLevel.REPEATABLE_READ else whole
        self._level = level
        self._mirror = mirror
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen: set[tuple[int, ...]] = set()

    def _look(self) -> None:
        with closing(self._mirror.connect()) as connection:
            connection.isolation_level = self._level
            while not self._over.wait(0.001):
                with connection.transaction():
                    rows = [connection.execute(text).fetchone() for text in self._statements]
                self.seen.add(tuple(value for row in rows for value in row))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def halves(self):
        """Return what nobody should have seen: rows, position, ledger, watermark out of step."""
        return [
            (rows, highest, position, counted, watermark)
            for rows, highest, position, counted, watermark in self.seen
            if rows % PAGE
            or counted != rows
            or position not in {None, highest}
            or watermark != (rows == PAGE * MERGES)
        ]


def test_c5_readers_in_the_midst_of_many_merges_never_see_half_a_page(loaded):
    mirror = loaded(busy, campus_ids=[1])
    # Pages that come together would be merged together, and the readers see less of it.
    mirror.api = replace(mirror.api, most_in_flight=1)
    mirror.sim.harsh.page_cap = PAGE
    for row_id in mirror.sim.world.projects_users.ids:
        if mirror.sim.world.projects_users[row_id].user_id in worlds.STUDENTS:
            mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    levels = IsolationLevel.READ_COMMITTED, IsolationLevel.REPEATABLE_READ
    with Reader(mirror, levels[0]) as one, Reader(mirror, levels[1]) as other:
        mirror.incremental()
    for reader in (one, other):
        assert reader.halves() == []
        assert len(reader.seen) > MERGES // 20


@pytest.fixture
def one_more_migration(town, tmp_path, monkeypatch):
    """A version of ours that adds a column to a table that people read."""
    folder = tmp_path / "sql"
    shutil.copytree(FOLDER, folder)
    text = "alter table intra42.users add column shoe_size integer;"
    (folder / "schema" / "9000_shoes.sql").write_text(text)
    monkeypatch.setattr(statements, "FOLDER", folder)
    monkeypatch.setattr(schema, "FOLDER", folder)


class Passers:
    """Somebody who reads the users all the time, and how long it takes him at most."""

    def __init__(self, mirror) -> None:
        self.longest = 0.0
        self._mirror = mirror
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._pass)

    def _pass(self) -> None:
        with closing(self._mirror.connect()) as connection:
            connection.autocommit = True
            while not self._over.wait(0.01):
                began = time.monotonic()
                connection.execute("select count(*) from intra42.users")
                self.longest = max(self.longest, time.monotonic() - began)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def has_new_column(mirror):
    text = "select 1 from information_schema.columns where column_name = 'shoe_size'"
    return bool(mirror.query(text))


def test_c6_a_migration_waits_for_a_long_reader_and_others_wait_little(one_more_migration, town):
    failed = []

    def run():
        try:
            town.incremental()
        except psycopg.Error as error:
            failed.append(error)

    with closing(town.connect()) as reader, Passers(town) as passers:
        reader.execute("select count(*) from intra42.users")
        thread = threading.Thread(target=run)
        thread.start()
        began = time.monotonic()
        while passers.longest < 1:
            assert time.monotonic() - began < SOON_S, "nobody can read while the migration waits"
            time.sleep(0.01)
        assert thread.is_alive()
        assert not has_new_column(town)
        reader.rollback()
        thread.join(20)
    assert failed == []
    assert has_new_column(town)
    assert passers.longest < SOON_S


def test_c6_a_migration_that_waits_in_vain_is_red_and_says_what_to_do(
    one_more_migration, town, monkeypatch
):
    monkeypatch.setattr(schema, "_TRIES", 2)
    monkeypatch.setattr(schema, "_LOCK_TIMEOUT", "100ms")
    with closing(town.connect()) as reader:
        reader.execute("select count(*) from intra42.users")
        with pytest.raises(errors.LockNotAvailable, match="migration 9000_shoes") as refused:
            town.incremental()
        assert "end its transaction" in str(refused.value)
        assert not has_new_column(town)
    town.incremental()
    assert has_new_column(town)


def test_c6_the_first_task_says_what_is_in_its_way_and_does_not_blame_the_address(
    one_more_migration, town, monkeypatch
):
    monkeypatch.setattr(schema, "_TRIES", 1)
    monkeypatch.setattr(schema, "_LOCK_TIMEOUT", "100ms")
    Stack(town.database_url, town.sim, monkeypatch)
    open_run = Intra42OpenRunOperator(task_id="open_run")
    with closing(town.connect()) as reader:
        reader.execute("select count(*) from intra42.users")
        with pytest.raises(errors.LockNotAvailable, match="migration 9000_shoes"):
            open_run.execute(context(task_id="open_run"))
