"""Connections to the warehouse that can be reused, cut, and killed at any exchange with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import psycopg


class Killed(BaseException):
    """The process ends here: nothing it holds may say another word to the database."""


class Trigger:
    """What happens at the n-th exchange with the database, counted over all lines of a process."""

    def __init__(self, after: int, action: Callable[[Lines], None], *, answered: bool) -> None:
        self._left = after
        self._action = action
        self._answered = answered
        self.fired = False

    def pull(self, lines: Lines, *, answered: bool) -> None:
        """Count an exchange; `answered` tells whether the server has already done its part."""
        if self.fired or answered != self._answered:
            return
        self._left -= 1
        if self._left < 0:
            self.fired = True
            self._action(lines)


class Line(psycopg.Connection[Any]):
    """A connection that goes back to its pool when it is closed, and obeys a trigger."""

    owner: Lines | None = None

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        owner = self.owner
        if owner is None or owner.trigger is None:
            return super().wait(*args, **kwargs)
        owner.trigger.pull(owner, answered=False)
        result = super().wait(*args, **kwargs)
        owner.trigger.pull(owner, answered=True)
        return result

    def close(self) -> None:
        owner, self.owner = self.owner, None
        if owner is None or not owner.take_back(self):
            super().close()


class Lines:
    """The connections of one process; `Pool` keeps them warm between processes and histories."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._open: list[Line] = []
        self.trigger: Trigger | None = None

    def connect(self) -> psycopg.Connection[Any]:
        line = self._pool.get()
        line.owner = self
        self._open.append(line)
        return line

    def take_back(self, line: Line) -> bool:
        self._open.remove(line)
        return self._pool.put(line)

    def drop(self) -> None:
        """Hang up on all lines, as the end of a process does."""
        for line in self._open:
            line.owner = None
            line.pgconn.finish()
        self._open.clear()

    def kill(self) -> None:
        """Be killed now."""
        self.drop()
        raise Killed

    def cut(self) -> None:
        """Let the server end all sessions of this process, as its restart does."""
        pids = [line.info.backend_pid for line in self._open if not line.closed]
        self._pool.terminate(pids)


class Pool:
    """Idle connections to one database."""

    _RESET: ClassVar[str] = "select pg_advisory_unlock_all(); reset all"

    def __init__(self, url: str) -> None:
        self.url = url
        self._idle: list[Line] = []
        self._lock = threading.Lock()

    def get(self) -> Line:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Line.connect(self.url)

    def put(self, line: Line) -> bool:
        """Take a line back unless it is broken; it then has to be closed."""
        try:
            line.rollback()
            line.autocommit = True
            line.execute(self._RESET)
            line.autocommit = False
        except psycopg.Error:
            return False
        line.row_factory = psycopg.rows.tuple_row
        with self._lock:
            self._idle.append(line)
        return True

    def terminate(self, pids: list[int]) -> None:
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(p, 1000) from unnest(%s::int[]) as p", [pids]
            )

    def forget(self) -> None:
        """Let go of connections that a restart of the server has broken."""
        with self._lock:
            self._idle.clear()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()
