"""One HTTP exchange, bounded in time and size, whatever the server does.

`requests` bounds the wait for each piece of an answer, not for the whole: a server that sends a
byte a second would hold a task for ever. A watchdog cuts the connection at the deadline.
"""

from __future__ import annotations

import ipaddress
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from intra42.api.deadline import DeadlineAdapter, Watchdog
from intra42.errors import ApiTimeout, FatalApiError, RetriableApiError

USER_AGENT = "intra42/0.1.0"
CONNECT_TIMEOUT_S = 10.0
MAX_BODY = 32 * 1024 * 1024
_CHUNK = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer: its body arrived completely and is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_s: float


class NoAuth(AuthBase):
    """Sets nothing; its presence keeps `requests` from reading credentials out of .netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request as it is."""
        return request


class Bearer(AuthBase):
    """Sets the Authorization header of one request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """Sends single requests to one API; each thread keeps a session of its own. Retries nothing.

    Args:
        base_url: scheme, host and port of the API.
        session: of the thread that makes this; used as it is, but for the adapter of `base_url`,
            which is replaced.
        timeout_s: longest silence while waiting for an answer, seconds.
        total_timeout_s: longest time for a whole answer, seconds.
        user_agent: the API refuses requests without one.
    """

    def __init__(
        self,
        base_url: str,
        session: requests.Session | None,
        *,
        timeout_s: float,
        total_timeout_s: float,
        user_agent: str,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._own = threading.local()
        self._sessions: list[requests.Session] = []
        self._use(session or requests.Session())
        self._timeout = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._total_timeout_s = total_timeout_s
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": user_agent,
        }

    def _use(self, session: requests.Session) -> tuple[requests.Session, DeadlineAdapter]:
        """Make `session` that of this thread."""
        # One adapter for all users of a session: the last one mounted is the one that is used.
        mounted = session.adapters.get(self.base_url)
        adapter = mounted if isinstance(mounted, DeadlineAdapter) else DeadlineAdapter()
        session.mount(self.base_url, adapter)
        # A proxy of the environment cannot reach this machine's own loopback.
        session.trust_env = not _is_loopback(self.base_url)
        self._sessions.append(session)
        self._own.line = session, adapter
        return session, adapter

    def exchange(
        self,
        method: str,
        path: str,
        *,
        label: str,
        auth: AuthBase,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        sent: Callable[[], None] | None = None,
    ) -> Reply:
        """Send one request and return its whole answer; `label` names it in errors.

        `sent` is called when the request has gone out, before the answer is waited for.

        Raises:
            ApiTimeout: no complete answer in time.
            RetriableApiError: no connection, or an answer that is cut or does not decompress.
            FatalApiError: an answer larger than `MAX_BODY`.
        """
        query = urlencode(params or {}, safe="[],:")
        session, adapter = getattr(self._own, "line", None) or self._use(requests.Session())
        started = time.monotonic()
        adapter.release()
        adapter.sent = sent
        with Watchdog(self._total_timeout_s, adapter.cut) as watchdog:
            try:
                with session.request(
                    method,
                    # Raw brackets and commas: 100 ids stay well below the longest URL accepted.
                    f"{self.base_url}{path}?{query}" if query else self.base_url + path,
                    data=data,
                    headers=self._headers,
                    auth=auth,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    body = _read(response, label)
            except (requests.RequestException, HTTPError, OSError) as error:
                if not watchdog.expired:
                    raise _network_error(error, label, self._timeout[1]) from None
        # Not only after an error: http.client takes headers that were cut for complete ones.
        if watchdog.expired:
            message = f"{label}: no complete answer within {self._total_timeout_s:g} s"
            raise ApiTimeout(message)
        return Reply(
            status=response.status_code,
            headers=response.headers,
            body=body,
            elapsed_s=time.monotonic() - started,
        )

    def close(self) -> None:
        """Close the connections of all threads."""
        for session in self._sessions:
            session.close()


def _read(response: requests.Response, label: str) -> bytes:
    """Return the decompressed body; a cut one is an error, which `requests` does not promise."""
    pieces: list[bytes] = []
    size = 0
    for piece in response.raw.stream(_CHUNK, decode_content=False):
        size += len(piece)
        _check_size(size, label)
        pieces.append(piece)
    body = b"".join(pieces)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if not body or encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        message = f"{label}: expected gzip, got Content-Encoding {encoding[:20]!r}"
        raise RetriableApiError(message)
    decoder = zlib.decompressobj(_GZIP)
    try:
        body = decoder.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        message = f"{label}: the compressed answer is damaged ({error})"
        raise RetriableApiError(message) from None
    _check_size(len(body), label)
    if not decoder.eof:
        message = f"{label}: the compressed answer is cut"
        raise RetriableApiError(message)
    return body


def _check_size(size: int, label: str) -> None:
    if size > MAX_BODY:
        message = f"{label}: the answer is larger than {MAX_BODY >> 20} MB"
        raise FatalApiError(message)


def _network_error(error: Exception, label: str, timeout_s: float) -> RetriableApiError:
    """Return our error for one of `requests` or urllib3, whose own texts repeat the whole URL."""
    if isinstance(error, requests.ConnectTimeout):
        return ApiTimeout(f"{label}: no connection within {CONNECT_TIMEOUT_S:g} s")
    names = {type(part).__name__ for part in _causes(error)}
    if names & {"ReadTimeout", "ReadTimeoutError", "TimeoutError"}:
        return ApiTimeout(f"{label}: no answer for {timeout_s:g} s")
    cause = type(_causes(error)[-1]).__name__
    return RetriableApiError(f"{label}: no connection or a cut answer ({cause})")


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what lies under it, outermost first."""
    chain: list[BaseException] = []
    step: Any = error
    while isinstance(step, BaseException) and step not in chain:
        chain.append(step)
        inner = [part for part in step.args if isinstance(part, BaseException)]
        step = getattr(step, "reason", None) or (inner[0] if inner else step.__context__)
    return chain


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
