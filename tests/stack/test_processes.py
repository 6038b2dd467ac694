"""Nothing that we start outlives us; nothing that is not ours is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dev.stack.postgres import Postgres
from dev.stack.processes import ComponentDied, Processes, recorded_members
from dev.stack.settings import ROOT

# A leader whose child moves to a process group of its own, as Airflow's tasks do, and which
# both ignore a polite request if told so.
FAMILY = """
import os, signal, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
print("ready", flush=True)
time.sleep(120)
"""


def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def start_family(processes: Processes, *arguments: str) -> list[psutil.Process]:
    command = [sys.executable, "-c", FAMILY, *arguments]
    processes.start("family", command, dict(os.environ))
    log = processes.logs / "family.log"
    assert until(lambda: log.read_text().count("ready") == 2)
    return recorded_members(processes.records / "family.json")


def gone(members: list[psutil.Process]) -> bool:
    return not any(
        member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members
    )


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path / "run", tmp_path / "logs")


@pytest.mark.parametrize("manner", ["polite", "stubborn"])
def test_stopping_reaches_children_in_groups_of_their_own(
    processes: Processes, manner: str
) -> None:
    members = start_family(processes, manner)
    assert len(members) == 2
    assert processes.stop(grace_s=0.5) == ["family"]
    assert gone(members)
    assert list(processes.records.iterdir()) == []


def test_a_kill_takes_the_whole_family_and_nothing_is_missed(processes: Processes) -> None:
    members = start_family(processes, "stubborn")
    processes.kill("family")
    assert until(lambda: gone(members))
    processes.check()
    assert processes.stop() == []


def test_the_next_start_stops_the_children_of_a_leader_that_was_killed(
    processes: Processes, tmp_path: Path
) -> None:
    members = start_family(processes)
    record = json.loads((processes.records / "family.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    os.waitpid(record["pid"], 0)
    assert not gone(members)
    assert Processes(processes.records, tmp_path / "logs").stop() == ["family"]
    assert gone(members)


def test_a_number_that_is_another_process_by_now_is_left_alone(processes: Processes) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    processes.records.mkdir()
    old = {"pid": stranger.pid, "created": time.time() - 3600}
    (processes.records / "scheduler.json").write_text(json.dumps(old))
    assert processes.stop() == []
    assert stranger.poll() is None
    stranger.communicate(b"\n")


def test_a_record_that_cannot_be_read_harms_nobody(processes: Processes) -> None:
    processes.records.mkdir()
    (processes.records / "scheduler.json").write_text('{"pid": ')
    assert processes.stop() == []


def test_a_process_that_dies_is_reported_with_the_end_of_its_log(processes: Processes) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no room left')"]
    process = processes.start("scheduler", command, dict(os.environ))
    process.wait()
    with pytest.raises(ComponentDied, match=r"(?s)scheduler ended with status 1.*no room left"):
        processes.check()
    processes.stop()


PARENT = f"""
import os, sys, time
from pathlib import Path
from dev.stack.postgres import Postgres
from dev.stack.processes import Processes
state = Path(sys.argv[1])
server = Postgres(state / "postgres")
processes = Processes(state / "run", state / "logs")
processes.watch(postgres=state / "postgres", lock=(state / "lock").open("w").fileno())
server.start()
processes.start("family", [sys.executable, "-c", {FAMILY!r}], dict(os.environ))
time.sleep(0.5)
print("up", flush=True)
time.sleep(120)
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="intra42-stack-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_killed_parent_takes_everything_with_it(state: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(state)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    members = recorded_members(state / "run" / "family.json")
    server = Postgres(state / "postgres")
    assert members
    assert server.is_running()
    parent.kill()
    parent.communicate()
    assert until(lambda: gone(members) and not server.is_running())
