"""Several series of pages under way at once, so that slow answers do not slow the pace.

The API answers in 0.3 to 3 seconds and allows 2 requests a second: one request after the other
would use only a part of that. Threads ask; the task's own thread stores what came, and what came
meanwhile is stored together.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType

from intra42.api.client import IntraClient
from intra42.api.page import LAST_ID, Page, record_ids
from intra42.errors import QuotaSpent

_WORTH_SPLITTING = 6  # pages
_MOST_BYTES = 8 * 1024 * 1024  # of answers under way, so that a task takes little memory
_UNLIMITED = 100  # requests a second: twice the pages that a task can store, so no quota binds
_MOST_UNLIMITED = 8  # requests under way then
_ENOUGH = 0.8  # of the allowed rate, which one request after the other then reaches by itself


class Series:
    """Pages that follow from each other: the next one is asked for when the one before has come.

    Attributes:
        pages: a generator of pages, which is run by one thread at a time.
    """

    def __init__(self, pages: Iterator[Page]) -> None:
        self.pages = pages

    def arrived(self, page: Page, spare: int) -> bool:
        """Look at a page before it is stored; return whether to ask for the next one.

        `spare` is how many more requests could be under way, if there were a series for them.
        """
        del spare
        return not page.done

    def checkpoint(self, page: Page) -> None:
        """Write down the position after `page`, in the transaction that stores its rows."""

    def stored(self, page: Page) -> None:
        """Called when `page` and its checkpoint are committed."""

    def failed(self, error: Exception) -> None:
        """Called where no further page comes; all of them end with this error."""


def middle_of_rest(page: Page, highest: int = LAST_ID, known: int = 0) -> int | None:
    """Return an id that halves what a series up to `highest` has left; None if it is too little.

    Each half ends with a page that is not full, so only a long rest is worth it. Where nobody knows
    how far the ids go, they are expected to be as dense as on `page`, and not to go beyond `known`,
    the highest one that was seen before: what changed lately is mostly new, so that ids lie ever
    denser, and an empty half would cost two requests.
    """
    if page.remaining < _WORTH_SPLITTING * page.answer.per_page:
        return None
    if highest < LAST_ID:
        left = highest - page.last_id
    else:
        ids = record_ids(page.records)
        left = (page.last_id - min(ids)) * page.remaining // max(1, len(ids) - 1) if ids else 0
        if known > page.last_id:
            # At least as far as there are rows left, whatever was seen before.
            left = min(left, max(known - page.last_id, page.remaining))
    middle = page.last_id + left // 2
    return middle if page.last_id < middle < highest else None


class Concurrent:
    """Keeps so many requests under way as the allowed rate needs, and no more.

    A context manager; iterate it for what arrives, a list of (series, page) at a time, each series'
    pages in their order. While the consumer stores one list, the next pages are already asked for.

    Args:
        client: whom all series ask.
        more: returns a further series when there is room for one, None if there is none for now.

    Raises:
        QuotaSpent: after everything that was answered has been handed out.
        Intra42Error: the first one a series met; as above.
    """

    def __init__(self, client: IntraClient, more: Callable[[], Series | None]) -> None:
        self._client = client
        self._more = more
        self._air: dict[Future[Page], Series] = {}
        self._ready: deque[Series] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self._store_s = 0.0
        self._page_bytes = 1
        self._error: Exception | None = None

    def __enter__(self) -> Concurrent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[list[tuple[Series, Page]]]:
        while True:
            self._take_off()
            if not self._air:
                break
            landed = self._land()
            if self._width() > 1:
                self._take_off(kept=len(landed))
            for number, (series, page) in enumerate(landed):
                spare = self._width() - len(self._air) - len(self._ready) - (len(landed) - number)
                if series.arrived(page, spare if self._client.has_room else 0):
                    self._ready.append(series)
            if self._width() > 1:
                self._take_off()
            if landed:
                began = time.monotonic()
                yield landed
                took_s = (time.monotonic() - began) / len(landed)
                # Sometimes storing waits for parents that have to be asked for: slow to rise.
                self._store_s = min(took_s, 1.1 * self._store_s or took_s)
        if self._error is not None:
            raise self._error

    @property
    def under_way(self) -> int:
        """How many requests have been asked for and not been answered."""
        return len(self._air)

    def _width(self) -> int:
        """Return how many requests to keep under way: rate times the time a page takes, as it is.

        Faster than pages can be stored is no use. Where no quota binds, requests wait for each
        other at the server: it seems the slower, the more are under way, and each takes memory.
        Some are worth it even so: pages that arrive together are stored in one transaction.
        """
        most = self._client.most_in_flight
        rate = self._client.per_second
        if rate > _UNLIMITED:
            most = min(most, _MOST_UNLIMITED)
        if most == 1:
            return 1
        if self._store_s:
            rate = min(rate, 1 / self._store_s)
        needed = rate * (self._client.latency_s + self._store_s)
        if needed < _ENOUGH:
            return 1
        affordable = max(1, _MOST_BYTES // self._page_bytes)
        return min(math.ceil(needed) + 1, most, affordable)

    def _take_off(self, kept: int = 0) -> None:
        """Ask for as many pages as there is room for, less those `kept` for what just landed."""
        width = self._width()
        while self._error is None and len(self._air) + kept < width:
            series = self._ready.popleft() if self._ready else self._more()
            if series is None:
                return
            self._air[self._ask(series) if width > 1 else _asked(series)] = series

    def _ask(self, series: Series) -> Future[Page]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(
                self._client.most_in_flight, thread_name_prefix="intra42"
            )
        return self._threads.submit(next, series.pages)

    def _land(self) -> list[tuple[Series, Page]]:
        """Return what has come since; after an error all that is still under way."""
        landed: list[tuple[Series, Page]] = []
        while not landed and self._air:
            arrived, _ = wait(self._air, return_when=FIRST_COMPLETED)
            for future in arrived:
                series = self._air.pop(future)
                error = future.exception()
                if error is None:
                    page = future.result()
                    self._page_bytes = max(page.answer.size, self._page_bytes // 2)
                    landed.append((series, page))
                elif not isinstance(error, Exception):
                    raise error
                elif self._error is None or isinstance(self._error, QuotaSpent):
                    self._error = error
                    series.failed(error)
        return landed


def _asked(series: Series) -> Future[Page]:
    """Ask in this thread: where one request at a time is enough, there is no other."""
    future: Future[Page] = Future()
    try:
        future.set_result(next(series.pages))
    except Exception as error:  # noqa: BLE001  # raised again when all that has come is stored
        future.set_exception(error)
    return future
