"""Runs of a DAG in processes that stand still at a named point, so that they can end there.

`python -m tests.crashes.puppet` reads one order a line (JSON), forks a process for each, and writes
a line (JSON) for its number, each time it stands still, and how it ended. SIGUSR1 lets it go on.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from intra42.api import limiter
from intra42.api.auth import PostgresTokens
from intra42.api.client import IntraClient
from intra42.attempt.work import Identity, Work
from intra42.verify import absence
from intra42.warehouse.statements import FOLDER, script
from tests.harness import Mirror

LISTING = "/v2/projects_users"
SWEEP = "refresh_ongoing.delete_missing"
MIGRATIONS = sorted(path.stem for path in (FOLDER / "schema").glob("[0-9]*.sql"))
APPLICATION = "puppet"
_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0

Say = Callable[[dict[str, Any]], None]


class Puppet(Mirror):
    """A mirror whose runs stand still at a point, at each of its places in turn.

    Most points lie within a page. The place of a page of the window of attempts is the id after
    which it begins, that of another answer is its task and its number.
    """

    def __init__(self, order: Mapping[str, Any], say: Say) -> None:
        super().__init__(
            f"{order['database_url']}?application_name={APPLICATION}",
            SimpleNamespace(**order["api"]),  # type: ignore[arg-type]
            order["config"],
        )
        # Where it stands is one page of one listing; prefetched ones would be beside it.
        self.api = replace(self.api, most_in_flight=1)
        self._say = say
        self._only = order["tasks"]
        self._point = order["point"]
        self._places = list(order["places"])
        self._place = ""
        self._task = ""
        self._asked: Counter[str] = Counter()
        self._moved = False  # the position after the page is written, but not committed
        self._work: Work | None = None

    def task(
        self,
        identity: Identity,
        params: Mapping[str, Any],
        resource: str,
        step: Callable[[Work], Any],
    ) -> Any:
        if self._only and identity.task_id not in self._only:
            return []

        def noted(work: Work) -> Any:
            self._work, self._task = work, identity.task_id
            return step(work)

        return super().task(identity, params, resource, noted)

    def at(self, point: str, connection: psycopg.Connection[Any] | None = None) -> None:
        """Stand still if this is the point and the place; go on when told so."""
        if point != self._point or self._place not in self._places[:1]:
            return
        if connection is None:
            assert self._work is not None
            connection = self._work.connection
        self._places.pop(0)
        self._say({"place": self._place, "backend": connection.info.backend_pid})
        signal.sigwait({signal.SIGUSR1})

    # Where it may stand: each method takes the place of one of the program's own.

    def get(
        self, plain: Any, client: IntraClient, path: str, params: Mapping[str, str], **options: Any
    ) -> Any:
        if path == LISTING and "range[updated_at]" in params:
            self._place, self._moved = str(int(params["range[id]"].split(",")[0]) - 1), False
        else:
            self._asked[self._task] += 1
            self._place = f"{self._task} {self._asked[self._task]}"
        answer = plain(client, path, params, **options)
        self.at("fetched")
        return answer

    def renew(self, plain: Any, tokens: PostgresTokens, connection: Any) -> Any:
        fetch = tokens._fetch

        def fetched() -> Any:
            token = fetch()
            self.at("token fetched", connection)
            return token

        tokens._fetch = fetched
        return plain(tokens, connection)

    def write_row(self, plain: Any, copy: psycopg.Copy[Any], row: Any) -> None:
        plain(copy, row)
        self.at("copying", copy.connection)

    def pipeline(self, plain: Any, connection: psycopg.Connection[Any]) -> Any:
        self.at("merging", connection)
        return plain(connection)

    def execute_named(self, plain: Any, work: Work, name: str, **values: Any) -> Any:
        rows = plain(work, name, **values)
        self._moved = self._moved or name == "jobs/move_partition"
        if name == "parked/park":
            self.at("parking")
        return rows

    def save_ledger(self, plain: Any, work: Work) -> None:
        plain(work)
        if self._moved:
            self.at("committing")

    def commit(self, plain: Any, work: Work, step: Any) -> Any:
        result = plain(work, step)
        if self._moved:
            self._moved = False
            self.at("committed")
        return result

    def ask(self, plain: Any, limits: limiter.PostgresLimiter, name: str, **values: Any) -> Any:
        if name == "reserve":
            self.at("reserving", limits._open())
        return plain(limits, name, **values)

    def derive_from(self, plain: Any, *args: Any) -> Any:
        if self._task == SWEEP:
            self._place = "deleted"
            self.at("sweeping")
        return plain(*args)

    def execute(
        self, plain: Any, connection: psycopg.Connection[Any], query: Any, *args: Any, **kw: Any
    ) -> Any:
        cursor = plain(connection, query, *args, **kw)
        for name in MIGRATIONS:
            if query is script(f"schema/{name}"):
                self._place = name
                self.at("migrating", connection)
        return cursor

    def close(self, plain: Any, connection: psycopg.Connection[Any]) -> None:
        if self._work and connection is self._work.connection:
            self._place = self._task
            self.at("unlocking", connection)
        plain(connection)


def _pull_strings(puppet: Puppet) -> None:
    for owner, name, instead in (
        (IntraClient, "get", puppet.get),
        (PostgresTokens, "_renew", puppet.renew),
        (psycopg.Copy, "write_row", puppet.write_row),
        (psycopg.Connection, "pipeline", puppet.pipeline),
        (psycopg.Connection, "execute", puppet.execute),
        (psycopg.Connection, "close", puppet.close),
        (Work, "execute", puppet.execute_named),
        (Work, "save_ledger", puppet.save_ledger),
        (Work, "commit", puppet.commit),
        (limiter.PostgresLimiter, "_ask", puppet.ask),
        (absence, "derive_from", puppet.derive_from),
    ):
        setattr(owner, name, _instead(getattr(owner, name), instead))
    # A limiter that lost its connection connects again at once.
    limiter.time = SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None})  # type: ignore[assignment]


def _instead(plain: Any, method: Any) -> Any:
    @wraps(plain)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return method(plain, *args, **kwargs)

    return wrapped


def serve() -> None:
    """Carry out orders until there are no more."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    pid = 0
    for line in sys.stdin:
        if pid:
            # Only now: until the next order, nobody else can get the number of the last process.
            os.waitpid(pid, 0)
        order = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _carry_out(order, partial(_write, writing))
            os._exit(0)
        os.close(writing)
        print(json.dumps({"process": pid}), flush=True)  # noqa: T201
        with os.fdopen(reading) as pipe:
            for said in pipe:
                print(said, end="", flush=True)  # noqa: T201
        print(json.dumps({"closed": pid}), flush=True)  # noqa: T201


def _write(descriptor: int, said: dict[str, Any]) -> None:
    os.write(descriptor, f"{json.dumps(said)}\n".encode())


def _carry_out(order: Mapping[str, Any], say: Say) -> None:
    puppet = Puppet(order, say)
    _pull_strings(puppet)
    try:
        puppet.run(order["dag"], run_id=order["run_id"], **order.get("params", {}))
    except psycopg.OperationalError:
        say({"ended": "OperationalError"})
    except BaseException as error:  # noqa: BLE001  # the test that ordered it judges
        say({"ended": f"{type(error).__name__}: {error}"})
    else:
        say({"ended": "ok"})


class Theatre:
    """The process that forks, seen from a test."""

    def __init__(self) -> None:
        paths = os.pathsep.join([str(_ROOT), str(_ROOT / "plugins")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes.puppet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._playing = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._said.put(json.loads(line))

    def begin(self, mirror: Mirror, **order: Any) -> int:
        """Let a run begin on the databases of `mirror`; return the number of its process."""
        assert self._process.stdin
        order |= {
            "database_url": mirror.database_url,
            "config": mirror.config,
            "api": {
                "url": mirror.sim.url,
                "client_id": mirror.sim.client_id,
                "client_secret": mirror.sim.client_secret,
            },
        }
        print(json.dumps(order), file=self._process.stdin, flush=True)
        self._playing = int(self.said()["process"])
        return self._playing

    def said(self) -> dict[str, Any]:
        """Wait for what the process says next: where it stands, or how it ended."""
        said = self._said.get(timeout=_PATIENCE_S)
        if "closed" in said:
            self._playing = 0
            return {"ended": "killed"}
        if "ended" in said:
            assert "closed" in self._said.get(timeout=_PATIENCE_S)
            self._playing = 0
        return said

    def clear(self) -> None:
        """End the run that a failed test has left."""
        if self._playing:
            os.kill(self._playing, signal.SIGKILL)
        while self._playing:
            self.said()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    serve()
