"""The request for an access token, with the client credentials of the application.

A new token lives 7200 s; while it is valid the API hands the same one back with its remaining life
(official documentation; measured by public clients). There are no refresh tokens for applications.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from intra42.api.responses import Action, action, api_message, error_for, read_object, retry_after
from intra42.api.transport import USER_AGENT, NoAuth, Reply, Transport
from intra42.errors import FatalApiError, RateLimited, RetriableApiError

log = logging.getLogger(__name__)

LABEL = "POST /oauth/token"
_ATTEMPTS = 4
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token and the seconds it had left when it was asked for.

    `scope` is what was granted, "" if the API does not say; `secret_valid_until` is when the client
    secret expires, aware UTC, None if the API does not say.
    """

    value: str = field(repr=False)
    expires_in_s: float
    scope: str = field(default="", compare=False)
    secret_valid_until: datetime | None = field(default=None, compare=False)

    def usable_s(self) -> float:
        """Return the seconds to use it for: it is renewed 60 s or 10 % of its life early."""
        return max(self.expires_in_s - min(60.0, self.expires_in_s / 10), 1.0)


def fetch_token(
    session: requests.Session | None,
    base_url: str,
    client_id: str,
    client_secret: str,
    scope: str,
    timeout_s: float,
    *,
    attempts: int = _ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
    user_agent: str = USER_AGENT,
) -> Token:
    """Ask the API for an access token with the client credentials.

    Args:
        session: used if given, with its adapter for `base_url` replaced; else one for this call.
        base_url: scheme and host of the API.
        client_id: UID of the application.
        client_secret: SECRET of the application.
        scope: blank-separated scopes; the API's default `public` if empty.
        timeout_s: longest wait for an answer, seconds.
        attempts: requests sent at most.
        sleep: sleeps so many seconds.
        user_agent: the API refuses requests without one.

    Raises:
        FatalApiError: the API refuses the client; the message names the field to set.
        RetriableApiError: no token after all attempts.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
    }
    if scope:
        form["scope"] = scope
    transport = Transport(
        base_url, session, timeout_s=timeout_s, total_timeout_s=timeout_s, user_agent=user_agent
    )
    backoff = wait_exponential(multiplier=0.5, max=10) + wait_random(0, 0.25)
    try:
        for attempt in Retrying(
            stop=stop_after_attempt(attempts),
            retry=retry_if_exception_type(RetriableApiError),
            wait=lambda state: max(backoff(state), _asked_pause(state.outcome)),
            before_sleep=lambda state: log.warning(
                "%s, attempt %d of %d",
                state.outcome.exception() if state.outcome else LABEL,
                state.attempt_number,
                attempts,
            ),
            sleep=sleep,
            reraise=True,
        ):
            with attempt:
                reply = transport.exchange(
                    "POST", "/oauth/token", label=LABEL, auth=NoAuth(), data=form
                )
                return _read_token(reply)
    finally:
        if session is None:
            transport.close()
    raise AssertionError


def _asked_pause(outcome: Any) -> float:
    error = outcome.exception() if outcome else None
    return min(error.retry_after_s, _LONGEST_PAUSE_S) if isinstance(error, RateLimited) else 0.0


def _read_token(reply: Reply) -> Token:
    if reply.status != 200:
        raise _refusal(reply)
    body = read_object(reply, LABEL)
    value, seconds = body.get("access_token"), body.get("expires_in")
    if not isinstance(value, str) or not value or not value.isascii():
        message = f"{LABEL}: the answer has no access_token"
        raise RetriableApiError(message)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        message = f"{LABEL}: the answer has no expires_in"
        raise RetriableApiError(message)
    scope = body.get("scope")
    return Token(
        value=value,
        expires_in_s=float(seconds),
        scope=scope if isinstance(scope, str) else "",
        secret_valid_until=_moment(body.get("secret_valid_until")),
    )


def _moment(seconds: Any) -> datetime | None:
    """Return the time that unix `seconds` mean; None for null and for what is no such number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _refusal(reply: Reply) -> Exception:
    """Return the error of a token request that was not granted, with its remedy."""
    what = action(reply.status)
    if what is Action.WAIT:
        message = f"{LABEL}: the API answered 429 (Too Many Requests)"
        return RateLimited(message, retry_after(reply.headers) or 0.0)
    if what is Action.RETRY:
        return error_for(reply, LABEL)
    said = api_message(reply)
    got = f"{LABEL}: the API answered {reply.status}"
    if reply.status == 401 or "invalid_client" in said:
        return FatalApiError(
            f"{got} ({said or 'no reason given'}): it does not know this client id and secret; "
            "set login and password of the connection intra42_api to UID and SECRET of the "
            "application (a secret is replaced from time to time)"
        )
    if "scope" in said:
        return FatalApiError(f"{got} ({said}): set scope in the extra of connection intra42_api")
    return FatalApiError(
        f"{got} ({said or 'no reason given'}): check host of the connection intra42_api"
    )
