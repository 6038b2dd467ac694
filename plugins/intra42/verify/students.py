"""Find students who should be mirrored and are not: their listing against the mirror, id by id.

As many listed as mirrored proves nothing: an account that is hidden from the listing makes up for
somebody who is missing. So the listing itself is read: of a campus all of it each night, of the
network a share each night, which goes on where the last one stopped. Who is mirrored and not listed
is no matter here: each night reads every mirrored account by its id.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from intra42.api.pagination import LAST_ID, Page, keyset, record_id
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.store.loading import Provenance, existing
from intra42.store.reading import Reader, ids_of
from intra42.verify.draw import rotated

log = logging.getLogger(__name__)


def find_missing_students(work: Work, budget: int) -> None:
    """Read the listings of students while fewer than `budget` requests are used; admit who is new.

    They take turns, page by page. The counts of their first pages only say with which to begin.
    """
    waiting = deque(
        _Listing(work, cursus_id)
        for cursus_id in rotated(work, work.config.all_cursus_ids, "listings")
    )
    begun: list[_Listing] = []
    while waiting and work.client.usage.requests < budget:
        listing = waiting.popleft()
        if listing.read():
            begun.append(listing)
    if work.fetch("audit/just_listed"):
        # This run has just read them whole: only who came meanwhile can be missing.
        begun = [listing for listing in begun if listing.missing > 0]
    waiting = deque(sorted(begun, key=lambda listing: -listing.missing))
    while waiting and work.client.usage.requests < budget:
        listing = waiting.popleft()
        if listing.read():
            waiting.append(listing)


class _Listing:
    """The students of one cursus as the API lists them, read from where the last night stopped."""

    def __init__(self, work: Work, cursus_id: int) -> None:
        resource = graph.people()
        self._work = work
        self._cursus_id = cursus_id
        self._campuses = sorted(work.config.campus_ids) or None
        self._reader = Reader(work, resource)
        self._path = resource.endpoint.format(cursus_id=cursus_id)
        self._params = {"filter[kind]": "student", "filter[alumni?]": "false"}
        self._name = self._path
        if self._campuses:
            listed = ",".join(map(str, self._campuses))
            self._params[str(resource.campus_filter)] = listed
            self._name = f"{self._path}?{resource.campus_filter}={listed}"
        [(begin,)] = work.fetch("audit/position", listing=self._name) or [(0,)]
        # From there to the end, then from the beginning to there.
        self._spans = [(begin, LAST_ID), (0, begin)] if begin else [(0, LAST_ID)]
        self._pages = self._next_pages()
        self.missing = 0

    def _next_pages(self) -> Iterator[Page]:
        after, highest = self._spans.pop(0)
        return keyset(self._work.client, self._path, self._params, after=after, highest=highest)

    def read(self) -> bool:
        """Read a page and admit who is not mirrored; tell whether more of the listing is left."""
        page = next(self._pages)
        if page.number == 1:
            self._compare(page)
        self._take(page)
        if page.done and self._spans:
            self._pages = self._next_pages()
            return True
        return not page.done

    def _compare(self, page: Page) -> None:
        """Learn whether the rest of the listing has more students than the mirror."""
        known = self._work.fetch(
            "audit/expected_students",
            campuses=self._campuses,
            cursus_id=self._cursus_id,
            after=page.after,
        )[0][0]
        self.missing = page.answer.total - known
        if self.missing > 0:
            log.info(
                "%d students in cursus %d, %d of them mirrored or parked",
                *(page.answer.total, self._cursus_id, known),
            )

    def _take(self, page: Page) -> None:
        """Store who is neither mirrored nor parked, and the position after the page."""
        work = self._work
        work.log_page(page)
        shown = ids_of(page)
        known = existing(work, graph.people().name, shown)
        parked = work.fetch("parked/users", ids=list(map(str, shown - known)))
        missing = shown - known - {row[0] for row in parked}
        records = [record for record in page.records if record_id(record) in missing]
        at_end = page.done and not self._spans

        def checkpoint() -> None:
            work.counts.records += len(page.records) - len(records)
            work.execute(
                "audit/move_position",
                listing=self._name,
                after=0 if at_end else page.last_id,
                moved_at=page.answer.date,
            )

        self._reader.take([replace(page, records=records)], Provenance.LISTING, checkpoint)
