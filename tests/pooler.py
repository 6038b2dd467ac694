"""Poolers in front of PostgreSQL, which hand out its sessions in turn: our own, and PgBouncer.

Ours needs nothing to be installed, and chooses its sessions in more than one order.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dev.stack.postgres import _unprivileged, free_port

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102


class Gone(Exception):
    """The other side has hung up."""


@dataclass
class Pooler:
    """What became of it: `exchanges` counts the times a client waited for an answer.

    `mode` is session, transaction or statement; `newest_first` is how PgBouncer chooses a server.
    """

    server: tuple[str, int]
    mode: str
    newest_first: bool = True
    exchanges: int = 0
    url: str = ""
    _idle: deque[_Server] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, client: socket.socket) -> None:
        with suppress(Gone, OSError), client:
            startup = _startup(client)
            server = self._take(startup)
            client.sendall(server.welcome(own_key=self.mode == "session"))
            if self.mode == "session":
                self._one_to_one(client, server)
            else:
                self._put(server)
                self._in_turn(client, startup)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().sock.close()

    def _take(self, startup: bytes) -> _Server:
        with self._lock:
            if self._idle:
                return self._idle.pop() if self.newest_first else self._idle.popleft()
        return _Server(self.server, startup)

    def _put(self, server: _Server) -> None:
        with self._lock:
            self._idle.append(server)

    def _in_turn(self, client: socket.socket, startup: bytes) -> None:
        """Keep a server only while a transaction is open, or a statement runs."""
        server, state = None, b"I"
        try:
            while True:
                kind, message = _message(client)
                if kind == b"X":
                    return
                server = server or self._take(startup)
                server.sock.sendall(message)
                if kind not in b"QScf":
                    continue
                self.exchanges += 1
                state = server.answer(client)
                if state == b"T" and self.mode == "statement":
                    client.sendall(_error("transaction blocks not allowed in statement mode"))
                    return
                if state == b"I":
                    self._put(server)
                    server = None
        finally:
            if server is not None:
                server.sock.close()

    def _one_to_one(self, client: socket.socket, server: _Server) -> None:
        def back() -> None:
            with suppress(Gone, OSError):
                while True:
                    kind, message = _message(server.sock)
                    self.exchanges += kind == b"Z"
                    client.sendall(message)

        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        with suppress(Gone, OSError), server.sock:
            while True:
                server.sock.sendall(_message(client)[1])


class _Server:
    """One session of PostgreSQL."""

    def __init__(self, address: tuple[str, int], startup: bytes) -> None:
        self.sock = socket.create_connection(address)
        self.sock.sendall(startup)
        self._welcome: list[tuple[bytes, bytes]] = []
        while not self._welcome or self._welcome[-1][0] not in b"ZE":
            self._welcome.append(_message(self.sock))

    def welcome(self, *, own_key: bool) -> bytes:
        """Return what it said first; a pooler gives each client a key of its own."""
        key = b"K" + struct.pack("!iii", 12, secrets.randbelow(2**31), secrets.randbelow(2**31))
        return b"".join(
            key if kind == b"K" and not own_key else message for kind, message in self._welcome
        )

    def answer(self, client: socket.socket) -> bytes:
        """Pass an answer on; return the state of the transaction, b"" while rows are awaited."""
        while True:
            kind, message = _message(self.sock)
            client.sendall(message)
            if kind == b"Z":
                return message[-1:]
            if kind == b"G":
                return b""


def _startup(client: socket.socket) -> bytes:
    while True:
        head = _exactly(client, 8)
        size, code = struct.unpack("!ii", head)
        rest = _exactly(client, size - 8)
        if code == _CANCEL:
            raise Gone
        if code not in {_SSL, _GSS}:
            return head + rest
        client.sendall(b"N")


def _message(sock: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(sock, 5)
    size = struct.unpack("!i", head[1:])[0]
    return head[:1], head + _exactly(sock, size - 4)


def _exactly(sock: socket.socket, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = sock.recv(size - len(pieces))
        if not piece:
            raise Gone
        pieces += piece
    return bytes(pieces)


def _error(text: str) -> bytes:
    body = b"SFATAL\0VFATAL\0C08P01\0M" + text.encode() + b"\0\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body


@contextmanager
def pooler(url: str, mode: str, *, newest_first: bool = True) -> Iterator[Pooler]:
    """Serve `url` through a pooler on loopback; its own URL is `url` of what is yielded."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = Pooler((str(parts.hostname), int(parts.port or 5432)), mode, newest_first)
        port = listener.getsockname()[1]
        served.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=served.serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield served
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            served.close()


@contextmanager
def pgbouncer(url: str, mode: str) -> Iterator[str]:
    """Serve `url` through PgBouncer, which has to be installed; yield its own URL."""
    parts, port = urlsplit(url), free_port()
    user = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="intra42-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = parts.path.lstrip("/")
        (folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"{database} = host={parts.hostname} port={parts.port} user={parts.username}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 5\n"
        )
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        process = subprocess.Popen(
            [program, "-q", str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user,
        )
        try:
            _await(port)
            yield parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        finally:
            process.kill()
            process.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline, "PgBouncer does not listen"
            time.sleep(0.05)
        else:
            return
