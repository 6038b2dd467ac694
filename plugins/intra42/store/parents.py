"""Rows that others point at: fetch them by id, keep what the API does not give as a stub."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from intra42.api.pagination import keyset, numbered
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Link, Resource
from intra42.store.embedded import Inner, cut_all, cut_inner, inner_cutters, store_inner
from intra42.store.loading import Trust, existing, load, park
from intra42.store.rows import Cutter, Row, Unfit
from intra42.store.witnesses import seen_since
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

Pair = tuple[int, int]  # the ids of a parent, and of what its list holds

CHUNK = 100  # ids a request: about 770 characters, which every client found safe


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


def wanted_parents(
    resource: Resource, rows: Sequence[Row], inner: Iterable[Inner] = ()
) -> dict[str, set[int]]:
    """Return the ids that `rows` mention, by the table they should be in; users are not parents.

    What came inside the rows mentions more; the rows themselves are no parents to be asked for.
    """
    order = {column.name: number for number, column in enumerate(resource.columns)}
    wanted: dict[str, set[int]] = defaultdict(set)
    for ref in resource.references:
        if ref.table != "users":
            place = order[ref.column]
            wanted[ref.table] |= {row.values[place] for row in rows} - {None}
    for link in resource.links:
        if link.in_record:
            for row in rows:
                wanted[link.other_table].update(linked_ids(row.record.get(link.field)))
    for item in inner:
        for name, ids in wanted_parents(item.resource, item.rows).items():
            if name != resource.name:
                wanted[name] |= ids
    return wanted


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


def resolve(
    work: Work, resource: Resource, rows: Sequence[Row], inner: Iterable[Inner] = ()
) -> None:
    """Make sure that every row `rows` point at exists, so that no foreign key can fail."""
    for name, ids in wanted_parents(resource, rows, inner).items():
        unknown = ids - existing(work, name, ids)
        if unknown:
            fetch_by_id(work, graph.get(name), unknown)
            _keep_stubs(work, name, unknown)


def fetch_by_id(
    work: Work, resource: Resource, ids: Iterable[int], doubts: Doubts | None = None
) -> None:
    """Read rows of a reference table by id and merge those that the API gives.

    Pairs that their lists do not have stay; they are noted in `doubts`.
    """
    cutter = Cutter(resource)
    doubts = Doubts() if doubts is None else doubts
    if resource.by_id is None:
        # Coalitions are only listed inside blocs, which take no id.
        pages = numbered(work.client, resource.endpoint, {})
        _merge_pages(work, resource, cutter, pages, doubts)
        return
    for chunk in chunked(sorted(ids), CHUNK):
        params = {"filter[id]": ",".join(map(str, chunk))}
        pages = keyset(work.client, resource.by_id, params, page_size=CHUNK)
        _merge_pages(work, resource, cutter, pages, doubts)


def ask_again(work: Work, resource: Resource, doubts: Doubts) -> None:
    """Read the parents of doubted pairs once more; remove the pairs that are missing there, too.

    The parent that comes back with its list is the witness. Where it does not, or where anybody has
    seen it since the first list, its pairs stay.
    """
    owners = sorted({own for pairs in doubts.pairs.values() for own, _other in pairs})
    if not owners or resource.by_id is None:
        return
    log.info("%s: %d rows have shorter lists: reading them again", resource.name, len(owners))
    cutter = Cutter(resource)
    for chunk in chunked(owners, CHUNK):
        params = {"filter[id]": ",".join(map(str, chunk))}
        pages = keyset(work.client, resource.by_id, params, page_size=CHUNK)
        _merge_pages(work, resource, cutter, pages, Doubts(), doubts)


def _merge_pages(
    work: Work,
    resource: Resource,
    cutter: Cutter,
    pages: Iterable[Any],
    doubts: Doubts,
    before: Doubts | None = None,
) -> None:
    """Merge pages; note the pairs that they lack, and remove those lacking `before` as well."""
    inside = inner_cutters(resource)
    for page in pages:
        work.log_page(page)
        rows, unfit = cut_all(cutter, page.records)
        inner = cut_inner(inside, rows)
        resolve(work, resource, rows, inner)

        def step(
            rows: list[Row] = rows,
            unfit: list[Unfit] = unfit,
            inner: list[Inner] = inner,
            answer: Any = page.answer,
        ) -> None:
            work.counts.records += len(rows) + len(unfit)
            seen = _seen_since(work, resource, rows, before)
            load(work, resource, rows, answer, Trust.DIRECT)
            lacking = store_lists(work, resource, rows, inner, answer, doubts)
            park(work, resource, unfit, answer)
            if before is not None:
                for link in resource.links:
                    twice = lacking.get(link.table, set()) & before.pairs[link.table]
                    remove_links(work, link, [p for p in twice if p[0] not in seen], answer)

        work.commit(step)


def _seen_since(
    work: Work, resource: Resource, rows: Iterable[Row], before: Doubts | None
) -> set[int]:
    """Return the parents whom somebody has seen since a first list of theirs lacked something."""
    if before is None:
        return set()
    first = {row.id: before.since[row.id] for row in rows if row.id in before.since}
    return seen_since(work, resource.name, first)


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


def _keep_stubs(work: Work, name: str, ids: Iterable[int]) -> None:
    stubs = sorted(set(ids) - existing(work, name, ids))
    if not stubs:
        return
    statement = compose("merge/stubs", target=table(name))
    at = work.clock

    def step() -> None:
        cursor = work.connection.execute(statement, {**work.names, "ids": stubs, "synced_at": at})
        work.counts.changed(name, inserted=cursor.rowcount)

    work.commit(step)
    log.info(
        "%s: other rows mention %s, which the API does not give; kept with listed = false",
        name,
        ", ".join(map(str, stubs[:10])) + (", ..." if len(stubs) > 10 else ""),
    )
