"""Several at once: twins of a run, readers in the middle of merges, a reader in a migration's way."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import closing

import psycopg
import pytest
from psycopg import errors

from intra42 import statements
from intra42.statements import FOLDER
from intra42.sync import schema

SOON_S = 5.0


@pytest.fixture
def one_more_migration(town, tmp_path, monkeypatch):
    """A version of ours that adds a column to a table that people read."""
    folder = tmp_path / "sql"
    shutil.copytree(FOLDER, folder)
    text = "alter table intra42.users add column shoe_size integer;"
    (folder / "migrations" / "9000_shoes.sql").write_text(text)
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
        # Longer than one attempt waits.
        time.sleep(2.5)
        assert thread.is_alive()
        assert not has_new_column(town)
        reader.rollback()
        thread.join(20)
    assert failed == []
    assert has_new_column(town)
    assert 1 < passers.longest < SOON_S


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
