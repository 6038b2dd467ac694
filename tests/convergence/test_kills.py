"""Real ends: processes killed with signal 9, and a database server that is shot down."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from dev.stack.postgres import Postgres
from tests.convergence.conftest import prepare
from tests.convergence.lines import Pool
from tests.convergence.story import Story, Trouble
from tests.convergence.worker import Worker
from tests.harness import INCREMENTAL, NIGHTLY
from tests.selection import DEEP
from tests.servers import own_server

TIMES = 100 if DEEP else 6
CHANGES = ("validate", "enter", "unregister", "recreate_attempt", "silent_level", "transfer")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that may be shot."""
    with own_server() as server:
        yield server


class Chaos:
    """Runs in other processes that end before their time, at moments drawn from a seed."""

    def __init__(self, story: Story, worker: Worker) -> None:
        self._story = story
        self._worker = worker
        self._rng = random.Random(42)
        self._number = 0
        self._takes = 1.0

    def run(self, end: Callable[[int], None] | None) -> str:
        """Let a DAG run after a few events; `end` gets the process in the middle of it."""
        story, rng = self._story, self._rng
        for kind in rng.sample(CHANGES, 3):
            story.event(kind, rng.randrange(50), rng.randrange(50))
        story.wait(rng.choice((20, 200)))
        self._number += 1
        with story.checks.around([Trouble(kind="kill")]) as seen:
            began = time.monotonic()
            process = self._worker.order(
                database_url=f"{story.pool.url}?application_name=worker",
                api={
                    "url": story.sim.url,
                    "client_id": story.sim.client_id,
                    "client_secret": story.sim.client_secret,
                },
                config=dict(story.config),
                dag=NIGHTLY if self._number % 2 else INCREMENTAL,
                run_id=f"worker{self._number}",
            )
            if end:
                time.sleep(self._takes * rng.random())
                end(process)
            outcome = self._worker.ended()
            if not end:
                self._takes = time.monotonic() - began
            self._let_go()
        story.checks.after_runs(seen)
        return outcome

    def _let_go(self) -> None:
        """Wait until the server has noticed that the process is gone: locks are free soon."""
        text = "select count(*) from pg_stat_activity where application_name = 'worker'"
        deadline = time.monotonic() + 5
        while self._story.reader().query(text) != [(0,)]:
            assert time.monotonic() < deadline, "a killed process still holds its locks"
            time.sleep(0.02)


def test_processes_killed_at_any_moment_cost_nothing(story, worker):
    chaos = Chaos(story, worker)
    assert chaos.run(None) == "ok"
    ends = [chaos.run(lambda process: os.kill(process, signal.SIGKILL)) for _ in range(TIMES)]
    assert "killed" in ends
    assert set(ends) <= {"killed", "ok"}
    story.two_nights()


def test_a_database_server_shot_in_the_middle_of_a_run_costs_nothing(server, worker):
    server.ensure_database("shot")
    pool = Pool(server.url("shot"))
    with psycopg.connect(pool.url, autocommit=True) as connection:
        prepare(connection)
        # The tests' servers are faster than that, and forget the latest commits when shot.
        connection.execute("alter database shot set synchronous_commit = on")
    story = Story(pool, {"campus_ids": [1], "nightly_audit_requests": 500})
    chaos = Chaos(story, worker)

    def shoot(_process: int) -> None:
        server.stop("immediate")
        server.start()
        pool.forget()

    try:
        assert chaos.run(None) == "ok"
        ends = {chaos.run(shoot) for _ in range(TIMES // 2)}
        assert ends <= {"OperationalError", "ok"}
        story.two_nights()
    finally:
        story.close()
        pool.close()
