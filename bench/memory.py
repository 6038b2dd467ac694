"""The largest resident set of each task process that LocalExecutor forks."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_EVERY_S = 0.2
_MIB = 2**20


class TaskMemory:
    """Watches the grandchildren of the scheduler: its children are the executor's workers.

    On Linux the kernel keeps each process's high-water mark, so a peak between two looks is seen;
    elsewhere the largest value seen counts.
    """

    def __init__(self, scheduler: int) -> None:
        self._scheduler = psutil.Process(scheduler)
        self._peaks: dict[tuple[int, float], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peaks_mb(self) -> list[float]:
        """The peaks of all task processes seen, MiB, ascending."""
        return sorted(self._peaks.values())

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            parents = _parents()
            for pid, parent in parents.items():
                if parents.get(parent) == self._scheduler.pid:
                    self._look(pid)

    def _look(self, pid: int) -> None:
        with contextlib.suppress(psutil.Error, OSError):
            task = psutil.Process(pid)
            key = task.pid, task.create_time()
            # A process that has ended and was not yet waited for has no memory any more.
            if seen := high_water_mb(task):
                self._peaks[key] = max(self._peaks.get(key, 0.0), seen)


def _parents() -> dict[int, int]:
    """Return the parent of every process, in one pass."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found[process.pid] = process.ppid()
    return found


def high_water_mb(process: psutil.Process) -> float:
    """Return the largest resident set of `process` so far (now, where the kernel keeps no mark)."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(process.memory_info().rss) / _MIB
