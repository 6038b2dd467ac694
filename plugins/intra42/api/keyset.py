"""Keyset pages: ask for what comes after the last id, so nothing that moves shifts the rest.

`range[id]` is taken as inclusive at both ends and X-Total counts the items of the range asked for,
so it is what remains. `projects_users` ignores `sort` and is ascending anyway (measured by public
clients): the order of every page is checked.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator, Mapping

from intra42.api.asked import ignored_filter
from intra42.api.client import IntraClient
from intra42.api.model import Answer
from intra42.api.page import ASKS, LAST_ID, Listing, Page, PageSize, record_id, record_ids
from intra42.api.responses import describe
from intra42.errors import (
    ApiTimeout,
    DataError,
    FilterIgnored,
    IncompleteListing,
    NotAscending,
    RangeIgnored,
)

log = logging.getLogger(__name__)

_WITNESSES = 5


def keyset(
    client: IntraClient,
    path: str,
    params: Mapping[str, str],
    *,
    after: int = 0,
    page_size: int = 100,
    sortable: bool = True,
    number: int = 1,
    highest: int = LAST_ID,
    expected: int | None = None,
    doubt_empty: bool = False,
) -> Iterator[Page]:
    """Yield the pages of a listing in ascending id order, the last one with `done`.

    Args:
        client: whom to ask.
        path: index endpoint that supports `range[id]`.
        params: filters and other ranges.
        after: read ids larger than this one; the `last_id` of the page before, on resuming.
        page_size: records per page, at most 100; halved for good after two timeouts in a row.
        sortable: False where the endpoint ignores `sort` and is ascending anyway.
        number: of the first page, larger than 1 on resuming.
        highest: read ids up to this one.
        expected: how many rows are known to be there; by default one on resuming, else none.
        doubt_empty: rows are so likely that a first answer without any is asked for once more.

    Raises:
        IncompleteListing: rows and totals disagree, even after asking again.
        RangeIgnored: the endpoint sends ids we did not ask for.
        FilterIgnored: most rows of a page are not those that the filters select.
        NotAscending: a page is not in ascending id order.
        ApiError: as in `IntraClient.get`.
    """
    reader = _Keyset(client, path, params, page_size, sortable, highest)
    # A listing is only resumed where rows were left.
    resumed = number > 1 and expected is None
    expected = int(resumed) if expected is None else expected
    while True:
        page = reader.page(after, number, expected, resumed=resumed, doubt_empty=doubt_empty)
        yield page
        if page.done:
            return
        after, number, expected = page.last_id, number + 1, page.remaining
        resumed = doubt_empty = False


class _Keyset:
    """Reads single keyset pages until they can be believed."""

    def __init__(
        self,
        client: IntraClient,
        path: str,
        params: Mapping[str, str],
        page_size: int,
        sortable: bool,
        highest: int,
    ) -> None:
        self._highest = highest
        self._client = client
        self._listing = Listing(path, {**params, "sort": "id"} if sortable else dict(params))
        self._size = PageSize(page_size)
        self._witnesses: list[int] = []
        self._label = describe("GET", path, params)

    def page(
        self, after: int, number: int, expected: int, *, resumed: bool, doubt_empty: bool
    ) -> Page:
        """Return the page of ids larger than `after`, of which `expected` rows are known."""
        answer = self._consistent(after + 1)
        if doubt_empty and not answer.total:
            log.warning("%s: no rows, which would be odd; asking once more", self._label)
            self._client.pause(1.0)
            answer = self._consistent(after + 1)
        records = answer.records
        if answer.total < expected:
            answer = self._witnessed(after, answer, expected, resumed=resumed)
            records = [
                record for record in answer.records if (record_id(record) or LAST_ID) > after
            ]
        ids = record_ids(records)
        last_id = max(ids, default=after)
        # So few that a page read again with them still has room for other rows.
        self._witnesses = ids[-max(1, min(_WITNESSES, answer.per_page // 2)) :]
        remaining = answer.total - len(answer.records)
        # A total that is too small would hide the rows after a full page.
        done = not remaining and not (answer.more and records)
        if not done and last_id == after:
            message = f"{self._label}: no usable id in a page after id {after}"
            raise IncompleteListing(message)
        return Page(
            number=number,
            pages=number + math.ceil(remaining / answer.per_page),
            records=records,
            answer=answer,
            after=after,
            last_id=last_id,
            remaining=remaining,
            done=done,
            listing=self._listing,
        )

    def _witnessed(self, after: int, first: Answer, expected: int, *, resumed: bool) -> Answer:
        """Read again with the rows before: fewer than expected are believed beside a known one.

        Several are asked for, because one may have gone too. Where we only resume and the last row
        we stored is gone, four empty answers are believed.
        """
        empty = first.total == 0
        known = self._witnesses or [after]
        for ask in range(1, ASKS):
            log.warning(
                "%s: %d rows after id %d where %d were expected, reading again from id %d on",
                *(self._label, first.total, after, expected, known[0]),
            )
            answer = self._consistent(known[0])
            if not set(known).isdisjoint(record_ids(answer.records)):
                return answer
            empty = empty and answer.total == 0
            self._client.pause(float(ask))
        if resumed and empty:
            return first
        message = (
            f"{self._label}: {first.total} rows after id {after} where {expected} were expected, "
            f"and of the {len(known)} ids before not one came back in {ASKS - 1} more answers"
        )
        raise IncompleteListing(message)

    def _consistent(self, lowest: int) -> Answer:
        """Return a page that agrees with its own total and with the question, or raise."""
        for ask in range(1, ASKS + 1):
            answer = self._ask(lowest)
            doubt = self._doubt(answer, lowest)
            if doubt is None:
                return answer
            # The page of another question may have come by mistake, once.
            if isinstance(doubt, FilterIgnored) and ask > 1:
                break
            log.warning("%s, ask %d of %d", doubt, ask, ASKS)
            if ask < ASKS:
                self._client.pause(float(ask))
        assert doubt is not None  # noqa: S101  # or we had returned
        raise doubt

    def _ask(self, lowest: int) -> Answer:
        """Ask once; a second timeout in a row halves the page size for good, down to 10."""
        while True:
            params = {
                **self._listing.asked,
                "range[id]": f"{lowest},{self._highest}",
                "page[size]": str(self._size.records),
            }
            try:
                return self._client.get(self._listing.path, params, timeouts=self._size.timeouts)
            except ApiTimeout as error:
                self._size.halve(error)
                log.warning("%s; asking for %d records a page now", error, self._size.records)

    def _doubt(self, answer: Answer, lowest: int) -> DataError | None:
        """Return why a page from id `lowest` on cannot be believed, None if it can."""
        ids = record_ids(answer.records)
        for one, next_one in itertools.pairwise(ids):
            if next_one < one:
                message = (
                    f"{self._label}: id {next_one} comes after id {one} in one page; "
                    "keyset pagination needs ascending ids"
                )
                return NotAscending(message)
        if ids and ids[0] < lowest:
            message = (
                f"{self._label}: id {ids[0]} came where ids from {lowest} on were asked; "
                "the endpoint ignores range[id]"
            )
            return RangeIgnored(message)
        ignored = ignored_filter(self._label, self._listing.asked, answer)
        if ignored:
            return ignored
        # A row that comes twice hides another one.
        rows = len(answer.records) - (len(ids) - len(set(ids)))
        want = min(answer.per_page, answer.total)
        if rows == want == len(answer.records):
            return None
        message = (
            f"{self._label}: {rows} different rows from id {lowest} on, the API announces {want} "
            f"({answer.total} in all)"
        )
        return IncompleteListing(message)
