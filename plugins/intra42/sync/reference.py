"""Keep the reference tables: read whole each night, never deleted, `listed` says what was there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from psycopg import sql

from intra42.api.model import Answer
from intra42.api.pagination import Page, keyset, numbered
from intra42.catalog.model import Resource
from intra42.errors import NotFound
from intra42.statements import compose, table
from intra42.sync.loading import Trust, existing, park
from intra42.sync.parents import cut_all, fetch_by_id, replace_links, resolve, set_links
from intra42.sync.reading import Reader, lock, store
from intra42.sync.work import Work

log = logging.getLogger(__name__)

# Achievements of one campus take one or two requests, the whole catalogue about eleven.
_CAMPUSES_WORTH_ASKING = 5


def sync_reference(work: Work, resource: Resource) -> None:
    """Read all of `resource`, then the rows that only others mention, and mark what is listed."""
    lock(work, resource)
    reader = Reader(work, resource)
    try:
        if resource.name == "achievements":
            seen = _read_achievements(work, reader)
        elif resource.scope_cursus is not None:
            seen = _read_each_cursus(work, reader)
        else:
            seen = _read_all(work, reader, resource.endpoint)
        _reread_unlisted(work, resource, seen)
        if resource.listed:
            _mark_listed(work, reader, seen)
    finally:
        reader.report_notes()


def _read_all(work: Work, reader: Reader, path: str) -> set[int]:
    """Read one listing by page numbers; it counts as complete only when it equals its total."""
    return _absorb(work, reader, numbered(work.client, path, {}, page_size=100))


def _read_each_cursus(work: Work, reader: Reader) -> set[int]:
    seen: set[int] = set()
    for cursus_id in work.config.cursus_ids:
        path = reader.resource.endpoint.format(cursus_id=cursus_id)
        try:
            pages = keyset(work.client, path, {}, page_size=reader.resource.page_size)
            seen |= _absorb(work, reader, pages)
        except NotFound:
            log.warning("%s: the API has no cursus %d", reader.resource.name, cursus_id)
    return seen


def _absorb(work: Work, reader: Reader, pages: Iterable[Page]) -> set[int]:
    seen: set[int] = set()
    for page in pages:
        if page.number == 1:
            # The listing moved while it was read, and starts again.
            seen.clear()
        work.log_page(page, reader.resource.name)
        rows, unfit = cut_all(reader.cutter, page.records)
        resolve(work, reader.resource, rows)
        seen.update(row.id for row in rows)
        seen.update(item.id for item in unfit if item.id is not None)
        reader.unreadable += sum(item.id is None for item in unfit)

        def step(rows: list[Any] = rows, unfit: list[Any] = unfit, page: Page = page) -> None:
            work.counts.records += len(page.records)
            store(work, reader.resource, rows, page.answer, Trust.DIRECT)
            park(work, reader.resource, unfit, page.answer)
            replace_links(work, reader.resource, rows, page.answer)

        work.commit(step)
    return seen


def _read_achievements(work: Work, reader: Reader) -> set[int]:
    """Read achievements by campus or from the catalogue, whichever costs fewer requests."""
    campuses = work.config.campus_ids
    if campuses and len(campuses) <= _CAMPUSES_WORTH_ASKING:
        return _achievements_by_campus(work, reader, campuses)
    return _achievements_by_catalogue(work, reader)


def _achievements_by_campus(work: Work, reader: Reader, campuses: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    for campus_id in campuses:
        last: list[Page] = []
        try:
            path = reader.resource.endpoint.format(campus_id=campus_id)
            pages = numbered(work.client, path, {}, page_size=100)
            ids = _absorb(work, reader, _remembering_last(pages, last))
        except NotFound:
            log.warning("campus %d is not listed by the API: no achievements for it", campus_id)
            continue
        if not ids:
            log.warning("campus %d: an empty list of achievements is not believed", campus_id)
        elif existing(work, "campuses", [campus_id]):
            pairs = {campus_id: existing(work, "achievements", ids)}
            _link(work, pairs, last[0].answer)
        seen |= ids
    return seen


def _remembering_last(pages: Iterable[Page], last: list[Page]) -> Iterator[Page]:
    for page in pages:
        last[:] = [page]
        yield page


def _achievements_by_catalogue(work: Work, reader: Reader) -> set[int]:
    """Read the whole catalogue; it names campuses, which only listed ones can be found by."""
    named: dict[int, set[str]] = {}
    last: list[Page] = []
    pages = numbered(work.client, "/v2/achievements", {}, page_size=100)
    seen = _absorb(work, reader, _noting_names(_remembering_last(pages, last), named))
    if not seen:
        return seen
    campuses = {name: number for number, name in work.fetch("scope/campus_names")}
    pairs: dict[int, set[int]] = {number: set() for number in campuses.values()}
    for achievement_id in existing(work, "achievements", seen & named.keys()):
        for name in named[achievement_id]:
            if name in campuses:
                pairs[campuses[name]].add(achievement_id)
    unknown = {name for names in named.values() for name in names} - campuses.keys()
    if unknown:
        log.info("achievements: %d campus names belong to no listed campus", len(unknown))
    _link(work, pairs, last[0].answer)
    return seen


def _noting_names(pages: Iterable[Page], named: dict[int, set[str]]) -> Iterator[Page]:
    for page in pages:
        for record in page.records:
            names = record.get("campus") if isinstance(record, dict) else None
            if isinstance(names, list) and isinstance(record.get("id"), int):
                named[record["id"]] = {name for name in names if isinstance(name, str)}
        yield page


def _link(work: Work, by_campus: Mapping[int, set[int]], answer: Answer) -> None:
    pairs = [(campus, number) for campus, ids in by_campus.items() for number in ids]
    work.commit(
        lambda: set_links(
            work,
            "campus_achievements",
            "campus_id",
            "achievement_id",
            sorted(by_campus),
            pairs,
            answer,
        )
    )


def _reread_unlisted(work: Work, resource: Resource, seen: set[int]) -> None:
    """Keep rows true that the listing does not show, because only other rows mention them."""
    if resource.by_id is None:
        return
    statement = compose("load/unlisted", target=table(resource.name))
    rows = work.connection.execute(statement, {"seen": sorted(seen)}).fetchall()
    if rows:
        fetch_by_id(work, resource, [row[0] for row in rows])


def _mark_listed(work: Work, reader: Reader, seen: set[int]) -> None:
    """Set `listed` to whether this complete listing had the row.

    A run about some campuses only, or one that met records it could not read, has not seen all:
    it only says what is listed.
    """
    resource = reader.resource
    if not seen:
        log.warning("%s: an empty listing is not believed; `listed` stays", resource.name)
        return
    statement: sql.Composed = compose("load/mark_listed", target=table(resource.name))
    partial = work.request.restricted or reader.unreadable > 0
    values = {
        **work.names,
        "seen": sorted(seen),
        "partial": partial,
        "synced_at": work.client.last_date,
    }
    rows = work.commit(lambda: work.connection.execute(statement, values).fetchall())
    now_listed = sum(row[0] for row in rows)
    if rows:
        log.info(
            "%s: %d rows are listed now, %d no longer",
            *(resource.name, now_listed, len(rows) - now_listed),
        )
    if resource.name == "campuses":
        for campus_id in sorted(set(work.config.campus_ids) - seen):
            log.warning(
                "campus_ids names %d, which /v2/campus does not list: no students may be found",
                campus_id,
            )
