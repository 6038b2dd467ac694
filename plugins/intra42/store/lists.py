"""The lists inside records: pairs, and rows of other tables, that follow their parent's list."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from intra42.api.model import Answer
from intra42.attempt.work import Work
from intra42.catalog.model import Link, Resource
from intra42.store.decode import Inner
from intra42.store.loading import Provenance, load, park
from intra42.store.rows import Row
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

Pair = tuple[int, int]  # the ids of a parent, and of what its list holds


@dataclass(slots=True)
class Doubts:
    """Pairs that a list of their parent did not have, and which request showed that list.

    They stay until a second list of the same parent lacks them as well.
    """

    pairs: dict[str, set[Pair]] = field(default_factory=lambda: defaultdict(set))
    since: dict[int, int] = field(default_factory=dict)

    def note(self, table: str, lacking: Iterable[Pair], seq: int) -> None:
        """Add pairs of one link table."""
        for pair in lacking:
            self.pairs[table].add(pair)
            self.since.setdefault(pair[0], seq)


def linked_ids(elements: Any) -> list[int]:
    """Return the ids of a record's list of objects; what is no object with an id is left out."""
    if not isinstance(elements, list):
        return []
    ids = (element.get("id") for element in elements if isinstance(element, dict))
    return [
        number
        for number in ids
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63
    ]


def store_lists(
    work: Work,
    resource: Resource,
    rows: Sequence[Row],
    inner: Sequence[Inner],
    answer: Any,
    doubts: Doubts | None = None,
) -> Mapping[str, set[Pair]]:
    """Add the pairs and embedded rows of each row's fresh lists; an older answer changes none.

    Pairs that the lists do not have are noted in `doubts` and returned, by link table. Runs inside
    the caller's transaction, after `rows` were merged.
    """
    links = [link for link in resource.links if link.in_record]
    lacking: dict[str, set[Pair]] = {}
    if not (links or inner) or not rows:
        return lacking
    newest = {
        row[0]
        for row in work.fetch(
            "merge/seen_by",
            resource=resource.name,
            ids=[row.id for row in rows],
            seq=answer.seq,
        )
    }
    for link in links:
        pairs = {
            (row.id, other)
            for row in rows
            if row.id in newest and isinstance(row.record.get(link.field), list)
            for other in linked_ids(row.record[link.field])
        }
        owners = [
            row.id
            for row in rows
            if row.id in newest and isinstance(row.record.get(link.field), list)
        ]
        lacking[link.table] = set_links(work, link, owners, pairs, answer)
        if doubts is not None:
            doubts.note(link.table, lacking[link.table], answer.seq)
    store_inner(work, inner, newest, answer)
    return lacking


def set_links(
    work: Work, link: Link, owners: Sequence[int], pairs: Iterable[Pair], answer: Any
) -> set[Pair]:
    """Add `pairs` to a link table; return which other ones of `owners` it has: doubted ones."""
    ordered = sorted(pairs)
    values = _values(work, link, ordered, answer) | {"owners": list(owners)}
    lacking = work.connection.execute(_compose("links/lacking", link), values).fetchall()
    [[added]] = work.connection.execute(_compose("links/add", link), values).fetchall()
    work.counts.changed(link.table, inserted=added)
    if added:
        log.info("%s: %d pairs added", link.table, added)
    return {(own, other) for own, other in lacking}


def remove_links(work: Work, link: Link, pairs: Iterable[Pair], answer: Any) -> None:
    """Remove pairs that two lists of their parent did not have, each with a tombstone."""
    ordered = sorted(pairs)
    if not ordered:
        return
    values = _values(work, link, ordered, answer)
    removed = work.connection.execute(_compose("links/remove", link), values).rowcount
    work.counts.changed(link.table, deleted=removed)
    log.info("%s: %d pairs removed", link.table, removed)


def _values(work: Work, link: Link, ordered: Sequence[Pair], answer: Any) -> dict[str, Any]:
    return {
        **work.names,
        "resource": link.table,
        "other": link.other,
        "own_ids": [pair[0] for pair in ordered],
        "other_ids": [pair[1] for pair in ordered],
        "synced_at": answer.date,
        "seq": answer.seq,
    }


def _compose(name: str, link: Link) -> sql.Composed:
    own, other = sql.Identifier(link.own), sql.Identifier(link.other)
    return compose(name, target=table(link.table), own=own, other=other)


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
        load(
            work, resource, [row for item in items for row in item.rows], answer, Provenance.DIRECT
        )
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
