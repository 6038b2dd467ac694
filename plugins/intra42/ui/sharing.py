"""One reading of a figure for all who look: kept for seconds, few at a time, each soon over.

A warehouse that hangs must cost neither the api-server's threads nor the patience of those who
look: they wait without a thread, and the readings have a few threads of their own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import psycopg

from intra42.errors import Unavailable

AT_ONCE = 4
KEEP_S = 10.0
PATIENCE_S = 10.0
LONGEST_S = 8.0

_SLOW = "The warehouse did not answer in time. It may be busy; try again in a minute."

Figure = dict[str, Any]
Connect = Callable[[], psycopg.Connection[Any]]


@dataclass(slots=True)
class _Reading:
    """A figure that is being read, or was read a moment ago."""

    future: Future[Figure]
    done_at: float = field(default=float("inf"))

    def serves(self, keep_s: float) -> bool:
        """Tell whether another viewer may have it: under way, or new and no error."""
        if not self.future.done():
            return True
        return self.future.exception() is None and monotonic() < self.done_at + keep_s


class Shared:
    """Figures by warehouse and name, read once for all who ask within ten seconds.

    Args:
        at_once: how many are read at the same time at most.
        keep_s: for how long a figure serves; also for how long nobody asks again after a warehouse
            out of reach.
        patience_s: for how long somebody waits for a figure at most.
    """

    def __init__(
        self, at_once: int = AT_ONCE, keep_s: float = KEEP_S, patience_s: float = PATIENCE_S
    ) -> None:
        self._keep_s = keep_s
        self._patience_s = patience_s
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="intra42-page")
        self._lock = threading.Lock()
        self._readings: dict[tuple[Hashable, Hashable], _Reading] = {}
        self._away: dict[Hashable, tuple[float, Unavailable]] = {}

    async def get(self, warehouse: Hashable, name: Hashable, read: Callable[[], Figure]) -> Figure:
        """Return the figure `name` of a warehouse, as `read` gives it or gave it a moment ago.

        Raises:
            Unavailable: it cannot be read, or not in time.
        """
        future = asyncio.wrap_future(self._reading(warehouse, name, read).future)
        try:
            # Who stops waiting must not stop the others.
            return await asyncio.wait_for(asyncio.shield(future), self._patience_s)
        except TimeoutError as error:
            raise Unavailable(_SLOW, "slow") from error

    def _reading(self, warehouse: Hashable, name: Hashable, read: Callable[[], Figure]) -> _Reading:
        with self._lock:
            found = self._readings.get((warehouse, name))
            if found is not None and found.serves(self._keep_s):
                return found
            self._forget()
            reading = _Reading(self._threads.submit(self._read, warehouse, read))
            self._readings[warehouse, name] = reading
        reading.future.add_done_callback(lambda _: setattr(reading, "done_at", monotonic()))
        return reading

    def _forget(self) -> None:
        self._readings = {
            key: reading for key, reading in self._readings.items() if reading.serves(self._keep_s)
        }
        self._away = {key: told for key, told in self._away.items() if monotonic() < told[0]}

    def _read(self, warehouse: Hashable, read: Callable[[], Figure]) -> Figure:
        until, told = self._away.get(warehouse, (0.0, None))
        if told is not None and monotonic() < until:
            raise Unavailable(str(told), told.problem)
        try:
            return read()
        except Unavailable as error:
            if error.problem == "unreachable":
                self._away[warehouse] = (monotonic() + self._keep_s, error)
            raise


@contextmanager
def cut_after(connect: Connect, seconds: float = LONGEST_S) -> Iterator[Connect]:
    """Yield `connect`, whose connections are cut when the time is over.

    The server's own time limits do not help against a server that has stopped answering.
    """
    sockets: list[socket.socket] = []

    def cut() -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def watched() -> psycopg.Connection[Any]:
        connection = connect()
        # A second name of the same socket, which stays ours when the connection closes its own.
        sockets.append(socket.socket(fileno=os.dup(connection.fileno())))
        if not timer.is_alive():
            cut()
        return connection

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield watched
    finally:
        timer.cancel()
        for each in sockets:
            each.close()
