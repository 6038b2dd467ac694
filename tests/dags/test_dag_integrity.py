from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta

import pendulum
import psycopg
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.exceptions import ParamValidationError
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

from intra42.catalog import graph
from intra42.catalog.model import Cadence
from intra42.run.plan import DAGS, LOADER
from intra42.settings import LOADER_PARAMS, PARAMS
from intra42.warehouse.schema import migrate
from tests.dags.environment import REPOSITORY
from tests.dags.stack import INCREMENTAL, NIGHTLY, load_dag

REFRESH = ["refresh_ongoing.plan", "refresh_ongoing.refetch", "refresh_ongoing.delete_missing"]
# No process runs these: they wait for others, and the last one makes the run red.
WAITING = {"primary.tables_done", "further.further_done", "close_run"}
# One mapped task for each further table that is asked for.
FURTHER = "further.tables"
BOTH = pytest.mark.parametrize("dag_id", [NIGHTLY, INCREMENTAL])

_dags: dict[str, DAG] = {}


def dag_of(dag_id: str) -> DAG:
    if not _dags:
        _dags.update({name: load_dag(name) for name in (NIGHTLY, INCREMENTAL)})
    return _dags[dag_id]


def tables_of(dag_id: str) -> dict[str, str]:
    """Return the task id of each table that the DAG has."""
    groups = ("reference", "primary") if dag_id == NIGHTLY else ("primary",)
    return {
        resource.name: f"{group}.{resource.name}"
        for group in groups
        for resource in graph.of_group(group)
    }


def after(dag: DAG, task_id: str) -> set[str]:
    """Return all tasks that wait for this one."""
    return dag.get_task(task_id).get_flat_relative_ids(upstream=False)


def before(dag: DAG, task_id: str) -> set[str]:
    """Return all tasks that this one waits for."""
    return dag.get_task(task_id).get_flat_relative_ids(upstream=True)


def test_the_folder_has_these_two_dags_and_no_errors() -> None:
    bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    assert sorted(bag.dags) == [INCREMENTAL, NIGHTLY]


def test_a_dag_file_parses_in_a_moment() -> None:
    dag_of(NIGHTLY)
    started = time.process_time()
    DagBag(str(REPOSITORY / "dags"))
    assert time.process_time() - started < 2


PARSE = """
import socket, sqlite3, sys
import psycopg
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Connection, Variable

asked = []

def refuse(what):
    def refused(*_, **__):
        asked.append(what)
        raise AssertionError(what)
    return refused

socket.socket.connect = refuse("network")
socket.getaddrinfo = refuse("name service")
sqlite3.dbapi2.connect = refuse("metadata database")
psycopg.connect = psycopg.Connection.connect = refuse("warehouse")
Variable.get = refuse("variable")
Connection.get = refuse("connection")
{before}
bag = DagBag(sys.argv[1])
assert bag.import_errors == {{}}, bag.import_errors
assert len(bag.dags) == 2
assert asked == [], asked
"""


def in_a_fresh_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(REPOSITORY / "plugins"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )


def test_parsing_asks_no_network_no_database_no_variable_and_no_connection() -> None:
    folder = str(REPOSITORY / "dags")
    done = in_a_fresh_process(PARSE.format(before=""), folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("before", "what"),
    [
        ("socket.create_connection(('127.0.0.1', 9))", "name service"),
        ("Variable.get('intra42_config')", "variable"),
        ("psycopg.connect('')", "warehouse"),
    ],
)
def test_the_watch_over_parsing_notices(before: str, what: str) -> None:
    watched = f"try: {before}\nexcept AssertionError: pass"
    done = in_a_fresh_process(PARSE.format(before=watched), str(REPOSITORY / "dags"))
    assert done.returncode == 1
    assert f"AssertionError: ['{what}']" in done.stderr


@BOTH
def test_runs_do_not_overlap_and_missed_ones_are_not_made_up(dag_id: str) -> None:
    dag = dag_of(dag_id)
    assert dag.catchup is False
    assert dag.max_active_runs == 1


@pytest.mark.parametrize(
    ("dag_id", "start", "end"),
    [
        (NIGHTLY, datetime(2026, 2, 28, 2, tzinfo=UTC), datetime(2026, 3, 1, 2, tzinfo=UTC)),
        (
            INCREMENTAL,
            datetime(2026, 3, 1, 11, 45, tzinfo=UTC),
            datetime(2026, 3, 1, 12, tzinfo=UTC),
        ),
    ],
)
def test_a_scheduled_run_has_the_interval_between_two_ticks(
    dag_id: str, start: datetime, end: datetime
) -> None:
    timetable = coerce_to_core_timetable(dag_of(dag_id).timetable)
    moment = pendulum.instance(end + timedelta(minutes=7))
    interval = timetable.infer_manual_data_interval(run_after=moment)
    assert (interval.start, interval.end) == (start, end)
    following = timetable.next_dagrun_info(
        last_automated_data_interval=interval,
        restriction=TimeRestriction(earliest=pendulum.instance(start), latest=None, catchup=True),
    )
    assert following is not None
    assert following.data_interval.start == end
    assert following.data_interval.end - end == end - start
    assert following.run_after == following.data_interval.end


@BOTH
def test_the_tasks_are_those_of_the_catalogue(dag_id: str) -> None:
    wanted = {"open_run", *tables_of(dag_id).values(), *REFRESH}
    wanted |= {*WAITING, FURTHER}
    if dag_id == NIGHTLY:
        wanted |= {"primary.audit", "primary.audit_done"}
    assert set(dag_of(dag_id).task_ids) == wanted


@BOTH
def test_what_only_waits_for_others_costs_no_process(dag_id: str) -> None:
    dag = dag_of(dag_id)
    empty = {t.task_id for t in dag.tasks if t.inherits_from_empty_operator}
    assert empty == set(dag.task_ids) - {"open_run", "primary.audit", FURTHER, *REFRESH} - set(
        tables_of(dag_id).values()
    )
    for task_id in empty:
        task = dag.get_task(task_id)
        assert not any([task.outlets, task.inlets, task.has_on_success_callback])


def test_the_audit_of_the_nightly_comes_after_all_tables_and_before_the_refresh() -> None:
    dag = dag_of(NIGHTLY)
    for task_id in tables_of(NIGHTLY).values():
        assert "primary.audit" in after(dag, task_id)
    assert after(dag, "primary.audit") - {"primary.audit_done", "close_run"} == set(REFRESH)


@BOTH
def test_further_tables_come_after_the_primary_ones_and_before_the_refresh(dag_id: str) -> None:
    dag = dag_of(dag_id)
    assert {*tables_of(dag_id).values(), "open_run"} <= before(dag, FURTHER)
    assert set(REFRESH) <= after(dag, FURTHER)
    filled = {outlet.name for outlet in dag.get_task(FURTHER).partial_kwargs["outlets"]}
    quarterly = [r for r in graph.of_group("further") if r.cadence is Cadence.QUARTER_HOUR]
    asked = graph.of_group("further") if dag_id == NIGHTLY else quarterly
    assert filled == {f"intra42.{t}" for r in asked for t in graph.tables_of(r.name)}


@BOTH
def test_edges_within_a_group_are_those_of_the_catalogue(dag_id: str) -> None:
    dag, tasks = dag_of(dag_id), tables_of(dag_id)
    for name, parents in graph.edges(graph.get(name) for name in tasks).items():
        upstream = dag.get_task(tasks[name]).upstream_task_ids
        assert upstream == ({tasks[parent] for parent in parents} or {"open_run"}), name


@BOTH
def test_a_table_waits_for_every_table_that_a_foreign_key_names(
    dag_id: str, database_url: str
) -> None:
    with closing(psycopg.connect(database_url, autocommit=True)) as connection:
        migrate(connection)
        keys = connection.execute(
            """
            select conrelid::regclass::text, confrelid::regclass::text from pg_constraint
            where contype = 'f' and connamespace = 'intra42'::regnamespace
            """
        ).fetchall()
    dag, tasks = dag_of(dag_id), tables_of(dag_id)
    pairs = {
        (child.removeprefix("intra42."), parent.removeprefix("intra42.")) for child, parent in keys
    }
    checked = {pair for pair in pairs if set(pair) <= tasks.keys() and pair[0] != pair[1]}
    assert ("cursus_users", "users") in checked
    for child, parent in checked:
        assert tasks[child] in after(dag, tasks[parent]), (child, parent)


@BOTH
def test_the_groups_follow_each_other_and_the_last_one_decides_the_run(dag_id: str) -> None:
    dag, tasks = dag_of(dag_id), tables_of(dag_id)
    reference = {task for task in tasks.values() if task.startswith("reference.")}
    primary = {task for task in tasks.values() if task.startswith("primary.")}
    assert dag.roots == [dag.get_task("open_run")]
    assert after(dag, "open_run") == set(dag.task_ids) - {"open_run"}
    for task in reference:
        assert primary & after(dag, task)
    for task in primary | reference:
        assert set(REFRESH) <= after(dag, task)
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert dag.get_task(REFRESH[2]).upstream_task_ids == {REFRESH[1]}


@BOTH
def test_a_table_waits_only_for_tables_that_it_refers_to_or_derives_from(dag_id: str) -> None:
    dag, tasks = dag_of(dag_id), tables_of(dag_id)
    for name, task_id in tasks.items():
        needed = {tasks[parent] for parent in graph.parents(graph.get(name)) if parent in tasks}
        further = {other for parent in needed for other in before(dag, parent)}
        assert before(dag, task_id) == {"open_run"} | needed | further


@BOTH
def test_whatever_fails_makes_the_last_task_fail(dag_id: str) -> None:
    """A failure goes down the tasks that need the failed one, and the last task needs the ends."""
    dag = dag_of(dag_id)
    for task in dag.tasks:
        failed, waiting = {task.task_id}, [task]
        while waiting:
            below = [dag.get_task(name) for name in waiting.pop().downstream_task_ids]
            stopped = [t for t in below if t.trigger_rule == "none_failed"]
            waiting += [t for t in stopped if t.task_id not in failed]
            failed |= {t.task_id for t in stopped}
        assert "close_run" in failed, task.task_id


@BOTH
def test_the_refresh_of_levels_needs_no_table_and_no_audit(dag_id: str) -> None:
    dag = dag_of(dag_id)
    [gate] = dag.get_task("refresh_ongoing.plan").upstream_task_ids
    assert dag.get_task(gate).trigger_rule == "all_done_min_one_success"
    assert "open_run" in dag.get_task(gate).upstream_task_ids


@BOTH
def test_every_task_is_documented_bounded_in_time_and_tried_again(dag_id: str) -> None:
    for task in dag_of(dag_id).tasks:
        assert task.doc_md, task.task_id
        assert task.execution_timeout, task.task_id
        assert task.retries >= 1, task.task_id
        waits = task.task_id.endswith("_done")
        rule = "all_done_min_one_success" if waits else "none_failed"
        assert task.trigger_rule == rule, task.task_id


@BOTH
def test_the_dag_can_be_stored_and_read_back(dag_id: str) -> None:
    restored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag_of(dag_id)))
    assert set(restored.task_ids) == set(dag_of(dag_id).task_ids)


@BOTH
def test_the_trigger_form_has_the_documented_params_and_defaults(dag_id: str) -> None:
    assert dag_of(dag_id).params.validate() == {
        "campus_ids": None,
        "cursus_ids": None,
        "full_refresh": False,
        "tables": [],
        "updated_from": None,
        "updated_to": None,
        "allow_mass_delete": False,
        **({"purge_out_of_scope": False} if dag_id == NIGHTLY else {}),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("campus_ids", ["67"]),
        ("campus_ids", [0]),
        ("campus_ids", 67),
        ("campus_ids", "0"),
        ("campus_ids", "Lyon"),
        ("campus_ids", "[1, 67]"),
        ("cursus_ids", [21.5]),
        ("full_refresh", "yes"),
        ("tables", "users"),
        ("tables", ["user"]),
        ("tables", ["projects"]),
        ("allow_mass_delete", 1),
        ("updated_from", 20260101),
        ("updated_to", ["2026-01-01T00:00:00Z"]),
    ],
)
def test_the_trigger_form_refuses(name: str, value: object) -> None:
    param = dag_of(NIGHTLY).params.get_param(name)
    with pytest.raises(AirflowException):
        param.resolve(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("campus_ids", [1, 67]),
        ("campus_ids", []),
        ("campus_ids", None),
        ("campus_ids", ""),
        ("campus_ids", "1, 67"),
        ("updated_from", "2026-01-01T00:00:00Z"),
        ("updated_to", "2026-01-01T00:00:00+01:00"),
        ("full_refresh", True),
        ("tables", ["users", "achievements_users"]),
    ],
)
def test_the_trigger_form_takes(name: str, value: object) -> None:
    assert dag_of(NIGHTLY).params.get_param(name).resolve(value) == value


@pytest.mark.parametrize(
    ("conf", "refused"),
    [
        ({"campus_ids": "Lyon"}, True),
        ({"campus_ids": ["67"]}, True),
        ({"full_refresh": "yes"}, True),
        ({"campus_ids": [67], "cursus_ids": "21, 1"}, False),
        # Only the first task refuses these.
        ({"updated_from": "yesterday"}, False),
        ({"campus_id": [67]}, False),
    ],
)
def test_what_the_rest_api_refuses_before_a_run_begins(
    conf: dict[str, object], refused: bool
) -> None:
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag_of(NIGHTLY)))
    with pytest.raises(ParamValidationError) if refused else nullcontext():
        stored.params.deep_merge(conf).validate()


@BOTH
def test_no_task_carries_a_copy_of_the_params(dag_id: str) -> None:
    assert [task.task_id for task in dag_of(dag_id).tasks if task.params] == []


def test_a_value_given_to_one_dag_does_not_become_the_default_of_another() -> None:
    first = load_dag(NIGHTLY)
    assert first.params.get_param("updated_from").resolve("2026-01-01T00:00:00Z")
    for dag_id in (NIGHTLY, INCREMENTAL):
        assert load_dag(dag_id).params.validate()["updated_from"] is None


def test_the_plugins_folder_loads_and_leaves_our_package_importable() -> None:
    code = """
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
assert plugins_manager.get_import_errors() == {}, plugins_manager.get_import_errors()
import sys
assert "intra42.operators.sync" in sys.modules, "tasks would load it again and again"
import intra42.hooks, intra42.operators
print(intra42.hooks.Intra42Hook.conn_type, intra42.operators.Intra42SyncOperator.__module__)
"""
    done = in_a_fresh_process(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["intra42", "intra42.operators.sync"]


@pytest.mark.parametrize("dag_id", sorted(DAGS))
def test_the_tasks_are_the_steps_of_the_plan(dag_id: str) -> None:
    dag = dag_of(dag_id)
    planned = {step.name: set(step.after) for step in DAGS[dag_id]}
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == planned
    assert set(dag.params) == PARAMS - (LOADER_PARAMS if dag_id != LOADER else set())
    for step in DAGS[dag_id]:
        rule = "all_done_min_one_success" if step.settles else "none_failed"
        assert dag.get_task(step.name).trigger_rule == rule
