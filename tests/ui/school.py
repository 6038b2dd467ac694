"""One Airflow over one simulated campus: what the person at the browser works with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from dev.simulator import Simulator
from dev.stack.airflow import FINISHED, AirflowStack
from dev.stack.demo import start_run
from dev.stack.verify import compare

T = TypeVar("T")

NIGHTLY = "intra42_nightly"
INCREMENTAL = "intra42_incremental"
DAGS = (NIGHTLY, INCREMENTAL)
CHUNK = 4  # enrolments of a request for ongoing ones: enough requests for several tasks

# A run takes seconds on a quiet machine. Nobody waits that long; a busy one may.
PATIENCE_S = 600.0


def wait_for(what: str, look: Callable[[], T | None], timeout_s: float = PATIENCE_S) -> T:
    """Return what `look` finds, as soon as it is true.

    Raises:
        AssertionError: it never was; the message says what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain for {what}"
        time.sleep(0.3)
    return found


class School:
    """Both DAGs of a running Airflow, the simulated campus and the mirror of it."""

    def __init__(self, stack: AirflowStack, sim: Simulator) -> None:
        self.stack = stack
        self.sim = sim
        self.config: dict[str, Any] = {
            "campus_ids": [sim.campus_id],
            # Some chunks to choose from, and a small number that is already a mass.
            "refresh_chunk_size": CHUNK,
            "max_delete_rows": 4,
            "max_delete_share": 0.02,
        }
        self.api = stack.api  # of no port yet
        self.once_in: set[int] = set()

    def start(self) -> None:
        """Start Airflow over an empty warehouse, both DAGs paused."""
        self.stack.start_airflow(
            connections=self.stack.connections(
                host=self.sim.url,
                login=self.sim.client_id,
                password=self.sim.client_secret,
                extra={"requests_per_second": 50, "requests_per_hour": 100_000},
            ),
            variables={"intra42_config": json.dumps(self.config)},
        )
        for dag_id in DAGS:
            self.stack.wait_for_dag(dag_id, PATIENCE_S)
        self.api = self.stack.api

    def first_night(self) -> None:
        """Unpause the nightly DAG and let its first run load everything."""
        run_id = start_run(self.stack, NIGHTLY)
        state = self.outcome(NIGHTLY, run_id)
        assert state == "success", self.states(NIGHTLY, run_id)
        self.quiet()

    def run_ids(self, dag_id: str) -> set[str]:
        """Return the ids of the runs that there are."""
        return {str(run["dag_run_id"]) for run in self.api.runs(dag_id)}

    @contextmanager
    def new_run(self, dag_id: str) -> Iterator[list[str]]:
        """Yield a list that holds the id of the next run that appears, once the block is left."""
        before = self.run_ids(dag_id)
        found: list[str] = []
        yield found
        found.append(
            wait_for(
                f"a new run of {dag_id}", lambda: next(iter(self.run_ids(dag_id) - before), None)
            )
        )

    def outcome(self, dag_id: str, run_id: str) -> str:
        """Return how a run ended; wait for that."""

        def look() -> str | None:
            self.stack.processes.check()
            state = self.api.run_state(dag_id, run_id)
            return state if state in FINISHED else None

        return wait_for(f"the end of {run_id}", look)

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task; a mapped one is `task[index]`."""
        return {
            name_of(item): str(item["state"]) for item in self.api.task_instances(dag_id, run_id)
        }

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Run a DAG to a good end without the browser: what comes before or after a gesture."""
        self.api.set_paused(dag_id, paused=False)
        self.quiet()
        run_id = self.api.trigger(dag_id, conf)
        state = self.outcome(dag_id, run_id)
        assert state == "success", self.states(dag_id, run_id)
        return run_id

    def quiet(self) -> None:
        """Return when no run of either DAG is under way, such as one of the schedule."""
        wait_for("all runs to end", lambda: not any(self.api.unfinished_runs(d) for d in DAGS))
        if self.has_schema():
            self.once_in |= {row[0] for row in self.query("select id from intra42.users")}

    def has_schema(self) -> bool:
        """Tell whether anything was ever created in the warehouse."""
        return bool(self.value("select to_regclass('intra42.users') is not null"))

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        with closing(psycopg.connect(self.stack.warehouse_url)) as connection:
            return connection.execute(text, values).fetchall()

    def value(self, text: str, *values: Any) -> Any:
        """Return the single value that the warehouse answers."""
        return self.query(text, *values)[0][0]

    def ongoing(self) -> list[Any]:
        """Return the mirrored enrolments in cursus 21 that have not ended, by id."""
        mirrored = {row[0] for row in self.query("select id from intra42.cursus_users")}
        world = self.sim.world
        return sorted(
            (
                row
                for row in world.cursus_users
                if row.id in mirrored and row.cursus_id == 21 and world.ongoing(row)
            ),
            key=lambda row: row.id,
        )

    def differences(self) -> list[str]:
        """Return how the mirror differs from the simulator's truth."""
        self.quiet()
        truth = self.sim.truth(self.config, also_users=self.once_in)
        with closing(psycopg.connect(self.stack.warehouse_url)) as connection:
            return compare(connection, truth)


def name_of(instance: Mapping[str, Any]) -> str:
    """Return `task`, or `task[index]` of a mapped one."""
    index = instance["map_index"]
    return f"{instance['task_id']}" + (f"[{index}]" if index >= 0 else "")


@contextmanager
def open_school(state: Path) -> Iterator[School]:
    """Yield a school whose Airflow runs and whose mirror is empty; stop it afterwards."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
    with (
        Simulator("campus", seed=3, students=60, clock=began) as sim,
        AirflowStack(state=state, say=lambda _line: None) as stack,
    ):
        school = School(stack, sim)
        school.start()
        yield school
