"""A deadline for a whole exchange: a second thread cuts the connection when it is over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Watchdog(threading.Thread):
    """Cuts the connection in use when `seconds` are over, and again until it is called off."""

    def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
        super().__init__(name="intra42-deadline", daemon=True)
        self.expired = False
        self._seconds = seconds
        self._cut = cut
        self._done = threading.Event()

    def run(self) -> None:
        """Wait for the end of the exchange or of the time."""
        wait_s = self._seconds
        while not self._done.wait(wait_s):
            self.expired = True
            self._cut()
            wait_s = 0.2

    def __enter__(self) -> Watchdog:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self.join()


class DeadlineAdapter(HTTPAdapter):
    """An adapter that knows the connection in use, so that another thread can cut it.

    Attributes:
        sent: called when a request has gone out.
    """

    def __init__(self) -> None:
        self.in_use: HTTPConnection | None = None
        self.sock: Any = None
        self.sent: Callable[[], None] | None = None
        super().__init__(pool_connections=2, pool_maxsize=2)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make a pool manager whose connections report to this adapter."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """Make a proxy manager whose connections report to this adapter."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _pools(self)
        return manager

    def has_sent(self, connection: HTTPConnection) -> None:
        """Keep the socket of a connection that has sent its request."""
        self.sock = connection.sock
        if self.sent is not None:
            self.sent()

    def release(self) -> None:
        """Forget the connection in use: the exchange is over."""
        self.in_use = self.sock = None

    def cut(self) -> None:
        """Shut the connection in use, if any: a blocked read on it ends at once."""
        connection = self.in_use
        # A connection that is not kept lets go of its socket before the body is read.
        sock = self.sock or (connection.sock if connection is not None else None)
        if sock is None:
            return
        try:
            # The plain method: ssl's own would drop the TLS object another thread reads from.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            return  # already closed


def _pools(adapter: DeadlineAdapter) -> dict[str, type[HTTPConnectionPool]]:
    """Return pool classes whose connections put themselves into `adapter.in_use`."""

    class Plain(HTTPConnection):
        def request(self, *arguments: Any, **options: Any) -> None:
            adapter.in_use, adapter.sock = self, None
            super().request(*arguments, **options)
            adapter.has_sent(self)

    class Secure(HTTPSConnection):
        def request(self, *arguments: Any, **options: Any) -> None:
            adapter.in_use, adapter.sock = self, None
            super().request(*arguments, **options)
            adapter.has_sent(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
