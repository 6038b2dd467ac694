"""Each task in a process of its own, on a machine that is new: like KubernetesExecutor.

`make test-celery` runs it beside the Celery workers.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dev.simulator import Simulator
from dev.stack.airflow import AirflowStack
from dev.stack.celery import FOLDERS, furnish
from dev.stack.demo import start_run
from dev.stack.pods import EXECUTOR, HOMES, IMAGE
from dev.stack.settings import ROOT
from dev.stack.verify import compare_url

NIGHTLY, INCREMENTAL = "intra42_nightly", "intra42_incremental"
PER_SECOND = 8


@dataclass
class Cluster:
    """An Airflow whose tasks are pods, after a run of each DAG."""

    stack: AirflowStack
    sim: Simulator
    homes: Path
    image: Path
    seen: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        return {"campus_ids": [self.sim.campus_id]}

    def run(self, dag_id: str) -> None:
        def look(_state: str, tasks: list[dict[str, Any]]) -> None:
            self.stack.processes.check()
            self.tasks[dag_id] = tasks
            self.seen |= {pod.name for pod in self.homes.iterdir()}

        run_id = start_run(self.stack, dag_id)
        self.states[dag_id] = self.stack.api.wait(dag_id, run_id, look, interval_s=0.3)

    def requests(self) -> int:
        return len(self.sim.ledger.requests())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The cluster, once."""
    state = Path(tempfile.mkdtemp(prefix="intra42-pods-"))
    state.chmod(0o755)
    homes, image = state / "homes", state / "image"
    homes.mkdir()
    furnish(image)
    for path in [image, *image.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    sim = Simulator("campus", seed=3, students=60, limit_second=PER_SECOND, running=True)
    with sim, AirflowStack(state=state, say=lambda _line: None) as stack:
        cluster = Cluster(stack, sim, homes, image)
        stack.start_airflow(
            connections=stack.connections(
                host=sim.url, login=sim.client_id, password=sim.client_secret
            ),
            variables={"intra42_config": json.dumps(cluster.config)},
            settings={
                "AIRFLOW__CORE__EXECUTOR": EXECUTOR,
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(state / "airflow" / "logs"),
                IMAGE: str(image),
                HOMES: str(homes),
                "PYTHONPATH": str(ROOT),
            },
        )
        cluster.run(NIGHTLY)
        cluster.run(INCREMENTAL)
        yield cluster
    for path in [image, *image.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(state, ignore_errors=True)


def test_both_runs_are_green_at_the_first_try(cluster: Cluster) -> None:
    assert cluster.states == {NIGHTLY: "success", INCREMENTAL: "success"}
    tries = {task["try_number"] for tasks in cluster.tasks.values() for task in tasks}
    assert tries == {1}


def test_each_task_had_a_machine_of_its_own_that_is_gone(cluster: Cluster) -> None:
    tasks = sum(len(tasks) for tasks in cluster.tasks.values())
    assert tasks / 2 < len(cluster.seen) <= tasks  # some come and go between two looks
    # The scheduler clears up a moment after the last task has told that it is done.
    deadline = time.monotonic() + 60
    while list(cluster.homes.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_nothing_was_written_beside_the_code(cluster: Cluster) -> None:
    for name in FOLDERS:
        copy = cluster.image / name
        there = {path.relative_to(copy) for path in copy.rglob("*") if path.suffix != ".pyc"}
        new = {path for path in there if not (ROOT / name / path).exists()}
        assert {path.name for path in new} <= {"__pycache__"}


def test_the_limiter_holds_across_the_pods(cluster: Cluster) -> None:
    assert {entry.status for entry in cluster.sim.ledger.requests()} == {200}
    with psycopg.connect(cluster.stack.warehouse_url) as connection:
        [(counted,)] = connection.execute("select sum(requests) from intra42.sync_runs").fetchall()
    assert counted == cluster.requests()


def test_the_mirror_equals_the_truth(cluster: Cluster) -> None:
    assert compare_url(cluster.stack.warehouse_url, cluster.sim.url, cluster.config) == []
