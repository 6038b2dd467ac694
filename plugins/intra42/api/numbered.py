"""Numbered pages, for small listings without `range[id]`: swept again until they add up."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator, Mapping

from intra42.api.asked import ignored_filter
from intra42.api.client import IntraClient
from intra42.api.model import Answer
from intra42.api.page import ASKS, Listing, Page, PageSize, record_ids
from intra42.api.responses import describe
from intra42.errors import ApiTimeout, IncompleteListing

log = logging.getLogger(__name__)

_SWEEPS = 3


def numbered(
    client: IntraClient,
    path: str,
    params: Mapping[str, str],
    *,
    page_size: int = 100,
    sort: str | None = "id",
) -> Iterator[Page]:
    """Yield the pages of a small listing by page number, the very last one with `done`.

    Where a sweep's ids disagree with the API's total, or that moved, all pages come again from 1:
    merge pages as they come, and forget which ids were seen when a page 1 arrives.

    Args:
        client: whom to ask.
        path: index endpoint.
        params: filters.
        page_size: records per page, at most 100; halved for good after two timeouts in a row.
        sort: the `sort` parameter, none if None.

    Raises:
        IncompleteListing: no sweep of three agreed with its total, or a page stayed short.
        FilterIgnored: most rows of a page are not those that the filters select.
        ApiError: as in `IntraClient.get`.
    """
    reader = _Numbered(client, path, {**params, "sort": sort} if sort else params, page_size)
    sweep = 1
    while True:
        try:
            complete = yield from reader.sweep()
        except ApiTimeout as error:
            reader.halve(error)
            continue
        if complete:
            return
        if sweep == _SWEEPS:
            message = f"{reader.verdict}, {_SWEEPS} times"
            raise IncompleteListing(message)
        log.warning("%s, sweep %d of %d", reader.verdict, sweep, _SWEEPS)
        client.pause(float(sweep))
        sweep += 1


class _Numbered:
    """Reads all pages of one listing, once per `sweep`."""

    def __init__(
        self, client: IntraClient, path: str, params: Mapping[str, str], page_size: int
    ) -> None:
        self._client = client
        self._listing = Listing(path, params)
        self._size = PageSize(page_size)
        self._label = describe("GET", path, params)
        self.verdict = ""

    def sweep(self) -> Generator[Page, None, bool]:
        """Yield every page once; return whether the different ids are as many as the total."""
        seen: set[int] = set()
        totals: set[int] = set()
        nameless = number = 0
        while True:
            number += 1
            answer = self._page(number)
            ids = record_ids(answer.records)
            seen.update(ids)
            totals.add(answer.total)
            nameless += len(answer.records) - len(ids)
            found = len(seen) + nameless
            remaining = max(answer.total - number * answer.per_page, 0)
            # A row that was dropped while we read hides another and leaves the count right.
            settled = len(totals) == 1 and (remaining > 0 or not answer.more)
            complete = found == answer.total and settled
            yield Page(
                number=number,
                pages=number + math.ceil(remaining / answer.per_page),
                records=answer.records,
                answer=answer,
                after=0,
                last_id=max(ids, default=0),
                remaining=remaining,
                done=not remaining and complete,
                listing=self._listing,
            )
            if not remaining:
                announced = " or ".join(str(total) for total in sorted(totals))
                self.verdict = (
                    f"{self._label}: {found} different ids where the API announces {announced}"
                )
                return complete

    def halve(self, error: ApiTimeout) -> None:
        """Ask for smaller pages from now on; a timeout of the smallest is raised."""
        self._size.halve(error)
        log.warning("%s; beginning again with %d records a page", error, self._size.records)

    def _page(self, number: int) -> Answer:
        """Return a page whose rows agree with its own total."""
        params = {
            **self._listing.asked,
            "page[number]": str(number),
            "page[size]": str(self._size.records),
        }
        for ask in range(1, ASKS + 1):
            answer = self._client.get(self._listing.path, params, timeouts=self._size.timeouts)
            rows = len(answer.records)
            want = min(max(answer.total - (number - 1) * answer.per_page, 0), answer.per_page)
            doubt = ignored_filter(self._label, self._listing.asked, answer)
            # The page of another question may have come by mistake, once.
            if doubt and ask > 1:
                raise doubt
            if rows == want and not doubt:
                return answer
            log.warning(
                "%s, ask %d of %d",
                doubt or f"{self._label}: {rows} rows on page {number}, announced {want}",
                *(ask, ASKS),
            )
            if ask < ASKS:
                self._client.pause(float(ask))
        message = (
            f"{self._label}: {rows} rows on page {number} where the API announces {want} "
            f"({answer.total} in all), {ASKS} times"
        )
        raise IncompleteListing(message)
