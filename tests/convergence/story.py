"""One history: a school, its mirror, and the runs of both DAGs with whatever befalls them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import psycopg

from dev.simulator import Simulator
from dev.simulator.messages import Request
from dev.virtual.clock import VirtualClock
from intra42.attempt.work import Identity, Work
from intra42.errors import DeleteRefused, Intra42Error, NoWitness, QuotaSpent
from tests.convergence.checks import Checks
from tests.convergence.lines import Killed, Lines, Pool, Trigger
from tests.convergence.upstream import Upstream, school
from tests.harness import INCREMENTAL, NIGHTLY, Mirror

_MOST_WAITS = 60  # for the hour's requests, in one task


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What befalls a run.

    kind: `none`; `event`: something happens upstream at the n-th request, and at the next ones;
        `fault`: an answer that is not one; `kill`: the process dies at the n-th exchange with the
        database; `cut`: the database ends all its sessions there.
    """

    kind: str = "none"
    at: int = 0
    name: str = ""
    a: int = 0
    b: int = 0
    times: int = 1
    answered: bool = False

    @property
    def is_clean(self) -> bool:
        """Tell whether the run has no excuse to fail."""
        return self.kind in {"none", "event"}


QUIET = Trouble()


class Player(Mirror):
    """One worker: its own connections, its own idea of the time, pauses that cost none."""

    def __init__(self, pool: Pool, sim: Simulator, config: Mapping[str, Any], skew: float) -> None:
        super().__init__(pool.url, sim, config)
        self.api = replace(
            self.api,
            requests_per_second=sim.limits.per_second,
            requests_per_hour=sim.limits.per_hour,
        )
        self.lines = Lines(pool)
        self._skew = timedelta(seconds=skew)
        self._asked: datetime | None = None

    def connect(self) -> psycopg.Connection[Any]:
        return self.lines.connect()

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(text, values or None).fetchall()

    def task(
        self,
        identity: Identity,
        params: Mapping[str, Any],
        resource: str,
        step: Callable[[Work], Any],
    ) -> Any:
        def prepared(work: Work) -> Any:
            limiter: Any = work.client._limiter
            limiter._now, limiter._sleep = self._now, self._sleep_until
            work.client._sleep = lambda seconds: self.sim.clock.advance(seconds)
            return step(work)

        for _ in range(_MOST_WAITS):
            try:
                return super().task(identity, params, resource, prepared)
            except QuotaSpent as spent:
                # What the operator does: the task waits without a worker and goes on after.
                self.sim.clock.advance(spent.wait_s)
        raise AssertionError(f"{identity.task_id} waited {_MOST_WAITS} times for the quota")

    def _now(self) -> datetime:
        self._asked = self.sim.clock.now() + self._skew
        return self._asked

    def _sleep_until(self, seconds: float) -> None:
        assert self._asked is not None
        clock = self.sim.clock
        assert isinstance(clock, VirtualClock)
        clock.forward_to(self._asked - self._skew + timedelta(seconds=seconds))


@dataclass(kw_only=True)
class Outcome:
    """How a run ended."""

    run_id: str
    error: BaseException | None = None
    killed: bool = False

    @property
    def green(self) -> bool:
        return self.error is None


@dataclass
class Story:
    """A history that is told step by step; every step checks what must hold after it."""

    pool: Pool
    config: Mapping[str, Any]
    skew: float = 0
    per_second: int = 1000
    per_hour: int = 1_000_000
    page_cap: int | None = None
    sim: Simulator = field(init=False)

    def __post_init__(self) -> None:
        reset(self.pool)
        self.sim = school(self.per_second, self.per_hour)
        self.sim.harsh.page_cap = self.page_cap
        self.sim.start()
        audited = self.config["nightly_audit_requests"] > 0
        # A change may show late, but not later than windows overlap.
        late = max(0, self.config.get("lookback_minutes", 30) - 5)
        self.upstream = Upstream(self.sim, in_turn=audited, late=late)
        self.checks = Checks(self.sim, self.upstream, self.reader())
        self._numbers = 0
        self._last: tuple[str, str, dict[str, Any]] | None = None

    def close(self) -> None:
        self.sim.stop()

    def reader(self) -> Player:
        return Player(self.pool, self.sim, self.config, self.skew)

    # Time and the world.

    def wait(self, minutes: float) -> None:
        self.sim.clock.advance(minutes=minutes)

    def event(self, kind: str, a: int = 0, b: int = 0) -> None:
        self.upstream.event(kind, a, b)
        self.sim.clock.advance(seconds=(a + b) % 3)

    # Runs.

    def run(
        self, dag: str, trouble: Trouble = QUIET, *, run_id: str | None = None, **params: Any
    ) -> Outcome:
        """Let one DAG run, and check everything that must be so after it."""
        outcome = Outcome(run_id=run_id or self._next_id())
        self._last = (dag, outcome.run_id, params)
        with self.checks.around([trouble]) as seen, self._befall(trouble):
            self._play(dag, outcome, trouble, params)
        self._judge(outcome, [trouble])
        self.checks.after_run(dag, outcome, trouble, params, seen)
        return outcome

    def again(self, trouble: Trouble = QUIET) -> None:
        """Repeat the latest run under the same id, as after a clear."""
        if self._last:
            dag, run_id, params = self._last
            self.run(dag, trouble, run_id=run_id, **params)

    def both(self, trouble: Trouble, other: Trouble) -> None:
        """Let both DAGs run at once, while somebody reads the mirror."""
        self._at_once((NIGHTLY, trouble, {}), (INCREMENTAL, other, {}))

    def beside(
        self, dag: str, since: int, until: int, trouble: Trouble, other: Trouble = QUIET
    ) -> None:
        """Let a run of a DAG and a backfill of the same DAG run at once."""
        self._at_once((dag, trouble, {}), (dag, other, self._window(since, until)))

    def _at_once(self, *runs: tuple[str, Trouble, dict[str, Any]]) -> None:
        plans = [
            (dag, Outcome(run_id=self._next_id()), trouble, params) for dag, trouble, params in runs
        ]
        trouble, other = (trouble for _, trouble, _ in runs)
        with (
            self.checks.around([trouble, other], alone=False) as seen,
            self._befall(trouble),
            self._befall(other),
            self.checks.watched(),
        ):
            threads = [
                threading.Thread(target=self._play, args=plan, daemon=True) for plan in plans
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
                assert not thread.is_alive(), "a run hangs"
        faults = [one for one in (trouble, other) if one.kind == "fault"]
        for _dag, outcome, own, _params in plans:
            self._judge(outcome, [own, *faults])
        self.checks.after_runs(seen)

    def backfill(self, dag: str, since: int, until: int, trouble: Trouble = QUIET) -> Outcome:
        """Read a window: from so many minutes ago, for so many minutes."""
        return self.run(dag, trouble, **self._window(since, until))

    def _window(self, since: int, until: int) -> dict[str, Any]:
        start = self.sim.clock.now() - timedelta(minutes=since)
        return {"updated_from": start, "updated_to": start + timedelta(minutes=until + 1)}

    def window_twice(self, dag: str, since: int, until: int) -> None:
        """Read a window twice: the second time changes not one tuple."""
        first = self.backfill(dag, since, until)
        before = self.checks.tuples()
        assert self._last
        self.run(dag, **self._last[2])
        assert first.green
        assert self.checks.tuples() == before, "I9: a finished window changed tuples"

    def two_nights(self) -> None:
        """End the history: all is shown, nothing fails any more, two nights pass."""
        self.sim.faults.clear()
        self.upstream.unhide_all()
        for _ in range(2):
            self.sim.clock.advance(hours=24)
            outcome = self.run(NIGHTLY)
            if isinstance(outcome.error, DeleteRefused):
                outcome = self.run(NIGHTLY, allow_mass_delete=True)
            assert outcome.green, f"a clean night is red: {outcome.error!r}"
        self.checks.at_the_end()
        before = self.checks.tuples()
        self.run(INCREMENTAL)
        assert self.checks.tuples() == before, "I9: a run without news changed tuples"

    def _next_id(self) -> str:
        self._numbers += 1
        return f"run{self._numbers}"

    def _play(
        self, dag: str, outcome: Outcome, trouble: Trouble, params: Mapping[str, Any]
    ) -> None:
        player = self.reader()
        if trouble.kind in {"kill", "cut"}:
            action = Lines.kill if trouble.kind == "kill" else Lines.cut
            player.lines.trigger = Trigger(trouble.at, action, answered=trouble.answered)
        try:
            player.run(dag, run_id=outcome.run_id, **params)
        except Killed as killed:
            outcome.error, outcome.killed = killed, True
        except Exception as error:  # noqa: BLE001  # judged by the caller
            outcome.error = error
        finally:
            player.lines.trigger = None
            player.lines.drop()

    @contextmanager
    def _befall(self, trouble: Trouble) -> Iterator[None]:
        faults = self.sim.faults
        if trouble.kind == "event":
            self._plan_event(trouble)
        elif trouble.kind == "fault":
            self._plan_fault(trouble)
        try:
            yield
        finally:
            faults.clear()

    def _plan_event(self, trouble: Trouble) -> None:
        chosen = count(trouble.a)

        def hook(_store: object) -> None:
            self.upstream.event(trouble.name, next(chosen), trouble.b)
            # The API was busy: the watermark must not be the clock of the last page.
            self.sim.clock.advance(seconds=trouble.b)

        self.sim.faults.add("between_pages", skip=trouble.at, times=trouble.times, hook=hook)

    def _plan_fault(self, trouble: Trouble) -> None:
        options: dict[str, Any] = {"times": trouble.times}
        path = "/v2"
        if trouble.name == "missing_row":
            name = ("cursus_users", "projects_users", "achievements_users")[trouble.b % 3]
            ids = self.upstream._rows(name)
            if not ids:
                return
            # Gone from a single answer, which proves nothing.
            options |= {"id": ids[trouble.a % len(ids)], "times": 1, "when": _by_id}
            self.upstream.obscured.add((name, options["id"]))
            path = f"/v2/{name}"
        elif trouble.name == "empty_page":
            options["consistent"] = trouble.b % 2 == 0
        elif trouble.name == "wrong_total":
            options["delta"] = trouble.b % 5 - 2 or 1
        elif trouble.name == "unfit":
            options["change"] = lambda record: {**record, "updated_at": "yesterday"}
            options["record"] = trouble.a % 5
        elif trouble.name == "429_second":
            options["retry_after"] = (None, 0, 1, 30)[trouble.b % 4]
        kind = {"unfit": "mutate_record"}.get(trouble.name, trouble.name)
        skip = trouble.at % 4 if "when" in options else trouble.at
        self.sim.faults.add(kind, path, skip=skip, **options)

    def _judge(self, outcome: Outcome, troubles: Sequence[Trouble]) -> None:
        """Accept only errors that a person could have expected."""
        error = outcome.error
        kinds = {trouble.kind for trouble in troubles}
        if error is None or isinstance(error, DeleteRefused | Killed):
            return
        if "cut" in kinds and isinstance(error, psycopg.OperationalError):
            return
        if "fault" in kinds and isinstance(error, Intra42Error):
            return
        if isinstance(error, NoWitness) and any(trouble.name == "hide" for trouble in troubles):
            # So many at once that nobody was left to witness the absence of the others.
            return
        raise error


def _by_id(request: Request) -> bool:
    return "filter[id]" in request.query


def reset(pool: Pool) -> None:
    """Empty the mirror."""
    with pool.get() as connection:
        names = [
            row[0]
            for row in connection.execute(
                "select format('intra42.%I', tablename) from pg_tables "
                "where schemaname = 'intra42' and tablename <> 'schema_migrations'"
            )
        ]
        connection.execute(f"truncate {', '.join(names)}, public.gone_back restart identity")
        connection.execute("alter sequence intra42.request_seq restart")
