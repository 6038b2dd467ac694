"""One HTTP exchange, bounded in time and size, whatever the server does.

`requests` bounds the wait for each piece of an answer, not for the whole: a server that sends a
byte a second would hold a task for ever. A watchdog cuts the connection at the deadline.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from intra42.api.deadline import DeadlineAdapter, Watchdog
from intra42.api.encodings import check_size, decoded
from intra42.errors import ApiError, ApiTimeout, ConfigError, FatalApiError, RetriableApiError

USER_AGENT = "intra42/0.1.0"
CONNECT_TIMEOUT_S = 10.0
_CHUNK = 64 * 1024
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_UNUSABLE = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)


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
        session.trust_env = not is_loopback(self.base_url)
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
            FatalApiError: an answer larger than `MAX_BODY`; or this machine's certificates or
                proxy do not let us ask.
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
        check_size(size, label)
        pieces.append(piece)
    return decoded(b"".join(pieces), response.headers.get("Content-Encoding", ""), label)


def _network_error(error: Exception, label: str, timeout_s: float) -> ApiError:
    """Return our error for one of `requests` or urllib3, whose own texts repeat the whole URL."""
    if isinstance(error, requests.ConnectTimeout):
        return ApiTimeout(f"{label}: no connection within {CONNECT_TIMEOUT_S:g} s")
    causes = _causes(error)
    names = {type(part).__name__ for part in causes}
    if names & {"ReadTimeout", "ReadTimeoutError", "TimeoutError"}:
        return ApiTimeout(f"{label}: no answer for {timeout_s:g} s")
    preset = _preset(error, causes)
    if preset is not None:
        message, is_final = preset
        return (FatalApiError if is_final else RetriableApiError)(f"{label}: {message}")
    return RetriableApiError(
        f"{label}: no connection or a cut answer ({type(causes[-1]).__name__})"
    )


def _preset(error: Exception, causes: list[BaseException]) -> tuple[str, bool] | None:
    """Return what is wrong with the certificates or the proxy of this machine, if that is it.

    The flag says whether it stays so until somebody changes it.
    """
    if type(error) is OSError or any(map(_is_no_file, causes)):
        message = (
            "a file of certificates cannot be read: see that REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE "
            "and SSLKEYLOGFILE, where they are set, name files that are there and readable"
        )
        return message, True
    if isinstance(error, requests.exceptions.ProxyError):
        said = _TUNNEL.search(" ".join(map(str, causes)))
        message = (
            f"the proxy refuses us{f' with {said[1]}' if said else ''}: look at HTTPS_PROXY, "
            "ALL_PROXY and NO_PROXY of the environment, and at the login the proxy asks for"
        )
        return message, said is not None and said[1].startswith("4")
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = (
                f"the certificate of the server is not trusted ({cause.verify_message}): check the "
                "host of the connection intra42_api, and let REQUESTS_CA_BUNDLE name a file with "
                "the certificate of its issuer, where that is your own"
            )
            return message, True
    if isinstance(error, _UNUSABLE):
        message = (
            "the address or the proxy cannot be used: look at the host of the connection "
            "intra42_api, and at HTTPS_PROXY and ALL_PROXY of the environment"
        )
        return message, True
    return None


def _is_no_file(cause: BaseException) -> bool:
    """Tell whether `cause` is about a file: one that is not there, or holds no certificate."""
    match cause:
        case FileNotFoundError() | IsADirectoryError() | ssl.SSLError(library="PEM" | "X509"):
            return True
    return False


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what lies under it, outermost first."""
    chain: list[BaseException] = []
    step: Any = error
    while isinstance(step, BaseException) and step not in chain:
        chain.append(step)
        inner = [part for part in step.args if isinstance(part, BaseException)]
        step = getattr(step, "reason", None) or (inner[0] if inner else step.__context__)
    return chain


def is_loopback(base_url: str) -> bool:
    """Tell whether the address is this machine's own, which nobody else can listen to."""
    try:
        host = urlsplit(base_url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_clear_text(base_url: str, connection: str = "intra42_api") -> None:
    """Refuse an address to which secret and token would go for everybody on the way to read.

    Raises:
        ConfigError: it is http:// and not of this machine.
    """
    if urlsplit(base_url).scheme != "https" and not is_loopback(base_url):
        message = (
            f"The Airflow connection {connection}: to {base_url} the client secret and the token "
            "would go in clear text; write https:// (http:// is for localhost, 127.0.0.1 and ::1)"
        )
        raise ConfigError(message)
