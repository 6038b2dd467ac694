"""The campus that the demo mirrors: a simulated one, or a real one with somebody's account."""

from __future__ import annotations

import json
import secrets
import selectors
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import requests

from dev.simulator.control import KEY_HEADER
from dev.stack.airflow import AirflowStack
from dev.stack.processes import ComponentDied
from dev.stack.settings import ROOT, IntraAccount, process_environment, write_private

_SIMULATOR = ("-m", "dev.simulator", "--world", "campus", "--port", "0")
# The first load is to be over in a minute; what comes after it keeps the limits of the real API.
_LOADING = {"per_second": 50, "per_hour": 100_000}
_LIVING = {"per_second": 2, "per_hour": 1200}
_START_TIMEOUT_S = 60.0
_QUARTER = timedelta(minutes=15)


class RealCampus:
    """A campus of the real Intra."""

    def __init__(self, account: IntraAccount) -> None:
        self.name = f"campus {account.campus_id} of the real Intra"
        self.connection: dict[str, Any] = {
            "host": "https://api.intra.42.fr",
            "login": account.client_id,
            "password": account.client_secret,
        }
        self.config: dict[str, Any] = {"campus_ids": [account.campus_id]}

    def live(self) -> None:
        """Do nothing: a real campus lives by itself."""

    def differences(self, warehouse_url: str) -> None:  # noqa: ARG002 (the simulator's answer)
        """Return None: nobody can tell."""
        return


class SimulatedCampus:
    """The simulator's campus of some hundred students, in a process of its own.

    The simulator keeps nothing, so what happened is kept here: the next demo builds the world of
    the same moment again, lets the same things happen at the same times, and goes on from there.
    """

    def __init__(self, stack: AirflowStack) -> None:
        self._stack = stack
        self._key = secrets.token_hex(24)
        self._file = stack.state / "simulator.json"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._history: dict[str, Any] = {"began": now, "now": now, "events": []}
        if self._file.exists():
            self._history = json.loads(self._file.read_text())
        process = stack.processes.start(
            "simulator",
            [sys.executable, *_SIMULATOR, *_limits(), "--clock", self._history["began"]],
            process_environment({"SIMULATOR_CONTROL_KEY": self._key}),
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        answer = json.loads(_first_line(process, stack))
        self._url = str(answer["url"])
        self.name = f"simulated campus {answer['campus_id']} at {self._url}"
        self.connection = {
            "host": self._url,
            "login": answer["client_id"],
            "password": answer["client_secret"],
            "extra": {f"requests_{unit}": limit for unit, limit in _LOADING.items()},
        }
        self.config = {"campus_ids": [answer["campus_id"]]}
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers[KEY_HEADER] = self._key
        for event in self._history["events"]:
            self._post("clock", {"set": event["at"]})
            self._post("mutate", {"name": event["name"], "args": event["args"]})
        self._set_clock(max(now, self._history["now"]))

    def live(self) -> None:
        """Let a quarter of an hour pass, with nothing in it that only a night can find.

        Students come and go, some finish projects, which moves their levels without a trace, and
        some earn achievements. Coalition scores move silently too; they are the nightly's.
        From then on the API gives what it gives everybody.
        """
        with psycopg.connect(self._stack.warehouse_url) as connection:
            found = connection.execute(
                "select distinct user_id from intra42.cursus_users"
                " where cursus_id = 21 and end_at is null order by user_id"
            ).fetchall()
        active = [user_id for (user_id,) in found]
        first = len(self._history["events"]) % 7
        self._happen("quiet_quarter")
        for user_id in active[first::40]:
            self._happen("validate_project", user_id=user_id)
        for user_id in active[first::150]:
            self._happen("earn_achievement", user_id=user_id)
        now = datetime.fromisoformat(self._history["now"])
        self._set_clock((now + _QUARTER).isoformat())
        self._post("limits", _LIVING)

    def _happen(self, name: str, **arguments: Any) -> None:
        event = {"at": self._history["now"], "name": name, "args": arguments}
        self._history["events"].append(event)
        self._save()
        self._post("mutate", {"name": name, "args": arguments})

    def _set_clock(self, moment: str) -> None:
        self._history["now"] = moment
        self._save()
        self._post("clock", {"set": moment})

    def _save(self) -> None:
        write_private(self._file, json.dumps(self._history))

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self._session.post(f"{self._url}/_sim/{path}", json=body, timeout=60).raise_for_status()

    def differences(self, warehouse_url: str) -> list[str]:
        """Return where the mirror differs from the simulator's truth."""
        from dev.stack.verify import compare_url

        return compare_url(warehouse_url, self._url, self.config, control_key=self._key)


def _limits() -> list[str]:
    return [
        *("--limit-second", str(_LOADING["per_second"])),
        *("--limit-hour", str(_LOADING["per_hour"])),
    ]


def _first_line(process: subprocess.Popen[bytes], stack: AirflowStack) -> bytes:
    """Return the first line that the process writes; fail if it ends or stays silent."""
    stdout = process.stdout
    if stdout is None:
        message = "the simulator's output was not asked for"
        raise RuntimeError(message)
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        if selector.select(_START_TIMEOUT_S) and (line := stdout.readline()):
            return line
    time.sleep(0.2)
    stack.processes.check()
    message = f"the simulator said nothing for {_START_TIMEOUT_S:.0f} s"
    raise ComponentDied(message)
