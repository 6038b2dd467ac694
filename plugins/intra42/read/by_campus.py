"""Read a table from the lists of campuses or from a whole catalogue, whichever costs less.

A campus's list says which rows it has. The catalogue's records name their campuses instead.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql

from intra42.api.model import Answer
from intra42.api.page import Page
from intra42.api.pagination import keyset, numbered
from intra42.attempt.work import Work, chunked
from intra42.catalog.model import Link
from intra42.errors import NotFound, NoWitness
from intra42.store.lists import Pair, remove_links, set_links
from intra42.store.loading import existing
from intra42.store.reading import Reader, ids_of
from intra42.store.witnesses import WITNESSES, witnesses
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_AT_ONCE = 100 - WITNESSES
_PAGE = 100


def read_by_campus_or_whole(work: Work, reader: Reader) -> set[int]:
    """Read rows by campus or from the catalogue, whichever costs fewer requests.

    The mirror knows how many each campus has, and how long the catalogue was. Where it does not,
    two first pages tell: the catalogue's and one campus's, of which one is part of either reading.
    They are only asked if more than one request may be saved. That is never so for one campus: the
    catalogue has all of its rows, and takes as many pages at least.
    """
    campuses = work.config.campus_ids
    catalogue = numbered(work.client, str(reader.resource.by_id), {}, page_size=_PAGE)
    if not campuses:
        return _whole(work, reader, catalogue)
    known = _count(work, reader, campuses)
    rows, stubs, linked = known.rows, known.stubs, known.linked
    others = _pages(rows - linked, least=0)  # asked for by id, if by campus
    hidden = _pages(stubs, least=0)  # asked for by id in any case
    counts = known.by_campus
    by_campus = sum(_pages(counts.get(number, 0)) for number in campuses) + others
    remembered = work.fetch("jobs/listing_total", path=str(reader.resource.by_id))
    if remembered:
        if _pages(remembered[0][0]) + hidden < by_campus:
            return _whole(work, reader, catalogue)
        return _by_campus(work, reader, campuses)
    if by_campus - (_pages(rows - stubs) + hidden) <= 1:
        return _by_campus(work, reader, campuses)
    first = next(catalogue)
    if not first.answer.total:
        return _by_campus(work, reader, campuses)
    _remember_total(work, first)
    by_catalogue = _pages(first.answer.total) + hidden
    begun: dict[int, Iterator[Page]] = {}
    unknown = [number for number in campuses if number not in counts]
    if unknown and by_campus < by_catalogue:
        counts |= _expected(work, reader, first, unknown, begun)
        by_campus = sum(_pages(counts[number]) for number in campuses) + others
    log.info(
        "%s: %d requests from the catalogue, about %d by campus",
        *(reader.resource.name, by_catalogue, by_campus),
    )
    if by_catalogue <= by_campus:
        return _whole(work, reader, itertools.chain([first], catalogue))
    return _by_campus(work, reader, campuses, begun)


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
    """Return about how many rows each of `campuses` has.

    The first page of the catalogue names each some times. It has the oldest rows, so what a
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
                path=page.listing.path,
                total=page.answer.total,
                seen_at=page.answer.date,
            )
        )


def _campus_pages(work: Work, reader: Reader, campus_id: int) -> Iterator[Page]:
    path = reader.resource.endpoint.format(campus_id=campus_id)
    return numbered(work.client, path, {}, page_size=_PAGE)


def _by_campus(
    work: Work,
    reader: Reader,
    campuses: Iterable[int],
    begun: Mapping[int, Iterator[Page]] | None = None,
) -> set[int]:
    """Read the list of each campus; `begun` has lists of which a page was asked for already."""
    name = reader.resource.name
    seen: set[int] = set()
    for campus_id in campuses:
        last: list[Page] = []
        try:
            pages = (begun or {}).get(campus_id) or _campus_pages(work, reader, campus_id)
            ids = reader.absorb_listing(_remembering_last(pages, last))
        except NotFound:
            log.warning("campus %d is not listed by the API: no %s for it", campus_id, name)
            continue
        if not ids:
            log.warning("campus %d: an empty list of %s is not believed", campus_id, name)
        elif existing(work, _names_of(reader).other_table, [campus_id]):
            pairs = {campus_id: existing(work, name, ids)}
            lacking = _link(work, reader, pairs, last[0].answer)
            if lacking:
                ids |= _read_again(work, reader, campus_id, lacking)
        seen |= ids
    return seen


def _read_again(work: Work, reader: Reader, campus_id: int, lacking: Iterable[Pair]) -> set[int]:
    """Read the list of a campus once more; remove the pairs that it still lacks."""
    last: list[Page] = []
    name = reader.resource.name
    log.info("campus %d: its list of %s is shorter: reading it again", campus_id, name)
    ids = reader.absorb_listing(_remembering_last(_campus_pages(work, reader, campus_id), last))
    if ids:
        _unlink(work, reader, [pair for pair in lacking if pair[1] not in ids], last[0].answer)
    else:
        log.warning("campus %d: an empty list of %s is not believed", campus_id, name)
    return ids


def _remembering_last(pages: Iterable[Page], last: list[Page]) -> Iterator[Page]:
    for page in pages:
        last[:] = [page]
        yield page


def _whole(work: Work, reader: Reader, pages: Iterable[Page]) -> set[int]:
    """Read the whole catalogue; it names campuses, which only listed ones can be found by.

    A configured campus that it does not name, perhaps because it spells it otherwise, is asked for
    its own list.
    """
    named: dict[int, set[str]] = {}
    last: list[Page] = []
    seen = reader.absorb_listing(_noting_names(_remembering_last(pages, last), named))
    if not seen:
        return seen
    _remember_total(work, last[0])
    campuses = _campuses_by_name(work)
    pairs: dict[int, set[int]] = {number: set() for number in campuses.values()}
    for row_id in existing(work, reader.resource.name, seen & named.keys()):
        for name in named[row_id]:
            if name in campuses:
                pairs[campuses[name]].add(row_id)
    unknown = {name for names in named.values() for name in names} - campuses.keys()
    if unknown:
        log.info(
            "%s: %d campus names belong to no listed campus", reader.resource.name, len(unknown)
        )
    listed = {row[0] for row in work.fetch("scope/campus_names")}
    unnamed = [n for n in work.config.campus_ids if n in listed and not pairs.get(n)]
    certain = {number: ids for number, ids in pairs.items() if number not in unnamed}
    lacking = _link(work, reader, certain, last[0].answer)
    _ask_by_id(work, reader, lacking, {number: name for name, number in campuses.items()})
    return seen | _by_campus(work, reader, unnamed)


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
    """Return the campus names of each record."""
    return {
        record["id"]: {name for name in record["campus"] if isinstance(name, str)}
        for record in records
        if isinstance(record, dict)
        and isinstance(record.get("id"), int)
        and isinstance(record.get("campus"), list)
    }


def _ask_by_id(
    work: Work, reader: Reader, lacking: Iterable[Pair], names: Mapping[int, str]
) -> None:
    """Ask again for rows that no longer name a campus; remove pairs that are gone twice.

    Raises:
        NoWitness: no row came back, not even one known to be there.
    """
    name = reader.resource.name
    doubted = sorted({row_id for _campus_id, row_id in lacking})
    for chunk in chunked(doubted, _AT_ONCE):
        known = witnesses(work, name, doubted)
        params = {"filter[id]": ",".join(map(str, [*chunk, *known]))}
        named: dict[int, set[str]] = {}
        came: set[int] = set()
        for page in keyset(work.client, str(reader.resource.by_id), params, page_size=_PAGE):
            work.log_page(page)
            named |= _names(page.records)
            came |= ids_of(page)
            answer = page.answer
        if not came:
            message = (
                f"{name}: none of {len(chunk)} ids came back (first id {chunk[0]}), nor did "
                f"those known to be there; no campus loses any of its {name}"
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
        _unlink(work, reader, gone, answer)


def _names_of(reader: Reader) -> Link:
    """Return the list in which a record of the catalogue names its campuses."""
    return next(link for link in reader.resource.links if not link.in_record)


def _of_campus(reader: Reader) -> Link:
    """Return the same pairs as the list of a campus has them."""
    link = _names_of(reader)
    return replace(link, own=link.other, other=link.own, other_table=reader.resource.name)


@dataclass(frozen=True, slots=True)
class _Known:
    """How many rows the mirror has: all, those never given by the API, those of some campuses."""

    rows: int
    stubs: int
    linked: int
    by_campus: dict[int, float]


def _count(work: Work, reader: Reader, campuses: Sequence[int]) -> _Known:
    link = _names_of(reader)
    parts = {
        "target": table(reader.resource.name),
        "pairs": table(link.table),
        "own": sql.Identifier(link.own),
        "other": sql.Identifier(link.other),
    }
    values = {"others": list(campuses)}
    [[rows, stubs, linked]] = work.connection.execute(
        compose("links/counts", **parts), values
    ).fetchall()
    found = work.connection.execute(compose("links/counts_of", **parts), values).fetchall()
    return _Known(rows, stubs, linked, dict(found))


def _link(
    work: Work, reader: Reader, by_campus: Mapping[int, set[int]], answer: Answer
) -> set[Pair]:
    """Add the rows of campuses; return the pairs that their lists lack."""
    link = _of_campus(reader)
    pairs = [(campus, number) for campus, ids in by_campus.items() for number in ids]
    return work.commit(lambda: set_links(work, link, sorted(by_campus), pairs, answer))


def _unlink(work: Work, reader: Reader, pairs: Iterable[Pair], answer: Answer) -> None:
    work.commit(lambda: remove_links(work, _of_campus(reader), pairs, answer))
