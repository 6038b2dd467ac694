"""The load half alone: rows already cut, stored by the package and by the floor, in turn.

Per round and table: the package's first load and a second pass with the same rows seen by later
requests, and the same of the floor, which commits as often: they take turns batch by batch, because
the machine may be slower a second later. Then a floor that commits once, and one that commits once
and has no foreign keys.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import psycopg
from psycopg import sql

from bench.children.mirror import (
    Warehouse,
    batches,
    facts_of,
    load_parents,
    rows_of,
    say,
    serve,
    settings,
)
from bench.typed_floor import TypedFloor
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.store.loading import Provenance
from intra42.store.rows import Row

Step = Callable[[], Any]


def cost(connection: psycopg.Connection[Any], steps: Iterator[Step]) -> dict[str, float]:
    """Return wall and processor seconds of `steps`, their backend's included."""
    return in_turn(connection, {"alone": steps})["alone"]


def in_turn(
    connection: psycopg.Connection[Any], sides: Mapping[str, Iterator[Step]]
) -> dict[str, dict[str, float]]:
    """Let each side take a step, who went last going first in the next turn; return their costs."""
    with suppress(psycopg.Error):
        connection.execute("checkpoint")
    backend = psutil.Process(connection.info.backend_pid)
    spent = {name: {"wall_s": 0.0, "cpu_s": 0.0} for name in sides}
    names = list(sides)
    for turn in zip(*sides.values(), strict=True):
        steps = dict(zip(sides, turn, strict=True))
        for name in names:
            began, used = time.monotonic(), time.process_time()
            served = sum(backend.cpu_times()[:2])
            steps[name]()
            spent[name]["wall_s"] += time.monotonic() - began
            spent[name]["cpu_s"] += time.process_time() - used
            spent[name]["cpu_s"] += sum(backend.cpu_times()[:2]) - served
        names.reverse()
    return spent


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

    def load(self) -> Iterator[Step]:
        """Return the steps of a pass, a batch each."""
        self._passes += 1
        first_seq = self._passes * 10_000_000
        return batches(
            self._work, self._resource, self._rows, self._batch, first_seq, Provenance.LISTING
        )

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
    connection = work.connection
    ours = Ours(work, name, rows, options.batch)
    values = given(ours)
    floor = TypedFloor(connection, name, rows, values, options.batch, foreign_keys=True)
    others = {
        "one_commit_floor": TypedFloor(
            connection, name, rows, values, len(rows), foreign_keys=True
        ),
        "bare_floor": TypedFloor(connection, name, rows, values, len(rows), foreign_keys=False),
    }
    rounds = []
    for _ in range(options.rounds):
        ours.forget()
        floor.forget()
        first = in_turn(connection, {"ours": ours.load(), "floor": floor.load()})
        before = ours.versions()
        again = in_turn(connection, {"ours": ours.load(), "floor": floor.load()})
        after = ours.versions()
        result = {f"{side}_first": costs for side, costs in first.items()}
        result |= {f"{side}_again": costs for side, costs in again.items()}
        if name == "cursus_users":
            with ours.without_history():
                result["no_history_first"] = cost(connection, ours.load())
        for kind, other in others.items():
            other.forget()
            result[f"{kind}_first"] = cost(connection, other.load())
            result[f"{kind}_again"] = cost(connection, other.load())
        rewritten = sum(before[number] != version for number, version in after.items())
        rounds.append({**result, "stored": len(before), "rewritten": rewritten})
    other_batches = {}
    for batch in options.other_batches:
        one = Ours(work, name, rows, batch)
        one.forget()
        other_batches[batch] = cost(connection, one.load())
    return {"rows": len(rows), "rounds": rounds, "other_batches": other_batches}


def given(ours: Ours) -> dict[int, int | None]:
    """Load once, to know the derived column that the floor is given."""
    ours.forget()
    for step in ours.load():
        step()
    return ours.derived()


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
