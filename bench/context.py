"""What every section works with: the stack, the simulator, the sizes, child processes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench.upstream import Upstream
from dev.stack.airflow import AirflowStack
from dev.stack.demo import INCREMENTAL, NIGHTLY, RunFailed, start_run
from dev.stack.postgres import free_port
from dev.stack.settings import ROOT, process_environment

PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
_OFF_PER_SECOND, _OFF_PER_HOUR = 100_000, 1_000_000_000


@dataclass(frozen=True)
class Sizes:
    """How much is measured; `--quick` takes little of everything, to see that it works."""

    world_students: int = 13_000  # of the network world: 40,600 enrolments, 413,800 attempts
    cursus_users: int = 40_000
    projects_users: int = 200_000
    load_rounds: int = 3
    peer_rounds: tuple[int, int] = (3, 1)  # of cursus_users, of projects_users
    memory_students: int = 40_000
    memory_rows: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    network_students: int = 40_000
    idle_runs: int = 5
    pace_s: float = 82
    pace_settle_s: float = 15
    latencies_s: tuple[float, ...] = (0.05, 0.5, 1.5, 3.0)


QUICK = Sizes(
    world_students=700,
    cursus_users=2_000,
    projects_users=10_000,
    load_rounds=2,
    peer_rounds=(2, 1),
    memory_students=800,
    memory_rows=(1_000, 10_000),
    network_students=400,
    idle_runs=2,
    pace_s=35,
    pace_settle_s=10,
    latencies_s=(0.05, 1.5),
)


class Context:
    """One run of the benchmark."""

    def __init__(self, stack: AirflowStack, options: argparse.Namespace, dags: Path) -> None:
        self.stack = stack
        self.options = options
        self.dags = dags  # the folder that this stack's Airflow reads
        self.sizes = QUICK if options.quick else Sizes()
        self.upstream = Upstream(stack, free_port())
        self._began = time.monotonic()
        self._airflow = False

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        print(f"bench: {self.elapsed_s:4.0f} s  {text}", flush=True)

    # Databases.

    def fresh_database(self, name: str, template: str | None = None) -> str:
        """Make the database anew, as a copy of `template` if that is given; return its URL.

        It goes on command lines, which all users of the machine see: the password is not in it.
        """
        with psycopg.connect(self.stack.postgres.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )
            make = sql.SQL("create database {}").format(sql.Identifier(name))
            if template:
                make += sql.SQL(" template {}").format(sql.Identifier(template))
            connection.execute(make)
        return self.stack.postgres.public_url(name)

    def drop_database(self, name: str) -> None:
        with psycopg.connect(self.stack.postgres.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    def checkpoint(self) -> None:
        """Write everything dirty, so that no measurement pays for the one before."""
        with psycopg.connect(self.stack.postgres.url(), autocommit=True) as connection:
            connection.execute("checkpoint")

    # Child processes.

    def start(
        self, name: str, command: Sequence[str], environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a child that the watchdog knows; its stdout is ours to read."""
        return self.stack.processes.start(
            name,
            command,
            process_environment({"PYTHONPATH": str(ROOT / "plugins"), **(environment or {})}),
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def child(
        self,
        name: str,
        *arguments: str,
        python: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run `bench.children.NAME` to its end and return what it printed last.

        Raises:
            RunFailed: It did not succeed.
        """
        if python:
            script = str(ROOT / "bench" / "children" / f"{name}.py")
            command = [str(python), "-P", script, *arguments]
        else:
            command = [sys.executable, "-m", f"bench.children.{name}", *arguments]
        process = self.start(name, command, environment)
        printed, _ = process.communicate()
        self.stack.processes.forget(name)
        if process.returncode:
            log = (self.stack.processes.logs / f"{name}.log").read_text(errors="replace")
            raise RunFailed(f"{name} ended with status {process.returncode}:\n{log[-3000:]}")
        found: dict[str, Any] = json.loads(printed.decode().strip().splitlines()[-1])
        return found

    # Airflow.

    def airflow(self) -> AirflowStack:
        """Start Airflow unless it runs, and let a run on a tiny campus warm it up."""
        if self._airflow:
            return self.stack
        self.say("starting Airflow; a run on a tiny campus warms it up")
        stack, upstream = self.stack, self.upstream
        upstream.start("campus", students=20)
        facts = upstream.facts
        stack.start_airflow(
            connections=stack.connections(
                host=upstream.url,
                login=facts["client_id"],
                password=facts["client_secret"],
                # What the server announces with its answers replaces both.
                extra={"requests_per_second": _OFF_PER_SECOND, "requests_per_hour": _OFF_PER_HOUR},
            ),
            paused=(NIGHTLY, INCREMENTAL),
        )
        self._airflow = True
        self.configure({"campus_ids": [facts["campus_id"]]})
        self.finish(NIGHTLY)
        return stack

    def configure(self, config: dict[str, Any]) -> None:
        """Set the variable `intra42_config`."""
        api, name = self.stack.api, "intra42_config"
        known = {item["key"] for item in api.call("GET", "variables")["variables"]}
        body = {"key": name, "value": json.dumps(config)}
        if name in known:
            api.call("PATCH", f"variables/{name}", json=body)
        else:
            api.call("POST", "variables", json=body)

    def finish(self, dag_id: str) -> None:
        """Unpause the DAG and wait for the run that the scheduler then starts by itself."""
        run_id = start_run(self.stack, dag_id)
        state = self.stack.api.wait(dag_id, run_id, lambda *_: self.stack.processes.check())
        if state != "success":
            raise RunFailed(f"the warm-up run of {dag_id} ended as {state}")
