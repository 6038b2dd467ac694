"""The first load of a whole network in simulated time: interrupted, and never alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench.upstream import PER_HOUR, PER_SECOND
from dev.simulator import Simulator
from dev.stack.demo import RunFailed
from dev.stack.postgres import Postgres
from dev.stack.verify import compare
from dev.virtual.clock import VirtualClock
from dev.virtual.foreman import Foreman
from dev.virtual.records import INCREMENTAL, NIGHTLY, Run
from dev.virtual.timekeeper import Timekeeper

BEGIN = datetime(2026, 3, 2, 2, tzinfo=UTC)
WAY_BACK = (0.1, 2.0, 0.4)  # seconds: at least, at most, mostly
WORKERS = {NIGHTLY: 4, INCREMENTAL: 2}
QUARTER = timedelta(minutes=15)
_NEWS_S = 20
_RETRY_DELAY_S = 20  # as the DAGs have it
_LONGEST_AT_WORK_S = 0.03
_DATABASE = "network"
_POSTGRES = {
    "autovacuum_naptime": "1s",
    "max_wal_senders": "0",
    "shared_buffers": "512MB",
    "wal_level": "minimal",
}


class Night:
    """A network that is mirrored for the first time; a context manager.

    Args:
        students: How many students the network has.
        seed: Makes the world, its changes and the interruptions.
        interruptions: Kills a simulated hour, on the average.
        longest_s: Real seconds after which to give up.
        say: Tells how far it is.
    """

    def __init__(
        self,
        *,
        students: int,
        seed: int,
        interruptions: float,
        longest_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._random = random.Random(f"night {seed}")
        self._interruptions = interruptions
        self._longest_s = longest_s
        self._say = say
        self._stack = ExitStack()
        self._news_at = self._began = time.monotonic()
        self._clock = VirtualClock(BEGIN)
        self.sim = Simulator(
            "network",
            seed=seed,
            students=students,
            clock=self._clock,
            limit_second=PER_SECOND,
            limit_hour=PER_HOUR,
        )
        self.skipped = 0
        self.interrupted = 0
        say(f"a network of {students:,} students, of {len(self.sim.world.users):,} accounts")

    def __enter__(self) -> Night:
        with self._stack as stack:
            # Not below a folder of ours: the path of a socket must be short.
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="intra42-network-")))
            folder.chmod(0o755)
            postgres = Postgres(folder / "data", closed=True)
            stack.callback(postgres.stop, "immediate")
            postgres.start()
            _hasten(postgres)
            postgres.ensure_database(_DATABASE)
            self.database_url = postgres.public_url(_DATABASE)
            stack.enter_context(self.sim)
            self._time = stack.enter_context(
                Timekeeper(self._clock, folder, self.database_url, WAY_BACK)
            )
            api = {name: getattr(self.sim, name) for name in ("url", "client_id", "client_secret")}
            self.foreman = Foreman(self._time, api, retries=2, retry_delay_s=_RETRY_DELAY_S)
            for dag, processes in WORKERS.items():
                self.foreman.staff(dag, processes)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def first_load(self) -> Run:
        """Load everything, while quarter hours and interruptions go on."""
        run = self.foreman.start(NIGHTLY, self._clock.now())
        self._time.at(BEGIN + QUARTER, lambda: self._quarter_hour(run))
        self._let_interrupt(run)
        self._finish(run)
        return run

    def second_night(self) -> Run:
        """Let another nightly run find what changed without a trace, an hour later."""
        later = self._clock.now() + timedelta(hours=1)
        runs: list[Run] = []
        self._time.at(later, lambda: runs.append(self.foreman.start(NIGHTLY, later)))
        self._time.until(lambda: bool(runs))
        self._finish(runs[0])
        return runs[0]

    def differences(self) -> list[str]:
        """Return how the mirror differs from the simulator's truth."""
        self._say("comparing the mirror with the truth")
        with psycopg.connect(self.database_url) as connection:
            users = {row[0] for row in connection.execute("select id from intra42.users")}
            return compare(connection, self.sim.truth({}, also_users=users))

    def _finish(self, run: Run) -> None:
        self._time.until(lambda: self._over(run))
        self._time.until(lambda: not self.foreman.running(INCREMENTAL))

    def _over(self, run: Run) -> bool:
        now = time.monotonic()
        if now - self._news_at >= _NEWS_S:
            self._news_at = now
            asked = sum(sent.run is run for sent in self.foreman.sent)
            done = sum(task.state == "done" for task in run.tasks)
            hours = (self._clock.now() - run.due) / timedelta(hours=1)
            self._say(
                f"{run.id}: {hours:5.2f} simulated hours, {asked:,} requests, {done} of "
                f"{len(run.tasks)} tasks done, {self.interrupted} interruptions"
            )
        if now - self._began > self._longest_s:
            message = f"{run.id} did not end within {self._longest_s:.0f} s of real time"
            raise RunFailed(message)
        return run.end is not None

    # What happens meanwhile.

    def _quarter_hour(self, run: Run) -> None:
        if run.end is not None:
            return
        self._change_a_little()
        if self.foreman.running(INCREMENTAL):
            self.skipped += 1  # the DAG has one active run at the most
        else:
            self.foreman.start(INCREMENTAL, self._clock.now())
        self._time.at(self._clock.now() + QUARTER, lambda: self._quarter_hour(run))

    def _change_a_little(self) -> None:
        """Let people do what they do, a few of them."""
        world, choose = self.sim.world, self._random
        students = [row.id for row in world.students()]
        memberships = world.coalitions_users.ids
        for user in choose.sample(students, 20):
            world.touch_user(user, wallet=choose.randrange(1000), location=None)
        for user in choose.sample(students, 10):
            world.validate_project(user, mark=choose.choice((0, 80, 100, 125)))
        for user in choose.sample(students, 5):
            world.earn_achievement(user)
        for row in choose.sample(memberships, 10):
            world.score_silently(row, choose.randrange(5000))
        world.new_student(choose.choice(world.campuses.ids), 21)

    def _let_interrupt(self, run: Run) -> None:
        """Kill a worker of this run some time ahead, and so on until it ends."""
        if self._interruptions > 0:
            ahead = timedelta(hours=self._random.expovariate(self._interruptions))
            self._time.at(self._clock.now() + ahead, lambda: self._interrupt(run))

    def _interrupt(self, run: Run) -> None:
        if run.end is not None:
            return
        victims = self.foreman.working(NIGHTLY)
        if not victims:
            # All of them wait for the quota, without a worker; soon one of them has one again.
            soon = timedelta(seconds=self._random.uniform(1, 30))
            self._time.at(self._clock.now() + soon, lambda: self._interrupt(run))
            return
        self.interrupted += 1
        # While it waits for its turn or an answer, or with an answer in its hands.
        at_work = self._random.random() < 0.5
        after_s = self._random.uniform(0, _LONGEST_AT_WORK_S) if at_work else None
        self.foreman.kill(self._random.choice(victims), after_s)
        self._let_interrupt(run)


def _hasten(postgres: Postgres) -> None:
    """Let statistics keep pace with a time that runs so much faster, and save what nobody needs."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        for name, value in _POSTGRES.items():
            connection.execute(f"alter system set {name} = '{value}'")
    postgres.stop()
    postgres.start()
