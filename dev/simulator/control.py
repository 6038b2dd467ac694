"""The control paths by which other processes move the world: outside ledger, rate and auth."""

from __future__ import annotations

import hmac
import json
from typing import Any

from dev.simulator.access import RateLimits
from dev.simulator.clock import to_datetime, to_ms
from dev.simulator.messages import Ledger, Request, Response, json_response
from dev.simulator.mutations import MUTATIONS
from dev.simulator.truth import encode, truth
from dev.simulator.world import World

KEY_HEADER = "X-Control-Key"


class Control:
    """`/_sim/mutate`, `/_sim/clock`, `/_sim/limits`, `/_sim/ledger` and `/_sim/truth`.

    Where there is a `key`, only who sends it may: every user of the machine reaches loopback.
    """

    def __init__(
        self, world: World, ledger: Ledger, limits: RateLimits, key: str | None = None
    ) -> None:
        self._key = key
        self._world = world
        self._ledger = ledger
        self._limits = limits

    def handle(self, request: Request) -> Response:
        """Answer a control request; mistakes come back as 400 with a message."""
        sent = str(request.headers.get(KEY_HEADER) or "")
        if self._key and not hmac.compare_digest(sent.encode(), self._key.encode()):
            return json_response({"error": f"{KEY_HEADER} is missing or wrong"}, 403)
        actions = {
            ("POST", "/_sim/mutate"): self._mutate,
            ("POST", "/_sim/clock"): self._clock,
            ("GET", "/_sim/clock"): self._clock,
            ("POST", "/_sim/limits"): self._set_limits,
            ("GET", "/_sim/ledger"): self._list_ledger,
            ("GET", "/_sim/truth"): self._truth,
        }
        action = actions.get((request.method, request.path))
        if action is None:
            return json_response({"error": "unknown control path"}, 404)
        try:
            return json_response(action(request))
        except (ValueError, TypeError, KeyError, LookupError, AttributeError) as error:
            return json_response({"error": f"{type(error).__name__}: {error}"}, 400)

    def _mutate(self, request: Request) -> object:
        order = json.loads(request.body)
        name = order["name"]
        if name not in MUTATIONS and not (name.startswith("add_") and hasattr(self._world, name)):
            message = (
                f"unknown mutation {order['name']!r}; known are {', '.join(sorted(MUTATIONS))}"
            )
            raise ValueError(message)
        result = getattr(self._world, name)(**order.get("args", {}))
        return {"result": getattr(result, "id", result)}

    def _clock(self, request: Request) -> object:
        clock = self._world.clock
        order: dict[str, Any] = json.loads(request.body) if request.body else {}
        if "advance_s" in order:
            clock.advance(seconds=order["advance_s"])
        if "set" in order:
            moment = to_datetime(to_ms(order["set"]))
            assert moment is not None  # noqa: S101
            clock.set(moment)
        return {"now": clock.now().isoformat()}

    def _set_limits(self, request: Request) -> object:
        order = json.loads(request.body)
        self._limits.per_second = int(order.get("per_second", self._limits.per_second))
        self._limits.per_hour = int(order.get("per_hour", self._limits.per_hour))
        return {"per_second": self._limits.per_second, "per_hour": self._limits.per_hour}

    def _list_ledger(self, _: Request) -> object:
        return [
            {
                "method": entry.method,
                "path": entry.path,
                "query": entry.query,
                "status": entry.status,
                "virtual_time": entry.virtual_time.isoformat(),
                "real_time": entry.real_time,
                "bytes": entry.bytes,
            }
            for entry in self._ledger
        ]

    def _truth(self, request: Request) -> object:
        config = json.loads(request.query.get("config") or "{}")
        also = json.loads(request.query.get("also_users") or "[]")
        return encode(truth(self._world, config, also))
