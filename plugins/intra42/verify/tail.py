"""Find which rows of a ledger differ where its count does, and heal that.

Pages from the beginning on stay the same while nothing before them goes or comes. So the first page
that is another one than ours is found by halving, and that page says what is missing or left over.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from intra42.api.ledger import Ledger
from intra42.api.page import Page, record_ids
from intra42.attempt.work import Work
from intra42.errors import IncompleteListing, NoWitness
from intra42.read.tail import places, stored
from intra42.store.loading import Provenance
from intra42.store.reading import Reader
from intra42.verify import absence
from intra42.warehouse.statements import compose

log = logging.getLogger(__name__)

_ROUNDS = 30  # pages with a difference, in one night


def reconcile(work: Work, reader: Reader, ledger: Ledger, parent: int, total: int) -> None:
    """Make the mirror's rows of a ledger as many as the API's `total`.

    Raises:
        IncompleteListing: the counts differ, and no page says why.
        DeleteRefused: more rows are gone than the guard allows; not one is deleted.
        NoWitness: a ledger without any row proves nothing.
    """
    for _round in range(_ROUNDS):
        ours, _highest = stored(work, reader.resource, parent)
        if ours + _parked(work, reader, parent) == total:
            return
        log.info("%s: %d rows, where the API has %d: looking closer", ledger.path, ours, total)
        page = _first_that_differs(work, reader, ledger, parent, max(ours, total))
        before = _written(work)
        extra = _heal(work, reader, ledger, parent, page)
        total = page.answer.total
        if extra and not work.config.delete_missing:
            return
        if _written(work) == before:
            message = (
                f"{ledger.path}: {ours} rows are stored where the API announces {total}, and no "
                f"page up to {page.number} says which"
            )
            raise IncompleteListing(message)
    log.warning("%s: more differences than one night heals; the next one goes on", ledger.path)


def _written(work: Work) -> tuple[int, int, int]:
    return work.counts.inserted, work.counts.deleted, work.counts.parked


def _parked(work: Work, reader: Reader, parent: int) -> int:
    """Return how many records of a ledger could not be stored."""
    resource = reader.resource
    about = {"resource": resource.name, "owner": resource.owner_column, "parent": str(parent)}
    return int(work.fetch("tail/parked", **about)[0][0])


def _first_that_differs(work: Work, reader: Reader, ledger: Ledger, parent: int, rows: int) -> Page:
    """Return the first page that is another one than ours, or the last one that has rows."""
    page = ledger.page(1)
    per_page = page.answer.per_page
    low, high = 1, math.ceil(rows / per_page)
    while low < high:
        middle = (low + high) // 2
        page = ledger.page(middle)
        if (
            page.records
            and record_ids(page.records) == _ours(work, reader, parent, page)[:per_page]
        ):
            low = middle + 1
        else:
            high = middle
    page = page if page.number == low else ledger.page(low)
    return page if page.records or low == 1 else ledger.page(low - 1)


def _ours(work: Work, reader: Reader, parent: int, page: Page) -> list[int]:
    """Return the ids that we have in place of a page, and of the one after it."""
    per_page = page.answer.per_page
    statement = compose("tail/ids_at", **places(reader.resource))
    values = {"parent": parent, "skipped": (page.number - 1) * per_page, "limit": 2 * per_page}
    return [row[0] for row in work.connection.execute(statement, values).fetchall()]


def _heal(work: Work, reader: Reader, ledger: Ledger, parent: int, page: Page) -> set[int]:
    """Store a page; delete what we have up to its end that a second look lacks as well.

    Returns what both lacked.
    """
    ours = _ours(work, reader, parent, page)
    reader.absorb([page], Provenance.DIRECT)
    extra = _beside(ours, page)
    if not extra:
        return extra
    again = ledger.page(page.number)
    reader.absorb([again], Provenance.DIRECT)
    extra &= _beside(ours, again)
    if not (page.records and again.records):
        message = f"{ledger.path}: not one row came, which proves nothing; nothing is deleted"
        raise NoWitness(message)
    asked, _highest = stored(work, reader.resource, parent)
    gone = dict.fromkeys(extra, again.answer)
    absence.delete(work, reader.resource, gone, asked, dict.fromkeys(extra, page.answer.seq))
    return extra


def _beside(ours: Sequence[int], page: Page) -> set[int]:
    """Return which of our ids, up to the end of a page, it does not show."""
    shown = record_ids(page.records)
    return {n for n in ours if page.done or n <= max(shown, default=0)} - {*shown}
