"""What runs out: the warehouse's space, connections, time and right to write, and our memory.

The task is red with the cause in its error, its watermark has not moved, and the next attempt goes
on once the resource is back.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import errors

from dev.simulator import Simulator
from dev.stack.postgres import _SETTINGS, Postgres
from dev.virtual.clock import VirtualClock
from tests.convergence.lines import Pool
from tests.convergence.story import Player
from tests.crashes.attempts import (
    ALL,
    PAGES,
    at_page,
    before,
    change_attempts,
    stored,
    watermarks,
)
from tests.harness import Mirror

ROOT = Path(__file__).parents[2]
MB = 1 << 20

on_each_page = pytest.mark.parametrize(
    "place", PAGES, ids=["first page", "middle page", "last page"]
)


def is_red(mirror: Mirror, place: str, error: type[Exception], message: str) -> None:
    """See that a run ends at a page, with the cause in its error, and keeps the pages before."""
    with pytest.raises(error, match=message):
        mirror.incremental(run_id="one")
    # Nobody answers while the server is down.
    with suppress(psycopg.OperationalError):
        assert stored(mirror) == before(place)
        assert watermarks(mirror) == 0


def converges(mirror: Mirror) -> None:
    """See that the next attempt goes on by itself, and that the mirror is true the next morning."""
    mirror.incremental(run_id="one")
    assert stored(mirror) == ALL
    assert watermarks(mirror) == 1
    mirror.nightly()
    assert mirror.differences() == []


def administer(server: Postgres, *statements: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def name_of(mirror: Mirror) -> str:
    return mirror.database_url.rsplit("/", 1)[1]


# R1: space.


class Disk:
    """A small disk that can be filled to the last byte; `folder` is PostgreSQL's."""

    def __init__(self, mountpoint: Path) -> None:
        self.folder = mountpoint / "postgres"
        self._ballast = mountpoint / "ballast"

    def fill(self) -> None:
        with suppress(OSError), self._ballast.open("wb") as file:
            while True:
                file.write(bytes(MB // 16))

    def clear(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def belongs_to(server: Postgres, folder: Path) -> Iterator[Path]:
    """Make a folder that the server's user may write to."""
    folder.mkdir()
    owner = server.folder.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    folder.chmod(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def small_disk(server: Postgres, megabytes: int) -> Iterator[Disk]:
    """Mount a disk in memory."""
    mountpoint = Path(tempfile.mkdtemp(prefix="intra42-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(mountpoint)]
    refusal = "there is no mount command"
    with suppress(FileNotFoundError):
        refusal = subprocess.run(mount, check=False, capture_output=True, text=True).stderr
    if refusal:
        mountpoint.rmdir()
        reason = refusal.splitlines()[0]
        pytest.skip(f"a disk that is full must be a small one, which we may not mount: {reason}")
    try:
        with belongs_to(server, mountpoint / "postgres"):
            yield Disk(mountpoint)
    finally:
        subprocess.run(["umount", "--lazy", str(mountpoint)], check=True)
        mountpoint.rmdir()


@pytest.fixture
def disk(town: Mirror, postgres: Postgres) -> Iterator[Disk]:
    """A small disk with a tablespace."""
    with small_disk(postgres, 48) as disk:
        administer(postgres, f"create tablespace small location '{disk.folder}'")
        yield disk
        disk.clear()
        administer(
            postgres,
            f"alter database {name_of(town)} reset temp_tablespaces",
            f"alter database {name_of(town)} set tablespace pg_default",
            "drop tablespace small",
        )


USES = {
    "R1 temporary tables": "alter database {name} set temp_tablespaces = small",
    "R1 tables": "alter database {name} set tablespace small",
}


@on_each_page
@pytest.mark.parametrize("use", USES)
def test_a_full_disk_is_red_and_the_task_goes_on_once_there_is_space(
    town, postgres, disk, use, place
):
    change_attempts(town)
    rng = random.Random(1)
    for row_id in ALL:
        # Too long for the free space of the pages there are.
        status = rng.randbytes(5000).hex()
        town.sim.world.update_row("projects_users", row_id, status=status)
    administer(postgres, USES[use].format(name=name_of(town)))
    at_page(town, place, disk.fill)
    is_red(town, place, errors.DiskFull, "No space left on device")
    disk.clear()
    converges(town)


@contextmanager
def clone(server: Postgres, *options: str) -> Iterator[Postgres]:
    """Copy a running server with all that is in it; the copy is not started."""
    with belongs_to(server, server.folder.parent / "clone") as folder:
        copy = Postgres(folder)
        server._run("pg_basebackup", "-D", str(folder), "-d", server.url(), "-cfast", *options)
        try:
            yield copy
        finally:
            copy.stop("immediate")


def test_r1_a_server_whose_log_has_no_space_left_goes_on_once_there_is_some(town, postgres):
    change_attempts(town)
    place = list(PAGES)[1]
    with (
        small_disk(postgres, 80) as disk,
        clone(postgres, f"--waldir={disk.folder}") as server,
    ):
        server.start()
        town.database_url = server.url(name_of(town))
        at_page(town, place, lambda: fill_log(server, disk))
        is_red(town, place, psycopg.OperationalError, "No space left|server closed|server process")
        assert "No space left on device" in (server.folder / "server.log").read_text()
        disk.clear()
        server.start()
        converges(town)


def fill_log(server: Postgres, disk: Disk) -> None:
    """Leave no space to the write-ahead log but that of the segment before the next one."""
    segments = (
        "select count(*) from pg_ls_waldir() "
        "where name > pg_walfile_name(pg_current_wal_insert_lsn()) and length(name) = 24"
    )
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        while connection.execute(segments).fetchone() != (0,):
            connection.execute("select pg_logical_emit_message(true, 'test', 'more')")
            connection.execute("select pg_switch_wal()")
        disk.fill()
        connection.execute("select pg_logical_emit_message(true, 'test', 'more')")
        connection.execute("select pg_switch_wal()")


# R2: connections.

FEW = 8


@pytest.fixture
def crowd(town: Mirror, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """People who take all connections of a server that allows few."""
    with monkeypatch.context() as few:
        usual = "max_connections=200"
        few.setattr(
            "dev.stack.postgres._SETTINGS", _SETTINGS.replace(usual, f"max_connections={FEW}")
        )
        postgres.stop("fast")
        postgres.start()
    crowd = Crowd(postgres.url())
    yield crowd
    crowd.leave()
    postgres.stop("fast")
    postgres.start()


class Crowd:
    def __init__(self, url: str) -> None:
        self._url = url
        self._there: list[psycopg.Connection[object]] = []

    def come(self) -> None:
        with suppress(psycopg.OperationalError):
            while True:
                self._there.append(psycopg.connect(self._url))

    @property
    def is_here(self) -> bool:
        return bool(self._there)

    def leave(self) -> None:
        while self._there:
            self._there.pop().close()


def test_r2_no_connection_left_for_a_run_is_red_and_says_so(town, crowd):
    change_attempts(town)
    crowd.come()
    with pytest.raises(psycopg.OperationalError, match="too many clients already"):
        town.incremental(run_id="one")
    crowd.leave()
    assert stored(town) == []
    converges(town)


@on_each_page
def test_r2_no_connection_left_for_the_next_task_keeps_what_this_one_has_read(
    town, crowd, monkeypatch, place
):
    """Nobody else can connect from a page on, nor where a task lets go of a connection."""
    change_attempts(town)
    at_page(town, place, crowd.come)
    plain = town.task

    def task(*arguments):
        if crowd.is_here:
            crowd.come()
        return plain(*arguments)

    monkeypatch.setattr(town, "task", task)
    with pytest.raises(psycopg.OperationalError, match="too many clients already"):
        town.incremental(run_id="one")
    crowd.leave()
    assert stored(town) == ALL
    converges(town)


@pytest.mark.parametrize("in_time", [True, False], ids=["back in time", "back too late"])
def test_r2_no_connection_left_for_the_limiter(town, crowd, monkeypatch, in_time):
    """It tries a few times."""
    change_attempts(town)
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if in_time and len(pauses) == 2:
            crowd.leave()

    monkeypatch.setattr(
        "intra42.api.limiter.time", SimpleNamespace(**{**vars(time), "sleep": pause})
    )
    plain = town.task

    def task(identity, params, resource, step):
        def crowded(work):
            if resource == "projects_users":
                crowd.come()
            return step(work)

        return plain(identity, params, resource, crowded)

    monkeypatch.setattr(town, "task", task)
    if in_time:
        town.incremental(run_id="one")
    else:
        with pytest.raises(psycopg.OperationalError, match="too many clients already"):
            town.incremental(run_id="one")
        crowd.leave()
        assert stored(town) == []
    assert pauses
    monkeypatch.setattr(town, "task", plain)
    converges(town)


# R3: time.


@on_each_page
def test_r3_a_statement_that_takes_too_long_is_red_and_can_be_repeated(town, postgres, place):
    change_attempts(town)
    administer(postgres, f"alter database {name_of(town)} set statement_timeout = '300ms'")
    with closing(town.connect()) as slow:
        slow.execute(
            "select 1 from intra42.projects_users where id = %s for update", [PAGES[place][0]]
        )
        is_red(town, place, errors.QueryCanceled, "statement timeout")
    converges(town)


# R4: our memory.

# Four times as many bytes in memory as on the wire.
ESSAY = "x" * 50_000 + "\N{OWL}"

_CHILD = """
import json, resource, sys
from types import SimpleNamespace
from tests.harness import Mirror

order = json.loads(sys.argv[1])
mirror = Mirror(order["database_url"], SimpleNamespace(**order["api"]), order["config"])
mirror.connect().close()

def size(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name))

def peak():
    # On Linux ru_maxrss begins with the size of the process that started this one.
    if sys.platform == "linux":
        return size("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
if sys.platform == "linux":
    allowed = size("VmData") + order["allowed"]
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
mirror.nightly()
print(peak() - before)
"""


def test_r4_a_first_load_takes_little_memory_however_much_it_reads(fresh):
    """Each page is stored before the next one is asked for."""
    mirror = fresh(lambda: Simulator("campus", seed=3, students=100), campus_ids=[67])
    allowed = 256 * MB
    mirror.sim.faults.add(
        "mutate_record",
        "/v2/projects_users",
        times=None,
        change=lambda record: record | {"essay": ESSAY},
    )
    order = {
        "database_url": mirror.database_url,
        "config": mirror.config,
        "allowed": allowed,
        "api": {
            "url": mirror.sim.url,
            "client_id": mirror.sim.client_id,
            "client_secret": mirror.sim.client_secret,
        },
    }
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(order)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert len(mirror.sim.world.projects_users) * sys.getsizeof(ESSAY) > allowed
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) < allowed
    mirror.sim.faults.clear()
    assert mirror.differences() == []


# R5: the right to write.


def test_r5_a_warehouse_that_may_only_be_read_is_red_and_goes_on_later(town, postgres):
    change_attempts(town)
    administer(postgres, f"alter database {name_of(town)} set default_transaction_read_only = on")
    is_red(town, "0", errors.ReadOnlySqlTransaction, "read-only transaction")
    administer(postgres, f"alter database {name_of(town)} reset default_transaction_read_only")
    converges(town)


@on_each_page
def test_r5_a_warehouse_that_becomes_read_only_is_red_at_that_page(town, postgres, place):
    change_attempts(town)
    try:
        at_page(town, place, lambda: let_read_only(postgres, "on"))
        is_red(town, place, errors.ReadOnlySqlTransaction, "read-only transaction")
    finally:
        let_read_only(postgres, "off")
    converges(town)


def let_read_only(server: Postgres, value: str) -> None:
    administer(
        server,
        "set default_transaction_read_only = off",
        f"alter system set default_transaction_read_only = {value}",
        "select pg_reload_conf()",
    )
    # Whoever connects after the server has told everybody sees it.
    setting = ""
    while setting != value:
        with psycopg.connect(server.url()) as connection:
            [setting] = connection.execute("show default_transaction_read_only").fetchone()


def test_r5_a_failover_in_the_middle_of_a_run_loses_nothing(town, postgres):
    """The server is shot; its standby, read-only at first, takes its place."""
    change_attempts(town)
    place = list(PAGES)[1]
    try:
        with clone(postgres, "--write-recovery-conf") as standby:
            standby.start()
            at_page(town, place, lambda: fail_over(postgres, standby))
            is_red(town, place, psycopg.OperationalError, "terminating connection|server closed")
            town.database_url = standby.url(name_of(town))
            is_red(town, place, errors.ReadOnlySqlTransaction, "read-only transaction")
            administer(standby, "select pg_promote()")
            converges(town)
    finally:
        postgres.start()


def fail_over(server: Postgres, standby: Postgres) -> None:
    """Shoot the server once its standby has what was committed."""
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        [now] = connection.execute("select pg_current_wal_flush_lsn()").fetchone()
    behind = f"select pg_last_wal_replay_lsn() < '{now}'"
    with closing(psycopg.connect(standby.url(), autocommit=True)) as connection:
        while connection.execute(behind).fetchone() != (False,):
            time.sleep(0.01)
    server.stop("immediate")


# R6: time without a scheduler.


@pytest.fixture
def quota() -> Iterator[Simulator]:
    """A campus behind an API that allows so little that an hour is just enough."""
    with Simulator(
        "campus", seed=3, students=60, limit_second=2, limit_hour=120, clock=VirtualClock()
    ) as sim:
        yield sim


def test_r6_six_hours_without_a_scheduler_are_caught_up_within_one_hours_quota(quota, database_url):
    """Airflow starts one run of each DAG, not those that were missed."""
    with closing(Pool(database_url)) as pool:
        mirror = Player(pool, quota, {"campus_ids": [67], "nightly_audit_requests": 0}, skew=0)
        mirror.nightly()
        quota.clock.advance(hours=1)
        mirror.incremental()
        for hour in range(6):
            quota.clock.advance(hours=1)
            quota.world.ordinary_day(random.Random(hour))
        quota.ledger.clear()
        began = quota.clock.now()
        mirror.incremental()
        mirror.nightly()
        assert quota.clock.now() - began < timedelta(hours=1)
        assert len(quota.ledger.requests()) <= quota.limits.per_hour
        assert 429 not in {entry.status for entry in quota.ledger}
        # What vanished is for the audit, which would also heal what the windows missed.
        assert [line for line in mirror.differences() if "exists only in" not in line] == []
