"""Who owns the time of several processes: it moves when all of them sleep."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from dev.stack.settings import ROOT
from dev.virtual.clock import VirtualClock

_PATIENCE_S = 180.0  # real seconds without a word from anybody who is awake
_WAY_BACK = (0.05, 0.25, 0.15)


@dataclass(eq=False)
class Process:
    """One of the processes, as the timekeeper sees it."""

    name: str
    pid: int
    line: socket.socket
    awake: bool = False
    killed: bool = False
    sleep: tuple[int, str] = (0, "")  # its number and its reason


class Listener(Protocol):
    """Who gives the processes work."""

    def free(self, process: Process, message: dict[str, Any]) -> None:
        """Hear that a process has nothing to do, and how its last order ended."""

    def asleep(self, process: Process, message: dict[str, Any]) -> None:
        """Hear that a process has begun to sleep, `why`, and what else it says."""

    def woken(self, process: Process, why: str) -> float | None:
        """Hear that the sleep of a process is over; return after how many seconds to kill it."""

    def gone(self, process: Process) -> None:
        """Hear that a process is dead."""


@dataclass(frozen=True, order=True)
class _Alarm:
    moment: datetime
    number: int
    action: Callable[[], None] = field(compare=False)


class Timekeeper:
    """Owns `clock`; a context manager that ends all its processes.

    Args:
        clock: The time of all of them.
        folder: Where to put a socket; its path must be short.
        database_url: The warehouse.
        way_back: How long an answer travels, in seconds: at least, at most, mostly.
    """

    listener: Listener

    def __init__(
        self,
        clock: VirtualClock,
        folder: Path,
        database_url: str,
        way_back: tuple[float, float, float] = _WAY_BACK,
    ) -> None:
        self.clock = clock
        self._alarms: list[_Alarm] = []
        self._numbers = itertools.count(1)
        self._unborn = 0
        self._processes: list[Process] = []
        self._of_line: dict[socket.socket, Process] = {}
        self._unread: dict[socket.socket, bytes] = {}
        address = str(folder / "time")
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(address)
        self._server.listen()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
        command = [sys.executable, "-m", "dev.virtual.hands", address, database_url]
        self._mother = subprocess.Popen(
            [*command, *map(str, way_back)],
            stdin=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def __enter__(self) -> Timekeeper:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        with self._mother:
            self._mother.kill()
        self._selector.close()
        self._server.close()
        for line in self._unread:
            line.close()

    def hire(self, name: str) -> None:
        """Let a process be born; time waits for it."""
        self._unborn += 1
        print(name, file=self._mother.stdin, flush=True)

    def give(self, process: Process, **order: Any) -> None:
        """Give work to a process that is free."""
        process.awake = True
        self._tell(process, order)

    def kill(self, process: Process) -> None:
        """Kill a process; the listener hears of it when the line is dead."""
        os.kill(process.pid, signal.SIGKILL)
        process.killed = process.awake = True  # until it is known to be dead

    def at(self, moment: datetime, action: Callable[[], None]) -> None:
        """Do something at a moment to come."""
        heapq.heappush(self._alarms, _Alarm(moment, next(self._numbers), action))

    def until(self, over: Callable[[], bool]) -> None:
        """Let time pass."""
        while not over():
            if self._unborn or any(process.awake for process in self._processes):
                self._listen()
            else:
                alarm = heapq.heappop(self._alarms)
                self.clock.forward_to(alarm.moment)
                alarm.action()

    def _listen(self) -> None:
        ready = self._selector.select(_PATIENCE_S)
        if not ready:
            awake = [process.name for process in self._processes if process.awake]
            message = (
                f"time stands still: nobody of {awake} has said a word for {_PATIENCE_S:.0f} s"
            )
            raise AssertionError(message)
        for key, _ in ready:
            if key.fileobj is self._server:
                line, _ = self._server.accept()
                self._unread[line] = b""
                self._selector.register(line, selectors.EVENT_READ)
            elif isinstance(key.fileobj, socket.socket):
                self._read(key.fileobj)

    def _read(self, line: socket.socket) -> None:
        try:
            news = line.recv(1 << 16)
        except ConnectionResetError:
            news = b""
        process = self._of_line.get(line)
        if not news:
            self._selector.unregister(line)
            if process:
                self._processes.remove(process)
                self.listener.gone(process)
            return
        *messages, self._unread[line] = (self._unread[line] + news).split(b"\n")
        for text in messages:
            message = json.loads(text)
            if process is None:
                process = Process(message["name"], message["pid"], line)
                self._of_line[line] = process
                self._processes.append(process)
                self._unborn -= 1
            if not process.killed:
                self._hear(process, message)

    def _hear(self, process: Process, message: dict[str, Any]) -> None:
        process.awake = False
        number = next(self._numbers)
        if "sleep" not in message:
            process.sleep = (number, "")
            self.listener.free(process, message)
            return
        process.sleep = (number, message["why"])
        moment = self.clock.now() + timedelta(seconds=message["sleep"])
        self.at(moment, lambda: self._wake(process, number))
        self.listener.asleep(process, message)

    def _wake(self, process: Process, number: int) -> None:
        if process.sleep[0] != number or process.killed:
            return
        process.awake = True
        doom_s = self.listener.woken(process, process.sleep[1])
        self._tell(process, {})
        if doom_s is not None:
            time.sleep(doom_s)
            self.kill(process)

    def _tell(self, process: Process, message: dict[str, Any]) -> None:
        text = json.dumps({"now": self.clock.now().isoformat(), **message})
        process.line.sendall(text.encode() + b"\n")
