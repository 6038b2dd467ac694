"""The incremental DAG: what changed since the last run, every quarter hour."""

from airflow.sdk import DAG

from intra42.dag_factory import INCREMENTAL, build_dag

dag: DAG = build_dag(
    INCREMENTAL,
    schedule="*/15 * * * *",
    title="what changed, every 15 minutes",
    what=(
        "Continues the primary tables from the last watermark, so an outage of any length is "
        "caught up by the next run, and refetches the enrolments whose level has most likely been "
        "recomputed. Tables that the nightly run has not loaded yet are left alone."
    ),
    reference=False,
    tags=("incremental",),
)
