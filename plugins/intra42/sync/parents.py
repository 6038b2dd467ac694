"""Rows that others point at: fetch them by id, keep what the API does not give as a stub."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql

from intra42.api.pagination import keyset, numbered
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.statements import compose, table
from intra42.sync.embedded import Inner, cut_all, cut_inner, inner_cutters, store_inner
from intra42.sync.loading import Trust, existing, load, park
from intra42.sync.rows import Cutter, Row, Unfit
from intra42.sync.work import Work, chunked

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


def fetch_by_id(work: Work, resource: Resource, ids: Iterable[int]) -> None:
    """Read rows of a reference table by id and merge those that the API gives."""
    cutter = Cutter(resource)
    if resource.by_id is None:
        # Coalitions are only listed inside blocs, which take no id.
        pages = numbered(work.client, resource.endpoint, {})
        _merge_pages(work, resource, cutter, pages)
        return
    for chunk in chunked(sorted(ids), CHUNK):
        params = {"filter[id]": ",".join(map(str, chunk))}
        _merge_pages(
            work, resource, cutter, keyset(work.client, resource.by_id, params, page_size=CHUNK)
        )


def _merge_pages(work: Work, resource: Resource, cutter: Cutter, pages: Iterable[Any]) -> None:
    inside = inner_cutters(resource)
    for page in pages:
        work.log_page(page, resource.name)
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
            load(work, resource, rows, answer, Trust.DIRECT)
            store_lists(work, resource, rows, inner, answer)
            park(work, resource, unfit, answer)

        work.commit(step)


def store_lists(
    work: Work, resource: Resource, rows: Sequence[Row], inner: Sequence[Inner], answer: Any
) -> None:
    """Make pairs and embedded rows those of each row's fresh lists; an older answer changes none.

    Runs inside the caller's transaction, after `rows` were merged.
    """
    links = [link for link in resource.links if link.in_record]
    if not (links or inner) or not rows:
        return
    newest = {
        row[0]
        for row in work.fetch(
            "load/seen_by",
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
        set_links(work, link.table, link.own, link.other, owners, pairs, answer)
    store_inner(work, inner, newest, answer)


def set_links(
    work: Work,
    name: str,
    own: str,
    other: str,
    owners: Sequence[int],
    pairs: Iterable[tuple[int, int]],
    answer: Any,
) -> None:
    """Make `pairs` of (own, other) the only pairs of `owners` in the link table `name`."""
    ordered = sorted(pairs)
    values = {
        **work.names,
        "resource": name,
        "owners": list(owners),
        "own_ids": [pair[0] for pair in ordered],
        "other_ids": [pair[1] for pair in ordered],
        "synced_at": answer.date,
        "seq": answer.seq,
    }
    parts: dict[str, sql.Composable] = {
        "target": table(name),
        "own": sql.Identifier(own),
        "other": sql.Identifier(other),
    }
    removed = work.connection.execute(compose("load/remove_links", **parts), values).rowcount
    added = work.connection.execute(compose("load/add_links", **parts), values).rowcount
    work.counts.changed(name, inserted=added, deleted=removed)
    if removed or added:
        log.info("%s: %d pairs added, %d removed", name, added, removed)


def _keep_stubs(work: Work, name: str, ids: Iterable[int]) -> None:
    stubs = sorted(set(ids) - existing(work, name, ids))
    if not stubs:
        return
    statement = compose("load/stubs", target=table(name))
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
