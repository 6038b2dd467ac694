"""The scripted server and a client of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import requests
from scripted import Rig, Server, Turns, serve

from intra42.api.auth import MemoryTokens, Token
from intra42.api.client import IntraClient


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        played = Server(url=f"http://127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(played, sock), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield played
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    turns, slept, fetched = Turns(), [], []

    def fetch() -> Token:
        fetched.append(f"token-{len(fetched) + 1}")
        return Token(value=fetched[-1], expires_in_s=7200)

    client = IntraClient(
        server.url,
        MemoryTokens(fetch),
        turns,
        timeout_s=0.3,
        total_timeout_s=0.6,
        session=requests.Session(),
        sleep=slept.append,
    )
    yield Rig(server, turns, slept, fetched, client)
    client.close()
