"""Runs DAGs in processes that can be killed: `python -m tests.convergence.worker`.

Reads one order a line (JSON), forks a process for each, and writes two lines: its number at once,
and when it has ended how: `ok`, the class of an error, or `killed`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from tests.harness import Mirror

_ROOT = Path(__file__).parents[2]


def serve() -> None:
    """Carry out orders until there are no more."""
    pid = 0
    for line in sys.stdin:
        if pid:
            # Only now: until the next order, nobody else can get the number of the last process.
            os.waitpid(pid, 0)
        order = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writing, _carry_out(order).encode())
            os._exit(0)
        os.close(writing)
        print(pid, flush=True)  # noqa: T201
        with os.fdopen(reading) as pipe:
            print(pipe.read() or "killed", flush=True)  # noqa: T201


def _carry_out(order: dict[str, Any]) -> str:
    sim: Any = SimpleNamespace(**order["api"])
    mirror = Mirror(order["database_url"], sim, order["config"])
    try:
        mirror.run(order["dag"], run_id=order["run_id"])
    except psycopg.OperationalError:
        return "OperationalError"
    except BaseException as error:  # noqa: BLE001  # the test that ordered it judges
        return f"{type(error).__name__}: {error}"
    return "ok"


class Worker:
    """The process that forks, seen from a test."""

    def __init__(self) -> None:
        paths = os.pathsep.join([str(_ROOT), str(_ROOT / "plugins")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.convergence.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def order(self, **order: Any) -> int:
        """Begin; return the number of the process."""
        assert self._process.stdin
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._answer())

    def ended(self) -> str:
        """Wait for the end; return how it was."""
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        with self._process:
            self._process.kill()


if __name__ == "__main__":
    serve()
