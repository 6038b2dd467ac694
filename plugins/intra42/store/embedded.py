"""Records inside records: rows that come with others and cost no request of their own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from intra42.api.model import Answer
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.store.loading import Trust, load, park
from intra42.store.rows import Cutter, Row, Unfit
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)


def cut_all(cutter: Cutter, records: Iterable[Any]) -> tuple[list[Row], list[Unfit]]:
    """Cut records into rows, and those that cannot be cut into reasons."""
    rows: list[Row] = []
    unfit: list[Unfit] = []
    for record in exploded(cutter.resource, records):
        result = cutter.cut(record)
        if isinstance(result, Row):
            rows.append(result)
        else:
            unfit.append(result)
    return rows, unfit


def exploded(resource: Resource, records: Iterable[Any]) -> Iterable[Any]:
    """Return the records inside the records, each with the outer one under the key `..`."""
    if resource.explode is None:
        return records
    return (
        {**inner, "..": outer} if isinstance(inner, dict) else inner
        for outer in records
        for inner in _inner(outer, resource.explode)
    )


def _inner(outer: Any, field: str) -> list[Any]:
    """Return the list inside a record; what is no list cannot be cut and will be parked whole."""
    value = outer.get(field) if isinstance(outer, dict) else [outer]
    return value if isinstance(value, list) else [[value]]


@dataclass(frozen=True, slots=True)
class Inner:
    """What the list inside one record held: the rows of `resource` that `owner` has."""

    resource: Resource
    owner: int
    rows: list[Row]
    unfit: list[Unfit]


def inner_cutters(resource: Resource) -> dict[str, Cutter]:
    """Return a cutter for each table that comes with the records of `resource`."""
    return {inner.name: Cutter(inner) for inner in graph.embedded_in(resource.name)}


def cut_inner(cutters: Mapping[str, Cutter], rows: Iterable[Row]) -> list[Inner]:
    """Cut the lists inside the records of `rows`; a record without a list says nothing."""
    found = []
    for row in rows:
        for cutter in cutters.values():
            resource = cutter.resource
            if isinstance(row.record.get(str(resource.explode)), list):
                found.append(Inner(resource, row.id, *cut_all(cutter, [row.record])))
    return found


def store_inner(
    work: Work, inner: Iterable[Inner], newest: Collection[int], answer: Answer
) -> None:
    """Merge what came inside the records of the owners in `newest`, and say what they list.

    Runs inside the caller's transaction, after the owners were merged.
    """
    by_name: dict[str, list[Inner]] = {}
    for item in inner:
        if item.owner in newest:
            by_name.setdefault(item.resource.name, []).append(item)
    for items in by_name.values():
        resource = items[0].resource
        load(work, resource, [row for item in items for row in item.rows], answer, Trust.DIRECT)
        park(work, resource, [bad for item in items for bad in item.unfit], answer)
        _mark_listed(work, resource, items, answer)


def _mark_listed(work: Work, resource: Resource, items: Sequence[Inner], answer: Answer) -> None:
    """Set `listed` to whether the fresh list of its owner has a row.

    A list with a record that has no usable id may hold anything: it unlists nothing.
    """
    seen = {row.id for item in items for row in item.rows}
    seen |= {bad.id for item in items for bad in item.unfit if bad.id is not None}
    whole = [item.owner for item in items if all(bad.id is not None for bad in item.unfit)]
    parts = {"target": table(resource.name), "owner": sql.Identifier(str(resource.owner))}
    values = {
        **work.names,
        "seen": sorted(seen),
        "owners": whole,
        "synced_at": answer.date,
    }
    rows = work.connection.execute(compose("merge/mark_embedded", **parts), values).fetchall()
    work.counts.changed(resource.name, updated=sum(row[1] for row in rows))
    gone = sum(not row[0] for row in rows)
    if gone:
        log.info("%s: %d rows are no longer in the list of their parent", resource.name, gone)
