"""Records become rows: those of a page, and those inside them, which cost no request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from intra42.api.model import Answer
from intra42.api.page import Page
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.store.rows import Cutter, Row, Unfit

Seen = tuple[Row, Answer]  # a row, and the answer that showed it
Bad = tuple[Unfit, Answer]  # a record that is none, and the answer that showed it


@dataclass(slots=True)
class Decoded:
    """What the records of some pages became, each with the answer that showed it.

    `inner` is what came inside the records of `seen`; `records` is how many the pages had.
    """

    seen: list[Seen] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    inner: list[tuple[Inner, Answer]] = field(default_factory=list)
    records: int = 0

    @property
    def parents(self) -> list[tuple[Inner, Answer]]:
        """What came inside the records, and has to be stored before them."""
        return [item for item in self.inner if _is_parent(item[0].resource)]

    @property
    def rows(self) -> list[Row]:
        """The rows alone."""
        return [row for row, _answer in self.seen]

    @property
    def ids(self) -> set[int]:
        """The ids of rows, and of bad records that have one."""
        found = {row.id for row, _answer in self.seen}
        return found | {item.id for item, _answer in self.bad if item.id is not None}


def decode(
    cutter: Cutter, pages: Iterable[Page], inside: Mapping[str, Cutter] | None = None
) -> Decoded:
    """Cut the records of `pages`, and the lists inside them with the cutters `inside`."""
    found = Decoded()
    for page in pages:
        rows, unfit = cut_all(cutter, page.records)
        found.records += len(page.records)
        found.seen += [(row, page.answer) for row in rows]
        found.bad += [(item, page.answer) for item in unfit]
        if inside:
            found.inner += [(item, page.answer) for item in cut_inner(inside, rows)]
    return found


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
    """Return the records inside the records; those of a list have the outer one under `..`."""
    if resource.explode is None:
        return records
    if _is_parent(resource):
        return (outer[resource.explode] for outer in records)
    return (
        {**inner, "..": outer} if isinstance(inner, dict) else inner
        for outer in records
        for inner in _inner(outer, resource.explode)
    )


def _is_parent(resource: Resource) -> bool:
    """Tell whether the record that holds a row refers to it, and not the other way round."""
    return resource.embedded_in is not None and resource.owner is None


def _inner(outer: Any, field: str) -> list[Any]:
    """Return the list inside a record; what is no list cannot be cut and will be parked whole."""
    value = outer.get(field) if isinstance(outer, dict) else [outer]
    return value if isinstance(value, list) else [[value]]


@dataclass(frozen=True, slots=True)
class Inner:
    """What was inside the record `owner`: the rows that it lists, or the one it refers to."""

    resource: Resource
    owner: int
    rows: list[Row]
    unfit: list[Unfit]


def inner_cutters(resource: Resource) -> dict[str, Cutter]:
    """Return a cutter for each table that comes with the records of `resource`."""
    return {inner.name: Cutter(inner) for inner in graph.embedded_in(resource.name)}


def cut_inner(cutters: Mapping[str, Cutter], rows: Iterable[Row]) -> list[Inner]:
    """Cut what is inside the records of `rows`; a record without it says nothing."""
    found = []
    for row in rows:
        for cutter in cutters.values():
            resource = cutter.resource
            kind = dict if _is_parent(resource) else list
            if isinstance(row.record.get(str(resource.explode)), kind):
                found.append(Inner(resource, row.id, *cut_all(cutter, [row.record])))
    return found
