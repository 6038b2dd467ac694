"""The simulator as programs and tests use it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Self

from dev.simulator.access import RateLimits, Tokens
from dev.simulator.app import Application
from dev.simulator.clock import Clock
from dev.simulator.control import Control
from dev.simulator.faults import Faults
from dev.simulator.messages import Ledger, LedgerEntry, Request, Response
from dev.simulator.server import Server
from dev.simulator.truth import truth
from dev.simulator.worlds import build

CLIENT_ID = "u-s4t2ud-simulated"
CLIENT_SECRET = "s-s4t2ud-simulated"  # noqa: S105


class Simulator:
    """A simulated Intra API; a context manager that starts and stops its server.

    Args:
        world: `campus`, `region`, `network` or `empty`.
        seed: Makes the world; the same seed and clock give the same world.
        students: How many current students, instead of the world's usual number.
        limit_second: Requests a second.
        limit_hour: Requests in a clock hour.
        clock: Where the virtual clock begins, or a clock.
        running: Whether a clock made here runs along with real time.
        port: The port to listen on; 0 for a free one.
        control_key: What moving the world over HTTP asks for; nothing by default.
    """

    def __init__(
        self,
        world: str = "campus",
        seed: int = 1,
        students: int | None = None,
        limit_second: int = 1000,
        limit_hour: int = 1_000_000,
        clock: datetime | Clock | None = None,
        *,
        running: bool = False,
        port: int = 0,
        control_key: str | None = None,
    ) -> None:
        self.clock = clock if isinstance(clock, Clock) else Clock(clock, running=running)
        self.world = build(world, self.clock, seed, students)
        self.harsh = self.world.harsh
        self.limits = RateLimits(self.clock, limit_second, limit_hour)
        self.tokens = Tokens(self.clock, seed)
        self.client_id, self.client_secret = CLIENT_ID, CLIENT_SECRET
        self.app = Application(
            self.world, self.limits, self.tokens, (self.client_id, self.client_secret)
        )
        self.ledger = Ledger()
        self._control = Control(self.world, self.ledger, self.limits, control_key)
        self._port = port
        self._server: Server | None = None

    @property
    def faults(self) -> Faults:
        """The faults on demand."""
        return self.app.faults

    @property
    def url(self) -> str:
        """The server's address; it must be running."""
        if self._server is None:
            message = "the simulator is not running"
            raise RuntimeError(message)
        return self._server.url

    @property
    def campus_id(self) -> int | None:
        """The listed campus with most members, the usual scope of a run."""
        return self.world.main_campus_id()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server."""
        self._server = Server(self._port, self.handle)
        self.app.base_url = self._server.url
        self._server.start()

    def stop(self) -> None:
        """Stop the server and close its connections."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def handle(self, request: Request) -> Response:
        """Answer a request and write it down."""
        if request.path.startswith("/_sim/"):
            return self._control.handle(request)
        response = self.app.handle(request)
        entry = LedgerEntry(
            method=request.method,
            path=request.path,
            query=request.query,
            status=response.status,
            virtual_time=self.clock.now(),
            real_time=time.monotonic(),
            bytes=len(response.body),
        )
        self.ledger.append(entry)
        return response

    def truth(
        self, config: Mapping[str, Any] | None = None, also_users: Collection[int] = ()
    ) -> dict[str, dict[str, Any]]:
        """Return what a mirror with `config` must hold; see `dev.simulator.truth`."""
        return truth(self.world, config or {}, also_users)
