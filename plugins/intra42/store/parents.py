"""Rows that others point at: fetch them by id, keep what the API does not give as a stub."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

from intra42.api.page import Page
from intra42.api.pagination import keyset, numbered
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.store.decode import Decoded, Inner, decode, inner_cutters
from intra42.store.lists import Doubts, linked_ids
from intra42.store.loading import Provenance, existing
from intra42.store.page import put
from intra42.store.rows import Cutter, Row
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

CHUNK = 100  # ids a request: about 770 characters, which every client found safe


def wanted_parents(
    resource: Resource, rows: Sequence[Row], inner: Iterable[Inner] = ()
) -> dict[str, set[int]]:
    """Return the ids that `rows` mention, by the table they should be in; users are not parents.

    What came inside the rows mentions more; the rows themselves are no parents to be asked for.
    """
    order = {column.name: number for number, column in enumerate(resource.columns)}
    wanted: dict[str, set[int]] = defaultdict(set)
    for ref in resource.references:
        if not graph.get(ref.table).people:
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


def resolve(work: Work, resource: Resource, decoded: Decoded) -> None:
    """Make sure that every row that is pointed at exists, so that no foreign key can fail."""
    inner = [item for item, _answer in decoded.inner]
    came_along = {(i.resource.name, row.id) for i, _answer in decoded.parents for row in i.rows}
    for name, ids in wanted_parents(resource, decoded.rows, inner).items():
        absent = {number for number in ids if (name, number) not in came_along}
        unknown = absent - existing(work, name, absent)
        if unknown:
            parent = graph.get(name)
            if parent.embedded_in is None:
                fetch_by_id(work, parent, unknown)
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
    pages: Iterable[Page],
    doubts: Doubts,
    before: Doubts | None = None,
) -> None:
    """Merge pages; note the pairs that they lack, and remove those lacking `before` as well."""
    inside = inner_cutters(resource)
    for page in pages:
        work.log_page(page)
        decoded = decode(cutter, [page], inside)
        resolve(work, resource, decoded)
        work.commit(
            partial(put, work, resource, decoded, Provenance.DIRECT, doubts=doubts, before=before)
        )


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
        "%s: other rows mention %s, which the API does not give; kept as stubs",
        name,
        ", ".join(map(str, stubs[:10])) + (", ..." if len(stubs) > 10 else ""),
    )
