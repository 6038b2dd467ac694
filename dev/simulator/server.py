"""The sockets: HTTP/1.1 with keep-alive on loopback, and answers that break on the way."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import struct
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dev.simulator.messages import Request, Response

Handle = Callable[[Request], Response]

_TIMEOUT_S = 60.0


class Server(ThreadingHTTPServer):
    """A server that stops at once, open connections included."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, handle: Handle) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.handle = handle
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The address clients use."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that it can be closed."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that hang up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stop serving and close every connection."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent: the ledger knows more."""

    def _serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        params = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        request = Request(self.command, url.path, params, self.headers, body)  # type: ignore[arg-type]
        self._send(self.server.handle(request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _send(self, response: Response) -> None:
        wire = response.wire
        kind = wire.get("kind")
        body = response.body
        length = len(body)
        if kind == "timeout":
            self.server.stopping.wait(wire.get("seconds", _TIMEOUT_S))
            self.close_connection = True
            return
        if kind == "truncated_json":
            body = body[: max(1, length // 2)]
            length = len(body)
        elif kind == "gzip_cut":
            body = gzip.compress(body, 1)[:-9]
            length = len(body)
            response.headers["Content-Encoding"] = "gzip"
        elif kind == "wrong_content_type":
            response.headers["Content-Type"] = wire.get("content_type", "text/html; charset=utf-8")
        self.send_response_only(response.status, HTTPStatus(response.status).phrase)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if kind in {"cut", "short_body"}:
            self._break_off(body, reset=kind == "cut")
        elif kind == "slow_drip":
            self._drip(body, wire.get("seconds", _TIMEOUT_S))
        else:
            self.wfile.write(body)
            self.wfile.flush()

    def _break_off(self, body: bytes, *, reset: bool) -> None:
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.close_connection = True
        if reset:
            # Let the first half arrive, then close without lingering: that sends a reset.
            time.sleep(0.01)
            option = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
            os.close(self.connection.detach())

    def _drip(self, body: bytes, seconds: float) -> None:
        steps = max(1, min(len(body), int(seconds * 20)))
        size = -(-len(body) // steps) or 1
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            self.wfile.flush()
            if self.server.stopping.wait(seconds / steps):
                self.close_connection = True
                return
