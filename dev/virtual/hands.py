"""Processes that carry out tasks of both DAGs, as Airflow would.

`python -m dev.virtual.hands <socket> <database> <way back: at least> <at most> <mostly>` reads a
name a line and forks a process for each. What a process would sleep it asks of the timekeeper, who
owns the time; its requests and their answers take a while to travel.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import psycopg

from dev.virtual.records import NIGHTLY
from intra42.attempt.work import Identity, Work
from intra42.errors import QuotaSpent
from intra42.run.opening import open_run
from intra42.run.plan import DAGS, Does
from intra42.run.session import ApiSettings, attempt
from intra42.run.steps import take
from intra42.settings import parse_request

# Seconds. How much the way there varies is what the limiter's margin has to bear.
WAY_THERE = (0.02, 0.06)


class Wire:
    """The line to the timekeeper, and the time as he last told it."""

    def __init__(self, address: str) -> None:
        line = socket.socket(socket.AF_UNIX)
        line.connect(address)
        self._file = line.makefile("rw")
        self._now = ""

    def ask(self, **message: Any) -> dict[str, Any]:
        """Say something and wait for the answer, in which time may have passed."""
        print(json.dumps(message), file=self._file, flush=True)
        answer: dict[str, Any] = json.loads(self._file.readline() or "{}")
        self._now = answer.get("now", "")
        return answer

    def now(self) -> datetime:
        """Return the time; it stands still while anybody is awake."""
        return datetime.fromisoformat(self._now)

    def sleep(self, seconds: float, why: str, **more: Any) -> None:
        """Let time pass."""
        self.ask(sleep=seconds, why=why, **more)


class Purse:
    """A process's token, which grows old in the simulated time; the database's clock is real."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._value = ""
        self._until: datetime | None = None
        self.fetch: Callable[[], Any] = lambda: None

    def token(self) -> str:
        """Return the token, a new one when it is about to expire."""
        if self._until is None or self._wire.now() >= self._until:
            fetched = self.fetch()
            self._value = fetched.value
            self._until = self._wire.now() + timedelta(seconds=fetched.usable_s())
        return self._value

    def reject(self, token: str) -> None:
        """Forget the token if it is the one in use."""
        if token == self._value:
            self._until = None


class Hand:
    """A process that works in the timekeeper's time, one request after the other."""

    def __init__(
        self, wire: Wire, database_url: str, name: str, way_back: tuple[float, float, float]
    ) -> None:
        self._wire = wire
        self._database_url = f"{database_url}?application_name={name}"
        self._way_back = way_back
        self._random = random.Random(name)
        self._purse = Purse(wire)

    def carry_out(self, order: Mapping[str, Any]) -> Any:
        """Do one attempt of one task, as Airflow would call it."""
        step = next(step for step in DAGS[order["dag"]] if step.name == order["task"])
        if step.does is Does.OPEN:
            request = parse_request(order["config"], {})
            return open_run(self._connect, _settings(order), _identity(order), request)
        return self._attempt(
            order, step.resource, lambda work: take(step, work, order.get("chunks") or ())
        )

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._database_url)

    def _attempt(self, order: Mapping[str, Any], resource: str, step: Callable[[Work], Any]) -> Any:
        api = _settings(order)
        request = parse_request(order["config"], {})
        with attempt(
            self._connect, api, _identity(order), request, loader=NIGHTLY, resource=resource
        ) as work:
            self._prepare(work, api)
            return step(work)

    def _prepare(self, work: Work, api: ApiSettings) -> None:
        """Put the simulated time and the simulated distance into the client."""
        wire = self._wire
        client: Any = work.client
        limiter: Any = client._limiter
        limiter._now = wire.now
        limiter._sleep = lambda seconds: wire.sleep(seconds, "slot")
        client._sleep = lambda seconds: wire.sleep(seconds, "retry")
        tokens: Any = api.tokens(self._connect)
        self._purse.fetch = tokens._fetch
        client._tokens = self._purse
        transport: Any = client._transport
        exchange = transport.exchange

        def travel(method: str, path: str, **options: Any) -> Any:
            there_s = self._random.uniform(*WAY_THERE)
            wire.sleep(there_s, "way there", path=path, params=options.get("params") or {})
            reply = exchange(method, path, **options)
            back_s = self._random.triangular(*self._way_back)
            wire.sleep(back_s, "way back", status=reply.status, rows=_rows(reply.headers))
            return reply

        transport.exchange = travel


def _settings(order: Mapping[str, Any]) -> ApiSettings:
    settings = {
        "base_url": order["api"]["url"],
        "client_id": order["api"]["client_id"],
        "client_secret": order["api"]["client_secret"],
        "timeout_s": 60,
        "requests_per_second": 2,
        "requests_per_hour": 1200,
        # Time can only be owned where a task waits for one answer at a time.
        "most_in_flight": 1,
    }
    known = {field.name for field in fields(ApiSettings)}
    return ApiSettings(**{name: value for name, value in settings.items() if name in known})


def _identity(order: Mapping[str, Any]) -> Identity:
    return Identity(
        dag_id=order["dag"],
        run_id=order["run"],
        task_id=order["task"],
        map_index=order["map_index"],
        try_number=order["attempt"],
    )


def _rows(headers: Mapping[str, str]) -> int:
    """Return how many rows an honest page has."""
    size = int(headers.get("X-Per-Page", 0))
    left = int(headers.get("X-Total", 0)) - size * (int(headers.get("X-Page", 1)) - 1)
    return max(0, min(size, left))


def _live(name: str, address: str, database_url: str, *way_back: str) -> None:
    """Carry out one order after the other until there are no more."""
    wire = Wire(address)
    least, most, mostly = map(float, way_back)
    hand = Hand(wire, database_url, name, (least, most, mostly))
    order = wire.ask(name=name, pid=os.getpid())
    while order:
        try:
            outcome = {"done": hand.carry_out(order)}
        except QuotaSpent as spent:
            outcome = {"wait_s": spent.wait_s}
        except BaseException as error:  # noqa: BLE001  # the foreman judges
            outcome = {"error": f"{type(error).__name__}: {error}"}
        order = wire.ask(**outcome)


def serve() -> None:
    """Fork a process for each name."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    gc.freeze()
    for line in sys.stdin:
        if os.fork() == 0:
            _live(line.strip(), *sys.argv[1:])
            os._exit(0)


if __name__ == "__main__":
    serve()
