"""What people may build with our parts: DAGs with other names, connections and settings."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.models.dag import DagModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import DAG, task
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.session import create_session

from intra42.catalog import graph
from intra42.hooks import Intra42Hook
from intra42.operators import Intra42OpenRunOperator, Intra42SyncOperator
from tests.dags.stack import Stack


def stored(dag: DAG) -> DAG:
    """Tell Airflow about a DAG that is in no file of the DAGs folder."""
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.flush()
        if not session.get(DagModel, dag.dag_id):
            model = DagModel(
                dag_id=dag.dag_id,
                bundle_name="dags-folder",
                fileloc=dag.fileloc,
                relative_fileloc=dag.fileloc,
            )
            session.add(model)
            session.flush()
        SerializedDagModel.write_dag(
            LazyDeserializedDAG.from_dag(dag), bundle_name="dags-folder", session=session
        )
    return dag


def own_dag(dag_id: str, *resources: str, **options: str) -> DAG:
    """Return a DAG that opens a run and syncs some tables one after the other."""
    with DAG(dag_id, schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)) as dag:
        last: Intra42OpenRunOperator | Intra42SyncOperator = Intra42OpenRunOperator(
            task_id="open", **options
        )
        for name in resources:
            following = Intra42SyncOperator(task_id=name, resource=name, **options)
            last >> following
            last = following
    return stored(dag)


def test_a_dag_of_its_own_that_is_its_own_loader_mirrors_the_tables_it_names(stack: Stack) -> None:
    dag = own_dag("my_people", "users", "cursus_users", loader_dag_id="my_people")
    run = stack.run(dag)
    assert run.states == {"open": "success", "users": "success", "cursus_users": "success"}
    truth = stack.sim.truth(stack.config)["required"]
    for name in ("users", "cursus_users"):
        assert {row[0] for row in stack.query(f"select id from intra42.{name}")} >= truth[name]
    assert {row[0] for row in stack.watermarks()} == {"my_people"}

    stack.sim.clock.advance(hours=1)
    person = stack.sim.world.students(stack.sim.campus_id)[0].id
    stack.sim.world.touch_user(person, wallet=4711)
    assert stack.run(dag).state == "success"
    assert stack.value("select wallet from intra42.users where id = %s", person) == 4711


def test_a_dag_of_its_own_waits_for_the_first_load_of_the_nightly(stack: Stack) -> None:
    run = stack.run(own_dag("my_early_bird", "users"))
    assert run.state == "success"
    assert stack.sim.ledger.requests() == []
    assert stack.value("select count(*) from intra42.users") == 0


def test_a_dag_of_its_own_continues_from_the_first_load_of_the_nightly(loaded: Stack) -> None:
    loaded.sim.clock.advance(hours=1)
    person = loaded.sim.world.students(loaded.sim.campus_id)[0].id
    loaded.sim.world.touch_user(person, wallet=4711)
    assert loaded.run(own_dag("my_follower", "users")).state == "success"
    assert loaded.value("select wallet from intra42.users where id = %s", person) == 4711
    marks = {row[0] for row in loaded.watermarks()}
    assert marks == {"intra42_nightly", "my_follower"}


def test_other_connections_and_another_variable_are_used_where_named(stack: Stack) -> None:
    patch = stack.monkeypatch
    for ours, theirs in (("CONN_INTRA42_API", "CONN_MY_API"), ("CONN_INTRA42_DB", "CONN_MY_DB")):
        patch.setenv(f"AIRFLOW_{theirs}", os.environ[f"AIRFLOW_{ours}"])
        patch.delenv(f"AIRFLOW_{ours}")
    patch.delenv("AIRFLOW_VAR_INTRA42_CONFIG")
    patch.setenv("AIRFLOW_VAR_MY_CONFIG", json.dumps({"cursus_ids": [1]}))
    dag = own_dag(
        "my_other_settings",
        "projects",
        intra42_conn_id="my_api",
        intra42_db_conn_id="my_db",
        config_variable="my_config",
    )
    run = stack.run(dag, retries=False)
    assert run.state == "success", run.states
    asked = {entry.path for entry in stack.sim.ledger.requests()}
    assert "/v2/cursus/1/projects" in asked
    assert "/v2/cursus/21/projects" not in asked


def test_the_hook_reads_pages_in_a_task_of_its_own(stack: Stack) -> None:
    with DAG("my_pages", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)) as dag:

        @task
        def count_cursus() -> int:
            return sum(len(page.records) for page in Intra42Hook().pages("/v2/cursus"))

        count_cursus()
    run = stack.run(stored(dag))
    assert run.state == "success"
    assert run.xcoms["count_cursus", -1] == len(stack.sim.world.cursuses)


def test_every_table_has_a_task_that_a_dag_of_its_own_can_use() -> None:
    for resource in graph.RESOURCES:
        assert Intra42SyncOperator(task_id="sync", resource=resource.name).resource
