"""Pages of a ledger: a listing that takes no range, and only grows at its end."""

from __future__ import annotations

import itertools
import logging
import math

from intra42.api.client import IntraClient
from intra42.api.model import Answer
from intra42.api.page import ASKS, Listing, Page, record_ids
from intra42.api.responses import describe
from intra42.errors import DataError, IncompleteListing, NotAscending

log = logging.getLogger(__name__)


class Ledger:
    """One ledger, by page numbers: from its end, or from its beginning, where pages stay the same.

    Args:
        client: whom to ask.
        path: index endpoint that sorts by id, and ignores ranges and filters.
        page_size: records per page, at most 100.
    """

    def __init__(self, client: IntraClient, path: str, page_size: int = 100) -> None:
        self.path = path
        self._client = client
        self._size = page_size

    def newest(self, number: int = 1) -> Page:
        """Return a page of the latest rows, the latest one first.

        Raises:
            IncompleteListing: rows and totals disagree, even after asking again.
            NotAscending: the page is not in the order of ids.
            ApiError: as in `IntraClient.get`.
        """
        return self._page(number, "-id")

    def page(self, number: int) -> Page:
        """Return a page, counted from the first row on; raises as `newest`."""
        return self._page(number, "id")

    def _page(self, number: int, sort: str) -> Page:
        listing = Listing(self.path, {"sort": sort})
        params = {**listing.asked, "page[number]": str(number), "page[size]": str(self._size)}
        label = describe("GET", self.path, params)
        for ask in range(1, ASKS + 1):
            answer = self._client.get(self.path, params)
            doubt = _doubt(answer, label, number, descending=sort == "-id")
            if doubt is None:
                break
            if ask == ASKS:
                raise doubt
            log.warning("%s, ask %d of %d", doubt, ask, ASKS)
            self._client.pause(float(ask))
        remaining = max(answer.total - number * answer.per_page, 0)
        return Page(
            number=number,
            pages=number + math.ceil(remaining / answer.per_page),
            records=answer.records,
            answer=answer,
            after=0,
            last_id=max(record_ids(answer.records), default=0),
            remaining=remaining,
            done=not remaining,
            listing=listing,
        )


def _doubt(answer: Answer, label: str, number: int, *, descending: bool) -> DataError | None:
    """Return why a page cannot be believed, None if it can."""
    ids = record_ids(answer.records)
    for one, following in itertools.pairwise(reversed(ids) if descending else ids):
        if following <= one:
            return NotAscending(f"{label}: ids {one} and {following} are not in order")
    want = min(answer.per_page, max(answer.total - (number - 1) * answer.per_page, 0))
    if len(answer.records) == want:
        return None
    return IncompleteListing(
        f"{label}: {len(answer.records)} rows, where the API announces {want} "
        f"({answer.total} in all)"
    )
