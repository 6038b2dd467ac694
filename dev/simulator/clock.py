"""The simulated API's clock, and its times: integers of milliseconds since 1970, UTC."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

DEFAULT_START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Moment = datetime | str | int


def to_ms(value: Moment | None) -> int | None:
    """Turn a datetime, an ISO text or milliseconds into milliseconds; naive times are UTC."""
    if value is None or isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Not timestamp(): a float loses milliseconds in the far future.
    return (moment - EPOCH) // timedelta(milliseconds=1)


def to_datetime(ms: int | None) -> datetime | None:
    """Turn milliseconds into an aware UTC datetime."""
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


@lru_cache(maxsize=65_536)
def _date(day: int) -> str:
    return (EPOCH + timedelta(days=day)).date().isoformat()


@lru_cache(maxsize=65_536)
def iso(ms: int | None) -> str | None:
    """Write milliseconds as the API does: `2025-01-01T00:00:00.000Z`."""
    if ms is None:
        return None
    day, rest = divmod(ms, DAY)
    seconds, milli = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_date(day)}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"


class Clock:
    """A clock that stands still until it is moved, or runs along with real time."""

    def __init__(self, start: datetime | None = None, *, running: bool = False) -> None:
        self._lock = threading.Lock()
        self._base = to_ms(start or DEFAULT_START) or 0
        self._started = time.monotonic()
        self.running = running

    def now_ms(self) -> int:
        """Return the virtual time in milliseconds."""
        with self._lock:
            return self._base + self._elapsed()

    def now(self) -> datetime:
        """Return the virtual time as an aware UTC datetime."""
        return EPOCH + timedelta(milliseconds=self.now_ms())

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0) -> None:
        """Move the clock by a time span; a negative one moves it back."""
        with self._lock:
            self._base += round((seconds + 60 * minutes + 3600 * hours) * SECOND)

    def set(self, moment: datetime) -> None:
        """Set the clock to `moment`."""
        with self._lock:
            self._base = (to_ms(moment) or 0) - self._elapsed()

    def _elapsed(self) -> int:
        return round((time.monotonic() - self._started) * SECOND) if self.running else 0
