"""Keep the reference tables: read whole each night, never deleted, `listed` says what was there."""

from __future__ import annotations

import itertools
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from intra42.api.model import Answer
from intra42.api.pagination import Page, keyset, numbered
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Link, Resource
from intra42.errors import NotFound, NoWitness
from intra42.store import rewriting
from intra42.store.lists import Pair, remove_links, set_links
from intra42.store.loading import Trust, existing
from intra42.store.parents import ask_again, fetch_by_id
from intra42.store.reading import Reader, ids_of, lock
from intra42.store.witnesses import WITNESSES, witnesses
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_CATALOGUE = "/v2/achievements"
# A campus's own list says which achievements it has.
_OF_CAMPUS = Link(
    "campus_achievements",
    "campus_id",
    "achievement_id",
    "achievements",
    "achievements",
    in_record=False,
)
_AT_ONCE = 100 - WITNESSES
_PAGE = 100


def sync_reference(work: Work, resource: Resource) -> None:
    """Read all of `resource`, then the rows that only others mention, and mark what is listed.

    Pairs that a list lacks are removed when a second one lacks them, too.
    """
    lock(work, resource)
    reader = Reader(work, resource)
    try:
        if resource.name == "achievements":
            seen = _read_achievements(work, reader)
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
    finally:
        reader.report_notes()


def _read_all(work: Work, reader: Reader, path: str) -> set[int]:
    """Read one listing by page numbers; it counts as complete only when it equals its total."""
    return _absorb(reader, numbered(work.client, path, {}, page_size=_PAGE))


def _read_each_cursus(work: Work, reader: Reader) -> set[int]:
    seen: set[int] = set()
    for cursus_id in work.config.cursus_ids:
        path = reader.resource.endpoint.format(cursus_id=cursus_id)
        try:
            pages = keyset(work.client, path, {}, page_size=reader.resource.page_size)
            seen |= _absorb(reader, pages)
        except NotFound:
            log.warning("%s: the API has no cursus %d", reader.resource.name, cursus_id)
    return seen


def _absorb(reader: Reader, pages: Iterable[Page]) -> set[int]:
    """Store a listing; return the ids that it showed."""
    seen: set[int] = set()
    for page in pages:
        if page.number == 1:
            # The listing moved while it was read, and starts again.
            seen.clear()
        seen |= reader.absorb([page], Trust.DIRECT)
    return seen


def _read_achievements(work: Work, reader: Reader) -> set[int]:
    """Read achievements by campus or from the catalogue, whichever costs fewer requests.

    The mirror knows how many each campus has, and how long the catalogue was. Where it does not,
    two first pages tell: the catalogue's and one campus's, of which one is part of either reading.
    They are only asked if more than one request may be saved. That is never so for one campus: the
    catalogue has all of its achievements, and takes as many pages at least.
    """
    campuses = work.config.campus_ids
    catalogue = numbered(work.client, _CATALOGUE, {}, page_size=_PAGE)
    if not campuses:
        return _achievements_by_catalogue(work, reader, catalogue)
    rows, stubs, linked = work.fetch("links/achievement_counts", campuses=list(campuses))[0]
    others = _pages(rows - linked, least=0)  # asked for by id, if by campus
    hidden = _pages(stubs, least=0)  # asked for by id in any case
    counts = dict(work.fetch("links/achievements_of_campuses", campuses=list(campuses)))
    by_campus = sum(_pages(counts.get(number, 0)) for number in campuses) + others
    remembered = work.fetch("jobs/listing_total", path=_CATALOGUE)
    if remembered:
        if _pages(remembered[0][0]) + hidden < by_campus:
            return _achievements_by_catalogue(work, reader, catalogue)
        return _achievements_by_campus(work, reader, campuses)
    if by_campus - (_pages(rows - stubs) + hidden) <= 1:
        return _achievements_by_campus(work, reader, campuses)
    first = next(catalogue)
    if not first.answer.total:
        return _achievements_by_campus(work, reader, campuses)
    _remember_total(work, first)
    by_catalogue = _pages(first.answer.total) + hidden
    begun: dict[int, Iterator[Page]] = {}
    unknown = [number for number in campuses if number not in counts]
    if unknown and by_campus < by_catalogue:
        counts |= _expected(work, reader, first, unknown, begun)
        by_campus = sum(_pages(counts[number]) for number in campuses) + others
    log.info(
        "achievements: %d requests from the catalogue, about %d by campus",
        *(by_catalogue, by_campus),
    )
    if by_catalogue <= by_campus:
        return _achievements_by_catalogue(work, reader, itertools.chain([first], catalogue))
    return _achievements_by_campus(work, reader, campuses, begun)


def _pages(rows: float, least: int = 1) -> int:
    """Return the requests that show `rows` rows."""
    return max(least, math.ceil(rows / _PAGE))


def _expected(
    work: Work,
    reader: Reader,
    first: Page,
    campuses: Sequence[int],
    begun: dict[int, Iterator[Page]],
) -> dict[int, float]:
    """Return about how many achievements each of `campuses` has.

    The first page of the catalogue names each some times. It has the oldest achievements, so what a
    name stands for is taken from the campus named most: its own list is begun, and left in `begun`.
    """
    names = {number: name for name, number in _campuses_by_name(work).items()}
    often = Counter(name for found in _names(first.records).values() for name in found)
    named = {number: often[names.get(number, "")] for number in campuses}
    sample = max(campuses, key=lambda number: named[number])
    pages = _campus_pages(work, reader, sample)
    try:
        page = next(pages)
    except NotFound:
        return dict.fromkeys(campuses, 0.0)
    begun[sample] = itertools.chain([page], pages)
    total = page.answer.total
    return {number: total * named[number] / max(1, named[sample]) for number in campuses} | {
        sample: float(total)
    }


def _remember_total(work: Work, page: Page) -> None:
    """Keep how long the catalogue is; an empty one is not believed."""
    if page.answer.total:
        work.commit(
            lambda: work.execute(
                "jobs/remember_listing_total",
                path=_CATALOGUE,
                total=page.answer.total,
                seen_at=page.answer.date,
            )
        )


def _campus_pages(work: Work, reader: Reader, campus_id: int) -> Iterator[Page]:
    path = reader.resource.endpoint.format(campus_id=campus_id)
    return numbered(work.client, path, {}, page_size=_PAGE)


def _achievements_by_campus(
    work: Work,
    reader: Reader,
    campuses: Iterable[int],
    begun: Mapping[int, Iterator[Page]] | None = None,
) -> set[int]:
    """Read the list of each campus; `begun` has lists of which a page was asked for already."""
    seen: set[int] = set()
    for campus_id in campuses:
        last: list[Page] = []
        try:
            pages = (begun or {}).get(campus_id) or _campus_pages(work, reader, campus_id)
            ids = _absorb(reader, _remembering_last(pages, last))
        except NotFound:
            log.warning("campus %d is not listed by the API: no achievements for it", campus_id)
            continue
        if not ids:
            log.warning("campus %d: an empty list of achievements is not believed", campus_id)
        elif existing(work, "campuses", [campus_id]):
            pairs = {campus_id: existing(work, "achievements", ids)}
            lacking = _link(work, pairs, last[0].answer)
            if lacking:
                ids |= _read_again(work, reader, campus_id, lacking)
        seen |= ids
    return seen


def _read_again(work: Work, reader: Reader, campus_id: int, lacking: Iterable[Pair]) -> set[int]:
    """Read the list of a campus once more; remove the pairs that it still lacks."""
    last: list[Page] = []
    log.info("campus %d: its list of achievements is shorter: reading it again", campus_id)
    ids = _absorb(reader, _remembering_last(_campus_pages(work, reader, campus_id), last))
    if ids:
        _unlink(work, [pair for pair in lacking if pair[1] not in ids], last[0].answer)
    else:
        log.warning("campus %d: an empty list of achievements is not believed", campus_id)
    return ids


def _remembering_last(pages: Iterable[Page], last: list[Page]) -> Iterator[Page]:
    for page in pages:
        last[:] = [page]
        yield page


def _achievements_by_catalogue(work: Work, reader: Reader, pages: Iterable[Page]) -> set[int]:
    """Read the whole catalogue; it names campuses, which only listed ones can be found by.

    A configured campus that it does not name, perhaps because it spells it otherwise, is asked for
    its own list.
    """
    named: dict[int, set[str]] = {}
    last: list[Page] = []
    seen = _absorb(reader, _noting_names(_remembering_last(pages, last), named))
    if not seen:
        return seen
    _remember_total(work, last[0])
    campuses = _campuses_by_name(work)
    pairs: dict[int, set[int]] = {number: set() for number in campuses.values()}
    for achievement_id in existing(work, "achievements", seen & named.keys()):
        for name in named[achievement_id]:
            if name in campuses:
                pairs[campuses[name]].add(achievement_id)
    unknown = {name for names in named.values() for name in names} - campuses.keys()
    if unknown:
        log.info("achievements: %d campus names belong to no listed campus", len(unknown))
    listed = {row[0] for row in work.fetch("scope/campus_names")}
    unnamed = [n for n in work.config.campus_ids if n in listed and not pairs.get(n)]
    certain = {number: ids for number, ids in pairs.items() if number not in unnamed}
    lacking = _link(work, certain, last[0].answer)
    _ask_by_id(work, lacking, {number: name for name, number in campuses.items()})
    return seen | _achievements_by_campus(work, reader, unnamed)


def _campuses_by_name(work: Work) -> dict[str, int]:
    """Return the listed campuses by name, without those that share one."""
    rows = work.fetch("scope/campus_names")
    often = Counter(name for _number, name in rows)
    return {name: number for number, name in rows if often[name] == 1}


def _noting_names(pages: Iterable[Page], named: dict[int, set[str]]) -> Iterator[Page]:
    for page in pages:
        named.update(_names(page.records))
        yield page


def _names(records: Iterable[Any]) -> dict[int, set[str]]:
    """Return the campus names of each achievement."""
    return {
        record["id"]: {name for name in record["campus"] if isinstance(name, str)}
        for record in records
        if isinstance(record, dict)
        and isinstance(record.get("id"), int)
        and isinstance(record.get("campus"), list)
    }


def _ask_by_id(work: Work, lacking: Iterable[Pair], names: Mapping[int, str]) -> None:
    """Ask again for achievements that no longer name a campus; remove pairs that are gone twice.

    Raises:
        NoWitness: no achievement came back, not even one known to be there.
    """
    doubted = sorted({achievement_id for _campus_id, achievement_id in lacking})
    for chunk in chunked(doubted, _AT_ONCE):
        known = witnesses(work, "achievements", doubted)
        params = {"filter[id]": ",".join(map(str, [*chunk, *known]))}
        named: dict[int, set[str]] = {}
        came: set[int] = set()
        for page in keyset(work.client, _CATALOGUE, params, page_size=_PAGE):
            work.log_page(page)
            named |= _names(page.records)
            came |= ids_of(page)
            answer = page.answer
        if not came:
            message = (
                f"achievements: none of {len(chunk)} ids came back (first id {chunk[0]}), nor did "
                "those known to be there; no campus loses an achievement"
            )
            raise NoWitness(message)
        gone = [
            (campus_id, number)
            for campus_id, number in lacking
            if number in chunk
            and (
                number not in came or names[campus_id] not in named.get(number, {names[campus_id]})
            )
        ]
        _unlink(work, gone, answer)


def _link(work: Work, by_campus: Mapping[int, set[int]], answer: Answer) -> set[Pair]:
    """Add the achievements of campuses; return the pairs that their lists lack."""
    pairs = [(campus, number) for campus, ids in by_campus.items() for number in ids]
    return work.commit(lambda: set_links(work, _OF_CAMPUS, sorted(by_campus), pairs, answer))


def _unlink(work: Work, pairs: Iterable[Pair], answer: Answer) -> None:
    work.commit(lambda: remove_links(work, _OF_CAMPUS, pairs, answer))


def _reread_unlisted(work: Work, reader: Reader, seen: set[int]) -> None:
    """Keep rows true that the listing does not show, because only other rows mention them."""
    resource = reader.resource
    if resource.by_id is None:
        return
    statement = compose("merge/unlisted", target=table(resource.name))
    rows = work.connection.execute(statement, {"seen": sorted(seen)}).fetchall()
    if rows:
        fetch_by_id(work, resource, [row[0] for row in rows], reader.doubts)


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
    if resource.name == "campuses":
        for campus_id in sorted(set(work.config.campus_ids) - seen):
            log.warning(
                "campus_ids names %d, which /v2/campus does not list: no students may be found",
                campus_id,
            )
