"""A believed page of a listing, and which ids can be paged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intra42.api.model import Answer

LAST_ID = 2**31 - 1
MIN_PAGE_SIZE = 10
ASKS = 4
TIMEOUTS = 2  # in a row, until smaller pages are asked for


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
    """

    number: int
    pages: int
    records: list[Any]
    answer: Answer
    after: int
    last_id: int
    remaining: int
    done: bool


def record_id(record: Any) -> int | None:
    """Return the id of a record if it has one that can be paged by."""
    value = record.get("id") if isinstance(record, dict) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LAST_ID:
        return value
    return None
