"""The simulated Intra, in a process of its own that the stack's watchdog also stops."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

import requests

from dev.stack.airflow import AirflowStack
from dev.stack.settings import ROOT, process_environment

CLOCK = "2026-03-02T10:00:00Z"
OFF = 1_000_000_000
PER_SECOND, PER_HOUR = 2, 1200  # of an application at the real Intra


class Upstream:
    """At most one simulator of a name at a time, always on the same port.

    Its clock stands still unless moved, so the same world comes back when it is started again;
    the limit per second is then kept in real seconds.
    """

    def __init__(self, stack: AirflowStack, port: int, name: str = "simulator") -> None:
        self._stack = stack
        self._port = port
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self.facts: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(
        self,
        world: str,
        *,
        students: int | None = None,
        per_second: int = OFF,
        per_hour: int = OFF,
        latency_s: float = 0,
    ) -> None:
        """Start the world anew, in place of the one that runs."""
        self.stop()
        command = [sys.executable, "-m", "dev.simulator", "--world", world, "--clock", CLOCK]
        command += ["--port", str(self._port)]
        command += ["--students", str(students)] if students else []
        command += ["--limit-second", str(per_second), "--limit-hour", str(per_hour)]
        command += ["--latency", str(latency_s)] if latency_s else []
        self._process = self._stack.processes.start(
            self._name, command, process_environment({}), stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            time.sleep(0.2)
            self._stack.processes.check()
        self.facts = json.loads(line)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._stack.processes.forget(self._name)
            self._process = None

    def mutate(self, name: str, **arguments: Any) -> None:
        self._control("mutate", {"name": name, "args": arguments})

    def advance(self, seconds: float) -> datetime:
        answer = self._control("clock", {"advance_s": seconds})
        return datetime.fromisoformat(answer["now"])

    def limit(self, per_second: int, per_hour: int) -> None:
        """Keep other limits from now on."""
        self._control("limits", {"per_second": per_second, "per_hour": per_hour})

    def _control(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._session.post(f"{self.url}/_sim/{path}", json=body, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def ledger(self) -> list[dict[str, Any]]:
        """Return every request to /v2 so far, refused ones included."""
        answer = self._session.get(f"{self.url}/_sim/ledger", timeout=60)
        answer.raise_for_status()
        return [entry for entry in answer.json() if entry["path"].startswith("/v2")]

    def token(self) -> str:
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.facts["client_id"],
            "client_secret": self.facts["client_secret"],
        }
        answer = self._session.post(f"{self.url}/oauth/token", data=fields, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["access_token"])
