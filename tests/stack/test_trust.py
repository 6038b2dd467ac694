"""Another user of the machine gets nothing of what the demo, the tests and the benchmark start."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import psycopg
import pytest
import requests
from airflow.cli import cli_parser
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dev.simulator import Simulator
from dev.stack import postgres as embedded
from dev.stack import redis
from dev.stack.airflow import COMPONENTS, AirflowStack
from dev.stack.demo import print_login
from dev.stack.demo_campus import SimulatedCampus
from dev.stack.postgres import Postgres
from dev.stack.processes import Processes
from dev.stack.psql import psql, warehouse
from dev.stack.verify import compare_url

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def as_stranger(act: Callable[[], Any]) -> Any:
    """Return what `act` returns where another user of the machine does it."""
    forking = multiprocessing.get_context("fork")
    found = forking.SimpleQueue()

    def become_another() -> None:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        found.put(act())

    process = forking.Process(target=become_another)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    return found.get()


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, as a checkout outside of a private home is."""
    with tempfile.TemporaryDirectory(prefix="intra42-trust-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def password_of(url: str) -> str:
    return str(conninfo_to_dict(url)["password"])


def refusals(url: str) -> dict[str, str]:
    """Return how the server answers those who guess; "in" where it lets them in."""
    guesses = {"none": None, "empty": "", "its name": "postgres", "libpq's file": "/dev/null"}
    told = {}
    for name, guess in guesses.items():
        for address in ("127.0.0.1", "localhost"):
            login = make_conninfo(url, password=guess or "", host=address, connect_timeout=10)
            if guess is None:
                login = re.sub(r"password=\S+ ?", "", login)
            try:
                psycopg.connect(login).close()
            except psycopg.OperationalError as error:
                told[f"{name}, {address}"] = str(error)
            else:
                told[f"{name}, {address}"] = "in"
    return told


def unreadable(folder: Path) -> list[str]:
    """Return what of a folder can be listed or read; the names were known beforehand."""
    paths = sorted(folder.rglob("*"))

    def read() -> list[str]:
        found = []
        for path in paths:
            try:
                path.stat()
                list(path.iterdir()) if path.is_dir() else path.read_bytes()
            except PermissionError:
                continue
            except FileNotFoundError:
                continue
            found.append(str(path))
        return found

    return as_stranger(read)  # type: ignore[no-any-return]


@pytest.mark.parametrize("version", [16, 18])
def test_nobody_gets_into_a_server_without_its_password(public: Path, version: int) -> None:
    server = Postgres(public / "data", version=version, closed=True)
    server.start()
    try:
        assert len(password_of(server.url())) >= 32
        told = refusals(server.url())
        assert "in" not in told.values()
        assert all("password" in answer for answer in told.values()), told
        for url in (server.url(), server.public_url()):
            with psycopg.connect(url) as connection:
                assert connection.execute("select current_user").fetchone() == ("postgres",)
    finally:
        server.stop("immediate")


@only_root
def test_another_user_neither_connects_nor_reads_the_password(public: Path) -> None:
    server = Postgres(public / "data", closed=True)
    server.start()

    def connect() -> str:
        try:
            psycopg.connect(server.public_url(), connect_timeout=10).close()
        except psycopg.OperationalError as error:
            return str(error)
        return "in"

    try:
        assert "no password supplied" in as_stranger(connect)
        assert unreadable(server.folder) == []
    finally:
        server.stop("immediate")


def test_a_server_of_before_gets_a_password_and_keeps_its_data(public: Path) -> None:
    server = Postgres(public / "data", closed=True)
    server._create()
    (server.folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    server._start()
    trusting = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
    with psycopg.connect(trusting) as connection:
        connection.execute("create table kept as select 42 as answer")
    server.stop()
    server.start()
    try:
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(trusting)
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
    finally:
        server.stop("immediate")


def test_a_server_keeps_its_password(public: Path) -> None:
    server = Postgres(public / "data", closed=True)
    server.start()
    before = password_of(server.url())
    server.stop()
    again = Postgres(public / "data", closed=True)
    again.start()
    try:
        assert password_of(again.url()) == before
        psycopg.connect(again.url()).close()
    finally:
        again.stop("immediate")


def test_the_password_is_in_no_command_line_and_no_log(public: Path) -> None:
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in psutil.process_iter():
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.02)

    watcher = threading.Thread(target=look)
    watcher.start()
    server = Postgres(public / "data", closed=True)
    try:
        server.start()
        server.ensure_database("warehouse")
        assert psql(server.public_url("warehouse"), ["-c", "select pg_sleep(0.5)"]) == 0
        secret = password_of(server.url())
    finally:
        over.set()
        watcher.join()
        server.stop()
    assert any("select pg_sleep" in line for line in seen)
    assert not [line for line in seen if secret in line]
    assert secret not in (server.folder / "server.log").read_text()


@only_root
def test_nothing_of_a_stack_is_for_others(public: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = public / ".local"
    with AirflowStack(state=state, say=lambda _: None) as stack:
        script = "mkdir -p logs && echo x > logs/task.log && echo x > airflow.cfg && sleep 60"
        stack.processes.start("component", ["sh", "-c", script], dict(os.environ), cwd=stack.home)
        while not (stack.home / "airflow.cfg").exists():
            time.sleep(0.05)
        campus = SimulatedCampus(stack)
        campus._set_clock("2027-01-01T00:00:00+00:00")
        assert {"secrets.json", "simulator.json", "postgres", "airflow", "logs", "run"} <= {
            path.name for path in state.iterdir()
        }
        assert unreadable(state) == []
        # Where another user has entered before, in a state folder of an earlier version, too.
        for path in [state, *(path for path in state.iterdir() if path.name != "postgres")]:
            path.chmod(0o755)
    with AirflowStack(state=state, say=lambda _: None) as stack:
        left = [path for path in unreadable(state) if not Path(path).is_file()]
        assert left == []
        stack.port = 1
        print_login(stack)  # type: ignore[arg-type]
        printed = capsys.readouterr().out
        assert password_of(stack.warehouse_url) not in printed
        url = re.search(r"Warehouse: (\S+)", printed)
        assert url
        psycopg.connect(url[1]).close()
    with warehouse(state) as opened:
        assert "password" not in conninfo_to_dict(opened)
        psycopg.connect(opened).close()


def test_no_component_of_the_stack_serves_its_logs_to_the_network() -> None:
    parser = cli_parser.get_parser()
    for arguments in COMPONENTS.values():
        known = subprocess_options(parser, arguments[0])
        assert ("--skip-serve-logs" in arguments) == ("--skip-serve-logs" in known), arguments


def subprocess_options(parser: Any, command: str) -> set[str]:
    (choices,) = [action.choices for action in parser._actions if action.dest == "subcommand"]
    return {option for action in choices[command]._actions for option in action.option_strings}


def test_only_who_has_the_key_moves_the_world_of_a_demo(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "run", tmp_path / "logs")
    stack = SimpleNamespace(state=tmp_path, processes=processes)
    try:
        campus = SimulatedCampus(stack)  # type: ignore[arg-type]
        url = f"{campus.connection['host']}/_sim"
        for headers in ({}, {"X-Control-Key": ""}, {"X-Control-Key": "guess"}):
            for path in ("clock", "ledger", "truth"):
                assert requests.get(f"{url}/{path}", headers=headers).status_code == 403
            for path in ("clock", "mutate", "limits"):
                assert requests.post(f"{url}/{path}", json={}, headers=headers).status_code == 403
        campus._set_clock("2027-01-01T00:00:00+00:00")
    finally:
        processes.stop()


def test_the_key_is_asked_for_the_truth_as_well(database_url: str) -> None:
    with Simulator("empty", control_key="right") as sim:
        with pytest.raises(OSError, match="403"):
            compare_url(database_url, sim.url, {})
        with pytest.raises(psycopg.Error):  # there is no mirror to compare with the truth
            compare_url(database_url, sim.url, {}, control_key="right")


def test_a_broker_asks_for_its_password(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "run", tmp_path / "logs")
    try:
        try:
            url = redis.start(processes, tmp_path / "redis")
        except redis.NoRedis:
            pytest.skip("there is no Redis server here")
        from redis import Redis
        from redis.exceptions import AuthenticationError

        address = url.rpartition("@")[2]
        with pytest.raises(AuthenticationError):
            Redis.from_url(f"redis://{address}").ping()
        assert Redis.from_url(url).ping()
        secret = url.split(":")[2].split("@")[0]
        lines = [" ".join(process.cmdline()) for process in psutil.process_iter()]
        assert not [line for line in lines if secret in line]
        assert stat.S_IMODE((tmp_path / "redis" / "redis.conf").stat().st_mode) == 0o600
    finally:
        processes.stop()


@pytest.mark.parametrize("trap", ["link", "file", "folder of another"])
def test_a_guessed_name_in_a_public_place_is_not_walked_into(
    public: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr(embedded, "_PUBLIC", public)
    victim = public / "home"
    victim.mkdir(mode=0o700)
    folder = embedded._public_folder(public / "data")
    shutil.rmtree(folder)
    if trap == "link":
        folder.symlink_to(victim)
    elif trap == "file":
        folder.touch()
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can act as another user")
        folder.mkdir()
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(RuntimeError, match="made by another user"):
        embedded._public_folder(public / "data")
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700


@only_root
def test_nobody_else_can_hold_up_the_start_of_a_server(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_PUBLIC", public)
    Postgres(public / "data", closed=True)
    lock = ["flock", "--nonblock", "--exclusive"]
    reachable = [str(public), *map(str, public.iterdir())]
    nobody = pwd.getpwnam("nobody")
    held = [
        folder
        for folder in reachable
        if subprocess.run(
            [*lock, folder, "true"],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            check=False,
            stderr=subprocess.DEVNULL,
        ).returncode
        == 0
    ]
    assert held == [str(public)]
