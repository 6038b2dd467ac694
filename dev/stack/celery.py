"""The topology of docker-compose.yaml without Docker: Redis, and workers on machines of their own.

A machine is a folder with its own AIRFLOW_HOME and its own copies of dags/, plugins/ and include/.
What the machines share is what the compose file shares: the network, and the folder of task logs.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dev.stack import redis
from dev.stack.airflow import AIRFLOW, AirflowStack
from dev.stack.processes import ComponentDied
from dev.stack.settings import ROOT, celery_environment

FOLDERS = ("dags", "plugins", "include")
HEAD = "head"

_WORKER_START_TIMEOUT_S = 300.0


def furnish(machine: Path) -> None:
    """Copy what a deployment copies into the folder of a machine."""
    for folder in FOLDERS:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, machine / folder, ignore=unwanted)


class CeleryStack(AirflowStack):
    """PostgreSQL, Redis, Airflow's components on one machine, workers on others.

    Args:
        state: The folder of everything: machines, databases, secrets, logs, process records.
        say: Takes one line per step.
    """

    def __init__(self, *, state: Path, say: Callable[[str], None] = print) -> None:
        self._machines = state.resolve() / "machines"
        head = self._machines / HEAD
        super().__init__(state=state, dags=head / "dags", plugins=head / "plugins", say=say)

    def start_airflow(
        self,
        connections: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        *,
        paused: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start Redis, then all of Airflow but the workers; see `AirflowStack`.

        Raises:
            NoRedis: This machine has no Redis server.
            ComponentDied: A component ended, or one was not healthy in time.
        """
        broker_url = redis.start(self.processes, self.state / "redis")
        self._furnish(HEAD)
        shared = {"AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs")}
        celery = celery_environment(broker_url=broker_url, metadata_url=self.metadata_url)
        super().start_airflow(
            connections, variables, paused=paused, settings={**celery, **shared, **(settings or {})}
        )

    def start_workers(self, *names: str) -> None:
        """Start workers, each on a machine of its own; return when all take tasks.

        Raises:
            ComponentDied: A component ended, or a worker was not ready in time.
        """
        for name in names:
            machine = self._furnish(name)
            home = machine / "airflow"
            home.mkdir(exist_ok=True)
            own = {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(machine / "dags"),
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(machine / "plugins"),
                "PYTHONPATH": self.environment["PYTHONPATH"].replace(
                    str(self.machine(HEAD)), str(machine)
                ),
            }
            command = [*AIRFLOW, "celery", "worker", "--skip-serve-logs"]
            self.processes.start(
                name,
                [*command, "--celery-hostname", name],
                {**self.environment, **own},
                cwd=home,
            )
        deadline = time.monotonic() + _WORKER_START_TIMEOUT_S
        while waiting := [name for name in names if not self._takes_tasks(name)]:
            self.processes.check()
            if time.monotonic() > deadline:
                message = f"not ready in time: {', '.join(waiting)}; see {self.logs}"
                raise ComponentDied(message)
            time.sleep(0.3)

    def machine(self, name: str) -> Path:
        """Return the folder of a machine."""
        return self._machines / name

    def _furnish(self, name: str) -> Path:
        """Return the folder of a machine with fresh copies of what a deployment copies."""
        machine = self.machine(name)
        shutil.rmtree(machine, ignore_errors=True)
        furnish(machine)
        return machine

    def _takes_tasks(self, name: str) -> bool:
        log = (self.logs / f"{name}.log").read_text(errors="replace")
        return re.search(rf"{re.escape(name)}\W.*\bready\b", log) is not None
