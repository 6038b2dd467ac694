"""Processes that carry out tasks of both DAGs: `python -m tests.quota.hands <socket> <database>`.

Reads a name a line and forks a process for each. What a process would sleep it asks of the
timekeeper, who owns the time; its requests and their answers take a while to travel.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from intra42.catalog import graph
from intra42.config import parse_request
from intra42.errors import QuotaSpent
from intra42.sync import refresh
from intra42.sync.audit import audit
from intra42.sync.erasure import erase
from intra42.sync.opening import open_run
from intra42.sync.primary import sync_primary
from intra42.sync.reference import sync_reference
from intra42.sync.work import Identity, Work
from tests.harness import Mirror

# Seconds. How much the way there varies is what the limiter's margin has to bear.
WAY_THERE = (0.02, 0.06)
WAY_BACK = (0.05, 0.25)


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

    def sleep(self, seconds: float, why: str) -> None:
        self.ask(sleep=seconds, why=why)


class Hand(Mirror):
    """A process that works in the timekeeper's time."""

    def __init__(self, database_url: str, wire: Wire, name: str, order: Mapping[str, Any]) -> None:
        api: Any = SimpleNamespace(**order["api"])
        super().__init__(f"{database_url}?application_name={name}", api, order["config"])
        self.api = replace(self.api, requests_per_second=2, requests_per_hour=1200)
        self._wire = wire
        self._random = random.Random(name)

    def task(
        self,
        identity: Identity,
        params: Mapping[str, Any],
        resource: str,
        step: Callable[[Work], Any],
    ) -> Any:
        def prepared(work: Work) -> Any:
            limiter: Any = work.client._limiter
            limiter._now = self._wire.now
            limiter._sleep = lambda seconds: self._wire.sleep(seconds, "slot")
            work.client._sleep = lambda seconds: self._wire.sleep(seconds, "retry")
            transport: Any = work.client._transport
            exchange = transport.exchange

            def travel(*request: Any, **options: Any) -> Any:
                self._wire.sleep(self._random.uniform(*WAY_THERE), "way there")
                reply = exchange(*request, **options)
                self._wire.sleep(self._random.uniform(*WAY_BACK), "way back")
                return reply

            transport.exchange = travel
            return step(work)

        return super().task(identity, params, resource, prepared)

    def carry_out(self, order: Mapping[str, Any]) -> Any:
        """Do one attempt of one task, as Airflow would call it."""
        group, _, name = order["task"].rpartition(".")
        identity = Identity(
            dag_id=order["dag"],
            run_id=order["run"],
            task_id=order["task"],
            map_index=order["map_index"],
            try_number=order["attempt"],
        )
        if name == "open_run":
            request = parse_request(self.config, {})
            return open_run(self.connect, self.api, identity, request)
        if group == "refresh_ongoing":
            return self.task(identity, {}, "cursus_users", _refresh(name, order["chunks"]))
        if name == "audit":
            return self.task(identity, {}, "audit", _verify)
        sync = sync_reference if group == "reference" else sync_primary
        return self.task(identity, {}, name, lambda work: sync(work, graph.get(name)))


def _verify(work: Work) -> None:
    erase(work)
    audit(work)


def _refresh(name: str, chunks: list[int]) -> Callable[[Work], Any]:
    def plan(work: Work) -> list[list[int]]:
        refresh.drain_leftovers(work)
        return refresh.plan_chunks(work)

    steps: dict[str, Callable[[Work], Any]] = {
        "plan": plan,
        "refetch": lambda work: refresh.refetch(work, chunks),
        "delete_missing": refresh.delete_missing,
    }
    return steps[name]


def _live(address: str, database_url: str, name: str) -> None:
    """Carry out one order after the other until there are no more."""
    wire = Wire(address)
    order = wire.ask(name=name, pid=os.getpid())
    while order:
        hand = Hand(database_url, wire, name, order)
        try:
            outcome = {"done": hand.carry_out(order)}
        except QuotaSpent as spent:
            outcome = {"wait_s": spent.wait_s}
        except BaseException as error:  # noqa: BLE001  # the test judges
            outcome = {"error": f"{type(error).__name__}: {error}"}
        order = wire.ask(**outcome)


def serve() -> None:
    """Fork a process for each name."""
    address, database_url = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        if os.fork() == 0:
            _live(address, database_url, line.strip())
            os._exit(0)


if __name__ == "__main__":
    serve()
