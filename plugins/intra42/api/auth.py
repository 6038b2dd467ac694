"""The access token: fetched once, shared by all workers, renewed before it expires.

It lives for `expires_in`; the database's clock decides for all workers.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Protocol

import psycopg
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intra42.api.oauth import LABEL, Token, fetch_token
from intra42.errors import RetriableApiError
from intra42.warehouse import statements
from intra42.warehouse.sessions import opened

__all__ = ["MemoryTokens", "PostgresTokens", "Token", "TokenSource", "fetch_token"]

log = logging.getLogger(__name__)


class TokenSource(Protocol):
    """Where the client gets its token."""

    def token(self) -> str:
        """Return a token that has not expired."""

    def reject(self, token: str) -> None:
        """Forget a token the API refused, if it is still the one in use."""


class MemoryTokens:
    """A token of this process only."""

    def __init__(self, fetch: Callable[[], Token]) -> None:
        self._fetch = fetch
        self._value = ""
        self._until = 0.0

    def token(self) -> str:
        """Return the token, fetching one when there is none or it is about to expire."""
        if not self._value or time.monotonic() >= self._until:
            asked = time.monotonic()
            fetched = self._fetch()
            self._value, self._until = fetched.value, asked + fetched.usable_s()
        return self._value

    def reject(self, token: str) -> None:
        """Forget the token if it is the one in use."""
        if token == self._value:
            self._value = ""


class PostgresTokens:
    """The token of all workers, encrypted in the warehouse.

    One process fetches while the others wait for it; a process that dies meanwhile takes its lock
    with it. It lives for `expires_in` by the database's clock, whatever any date says.

    Args:
        connect: opens a connection to the warehouse; it is closed after each use.
        application: client id, the key of the stored token.
        client_id: client id, part of the key derivation.
        client_secret: what the encryption key is derived from; after a change of the secret the
            stored token is unreadable, and another is fetched.
        fetch: asks the API for a token.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        application: str,
        client_id: str,
        client_secret: str,
        fetch: Callable[[], Token],
    ) -> None:
        self._connect = connect
        self._application = application
        self._fernet = Fernet(_key(client_id, client_secret))
        self._fetch = fetch
        self._value = ""
        self._until = 0.0

    def token(self) -> str:
        """Return the shared token, fetching one when there is none or it is about to expire.

        Raises:
            FatalApiError: the API does not know the client id or secret.
            RetriableApiError: no token could be had, or another process is at it for minutes.
        """
        if not self._value or time.monotonic() >= self._until:
            self._keep(*self._load())
        return self._value

    def recall(self, connection: psycopg.Connection[Any]) -> None:
        """Take over the stored token, if any, by a connection that is open anyway."""
        stored = self._read(connection)
        if stored is not None:
            self._keep(*stored[:2])

    def reject(self, token: str) -> None:
        """Forget the token here, and in the warehouse if it is still the stored one."""
        if token == self._value:
            self._value = ""
        with closing(opened(self._connect)) as connection:
            stored = self._read(connection)
            if stored is not None and stored[0] == token:
                self._run(connection, "token_forget", token=stored[2])

    def _keep(self, value: str, seconds: float) -> None:
        self._value, self._until = value, time.monotonic() + seconds

    def _load(self) -> tuple[str, float]:
        with closing(opened(self._connect)) as connection:
            stored = self._read(connection)
            if stored is None:
                stored = self._renew(connection)
            return stored[0], stored[1]

    def _renew(self, connection: psycopg.Connection[Any]) -> tuple[str, float, bytes]:
        with connection.transaction():
            connection.execute(statements.read("quota/token_patience"))
            try:
                self._run(connection, "token_lock")
            except psycopg.errors.LockNotAvailable:
                message = f"{LABEL}: another process has been asking for a token for 240 s"
                raise RetriableApiError(message) from None
            stored = self._read(connection, tell=True)
            if stored is not None:
                return stored
            asked = time.monotonic()
            fetched = self._fetch()
            seconds = max(fetched.usable_s() - (time.monotonic() - asked), 1.0)
            cipher = self._fernet.encrypt(fetched.value.encode())
            self._run(connection, "token_write", token=cipher, seconds=seconds)
            return fetched.value, seconds, cipher

    def _read(
        self, connection: psycopg.Connection[Any], *, tell: bool = False
    ) -> tuple[str, float, bytes] | None:
        row = self._run(connection, "token_read").fetchone()
        if row is None:
            return None
        try:
            return self._fernet.decrypt(row[0]).decode(), float(row[1]), bytes(row[0])
        except InvalidToken:
            if tell:
                log.info(
                    "The stored token was encrypted with another client secret, fetching another"
                )
            return None

    def _run(
        self, connection: psycopg.Connection[Any], name: str, **values: Any
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        values["application"] = self._application
        return connection.execute(statements.read(f"quota/{name}"), values)


def _key(client_id: str, client_secret: str) -> bytes:
    """Return a Fernet key; HKDF suffices, a client secret is 256 random bits, not a password."""
    derive = HKDF(algorithm=SHA256(), length=32, salt=client_id.encode(), info=b"intra42 api token")
    return base64.urlsafe_b64encode(derive.derive(client_secret.encode()))
