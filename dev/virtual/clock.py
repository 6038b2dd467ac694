"""A simulated time that stands still until somebody moves it."""

from __future__ import annotations

from datetime import datetime

from dev.simulator.clock import DEFAULT_START, Clock


class VirtualClock(Clock):
    """A clock that only moves when it is told to, and by which the API counts its seconds."""

    def __init__(self, start: datetime = DEFAULT_START) -> None:
        super().__init__(start)
        self.running = True

    def _elapsed(self) -> int:
        return 0

    def forward_to(self, moment: datetime) -> None:
        """Move to `moment` unless it is past."""
        with self._lock:
            ahead = round((moment.timestamp() - self._base / 1000) * 1000)
            self._base += max(0, ahead)
