"""The pace of all requests of one application, whoever sends them.

The API allows 2 requests a second and 1,200 an hour per application, all tokens together, and
announces the numbers with every answer (X-Secondly-RateLimit-Limit, X-Hourly-RateLimit-Limit and
-Remaining). The shared state is a row in the warehouse; the arithmetic is in the function
`reserve_request` in `include/sql/functions/quota.sql`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import psycopg

from intra42.api.pace import (
    LocalLimiter,
    announced,
    log_wait,
    paused,
    spent,
    until_next_hour,
)
from intra42.api.responses import read_date, whole_number
from intra42.warehouse import statements
from intra42.warehouse.sessions import opened

__all__ = ["Limiter", "LocalLimiter", "PostgresLimiter"]

log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 2 * 3600.0
_CONNECTION_TRIES = 4
_LATE_S = 0.01


class Limiter(Protocol):
    """Who may send when; one thread at a time waits for its turn, others may report meanwhile."""

    @property
    def per_second(self) -> float:
        """Requests a second that are allowed, to all workers together."""

    def wait_turn(self) -> None:
        """Reserve a slot and sleep until it is due.

        Raises:
            QuotaSpent: the wait would be too long to sleep through; nothing is reserved.
        """

    def sending(self) -> int:
        """Count a request that is about to be sent; return its number.

        Raises:
            QuotaSpent: a pause came in the meantime, too long to sleep through.
        """

    def sent(self) -> None:
        """Note that the request this thread counted last has gone out."""

    def pause(self, seconds: float) -> None:
        """Let nobody send for so many seconds."""

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take over the limits an answer announces."""


class PostgresLimiter:
    """The limiter of all workers, on a connection of its own that is never in a transaction.

    Args:
        connect: opens a connection to the warehouse; called again when one broke.
        application: client id, the key of the shared state.
        per_second: requests per second until the API announces its own limit.
        per_hour: requests per hour until the API announces its own limit.
        bulk: leave each quarter hour to come its share of the hour.
        run_id: `sync_runs.id` of the task attempt whose requests are counted.
        max_wait_s: the longest wait slept through, seconds; longer ones raise QuotaSpent.
        sleep: sleeps so many seconds.
        now: what time it is; the database's own if None.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        application: str,
        *,
        per_second: float = 2,
        per_hour: int = 1200,
        bulk: bool = False,
        run_id: int | None = None,
        max_wait_s: float = 60,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._connect = connect
        self._application = application
        self._per_second = per_second
        self._per_hour = per_hour
        self._bulk = bulk
        self._run_id = run_id
        self._max_wait_s = max_wait_s
        self._sleep = sleep
        self._now = now
        self._connection: psycopg.Connection[Any] | None = None
        self._asking = threading.Lock()
        self._counted = threading.local()
        self._learned: tuple[int | None, int | None] = (None, None)
        # The API's clock, and ours when it was heard: news that the next request tells everybody.
        self._heard: tuple[datetime, float] | None = None

    @property
    def per_second(self) -> float:
        """Requests a second that are allowed: what the API announced, or the connection says."""
        return self._learned[0] or self._per_second

    def recall(self, connection: psycopg.Connection[Any]) -> None:
        """Take over what the API announced before, by a connection that is open anyway."""
        statement = statements.read("quota/announced")
        found = connection.execute(statement, {"application": self._application}).fetchone()
        if found is not None:
            self._learned = found[0], found[1]

    def wait_turn(self) -> None:
        """Reserve a slot and sleep until it is due.

        Raises:
            QuotaSpent: the hour is spent, or the wait longer than `max_wait_s`.
        """
        wait_s, is_spent = self._ask(
            "reserve",
            per_second=self._per_second,
            per_hour=self._per_hour,
            bulk=self._bulk,
            max_wait_s=self._max_wait_s,
            now=self._time(),
        )
        if is_spent:
            raise spent(wait_s)
        if wait_s > self._max_wait_s:
            raise paused(wait_s)
        if wait_s > 0:
            log_wait(wait_s)
            self._sleep(wait_s)

    def sending(self) -> int:
        """Count the request in the run ledger and return its number.

        Raises:
            QuotaSpent: a pause longer than `max_wait_s` came while this one waited.
        """
        while True:
            seq, pause_s, gap_s, sent_at = self._ask(
                "send",
                per_second=self._per_second,
                run_id=self._run_id,
                now=self._time(),
                api_now=self._api_now(),
            )
            if seq is not None:
                self._heard = None
                self._counted.at = sent_at, self._seconds()
                return int(seq)
            if pause_s > 0:
                # A new slot, not only a sleep: after a pause all waiters would ask at once.
                self.wait_turn()
            else:
                self._sleep(gap_s)

    def sent(self) -> None:
        """Tell everybody if the request went out late: a new connection takes a while."""
        sent_at, counted = self._counted.at
        late_s = self._seconds() - counted
        if late_s > _LATE_S:
            self._ask("sent_late", sent_at=sent_at, late_s=late_s)

    def pause(self, seconds: float) -> None:
        """Let nobody send for so many seconds; a longer pause already set stays."""
        if seconds > 0:
            self._ask("pause", seconds=min(seconds, _LONGEST_PAUSE_S), now=self._time())

    def learn(self, headers: Mapping[str, str]) -> None:
        """Share the limits an answer announces; pause to the API's full hour at 0 remaining."""
        limits = announced(headers)
        if limits != (None, None) and limits != self._learned:
            self._ask("learn", per_second=limits[0], per_hour=limits[1])
            self._learned = limits
        date = read_date(headers)
        if date is not None:
            self._heard = date, self._seconds()
        if whole_number(headers, "X-Hourly-RateLimit-Remaining") == 0:
            self.pause(until_next_hour(headers))

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _time(self) -> datetime | None:
        return self._now() if self._now else None

    def _seconds(self) -> float:
        return self._now().timestamp() if self._now else time.monotonic()

    def _api_now(self) -> datetime | None:
        if self._heard is None:
            return None
        date, then = self._heard
        return date + timedelta(seconds=self._seconds() - then)

    def _ask(self, name: str, **values: Any) -> tuple[Any, ...]:
        """Run `quota/<name>`; open the connection anew when it broke."""
        values["application"] = self._application
        for attempt in range(1, _CONNECTION_TRIES + 1):
            try:
                with self._asking:
                    cursor = self._open().execute(statements.read(f"quota/{name}"), values)
                    row = cursor.fetchone() if cursor.description else None
            except (psycopg.OperationalError, psycopg.InterfaceError):
                broken = self._connection is None or self._connection.broken
                self.close()
                if not broken or attempt == _CONNECTION_TRIES:
                    raise
                log.warning("The limiter lost its connection to the warehouse, connecting again")
                time.sleep(0.5 * 2**attempt)
            else:
                return tuple(row or ())
        raise AssertionError

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = opened(self._connect, "quota/limits")
        return self._connection
