"""A real HTTP server on loopback that plays a script, one step per request."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from intra42.api.client import IntraClient

DATE = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Step = Callable[[socket.socket, Request], bool]


def http(
    body: bytes,
    *,
    status: int = 200,
    kind: str = "application/json; charset=utf-8",
    headers: Mapping[str, str | None] | None = None,
    length: int | None = None,
) -> bytes:
    """Return the bytes of an answer; a header set to None is left out."""
    fields: dict[str, str | None] = {
        "Content-Type": kind,
        "Content-Length": str(len(body) if length is None else length),
        "Date": format_datetime(DATE, usegmt=True),
    }
    fields.update(headers or {})
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def listing(
    records: list[Any],
    *,
    total: int | None = None,
    per_page: int = 100,
    headers: Mapping[str, str | None] | None = None,
) -> Step:
    """Answer 200 with records and totals that agree."""
    fields: dict[str, str | None] = {
        "X-Total": str(len(records) if total is None else total),
        "X-Per-Page": str(per_page),
        "X-Hourly-RateLimit-Limit": "1200",
        "X-Hourly-RateLimit-Remaining": "1000",
        "X-Secondly-RateLimit-Limit": "2",
    }
    fields.update(headers or {})
    return send(http(json.dumps(records).encode(), headers=fields))


def ids(*values: int) -> list[dict[str, int]]:
    return [{"id": value} for value in values]


def send(data: bytes, *, close: bool = False) -> Step:
    def step(sock: socket.socket, request: Request) -> bool:
        sock.sendall(data)
        return not close

    return step


def status(
    code: int,
    body: bytes = b"<html>oops</html>",
    kind: str = "text/html",
    headers: Mapping[str, str | None] | None = None,
) -> Step:
    return send(http(body, status=code, kind=kind, headers=headers))


def refused(after: str | None, headers: Mapping[str, str | None] | None = None) -> Step:
    body = b"429 Too Many Requests (Spam Rate Limit Exceeded)"
    return status(429, body, "text/plain", {"Retry-After": after, **(headers or {})})


def reset(after: bytes = b"") -> Step:
    """Send a little, then reset the connection."""

    def step(sock: socket.socket, request: Request) -> bool:
        sock.sendall(after)
        time.sleep(0.02)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return step


def silence(after: bytes = b"", seconds: float = 5) -> Step:
    """Send a little, then nothing until the client hangs up."""

    def step(sock: socket.socket, request: Request) -> bool:
        sock.sendall(after)
        sock.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            sock.recv(1)
        return False

    return step


def drip(data: bytes, head: int, pause_s: float = 0.05) -> Step:
    """Send the first `head` bytes at once and the rest one by one."""

    def step(sock: socket.socket, request: Request) -> bool:
        sock.sendall(data[:head])
        for value in data[head:]:
            time.sleep(pause_s)
            sock.sendall(bytes([value]))
        return True

    return step


GOOD = listing(ids(1, 2))
_PLAIN = json.dumps(ids(1, 2)).encode()
TOTALS: dict[str, str | None] = {"X-Total": "2", "X-Per-Page": "100"}
WHOLE = http(_PLAIN, headers=TOTALS)
ZIPPED = gzip.compress(_PLAIN)


@dataclass
class Server:
    """Plays `script`, then its last step for ever; keeps what was asked."""

    url: str = ""
    context: ssl.SSLContext | None = None
    script: list[Step] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def play(self, *steps: Step) -> None:
        self.script = list(steps)

    def next(self, request: Request) -> Step:
        self.requests.append(request)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def _read_request(sock: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += sock.recv(65536)
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body)


def serve(server: Server, sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        if server.context is not None:
            sock = server.context.wrap_socket(sock, server_side=True)
    with sock:
        try:
            while (request := _read_request(sock)) is not None:
                if not server.next(request)(sock, request):
                    return
        except OSError:
            return


class Turns:
    """A limiter that never waits and keeps what it was told."""

    per_second = 2.0

    def __init__(self) -> None:
        self.counted = 0
        self.gone: list[int] = []
        self.pauses: list[float] = []
        self.learned: list[Mapping[str, str]] = []

    def wait_turn(self) -> None:
        pass

    def sending(self) -> int:
        self.counted += 1
        return self.counted

    def sent(self) -> None:
        self.gone.append(self.counted)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def learn(self, headers: Mapping[str, str]) -> None:
        self.learned.append(headers)


@dataclass
class Rig:
    """A client of the scripted server, with all that it leaves behind."""

    server: Server
    turns: Turns
    slept: list[float]
    fetched: list[str]
    client: IntraClient
