"""The embedded PostgreSQL starts, stops, and comes back with its data after a kill."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev.stack import postgres
from dev.stack.postgres import Postgres


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder closed to other users, as a checkout in a private home is."""
    with tempfile.TemporaryDirectory(prefix="intra42-stack-") as name:
        private, public = Path(name) / "private", Path(name) / "public"
        private.mkdir(mode=0o700)
        public.mkdir()
        Path(name).chmod(0o755)
        monkeypatch.setattr("dev.stack.postgres._PUBLIC", public)
        yield private / "postgres"


def test_a_killed_server_starts_again_with_its_data(folder: Path) -> None:
    server = Postgres(folder)
    server.start()
    try:
        server.ensure_database("warehouse")
        server.ensure_database("warehouse")
        with psycopg.connect(server.url("warehouse")) as connection:
            connection.execute("set synchronous_commit = on")
            connection.execute("create table kept as select 42 as answer")
        pid = int((server.folder / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        again = Postgres(folder)
        again.start()
        with psycopg.connect(again.url("warehouse")) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
        again.stop()
        assert not again.is_running()
    finally:
        server.stop("immediate")


def test_deleting_the_folder_is_a_clean_start(folder: Path) -> None:
    server = Postgres(folder)
    server.start()
    server.ensure_database("warehouse")
    server.stop()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    again = Postgres(folder)
    again.start()
    try:
        with psycopg.connect(again.url()) as connection:
            names = connection.execute("select datname from pg_database").fetchall()
        assert ("warehouse",) not in names
    finally:
        again.stop("immediate")


def test_text_sorts_and_folds_the_same_on_every_system(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select 'B' < 'a', lower('É')").fetchone()
    assert row == (True, "é")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a user for the server")
def test_servers_that_start_at_once_on_a_fresh_machine_agree_on_their_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"intra42-{os.getpid()}"
    monkeypatch.setattr(postgres, "_SYSTEM_USER", name)
    forking = multiprocessing.get_context("fork")
    together, found = forking.Barrier(4), forking.SimpleQueue()

    def start() -> None:
        together.wait(30)
        found.put(postgres._unprivileged()["user"])

    starts = [forking.Process(target=start) for _ in range(4)]
    try:
        for process in starts:
            process.start()
        for process in starts:
            process.join(60)
        assert [found.get() for _ in starts if not found.empty()] == [pwd.getpwnam(name).pw_uid] * 4
    finally:
        subprocess.run([shutil.which("userdel") or "/usr/sbin/userdel", name], check=False)
