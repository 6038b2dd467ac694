"""A believed page of a listing, and which ids can be paged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from intra42.api.model import Answer
from intra42.errors import ApiTimeout

LAST_ID = 2**31 - 1
ASKS = 4
_SMALLEST = 10


@dataclass(frozen=True, eq=False, slots=True)
class Listing:
    """One reading of an endpoint from its first page to its last.

    Attributes:
        path: of the endpoint.
        asked: the filters and ranges.
    """

    path: str
    asked: Mapping[str, str]

    @property
    def name(self) -> str:
        """The endpoint in one word, such as `cursus_21_users`."""
        return self.path.removeprefix("/v2/").replace("/", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One believed page.

    Attributes:
        number: of the page, from 1.
        pages: estimated number of pages of the listing.
        records: what the page holds; without the overlap where it was read again with one.
        answer: the answer it came with.
        after: the id it was asked after.
        last_id: the largest usable id in it, `after` if there is none.
        remaining: rows still to come after it.
        done: whether it is the last.
        listing: what it is a page of.
    """

    number: int
    pages: int
    records: list[Any]
    answer: Answer
    after: int
    last_id: int
    remaining: int
    done: bool
    listing: Listing


class PageSize:
    """How many records to ask for: half as many after two timeouts in a row, and at each later one.

    Attributes:
        records: per page.
        timeouts: how many to wait for before the page is halved; None where it cannot be.
    """

    def __init__(self, records: int) -> None:
        self.records = records
        self.timeouts = 2 if records > _SMALLEST else None

    def halve(self, error: ApiTimeout) -> None:
        """Ask for smaller pages from now on; a timeout of the smallest is raised."""
        if self.timeouts is None:
            raise error
        self.records = max(self.records // 2, _SMALLEST)
        self.timeouts = 1 if self.records > _SMALLEST else None


def record_id(record: Any) -> int | None:
    """Return the id of a record if it has one that can be paged by."""
    value = record.get("id") if isinstance(record, dict) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LAST_ID:
        return value
    return None


def record_ids(records: Iterable[Any]) -> list[int]:
    """Return the ids that can be paged by, in the order of the records."""
    return [number for number in map(record_id, records) if number is not None]
