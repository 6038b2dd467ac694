"""What the Intra says about the application behind a connection: the answer to "Test".

The token request says which scope was granted and when the secret expires; every answer of /v2
names the application, its roles and its limits in headers. docs/api.md says how sure that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from intra42.api.oauth import Token, fetch_token
from intra42.api.pace import announced
from intra42.api.responses import (
    Action,
    action,
    describe,
    error_for,
    read_answer,
    read_date,
    shorten,
    whole_number,
)
from intra42.api.transport import USER_AGENT, Bearer, Reply, Transport
from intra42.errors import FatalApiError, NotFound, RateLimited, RetriableApiError

_PATH, _PARAMS = "/v2/cursus", {"page[size]": "1"}
_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What the Intra said; None or "" where it said nothing.

    Attributes:
        base_url: where it was asked.
        name: of the application.
        number: its id, which is not the client id.
        roles: as the API writes them, `None` without any.
        scope: what the token may do.
        per_second: requests a second allowed.
        per_hour: requests an hour allowed.
        left: requests left of this hour.
        busy: whether it answered 429: all requests of this second or hour are spent.
        secret_valid_until: when the client secret expires, aware UTC.
        now: the API's clock, aware UTC.
    """

    base_url: str
    name: str
    number: str
    roles: str
    scope: str
    per_second: int | None
    per_hour: int | None
    left: int | None
    busy: bool
    secret_valid_until: datetime | None
    now: datetime | None

    def __str__(self) -> str:
        """Return all of it in sentences; what the Intra did not say is said, too."""
        return " ".join((self._who(), self._limits(), self._granted(), self._secret()))

    def _who(self) -> str:
        who = self.name or "an application that the Intra does not name"
        number = f" (id {self.number})" if self.number else ""
        if not self.roles:
            roles = "whose roles the Intra does not say"
        elif self.roles == "None":
            roles = "without roles"
        else:
            roles = f"with the roles {self.roles}"
        return f"Connected to {self.base_url} as {who}{number}, {roles}."

    def _limits(self) -> str:
        parts = [
            f"{self.per_second:,} requests a second" if self.per_second else "",
            f"{self.per_hour:,} requests an hour" if self.per_hour else "",
        ]
        said = ", ".join(filter(None, parts))
        if not said:
            return "The Intra does not say its limits."
        left = "" if self.left is None else f", {self.left:,} left of this hour"
        busy = "; they are used up at this moment (429)" if self.busy else ""
        return f"Limits: {said}{left}{busy}."

    def _granted(self) -> str:
        return f"Scope: {self.scope}." if self.scope else "The Intra does not say the scope."

    def _secret(self) -> str:
        if self.secret_valid_until is None:
            return "The Intra does not say when the secret expires."
        said = f"The secret expires on {self.secret_valid_until:%Y-%m-%d at %H:%M} UTC"
        if self.now is None:
            return f"{said}."
        left = self.secret_valid_until - self.now
        days = f"{left.days} days" if left.days > 1 else "less than two days"
        soon = "; put the next one into the connection before" if left < _SOON else ""
        return f"{said}, in {days}{soon}."


def ask(
    base_url: str, client_id: str, client_secret: str, scope: str, timeout_s: float
) -> Application:
    """Ask the Intra who we are to it: one token request, one request to /v2, no retries.

    Args:
        base_url: scheme and host of the API.
        client_id: UID of the application.
        client_secret: SECRET of the application.
        scope: blank-separated scopes.
        timeout_s: longest wait for each of the two answers, seconds.

    Raises:
        FatalApiError: the API refuses us; the message says what to set.
        RetriableApiError: there is no believable answer; the message says what to check.
    """
    try:
        token = fetch_token(None, base_url, client_id, client_secret, scope, timeout_s, attempts=1)
        reply = _look(base_url, token, timeout_s)
    except RateLimited as error:
        message = f"{error}: wait a minute and test again"
        raise RetriableApiError(message) from error
    except (RetriableApiError, NotFound) as error:
        message = (
            f"{error}. Check that {base_url} is the address of the Intra (host of the connection), "
            "that it can be reached from here and that it is up"
        )
        raise RetriableApiError(message) from error
    return _application(base_url, token, reply)


def _look(base_url: str, token: Token, timeout_s: float) -> Reply:
    label = describe("GET", _PATH, _PARAMS)
    transport = Transport(
        base_url, None, timeout_s=timeout_s, total_timeout_s=timeout_s, user_agent=USER_AGENT
    )
    try:
        reply = transport.exchange(
            "GET", _PATH, label=label, auth=Bearer(token.value), params=_PARAMS
        )
    finally:
        transport.close()
    match action(reply.status):
        case Action.READ:
            read_answer(reply, label, 0)
        case Action.WAIT:
            pass  # its headers tell as much, and that we are let in
        case Action.FATAL | Action.RENEW:
            message = (
                f"{error_for(reply, label)}. The client id and secret are right, but the token may "
                "not read this: set the scope of the connection to public, and look whether the "
                "application is active"
            )
            raise FatalApiError(message)
        case _:
            raise error_for(reply, label)
    return reply


def _application(base_url: str, token: Token, reply: Reply) -> Application:
    headers = reply.headers
    per_second, per_hour = announced(headers)
    return Application(
        base_url=base_url,
        name=_text(headers, "X-Application-Name"),
        number=_text(headers, "X-Application-Id"),
        roles=_text(headers, "X-Application-Roles"),
        scope=shorten(token.scope, 100),
        per_second=per_second,
        per_hour=per_hour,
        left=whole_number(headers, "X-Hourly-RateLimit-Remaining"),
        busy=action(reply.status) is Action.WAIT,
        secret_valid_until=token.secret_valid_until,
        now=read_date(headers),
    )


def _text(headers: Mapping[str, str], name: str) -> str:
    """Return a header on one line; its bytes are UTF-8, which http.client takes for Latin-1."""
    value = headers.get(name, "")
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8")
    return shorten(value, 100)
