"""Runs the real DAGs in this process: Airflow's own `dag.test` against a simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models import DagRun, dagrun
from airflow.models.asset import AssetEvent, AssetModel
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import select

from dev.simulator import Simulator
from dev.stack.verify import compare
from tests.dags.environment import REPOSITORY

NIGHTLY = "intra42_nightly"
INCREMENTAL = "intra42_incremental"

_ticks = count(1)


def load_dag(dag_id: str) -> DAG:
    """Parse the DAG files anew."""
    bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    return bag.dags[dag_id]


def without_retries(dag: DAG) -> DAG:
    """Let the first failure count, instead of waiting for a second one."""
    for task in dag.tasks:
        getattr(task, "partial_kwargs", task.__dict__)["retries"] = 0
    return dag


@dataclass
class Run:
    """What became of a run."""

    run_id: str
    state: str
    tasks: dict[str, list[Any]]
    xcoms: dict[tuple[str, int], Any] = field(default_factory=dict)
    note: str | None = None
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by asset: their extras

    @property
    def states(self) -> dict[str, str]:
        """State by task id; of a mapped task all states, joined where they differ.

        Tasks that only wait for others, and that no process runs, are left out; so is the task of
        the further tables where nobody asks for any.
        """
        unasked = self.tasks.get("further.tables", [])[0:1]
        return {
            name: "+".join(sorted({str(instance.state) for instance in instances}))
            for name, instances in self.tasks.items()
            if instances[0].operator != "EmptyOperator"
            and not (instances[0] in unasked and instances[0].map_index < 0)
        }


@dataclass(frozen=True)
class FirstNight:
    """The first nightly run, and the users it brought into the mirror."""

    run: Run
    users: frozenset[int]


class Stack:
    """Both DAGs over one empty warehouse and one simulator."""

    def __init__(self, database_url: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database_url = database_url
        self.sim = sim
        self.monkeypatch = monkeypatch
        self.config: dict[str, Any] = {}
        self.once_in: set[int] = set()
        self.api()
        self.warehouse()
        self.configure(campus_ids=[sim.campus_id])

    def api(self, **fields: Any) -> None:
        """Set the connection to the API; a field that is None is left out."""
        values = {
            "conn_type": "intra42",
            "host": self.sim.url,
            "login": self.sim.client_id,
            "password": self.sim.client_secret,
            "extra": {"timeout_s": 5},
        } | fields
        known = {key: value for key, value in values.items() if value is not None}
        self.monkeypatch.setenv("AIRFLOW_CONN_INTRA42_API", json.dumps(known))

    def warehouse(self, **fields: Any) -> None:
        """Set the connection to the warehouse."""
        parts = urlsplit(self.database_url)
        values = {
            "conn_type": "postgres",
            "host": parts.hostname,
            "port": parts.port,
            "login": parts.username,
            "password": parts.password or "",
            "schema": parts.path.lstrip("/"),
        } | fields
        self.monkeypatch.setenv("AIRFLOW_CONN_INTRA42_DB", json.dumps(values))

    def configure(self, **config: Any) -> None:
        """Set the variable with the settings."""
        self.config = config
        self.monkeypatch.setenv("AIRFLOW_VAR_INTRA42_CONFIG", json.dumps(config))

    def run(
        self,
        dag: str | DAG,
        conf: Mapping[str, Any] | None = None,
        *,
        retries: bool = True,
        backfill: tuple[datetime, datetime] | None = None,
    ) -> Run:
        """Run a DAG to its end; `backfill` makes it a backfill run of that interval."""
        loaded = load_dag(dag) if isinstance(dag, str) else dag
        if not retries:
            without_retries(loaded)
        tick = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * next(_ticks))
        with self.monkeypatch.context() as patch:
            if backfill:
                patch.setattr(dagrun, "get_or_create_dagrun", _backfilling(backfill))
            done = loaded.test(logical_date=tick, run_conf=dict(conf or {}))
        tasks: dict[str, list[Any]] = {}
        xcoms = {}
        for instance in done.get_task_instances():
            tasks.setdefault(instance.task_id, []).append(instance)
            if instance.state == "success" and instance.operator != "EmptyOperator":
                value = instance.xcom_pull(
                    task_ids=instance.task_id, map_indexes=instance.map_index
                )
                xcoms[instance.task_id, instance.map_index] = value
        if self.has_schema():
            self.once_in |= {row[0] for row in self.query("select id from intra42.users")}
        return Run(
            done.run_id, str(done.state), tasks, xcoms, _note(done.run_id), _events(done.run_id)
        )

    def nightly(self, conf: Mapping[str, Any] | None = None, **options: Any) -> Run:
        """Run the nightly DAG."""
        return self.run(NIGHTLY, conf, **options)

    def incremental(self, conf: Mapping[str, Any] | None = None, **options: Any) -> Run:
        """Run the incremental DAG."""
        return self.run(INCREMENTAL, conf, **options)

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        with closing(psycopg.connect(self.database_url)) as connection:
            return connection.execute(text, values).fetchall()

    def execute(self, text: str) -> None:
        """Change something in the warehouse."""
        with closing(psycopg.connect(self.database_url, autocommit=True)) as connection:
            connection.execute(text)

    def value(self, text: str, *values: Any) -> Any:
        """Return the single value that the warehouse answers."""
        return self.query(text, *values)[0][0]

    def has_schema(self) -> bool:
        """Tell whether anything was ever created in the warehouse."""
        return bool(self.value("select to_regclass('intra42.users') is not null"))

    def watermarks(self) -> list[tuple[Any, ...]]:
        """Return all watermarks."""
        return self.query("select * from intra42.sync_state order by 1, 2, 3")

    def differences(self) -> list[str]:
        """Return how the mirror differs from the simulator's truth."""
        truth = self.sim.truth(self.config, also_users=self.once_in)
        with closing(psycopg.connect(self.database_url)) as connection:
            return compare(connection, truth)


def _note(run_id: str) -> str | None:
    with create_session() as session:
        return session.scalars(select(DagRun).where(DagRun.run_id == run_id)).one().note


def _events(run_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return the extras of the events that the tasks of a run sent, by the name of the asset."""
    query = (
        select(AssetModel.name, AssetEvent.extra)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetEvent.source_run_id == run_id)
        .order_by(AssetEvent.id)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    with create_session() as session:
        for name, extra in session.execute(query):
            found.setdefault(name, []).append(extra)
    return found


def _backfilling(interval: tuple[datetime, datetime]) -> Callable[..., Any]:
    """Return Airflow's function that makes a test's run, but for a backfill of `interval`."""
    original = dagrun.get_or_create_dagrun

    def create(*, data_interval: Any, session: Any, **options: Any) -> Any:
        run = original(data_interval=interval, session=session, **options)
        run.run_type = "backfill"
        session.commit()
        return run

    return create
