"""The only way to the Intra API: one GET, checked, paced and tried again where that can help."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

import requests
from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_exponential, wait_random
from tenacity.retry import retry_if_exception

from intra42.api.auth import TokenSource
from intra42.api.clock import ApiClock
from intra42.api.limiter import Limiter
from intra42.api.model import Answer, Usage
from intra42.api.responses import (
    Action,
    action,
    describe,
    error_for,
    read_answer,
    read_date,
    read_object,
    retry_after,
)
from intra42.api.transport import USER_AGENT, Bearer, Reply, Transport
from intra42.errors import ApiTimeout, QuotaSpent, RateLimited, RetriableApiError

log = logging.getLogger(__name__)
T = TypeVar("T")

_LONGEST_PAUSE_S = 60.0
_ALL_PAUSES_S = 300.0
_REFUSALS = 10


@dataclass(slots=True)
class _Call:
    """One thing to get: what was asked, and what happened so far."""

    path: str
    params: Mapping[str, str]
    label: str = field(init=False)
    refusals: int = 0
    timeouts: int = 0
    paused_s: float = 0.0
    renewed: bool = False
    seq: int = 0

    def __post_init__(self) -> None:
        self.label = describe("GET", self.path, self.params)


class IntraClient:
    """Gets answers that can be believed; several threads may share it.

    Threads take turns at the limiter: one of them waits for the next slot, whatever the others wait
    for. So a task with many requests under way still holds no more than one place in the queue that
    all workers share.

    Args:
        base_url: scheme and host of the API, such as `https://api.intra.42.fr`.
        tokens: where the access token comes from.
        limiter: whom to ask before each request to /v2.
        timeout_s: longest silence while waiting for an answer, seconds.
        total_timeout_s: longest time for one answer, seconds.
        attempts: sends of one request that may fail; a 429 or a renewed token is none.
        session: its adapter for `base_url` is replaced.
        sleep: sleeps so many seconds.
        user_agent: the API refuses requests without one.
        most_in_flight: requests that may be under way at a time.
    """

    def __init__(
        self,
        base_url: str,
        tokens: TokenSource,
        limiter: Limiter,
        *,
        timeout_s: float = 60,
        total_timeout_s: float = 120,
        attempts: int = 4,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        user_agent: str = USER_AGENT,
        most_in_flight: int = 32,
    ) -> None:
        self.usage = Usage()
        self.last_date: datetime | None = None
        self.last_seq = 0
        self.clock = ApiClock()
        self.most_in_flight = most_in_flight
        self.latency_s = 0.0
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._queued_s = 0.0
        self._tokens = tokens
        self._limiter = limiter
        self._attempts = attempts
        self._sleep = sleep
        self._transport = Transport(
            base_url,
            session,
            timeout_s=timeout_s,
            total_timeout_s=total_timeout_s,
            user_agent=user_agent,
        )

    def get(self, path: str, params: Mapping[str, str], *, timeouts: int | None = None) -> Answer:
        """Return one page of an index endpoint; give up at the latest after so many `timeouts`.

        Raises:
            QuotaSpent: the hour's requests are used up, or the API asked for a long pause.
            FatalApiError: the API refuses the request or a fresh token.
            NotFound: there is no such path.
            ApiTimeout: no complete answer in time.
            RetriableApiError: no believable answer in all attempts.
        """
        call = _Call(path, params)
        page = int(params.get("page[number]", "1"))
        return self._fetch(
            call, lambda reply: read_answer(reply, call.label, call.seq, page), timeouts
        )

    def get_object(self, path: str) -> dict[str, Any]:
        """Return a single record.

        Raises:
            NotFound: there is no such record.
            ApiError: as in `get`.
        """
        call = _Call(path, {})
        return self._fetch(call, lambda reply: read_object(reply, call.label))

    @property
    def base_url(self) -> str:
        """Scheme, host and port of the API."""
        return self._transport.base_url

    @property
    def per_second(self) -> float:
        """Requests a second that are allowed, to all workers together."""
        return self._limiter.per_second

    @property
    def has_room(self) -> bool:
        """Tell whether requests wait for answers, not for their turn: more would make us faster."""
        return self._queued_s < 0.5 * self.latency_s

    def pause(self, seconds: float) -> None:
        """Sleep before a request is made again; counted in `usage`."""
        with self._counting:
            self.usage.waited_s += seconds
        self._sleep(seconds)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _fetch(self, call: _Call, read: Callable[[Reply], T], timeouts: int | None = None) -> T:
        """Return what `read` makes of a 200 answer, after as many attempts as it takes."""

        def worth_it(error: BaseException) -> bool:
            if isinstance(error, ApiTimeout):
                call.timeouts += 1
                if call.timeouts == timeouts:
                    return False
            return isinstance(error, RetriableApiError) and not isinstance(error, RateLimited)

        for attempt in Retrying(
            stop=stop_after_attempt(self._attempts),
            retry=retry_if_exception(worth_it),
            wait=wait_exponential(multiplier=0.5, max=10) + wait_random(0, 0.25),
            before_sleep=self._log_retry,
            sleep=self.pause,
            reraise=True,
        ):
            with attempt:
                return read(self._answer(call))
        raise AssertionError

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s; attempt %d of %d", error, state.attempt_number, self._attempts)

    def _answer(self, call: _Call) -> Reply:
        """Return a 200 answer, having waited out every 429 and renewed a refused token once."""
        while True:
            token, reply = self._send(call)
            match action(reply.status):
                case Action.READ:
                    return reply
                case Action.WAIT:
                    self._wait_out(call, reply)
                case Action.RENEW if not call.renewed:
                    log.warning("%s: the API refused the token, fetching another", call.label)
                    call.renewed = True
                    self._tokens.reject(token)
                case _:
                    raise error_for(reply, call.label, call.path)

    def _send(self, call: _Call) -> tuple[str, Reply]:
        """Send once, when it is our turn; return the token used and the answer."""
        counted = call.path.startswith("/v2")
        token = self._take_turn(call) if counted else self._tokens.token()
        reply = self._transport.exchange(
            "GET",
            call.path,
            label=call.label,
            auth=Bearer(token),
            params=call.params,
            sent=self._limiter.sent if counted else None,
        )
        with self._counting:
            self.usage.bytes += len(reply.body)
            # Quick to rise and slow to fall: too few requests under way cost time, too many none.
            self.latency_s = max(reply.elapsed_s, 0.8 * self.latency_s + 0.2 * reply.elapsed_s)
            if reply.status == HTTPStatus.OK:
                reply = self.clock.corrected(reply)
                self.last_date = read_date(reply.headers) or self.last_date
        if counted:
            self._limiter.learn(reply.headers)
        return token, reply

    def _take_turn(self, call: _Call) -> str:
        """Wait until the call may be sent, and count it; return the token to send it with."""
        entered = time.monotonic()
        with self._turn:
            self._limiter.wait_turn()
            token = self._tokens.token()
            call.seq = self._limiter.sending()
            self.last_seq = call.seq
        queued_s = time.monotonic() - entered
        with self._counting:
            self._queued_s = 0.7 * self._queued_s + 0.3 * queued_s
            self.usage.waited_s += queued_s
            self.usage.requests += 1
        return token

    def _wait_out(self, call: _Call, reply: Reply) -> None:
        """Make everybody pause after a 429; the limiter sleeps through it before the next send.

        Raises:
            QuotaSpent: the pause is too long to hold a worker for.
            RateLimited: the API keeps refusing this request.
        """
        call.refusals += 1
        with self._counting:
            self.usage.retries_429 += 1
        asked_s = retry_after(reply.headers)
        # A server that says 0 and refuses again does not mean it.
        grown_s = 2.0 ** (call.refusals - 2) if call.refusals > 1 else 0.0
        pause_s = max(1.0 if asked_s is None else asked_s, min(grown_s, _LONGEST_PAUSE_S))
        self._limiter.pause(pause_s)
        log.warning(
            "%s: the API answered 429, everybody pauses %.0f s (%d of at most %d times)",
            *(call.label, pause_s, call.refusals, _REFUSALS),
        )
        if pause_s > _LONGEST_PAUSE_S:
            message = f"{call.label}: the API asked for a pause of {pause_s:.0f} s"
            raise QuotaSpent(message, pause_s)
        call.paused_s += pause_s
        if call.refusals >= _REFUSALS or call.paused_s > _ALL_PAUSES_S:
            message = f"{call.label}: refused with 429 {call.refusals} times, {call.paused_s:.0f} s"
            raise RateLimited(message, pause_s)
