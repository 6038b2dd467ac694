"""The nightly DAG: reference tables, primary tables, then all ongoing enrolments by id."""

from airflow.sdk import DAG

from intra42.dag_factory import NIGHTLY, build_dag

dag: DAG = build_dag(
    NIGHTLY,
    schedule="0 2 * * *",
    title="every table, every night at 02:00 UTC",
    what=(
        "Reads the reference tables whole, continues the primary tables from the last watermark, "
        "reads all mirrored users and coalition memberships (both change silently), and refetches "
        "all ongoing enrolments by id. The first run loads everything."
    ),
    reference=True,
    tags=("nightly",),
)
