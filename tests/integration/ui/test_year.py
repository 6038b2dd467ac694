"""A year of runs: no figure reads the whole ledger, whatever the clock of this machine says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from intra42.ui import figures
from intra42.ui.warehouse import Connection, reading
from tests.integration.ui.conftest import DAGS, Warehouse

LEDGER = {"sync_runs", "sync_run_tables", "dag_runs"}

FIGURES: dict[str, Callable[[Connection], Any]] = {
    "freshness": lambda c: figures.freshness(c, DAGS),
    "quota": figures.quota,
    "day": lambda c: figures.activity(c, DAGS, figures.SPANS["day"]),
    "week": lambda c: figures.activity(c, DAGS, figures.SPANS["week"]),
    "month": lambda c: figures.activity(c, DAGS, figures.SPANS["month"]),
    "month of one DAG": lambda c: figures.activity(
        c, DAGS, figures.SPANS["month"], DAGS.incremental
    ),
    "runs": lambda c: figures.runs(c, DAGS, 200),
    "runs of one DAG": lambda c: figures.runs(c, DAGS, 200, DAGS.nightly),
    "levels": figures.levels,
    "audit": figures.audit,
    "parked": figures.parked,
    "tombstones": figures.tombstones,
}


class Explaining:
    """A connection that keeps the plan of each statement before it runs it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.plans: list[dict[str, Any]] = []

    def execute(self, statement: Any, values: Any = None) -> psycopg.Cursor[Any]:
        text = statement.as_string(self.connection)
        row = self.connection.execute(
            f"explain (analyze, timing off, format json) {text}", values
        ).fetchone()
        assert row is not None
        [plan] = row.values()
        self.plans.append(plan[0] if isinstance(plan, list) else json.loads(plan)[0])
        return self.connection.execute(statement, values)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@contextmanager
def explained(warehouse: Warehouse) -> Iterator[Explaining]:
    with reading(warehouse.connect, timeout_ms=120_000) as connection:
        yield Explaining(connection)


def test_the_year_is_one(a_year: Warehouse) -> None:
    with psycopg.connect(a_year.database_url, row_factory=dict_row) as connection:
        found = connection.execute(
            "select count(*) as attempts, min(started_at) < now() - interval '360 days' as long "
            "from intra42.sync_runs"
        ).fetchone()
    assert found is not None
    assert found["attempts"] > 400_000
    assert found["long"]


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_reads_the_whole_ledger(a_year: Warehouse, name: str) -> None:
    with explained(a_year) as connection:
        FIGURES[name](connection)  # type: ignore[arg-type]
    assert connection.plans
    for plan in connection.plans:
        for node in nodes(plan["Plan"]):
            if node.get("Relation Name") in LEDGER:
                assert node["Node Type"] != "Seq Scan", node
                # A month of attempts at most, and of those only what is asked for.
                read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node[
                    "Actual Loops"
                ]
                assert read < 40_000, node


def test_the_last_success_of_each_task_is_one_look_into_an_index(a_year: Warehouse) -> None:
    with explained(a_year) as connection:
        figures.freshness(connection, DAGS)  # type: ignore[arg-type]
    [_asked, plan] = connection.plans
    looks = [n for n in nodes(plan["Plan"]) if n.get("Relation Name") == "sync_runs"]
    assert {look["Index Name"] for look in looks} == {"sync_runs_by_success"}
    assert all(look["Actual Rows"] <= 1 for look in looks)


def test_the_numbers_of_the_year_are_right(a_year: Warehouse) -> None:
    with reading(a_year.connect) as connection:
        month = figures.activity(connection, DAGS, figures.SPANS["month"])["intervals"]
        last = figures.runs(connection, DAGS, 200)["runs"]
    with psycopg.connect(a_year.database_url) as connection:
        begin = month[0]["begins_at"]
        found = connection.execute(
            "select sum(requests), sum(updated) from intra42.sync_runs where started_at >= %s",
            (begin,),
        ).fetchone()
    assert found == (
        sum(i["nightly"] + i["incremental"] + i["others"] for i in month),
        sum(i["updated"] for i in month),
    )
    assert len(last) == 200
    assert last[0]["opened_at"] - last[-1]["opened_at"] < timedelta(days=3)
