"""Read a ledger of each row of another table: what is new at its end, or all of it.

Rows are only added, so how many are stored says how far it was read: that is the checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from psycopg import sql

from intra42.api.ledger import Ledger
from intra42.api.page import Page, record_ids
from intra42.attempt.work import Work
from intra42.catalog.model import Resource
from intra42.store.loading import Provenance
from intra42.store.reading import Reader
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_AT_ONCE = 20  # pages that are stored together, so that no gap is left behind them


def parents(work: Work, resource: Resource, campuses: Collection[int]) -> list[int]:
    """Return the rows that have a ledger, of some campuses if any are named."""
    statement = compose("tail/parents", parents=table(str(resource.tail_of)))
    rows = work.connection.execute(statement, {"of_campuses": list(campuses) or None})
    return [row[0] for row in rows.fetchall()]


def ledger_of(work: Work, resource: Resource, parent: int) -> Ledger:
    """Return the ledger of a row."""
    names = {resource.owner_column: parent}
    return Ledger(work.client, resource.endpoint.format(**names), resource.page_size)


def stored(work: Work, resource: Resource, parent: int) -> tuple[int, int]:
    """Return how many rows of a ledger are stored, and the highest id of them, 0 if none."""
    statement = compose("tail/stored", **places(resource))
    [row] = work.connection.execute(statement, {"parent": parent}).fetchall()
    return int(row[0]), int(row[1])


def places(resource: Resource) -> dict[str, sql.Composable]:
    """Return the parts of a statement about a ledger."""
    return {"target": table(resource.name), "owner": sql.Identifier(resource.owner_column)}


def read_tail(work: Work, reader: Reader, ledger: Ledger, parent: int) -> int | None:
    """Store what a ledger has that is not stored; return how many rows the API has.

    A run that does not load leaves a ledger alone that is not nearly read: None then.
    """
    resource = reader.resource
    known, highest = stored(work, resource, parent)
    newest = ledger.newest()
    per_page, total = newest.answer.per_page, newest.answer.total
    far = total - known > _AT_ONCE * per_page
    if not work.is_loader and (far or (total and not known)):
        log.info(
            "%s: %d of %d rows are stored; %s reads the rest",
            *(ledger.path, known, total, work.loader),
        )
        return None
    again = work.is_loader and work.request.rereads(resource.name)
    if again or far:
        return _read_on(reader, ledger, 1 if again else known // per_page + 1)
    pages = [newest]
    while not pages[-1].done and _lowest(pages[-1]) > highest:
        pages.append(ledger.newest(pages[-1].number + 1))
    reader.absorb(pages, Provenance.DIRECT)
    return total


def _read_on(reader: Reader, ledger: Ledger, number: int) -> int:
    """Store a ledger from a page on; each page is a checkpoint."""
    while True:
        page = ledger.page(number)
        reader.absorb([page], Provenance.DIRECT)
        if page.done:
            return page.answer.total
        number += 1


def _lowest(page: Page) -> int:
    return min(record_ids(page.records), default=0)
