"""Who may ask, and how often: tokens and the two rate windows."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from dataclasses import dataclass

from dev.simulator.clock import HOUR, SECOND, Clock

TOKEN_LIFE_S = 7200


@dataclass
class Token:
    """An access token of the application."""

    text: str
    created_at: int
    scope: str

    def remaining_s(self, now_ms: int) -> int:
        """Return the seconds left to live at `now_ms`, never below zero."""
        return max(0, TOKEN_LIFE_S - (now_ms - self.created_at) // SECOND)


class Tokens:
    """The tokens of one application; a valid one is handed out again with the rest of its life."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._current: Token | None = None
        self._gone: dict[str, str] = {}

    def issue(self, scope: str = "public") -> Token:
        """Return the valid token, or a new one."""
        now = self._clock.now_ms()
        with self._lock:
            token = self._current
            if token is None or token.scope != scope or not token.remaining_s(now):
                number = next(self._numbers)
                text = hashlib.sha256(f"{self._seed}/{number}".encode()).hexdigest()
                if token is not None:
                    self._gone[token.text] = "The access token expired"
                self._current = token = Token(text, now, scope)
            return token

    def refusal(self, text: str | None) -> str | None:
        """Return why `text` is not accepted, or None when it is."""
        with self._lock:
            token = self._current
            if token is None or token.text != text:
                return self._gone.get(text or "", "The access token is invalid")
            if not token.remaining_s(self._clock.now_ms()):
                return "The access token expired"
            return None

    def find(self, text: str | None) -> Token | None:
        """Return the token if it is the current one."""
        return self._current if self._current and self._current.text == text else None

    def revoke(self) -> None:
        """Make every token given out so far invalid."""
        with self._lock:
            if self._current is not None:
                self._gone[self._current.text] = "The access token was revoked"
            self._current = None


@dataclass
class Verdict:
    """What the rate limiter says about one request."""

    refused: str | None
    retry_after: int
    headers: dict[str, str]


class RateLimits:
    """A fixed second and a fixed clock hour for all tokens together.

    A frozen clock would put a whole run into one second, so seconds are then real ones. Refused
    requests use up the hour: nobody knows better, and it is the harsher guess.
    """

    def __init__(self, clock: Clock, per_second: int, per_hour: int) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.per_second = per_second
        self.per_hour = per_hour
        self._second = (0, 0)
        self._hour = (0, 0)

    def used_this_hour(self) -> int:
        """Return how many requests the current hour has seen."""
        hour = self._clock.now_ms() // HOUR
        return self._hour[1] if self._hour[0] == hour else 0

    def take(self) -> Verdict:
        """Count one request."""
        now = self._clock.now_ms()
        second = now // SECOND if self._clock.running else int(time.time())
        hour = now // HOUR
        with self._lock:
            in_second = 1 + (self._second[1] if self._second[0] == second else 0)
            in_hour = 1 + (self._hour[1] if self._hour[0] == hour else 0)
            self._second, self._hour = (second, in_second), (hour, in_hour)
        headers = {
            "X-Hourly-RateLimit-Limit": str(self.per_hour),
            "X-Hourly-RateLimit-Remaining": str(max(0, self.per_hour - in_hour)),
            "X-Secondly-RateLimit-Limit": str(self.per_second),
            "X-Secondly-RateLimit-Remaining": str(max(0, self.per_second - in_second)),
        }
        if in_hour > self.per_hour:
            return Verdict("hour", self.until_next_hour(), headers)
        if in_second > self.per_second:
            return Verdict("second", 1, headers)
        return Verdict(None, 0, headers)

    def until_next_hour(self) -> int:
        """Return the seconds left of the clock hour, rounded up."""
        left = HOUR - self._clock.now_ms() % HOUR
        return -(-left // SECOND)
