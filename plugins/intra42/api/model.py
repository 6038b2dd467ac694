"""What the API layer hands to the rest: believed answers and a client's own counters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One believed answer of an index endpoint.

    Attributes:
        records: the decoded JSON list; whether an element is a usable record is the consumer's
            to judge.
        total: X-Total, items that match the request from its first page on.
        per_page: X-Per-Page, items the server puts into a page.
        more: whether the Link header names a next page.
        date: the Date header, aware UTC, whole seconds.
        sent_at: `date` less the seconds the answer took, rounded up: the API read its data then
            or later, by its own clock.
        seq: drawn right before sending; a request sent later has a larger number.
        elapsed_ms: from sending to the last byte.
        size: bytes of the decoded body.
    """

    records: list[Any]
    total: int
    per_page: int
    more: bool
    date: datetime
    sent_at: datetime
    seq: int
    elapsed_ms: int
    size: int


@dataclass(slots=True)
class Usage:
    """What one client has used so far; `bytes` are decoded, `waited_s` includes the limiter."""

    requests: int = 0
    retries_429: int = 0
    bytes: int = 0
    waited_s: float = 0.0
