from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from intra42.api.auth import MemoryTokens, PostgresTokens, Token
from intra42.errors import RetriableApiError

Connect = Callable[[], psycopg.Connection[Any]]
APP = "an-application"
SECRET = "s-s4t2ud-of-nobody"
spawn = multiprocessing.get_context("spawn")


class Issuer:
    """Issues tokens and counts them."""

    def __init__(self, life_s: float = 7200, takes_s: float = 0) -> None:
        self.life_s = life_s
        self.takes_s = takes_s
        self.issued: list[str] = []

    def __call__(self) -> Token:
        time.sleep(self.takes_s)
        self.issued.append(f"token-{len(self.issued) + 1}")
        return Token(value=self.issued[-1], expires_in_s=self.life_s)


def worker(connect: Connect, issuer: Callable[[], Token], secret: str = SECRET) -> PostgresTokens:
    return PostgresTokens(connect, APP, APP, secret, issuer)


def test_workers_share_one_token(connect: Connect) -> None:
    issuer = Issuer()
    assert {worker(connect, issuer).token() for _ in range(3)} == {"token-1"}
    assert issuer.issued == ["token-1"]


def test_a_stored_token_is_recalled_without_a_connection_of_its_own(connect: Connect) -> None:
    def unwanted() -> psycopg.Connection[Any]:
        raise AssertionError

    worker(connect, Issuer()).token()
    tokens = worker(unwanted, Issuer())
    with connect() as connection:
        tokens.recall(connection)
    assert tokens.token() == "token-1"


def test_nothing_is_recalled_where_no_usable_token_is_stored(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tokens = worker(connect, Issuer(), secret="another")
    with connect() as connection:
        tokens.recall(connection)
        worker(connect, Issuer()).token()
        tokens.recall(connection)
    assert tokens.token() == "token-1"
    assert caplog.text.count("was encrypted with another client secret") == 1


def test_one_worker_fetches_while_the_others_wait(connect: Connect) -> None:
    issuer = Issuer(takes_s=0.3)
    got: list[str] = []
    threads = [
        threading.Thread(target=lambda: got.append(worker(connect, issuer).token()))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["token-1"] * 6
    assert len(issuer.issued) == 1


def test_the_token_in_the_database_is_encrypted(connect: Connect) -> None:
    worker(connect, Issuer()).token()
    with connect() as connection:
        row = connection.execute(
            "select token, api_tokens::text from intra42.api_tokens"
        ).fetchone()
    assert row is not None
    assert b"token-1" not in row[0]
    assert SECRET not in row[1]


@pytest.mark.parametrize(("life_s", "usable_s"), [(7200, 7140), (100, 90), (5, 4.5), (0, 1)])
def test_a_token_is_renewed_a_little_before_it_expires(
    connect: Connect, life_s: float, usable_s: float
) -> None:
    worker(connect, Issuer(life_s)).token()
    with connect() as connection:
        row = connection.execute(
            "select extract(epoch from renew_at - clock_timestamp())::float8"
            " from intra42.api_tokens"
        ).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(usable_s, abs=0.5)


def test_an_expired_token_is_replaced_for_all(connect: Connect) -> None:
    issuer = Issuer(life_s=1.1)
    one, other = worker(connect, issuer), worker(connect, issuer)
    assert one.token() == other.token() == "token-1"
    time.sleep(1.2)
    assert one.token() == other.token() == "token-2"


def test_a_refused_token_is_forgotten_by_all(connect: Connect) -> None:
    issuer = Issuer()
    one, other = worker(connect, issuer), worker(connect, issuer)
    refused = one.token()
    assert other.token() == refused
    one.reject(refused)
    assert one.token() == "token-2"
    other.reject(refused)
    assert other.token() == "token-2"
    assert len(issuer.issued) == 2


def test_a5_a_changed_secret_makes_the_stored_token_unreadable_and_fetches_another(
    connect: Connect,
) -> None:
    issuer = Issuer()
    assert worker(connect, issuer).token() == "token-1"
    rotated = worker(connect, issuer, "another-secret")
    assert rotated.token() == "token-2"
    rotated.reject("token-1")
    assert worker(connect, issuer, "another-secret").token() == "token-2"


def test_a_failed_fetch_leaves_the_next_worker_free_to_try(connect: Connect) -> None:
    def fail() -> Token:
        raise RetriableApiError("down")

    with pytest.raises(RetriableApiError):
        worker(connect, fail).token()
    assert worker(connect, Issuer()).token() == "token-1"


def fetch_for_ever(url: str, ready: Any) -> None:
    def fetch() -> Token:
        ready.set()
        time.sleep(60)
        raise AssertionError

    PostgresTokens(lambda: psycopg.connect(url), APP, APP, SECRET, fetch).token()


def test_a_worker_killed_while_fetching_holds_nobody_up(warehouse: str, connect: Connect) -> None:
    ready = spawn.Event()
    process = spawn.Process(target=fetch_for_ever, args=(warehouse, ready))
    process.start()
    assert ready.wait(20)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    started = time.monotonic()
    assert worker(connect, Issuer()).token() == "token-1"
    assert time.monotonic() - started < 2


def test_a_token_in_memory_is_renewed_and_forgotten_alike() -> None:
    issuer = Issuer()
    tokens = MemoryTokens(issuer)
    assert tokens.token() == tokens.token() == "token-1"
    tokens.reject("another")
    assert tokens.token() == "token-1"
    tokens.reject("token-1")
    assert tokens.token() == "token-2"


def test_a_token_does_not_show_in_its_text() -> None:
    assert "hush" not in repr(Token(value="hush", expires_in_s=1))
