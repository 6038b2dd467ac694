"""What the log says of pages: whose they are, and of a long listing a line for ten of them."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from intra42.api.pagination import Listing, Page

log = logging.getLogger(__name__)

_EACH = 10  # pages of a listing that have a line each; of a longer one as many share a line


@dataclass(slots=True)
class _Untold:
    """A listing under way, and the sum of its pages since its last line."""

    name: str
    number: int = 0
    of: int = 0
    pages: int = 0
    records: int = 0
    size: int = 0
    elapsed_ms: int = 0

    def add(self, page: Page) -> None:
        self.number, self.of = page.number, max(page.pages, page.number)
        self.pages += 1
        self.records += len(page.records)
        self.size += page.answer.size if page.records else 0
        self.elapsed_ms += page.answer.elapsed_ms

    def tell(self) -> None:
        log.info(
            "Page %d/%d: %d records, %d KB, %d ms (%s%s)",
            self.number,
            self.of,
            self.records,
            max(1, round(self.size / 1024)) if self.records else 0,
            self.elapsed_ms,
            self.name,
            f", {self.pages} pages" if self.pages > 1 else "",
        )
        self.pages = self.records = self.size = self.elapsed_ms = 0


class PageLog:
    """The page lines of one task attempt.

    Several listings may be under way at once. Each is named after its endpoint; a further one of
    the same endpoint also has a number.
    """

    def __init__(self) -> None:
        self._untold: dict[Listing, _Untold] = {}
        self._named: Counter[str] = Counter()

    def add(self, page: Page) -> None:
        """Tell of one page, at once or together with the next ones."""
        listing = page.listing
        begins = listing not in self._untold
        if begins:
            self._untold[listing] = _Untold(self._name(listing))
        untold = self._untold[listing]
        untold.add(page)
        if begins or _has_a_line(page):
            untold.tell()
        if page.done:
            del self._untold[listing]

    def end(self) -> None:
        """Tell of the pages of listings that were not read to their end."""
        for untold in self._untold.values():
            if untold.pages:
                untold.tell()
        self._untold.clear()

    def _name(self, listing: Listing) -> str:
        name = listing.name
        self._named[name] += 1
        return f"{name}_{self._named[name]}" if self._named[name] > 1 else name


def _has_a_line(page: Page) -> bool:
    return page.number in (1, page.pages) or page.pages <= _EACH or not page.number % _EACH
