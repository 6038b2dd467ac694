"""The scheduler's part in starting other people's DAGs, called as the scheduler calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models import DagRun, dagrun
from airflow.models.dag import DagModel
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import prohibit_commit
from sqlalchemy import select


def deployed(path: Path) -> DAG:
    """Return the DAG of a file, which Airflow knows and has unpaused from now on."""
    bag = DagBag(str(path))
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.flush()
        sync_bag_to_db(bag, "dags-folder", None, session=session)
    with create_session() as session:
        model = session.get(DagModel, dag.dag_id)
        assert model is not None
        model.is_paused = False
    return dag


def scheduled(dag: DAG) -> list[str]:
    """Let the scheduler look for DAGs that are due; return the runs it has made of this one."""
    with create_session() as session, prohibit_commit(session) as guard:
        SchedulerJobRunner(Job())._create_dagruns_for_dags(guard, session)
    query = select(DagRun.run_id).where(DagRun.dag_id == dag.dag_id, DagRun.state == "queued")
    with create_session() as session:
        return list(session.scalars(query.order_by(DagRun.id)))


def run_scheduled(dag: DAG, run_id: str, patch: pytest.MonkeyPatch) -> Any:
    """Run to its end what the scheduler has made; return the value of each task."""
    patch.setattr(dagrun, "get_or_create_dagrun", _existing(run_id))
    done = dag.test(logical_date=None)
    assert done.state == "success"
    return {
        instance.task_id: instance.xcom_pull(task_ids=instance.task_id)
        for instance in done.get_task_instances()
    }


def _existing(run_id: str) -> Callable[..., Any]:
    def find(*, dag: Any, session: Any, **_: Any) -> Any:
        query = select(DagRun).where(DagRun.dag_id == dag.dag_id, DagRun.run_id == run_id)
        run = session.scalars(query).one()
        run.dag = dag
        run.set_state("running")
        session.commit()
        return run

    return find
