"""Background processes that never outlive us.

Each is the leader of a session of its own, so that Ctrl-C reaches only us, and everything it
forks, tasks in process groups of their own included, can be found and stopped. A record per
process lets the next start stop what a crash left behind. A watchdog does so at once: it holds the
other end of a pipe, which closes however we end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from dev.stack.postgres import Postgres

# The start time of a process, read twice, differs by as much when the system clock is adjusted.
_CLOCK_TOLERANCE_S = 5.0
_POLL_S = 0.1


class ComponentDied(RuntimeError):
    """A background process ended although nobody stopped it."""


class Processes:
    """The background processes of one stack.

    Args:
        records: Folder of the records, one JSON file per process.
        logs: Folder of the log files, one per process.
    """

    def __init__(self, records: Path, logs: Path) -> None:
        self.records = records
        self.logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._watchdog: subprocess.Popen[bytes] | None = None

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdout: IO[bytes] | int | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `command` in a session of its own; output goes to `logs`/`name`.log.

        What it writes is for its owner alone.
        """
        self.records.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                env=dict(environment),
                cwd=cwd,
                umask=0o077,
                start_new_session=True,
            )
        self._running[name] = process
        record = {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
        (self.records / f"{name}.json").write_text(json.dumps(record))
        return process

    def forget(self, name: str) -> None:
        """Drop a process that has ended as it should."""
        del self._running[name]
        (self.records / f"{name}.json").unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """Shoot a process and all it has forked, as when their machine loses power."""
        for member in recorded_members(self.records / f"{name}.json"):
            with contextlib.suppress(psutil.Error):
                member.kill()
        self._running[name].wait()
        self.forget(name)

    def check(self) -> None:
        """Fail if a process has ended.

        Raises:
            ComponentDied: With the name, the status and the end of the log.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                log = self.logs / f"{name}.log"
                tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-15:])
                message = f"{name} ended with status {process.returncode}; {log} ends:\n  {tail}"
                raise ComponentDied(message)

    def watch(self, *, postgres: Path, lock: int) -> None:
        """Start the watchdog, which stops everything recorded once this process is gone.

        Args:
            postgres: The folder of a `Postgres` that is to be stopped too.
            lock: An open file with a lock on it, held until the watchdog is done.
        """
        command = [sys.executable, "-m", "dev.stack.processes", str(self.records), str(postgres)]
        self._watchdog = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parents[2],
            start_new_session=True,
            pass_fds=(lock,),
        )

    def unwatch(self) -> None:
        """Let the watchdog go, nothing being left for it to stop."""
        if self._watchdog is not None and self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None

    def stop(self, grace_s: float = 15.0) -> list[str]:
        """Stop every process of ours, recorded by us or by a start before; return their names.

        All are asked at once. What still lives after `grace_s` seconds is killed.
        """
        names = stop_recorded(self.records, grace_s)
        for process in self._running.values():
            process.wait()
        self._running.clear()
        return names


def session_members(leader: int) -> list[psutil.Process]:
    """Return the living processes of the session that process `leader` began."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if pid != os.getpid() and os.getsid(pid) == leader:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    members.append(process)
    return members


def recorded_members(record: Path) -> list[psutil.Process]:
    """Return what lives of the session in `record`; nothing if its number is another's by now.

    A session's number is not given away while a member lives. Where the leader lives, its start
    time tells; where it is gone, only descendants started after it can be ours.
    """
    try:
        content = json.loads(record.read_text())
        leader, created = int(content["pid"]), float(content["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    with contextlib.suppress(psutil.Error):
        if abs(psutil.Process(leader).create_time() - created) > _CLOCK_TOLERANCE_S:
            return []
    own = []
    for member in session_members(leader):
        with contextlib.suppress(psutil.Error):
            if member.uids().real == os.getuid() and member.create_time() >= created - 1:
                own.append(member)
    return own


def stop_recorded(records: Path, grace_s: float) -> list[str]:
    """Stop every session recorded in folder `records`, drop the records, return their names."""
    files = sorted(records.glob("*.json"))
    stopped = [file.stem for file in files if recorded_members(file)]
    for round_signal, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        for file in files:
            for member in recorded_members(file):
                with contextlib.suppress(psutil.Error):
                    member.send_signal(round_signal)
        deadline = time.monotonic() + patience_s
        while any(recorded_members(file) for file in files) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    for file in files:
        file.unlink(missing_ok=True)
    return stopped


def main() -> None:
    """Be the watchdog: wait for the pipe on stdin to close, then stop what is recorded."""
    parser = argparse.ArgumentParser(prog="python -m dev.stack.processes", description=main.__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("postgres", type=Path)
    options = parser.parse_args()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    stop_recorded(options.records, 10.0)
    if options.postgres.exists():
        Postgres(options.postgres).stop()


if __name__ == "__main__":
    main()
