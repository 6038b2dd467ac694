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
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from tests.convergence.upstream import VirtualClock

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0  # real seconds without a word from anybody who is awake


@dataclass(eq=False)
class Process:
    """One of the processes, as the timekeeper sees it."""

    name: str
    pid: int
    line: socket.socket
    awake: bool = False
    sleep: tuple[int, str] = (0, "")  # its number and its reason


class Listener(Protocol):
    """Who gives the processes work."""

    def free(self, process: Process, message: dict[str, Any]) -> None:
        """Hear that a process has nothing to do, and how its last order ended."""

    def asleep(self, process: Process, why: str) -> None:
        """Hear that a process has begun to sleep."""

    def woken(self, process: Process, why: str) -> None:
        """Hear that the sleep of a process is over."""

    def gone(self, process: Process) -> None:
        """Hear that a process is dead."""


@dataclass(frozen=True, order=True)
class _Alarm:
    moment: datetime
    number: int
    action: Callable[[], None] = field(compare=False)


class Timekeeper:
    """Owns `clock`; a context manager that ends all its processes."""

    listener: Listener

    def __init__(self, clock: VirtualClock, folder: Path, database_url: str) -> None:
        self.clock = clock
        self._alarms: list[_Alarm] = []
        self._numbers = itertools.count(1)
        self._unborn = 0
        self._processes: list[Process] = []
        self._unread: dict[socket.socket, bytes] = {}
        self._address = str(folder / "time")
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self._address)
        self._server.listen()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        paths = os.pathsep.join([str(_ROOT), str(_ROOT / "plugins")])
        self._mother = subprocess.Popen(
            [sys.executable, "-m", "tests.quota.hands", self._address, database_url],
            stdin=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
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
        process.awake = True  # until it is known to be dead

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
        awake = [process.name for process in self._processes if process.awake]
        assert ready, f"time stands still: nobody of {awake} has said a word for a minute"
        for key, _ in ready:
            if key.data is None and key.fileobj is self._server:
                line, _ = self._server.accept()
                self._unread[line] = b""
                self._selector.register(line, selectors.EVENT_READ)
            else:
                assert isinstance(key.fileobj, socket.socket)
                self._read(key.fileobj)

    def _read(self, line: socket.socket) -> None:
        try:
            news = line.recv(1 << 16)
        except ConnectionResetError:
            news = b""
        process = next((one for one in self._processes if one.line is line), None)
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
                self._processes.append(process)
                self._unborn -= 1
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
        self.listener.asleep(process, message["why"])

    def _wake(self, process: Process, number: int) -> None:
        if process.sleep[0] != number or process not in self._processes:
            return
        process.awake = True
        self.listener.woken(process, process.sleep[1])
        self._tell(process, {})

    def _tell(self, process: Process, message: dict[str, Any]) -> None:
        text = json.dumps({"now": self.clock.now().isoformat(), **message})
        process.line.sendall(text.encode() + b"\n")
