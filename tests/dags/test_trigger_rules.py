"""What the scheduler makes of each combination of outcomes, without running a single task.

The scheduler's own functions decide which task is next; its outcome is written down by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from airflow.models.dag import DagModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskmap import TaskMap
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

from dev.stack.settings import ROOT
from intra42.catalog import graph
from tests.dags.scheduler import deployed
from tests.dags.stack import INCREMENTAL, NIGHTLY

_numbers = count(1)
FILES = {name: Path(ROOT) / "dags" / f"{name}.py" for name in (NIGHTLY, INCREMENTAL)}
BOTH = pytest.mark.parametrize("dag_id", [NIGHTLY, INCREMENTAL])
REFERENCE = [f"reference.{resource.name}" for resource in graph.of_group("reference")]
LAST = ("refresh_ongoing.plan", "refresh_ongoing.refetch", "refresh_ongoing.delete_missing")


@pytest.fixture(scope="module", autouse=True)
def known_to_the_scheduler(metadata_db: None) -> Iterator[None]:
    """Both DAGs in Airflow's database; paused again for the tests that come after."""
    for file in FILES.values():
        deployed(file)
    yield
    with create_session() as session:
        for dag_id in FILES:
            model = session.get(DagModel, dag_id)
            assert model is not None
            model.is_paused = True


def tell(
    dag_id: str, outcomes: Mapping[str, str], *, chunks: int = 1, further: int = 1
) -> tuple[str, dict[str, str], list[str]]:
    """Return the run's state, the tasks' states, and which tasks a process was started for."""
    started: list[str] = []
    number = next(_numbers)
    moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    with create_session() as session:
        dag = SerializedDagModel.get_dag(dag_id, session=session)
        assert dag is not None
        run = dag.create_dagrun(
            run_id=f"rules_{number}",
            logical_date=moment,
            data_interval=(moment, moment),
            run_after=moment,
            run_type=DagRunType.MANUAL,
            state=DagRunState.RUNNING,
            triggered_by=DagRunTriggeredByType.TEST,
            session=session,
        )
        run.dag = dag
        for _round in range(40):
            ready, _callback = run.update_state(session=session)
            if run.state != DagRunState.RUNNING:
                break
            run.schedule_tis(ready, session=session)
            session.flush()
            session.expire_all()
            run.dag = dag
            for instance in run.get_task_instances(session=session):
                if instance.state != "scheduled":
                    continue
                started.append(instance.task_id)
                instance.set_state(outcomes.get(instance.task_id, "success"), session=session)
                lengths = {LAST[0]: chunks, "open_run": further}
                if instance.task_id in lengths and instance.state == "success":
                    session.add(
                        TaskMap(
                            dag_id=dag_id,
                            task_id=instance.task_id,
                            run_id=run.run_id,
                            map_index=-1,
                            length=lengths[instance.task_id],
                            keys=None,
                        )
                    )
            session.flush()
        states = {
            instance.task_id: str(instance.state)
            for instance in run.get_task_instances(session=session)
        }
        return str(run.state), states, started


@BOTH
def test_all_is_well(dag_id: str) -> None:
    state, states, started = tell(dag_id, {})
    assert state == "success"
    assert set(states.values()) == {"success"}
    waiting = {"primary.tables_done", "further.further_done", "close_run"}
    waiting |= {"primary.audit_done"} if dag_id == NIGHTLY else set()
    assert sorted(started) == sorted(states.keys() - waiting)


@BOTH
def test_further_tables_that_nobody_asks_for_cost_no_process(dag_id: str) -> None:
    state, states, started = tell(dag_id, {}, further=0)
    assert state == "success"
    assert {states.pop(f"further.{name}") for name in ("tables", "further_done")} == {"skipped"}
    assert {state for name, state in states.items() if not name.endswith("_done")} == {"success"}
    assert "further.tables" not in started


@BOTH
def test_a_further_table_that_fails_stops_no_level_and_makes_the_run_red(dag_id: str) -> None:
    state, states, _started = tell(dag_id, {"further.tables": "failed"})
    assert state == "failed"
    assert [states[name] for name in LAST] == ["success"] * 3
    assert states["close_run"] == "upstream_failed"


@BOTH
def test_further_tables_that_are_left_alone_leave_the_run_green(dag_id: str) -> None:
    state, states, _started = tell(dag_id, {"further.tables": "skipped"})
    assert state == "success"
    assert states["close_run"] == "success"


@BOTH
def test_a_run_that_could_not_be_opened_goes_no_further(dag_id: str) -> None:
    state, states, started = tell(dag_id, {"open_run": "failed"})
    assert state == "failed"
    assert states.pop("open_run") == "failed"
    assert set(states.values()) == {"upstream_failed"}
    assert started == ["open_run"]


@pytest.mark.parametrize(
    ("dag_id", "failed"),
    [
        *((NIGHTLY, name) for name in (*REFERENCE, "primary.audit")),
        *(
            (d, f"primary.{r.name}")
            for d in (NIGHTLY, INCREMENTAL)
            for r in graph.of_group("primary")
        ),
    ],
)
def test_whatever_fails_levels_are_refreshed_last_and_the_run_is_red(
    dag_id: str, failed: str
) -> None:
    state, states, started = tell(dag_id, {failed: "failed"})
    assert state == "failed"
    assert [states[name] for name in LAST] == ["success"] * 3
    assert states["close_run"] == "upstream_failed"
    assert started[-3:] == list(LAST)
    if dag_id == NIGHTLY:
        assert "primary.audit" in started
    stopped = {name for name, found in states.items() if found == "upstream_failed"}
    needs = {
        f"{r.group}.{r.name}"
        for r in graph.read_for_themselves()
        if failed.partition(".")[2] in _ancestors(r.name)
    }
    assert stopped - {"close_run"} == needs & states.keys()


def _ancestors(name: str) -> set[str]:
    parents = graph.parents(graph.get(name))
    return set(parents).union(*(_ancestors(parent) for parent in parents))


@BOTH
def test_all_tables_that_fail_at_once_stop_no_level(dag_id: str) -> None:
    roots = {"reference.cursus", "reference.campuses", "primary.users"}
    state, states, _started = tell(dag_id, dict.fromkeys(roots, "failed"))
    assert state == "failed"
    assert [states[name] for name in LAST] == ["success"] * 3


@BOTH
@pytest.mark.parametrize("failed", LAST)
def test_a_failing_refresh_is_red(dag_id: str, failed: str) -> None:
    state, states, _started = tell(dag_id, {failed: "failed"})
    assert state == "failed"
    assert {states[name] for name in LAST[LAST.index(failed) + 1 :]} <= {"upstream_failed"}


@pytest.mark.parametrize("failing", [None, "primary.projects_users"])
def test_an_explicit_window_skips_what_it_does_not_read(failing: str | None) -> None:
    skipped = [*REFERENCE, "primary.audit", LAST[0]]
    outcomes = dict.fromkeys(skipped, "skipped") | ({failing: "failed"} if failing else {})
    state, states, started = tell(NIGHTLY, outcomes)
    assert state == ("failed" if failing else "success")
    assert LAST[0] in started  # it reads the history of users who entered late
    assert states["primary.users"] == "success"


@BOTH
def test_a_plan_without_chunks_is_green(dag_id: str) -> None:
    state, states, started = tell(dag_id, {}, chunks=0)
    assert state == "success"
    assert states[LAST[1]] == "skipped"
    assert started[-1] == LAST[2]
