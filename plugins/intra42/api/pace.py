"""What all limiters share, and the one that needs no database."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta

from intra42.api.responses import read_date, whole_number
from intra42.errors import QuotaSpent

log = logging.getLogger(__name__)

_LONG_WAIT_S = 5.0


def until_next_hour(headers: Mapping[str, str]) -> float:
    """Return the seconds from an answer's Date to the next full hour, with a second to spare."""
    date = read_date(headers)
    if date is None:
        return 60.0
    hour = date.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return (hour - date).total_seconds() + 1.0


def announced(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return the limits per second and per hour; None where an answer does not say."""
    per_second = whole_number(headers, "X-Secondly-RateLimit-Limit")
    per_hour = whole_number(headers, "X-Hourly-RateLimit-Limit")
    return per_second or None, min(per_hour, 2**31 - 1) if per_hour else None


def spent(wait_s: float) -> QuotaSpent:
    """Return the error for an hour that has no requests left."""
    return QuotaSpent(f"the hour's requests are used up: {wait_s:.0f} s to wait", wait_s)


def paused(wait_s: float) -> QuotaSpent:
    """Return the error for a pause too long to sleep through."""
    return QuotaSpent(f"the API asked for a pause: {wait_s:.0f} s to wait", wait_s)


def log_wait(wait_s: float) -> None:
    """Say that a long wait begins."""
    if wait_s > _LONG_WAIT_S:
        log.info("Waiting %.0f s: the API's limits leave no earlier turn", wait_s)


class LocalLimiter:
    """The limiter of a single process without a database: "Test connection", scripts."""

    def __init__(
        self,
        *,
        per_second: float = 2,
        per_hour: int = 1200,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.per_second = per_second
        self._per_hour = per_hour
        self._sleep = sleep
        self._next = 0.0
        self._seq = 0
        self._sent: deque[float] = deque()

    def wait_turn(self) -> None:
        """Sleep until the next slot.

        Raises:
            QuotaSpent: the hour is spent, or a pause is longer than a minute.
        """
        now = time.monotonic()
        while self._sent and self._sent[0] < now - 3600:
            self._sent.popleft()
        if len(self._sent) >= self._per_hour:
            raise spent(self._sent[0] + 3600 - now)
        wait_s = max(self._next - now, 0.0)
        if wait_s > 60:
            raise paused(wait_s)
        self._next = max(self._next, now) + 1.05 / self.per_second
        self._sent.append(now + wait_s)
        if wait_s > 0:
            log_wait(wait_s)
            self._sleep(wait_s)

    def sending(self) -> int:
        """Return the number of the request."""
        self._seq += 1
        return self._seq

    def sent(self) -> None:
        """Take no notice: whoever needs no database sends one request after the other."""

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds."""
        self._next = max(self._next, time.monotonic() + seconds)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take over the limits an answer announces."""
        per_second, per_hour = announced(headers)
        self.per_second = per_second or self.per_second
        self._per_hour = per_hour or self._per_hour
        if whole_number(headers, "X-Hourly-RateLimit-Remaining") == 0:
            self.pause(until_next_hour(headers))
