"""The load half alone: rows already cut, stored by the package and by the floor, in turn.

Per round and table: the package's first load and a second pass with the same rows seen by later
requests; the same of the floor, which commits as often; of a floor that commits once; and of one
that commits once and has no foreign keys.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import psycopg
from psycopg import sql

from bench.children.mirror import (
    Warehouse,
    facts_of,
    load_parents,
    rows_of,
    say,
    serve,
    settings,
    store_batches,
)
from bench.typed_floor import TypedFloor
from intra42.catalog import graph
from intra42.sync.loading import Trust
from intra42.sync.rows import Row
from intra42.sync.work import Work


def cost(connection: psycopg.Connection[Any], step: Callable[[], Any]) -> dict[str, float]:
    """Return wall and processor seconds of `step`, its backend's included."""
    with suppress(psycopg.Error):
        connection.execute("checkpoint")
    backend = psutil.Process(connection.info.backend_pid)
    began, used, served = time.monotonic(), time.process_time(), sum(backend.cpu_times()[:2])
    step()
    return {
        "wall_s": time.monotonic() - began,
        "cpu_s": time.process_time() - used + sum(backend.cpu_times()[:2]) - served,
    }


class Ours:
    """The package's own loading, `batch` rows a transaction as in a task."""

    def __init__(self, work: Work, name: str, rows: Sequence[Row], batch: int) -> None:
        self._work = work
        self._resource = graph.get(name)
        self._rows = rows
        self._batch = batch
        self._passes = 0

    def forget(self) -> None:
        self._work.connection.execute(
            sql.SQL("truncate {}, intra42.verifications, intra42.cursus_users_levels").format(
                sql.Identifier("intra42", self._resource.name)
            )
        )

    def load(self) -> None:
        self._passes += 1
        first_seq = self._passes * 10_000_000
        store_batches(self._work, self._resource, self._rows, self._batch, first_seq, Trust.LISTING)

    @contextmanager
    def without_history(self) -> Iterator[None]:
        """Begin with an empty table that keeps no history of levels."""
        self.forget()
        execute = self._work.connection.execute
        execute("alter table intra42.cursus_users disable trigger user")
        yield
        execute("alter table intra42.cursus_users enable trigger user")

    def versions(self) -> dict[int, tuple[str, str]]:
        """Return where each tuple lies and which transaction wrote it."""
        query = sql.SQL("select id, ctid::text, xmin::text from {}").format(
            sql.Identifier("intra42", self._resource.name)
        )
        return {row[0]: (row[1], row[2]) for row in self._work.connection.execute(query)}

    def derived(self) -> dict[int, int | None]:
        """Return the column that the database computes, for the floor to be given it."""
        if "campus_id" not in self._resource.column_names:
            return {}
        query = sql.SQL("select id, campus_id from {}").format(
            sql.Identifier("intra42", self._resource.name)
        )
        return {row[0]: row[1] for row in self._work.connection.execute(query)}


def measure(work: Work, name: str, rows: Sequence[Row], options: argparse.Namespace) -> Any:
    ours = Ours(work, name, rows, options.batch)
    rounds = []
    floors: dict[str, TypedFloor] = {}
    for _ in range(options.rounds):
        ours.forget()
        result = {"ours_first": cost(work.connection, ours.load)}
        before = ours.versions()
        result["ours_again"] = cost(work.connection, ours.load)
        after = ours.versions()
        rewritten = sum(before[number] != version for number, version in after.items())
        if name == "cursus_users":
            with ours.without_history():
                result["no_history_first"] = cost(work.connection, ours.load)
        if not floors:
            values = ours.derived()
            floors = {
                kind: TypedFloor(work.connection, name, rows, values, size, foreign_keys=keys)
                for kind, size, keys in (
                    ("floor", options.batch, True),
                    ("one_commit_floor", len(rows), True),
                    ("bare_floor", len(rows), False),
                )
            }
        for kind, floor in floors.items():
            floor.forget()
            result[f"{kind}_first"] = cost(work.connection, floor.load)
            result[f"{kind}_again"] = cost(work.connection, floor.load)
        rounds.append({**result, "stored": len(before), "rewritten": rewritten})
    others = {}
    for batch in options.other_batches:
        other = Ours(work, name, rows, batch)
        other.forget()
        others[batch] = cost(work.connection, other.load)
    return {"rows": len(rows), "rounds": rounds, "other_batches": others}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.children.loading", description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--students", type=int, required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--tables", required=True, help="table and rows, JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--other-batches", type=int, nargs="*", default=[])
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    config = json.loads(options.config)
    with serve("network", options.students) as simulator:
        warehouse = Warehouse(options.database, settings(facts_of(simulator)), config)
        warehouse.open_run()
        load_parents(simulator, warehouse)
        found = {}
        for name, wanted in json.loads(options.tables).items():
            records = list(simulator.world.tables[name].rows.values())[:wanted]
            rows = rows_of(simulator, graph.get(name), config["cursus_ids"], records)
            with warehouse.attempt(name) as work:
                work.connection.execute("analyze")
                found[name] = measure(work, name, rows, options)
    say(found)


if __name__ == "__main__":
    main()
