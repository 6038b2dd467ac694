"""Keep the reference tables: read whole each night, never deleted, `listed` says what was there."""

from __future__ import annotations

import logging
from collections.abc import Collection

from psycopg import sql

from intra42.api.pagination import keyset, numbered
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import NotFound
from intra42.read.by_campus import read_by_campus_or_whole
from intra42.store import rewriting
from intra42.store.parents import ask_again, fetch_by_id
from intra42.store.reading import Reader, lock
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_PAGE = 100


def sync_reference(work: Work, resource: Resource) -> set[int]:
    """Read all of `resource`, then the rows that only others mention, and mark what is listed.

    Pairs that a list lacks are removed when a second one lacks them, too. Returns the ids that the
    listing showed.
    """
    lock(work, resource)
    reader = Reader(work, resource)
    try:
        if resource.per_campus:
            seen = read_by_campus_or_whole(work, reader)
        elif resource.scope_cursus is not None:
            seen = _read_each_cursus(work, reader)
        else:
            seen = _read_all(work, reader, resource.endpoint)
        _reread_unlisted(work, reader, seen)
        ask_again(work, resource, reader.doubts)
        # What was not listed has just been asked for.
        for read in (resource, *graph.embedded_in(resource.name)):
            rewriting.reread(work, read, None)
        if resource.listed:
            _mark_listed(work, reader, seen)
        return seen
    finally:
        reader.report_notes()


def _read_all(work: Work, reader: Reader, path: str) -> set[int]:
    """Read one listing by page numbers; it counts as complete only when it equals its total."""
    return reader.absorb_listing(numbered(work.client, path, {}, page_size=_PAGE))


def _read_each_cursus(work: Work, reader: Reader) -> set[int]:
    seen: set[int] = set()
    for cursus_id in work.config.cursus_ids:
        path = reader.resource.endpoint.format(cursus_id=cursus_id)
        try:
            pages = keyset(work.client, path, {}, page_size=reader.resource.page_size)
            seen |= reader.absorb_listing(pages)
        except NotFound:
            log.warning("%s: the API has no cursus %d", reader.resource.name, cursus_id)
    return seen


def _reread_unlisted(work: Work, reader: Reader, seen: set[int]) -> None:
    """Keep rows true that the listing does not show, because only other rows mention them."""
    resource = reader.resource
    if resource.by_id is None or resource.is_optional:
        return
    ids = unlisted(work, resource, seen)
    if ids:
        fetch_by_id(work, resource, ids, reader.doubts)


def unlisted(work: Work, resource: Resource, seen: Collection[int]) -> list[int]:
    """Return the rows that a listing did not show."""
    statement = compose("merge/unlisted", target=table(resource.name))
    rows = work.connection.execute(statement, {"seen": sorted(seen)}).fetchall()
    return [row[0] for row in rows]


def _mark_listed(work: Work, reader: Reader, seen: set[int]) -> None:
    """Set `listed` to whether this complete listing had the row.

    A run about some campuses or cursus only, or one that met records it could not read, has not
    seen all: it only says what is listed.
    """
    resource = reader.resource
    if not seen:
        log.warning("%s: an empty listing is not believed; `listed` stays", resource.name)
        return
    statement: sql.Composed = compose("merge/mark_listed", target=table(resource.name))
    partial = reader.unreadable > 0 or not work.request.lists_all
    values = {
        **work.names,
        "seen": sorted(seen),
        "partial": partial,
        "synced_at": work.clock,
    }

    def step() -> list[tuple[bool, bool]]:
        found = work.connection.execute(statement, values).fetchall()
        work.counts.changed(resource.name, updated=sum(row[1] for row in found))
        return found

    rows = work.commit(step)
    now_listed = sum(row[0] for row in rows)
    if rows:
        log.info(
            "%s: %d rows are listed now, %d no longer",
            *(resource.name, now_listed, len(rows) - now_listed),
        )
    named = getattr(work.config, resource.named_by) if resource.named_by else ()
    for number in sorted(set(named) - seen):
        log.warning(
            "%s names %d, which %s does not list: no students may be found",
            *(resource.named_by, number, resource.endpoint),
        )
