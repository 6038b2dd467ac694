"""One reading of a figure for all who look, and none that lasts: against real servers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from dev.stack.postgres import free_port
from intra42.errors import Unavailable
from intra42.ui import figures
from intra42.ui.sharing import Shared, cut_after
from intra42.ui.warehouse import Connection, reading
from tests.integration.ui.conftest import Warehouse

VIEWERS = 40
EXECUTIONS = "select count(*) as n from intra42.parked_records"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts every connection and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=200)) as server:
        port = server.getsockname()[1]
        yield f"host=127.0.0.1 port={port} user=page dbname=page connect_timeout=2"


def figure_of(
    connect: Callable[[], psycopg.Connection[Any]], statement: str
) -> Callable[[], dict[str, Any]]:
    """Return a reading of one number, as the routes of the page read theirs."""

    def read() -> dict[str, Any]:
        with cut_after(connect) as impatient, reading(impatient) as connection:
            row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row

    return read


def test_all_who_look_at_once_cost_one_reading(warehouse: Warehouse) -> None:
    opened: list[psycopg.Connection[Any]] = []

    def connect() -> psycopg.Connection[Any]:
        opened.append(warehouse.connect())
        return opened[-1]

    read = figure_of(connect, "select count(*) as n, pg_sleep(0.3) from intra42.users")
    shared = Shared()

    async def look() -> list[Any]:
        return await asyncio.gather(*(shared.get("one", "users", read) for _ in range(VIEWERS)))

    assert [found["n"] for found in asyncio.run(look())] == [0] * VIEWERS
    assert len(opened) == 1
    # Another loop, as another viewer's: the figure is still there.
    assert asyncio.run(shared.get("one", "users", read))["n"] == 0
    assert len(opened) == 1


def test_a_figure_is_read_again_when_its_seconds_are_over(warehouse: Warehouse) -> None:
    shared = Shared(keep_s=0.2)
    read = figure_of(warehouse.connect, EXECUTIONS)
    assert asyncio.run(shared.get("one", "parked", read))["n"] == 0
    warehouse.execute(
        "insert into intra42.parked_records (resource, id, fingerprint, payload, reason, run_id, "
        "first_seen_at, last_seen_at, last_run_id) "
        "values ('users', 7, '7', '{}', 'odd', 'run 1', now(), now(), 'run 1')"
    )
    time.sleep(0.25)
    assert asyncio.run(shared.get("one", "parked", read))["n"] == 1


def test_figures_of_another_name_or_warehouse_are_their_own(warehouse: Warehouse) -> None:
    shared = Shared()
    one = figure_of(warehouse.connect, "select 1 as n")
    two = figure_of(warehouse.connect, "select 2 as n")
    asked = [("a", "x", one), ("a", "y", two), ("b", "x", two)]
    found = [asyncio.run(shared.get(*each))["n"] for each in asked]
    assert found == [1, 2, 2]


def test_an_error_is_told_to_all_who_wait_and_not_kept(database_url: str) -> None:
    shared = Shared()
    warehouse = Warehouse(database_url)

    def read() -> dict[str, Any]:
        with reading(warehouse.connect) as connection:
            return figures.parked(connection)

    async def look() -> list[Any]:
        waiting = (shared.get("one", "parked", read) for _ in range(5))
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert {error.problem for error in asyncio.run(look())} == {"no_schema"}
    warehouse.migrate()
    assert asyncio.run(shared.get("one", "parked", read))["total"] == 0


def test_no_more_than_four_ask_the_warehouse_at_a_time(warehouse: Warehouse) -> None:
    shared = Shared()
    now, most = 0, 0
    lock = threading.Lock()

    def read() -> dict[str, Any]:
        nonlocal now, most
        with reading(warehouse.connect) as connection:
            with lock:
                now += 1
                most = max(most, now)
            connection.execute("select pg_sleep(0.1)")
            with lock:
                now -= 1
        return {}

    async def look() -> None:
        await asyncio.gather(*(shared.get("one", number, read) for number in range(12)))

    asyncio.run(look())
    assert most == 4


def test_a_server_that_never_speaks_costs_each_viewer_seconds(silent: str) -> None:
    shared = Shared()
    read = figure_of(lambda: psycopg.connect(silent), "select 1 as n")

    async def look() -> list[Any]:
        waiting = (shared.get("one", number % 9, read) for number in range(9 * VIEWERS))
        return await asyncio.gather(*waiting, return_exceptions=True)

    began = time.monotonic()
    problems = {error.problem for error in asyncio.run(look())}
    assert problems == {"unreachable"}
    # Nine figures, four at a time: who waits in the queue hears what the first ones found.
    assert time.monotonic() - began < 5


def test_a_warehouse_out_of_reach_is_asked_again_after_its_seconds() -> None:
    shared = Shared(keep_s=0.3)
    tried = 0

    def connect() -> psycopg.Connection[Any]:
        nonlocal tried
        tried += 1
        return psycopg.connect(f"host=127.0.0.1 port={free_port()} user=page")

    read = figure_of(connect, "select 1 as n")
    for _ in range(3):
        with pytest.raises(Unavailable, match="cannot be reached"):
            asyncio.run(shared.get("one", "x", read))
    assert tried == 1
    time.sleep(0.35)
    with pytest.raises(Unavailable):
        asyncio.run(shared.get("one", "x", read))
    assert tried == 2


def test_who_waits_long_enough_is_told_and_the_others_are_not_stopped(
    warehouse: Warehouse,
) -> None:
    shared = Shared(patience_s=0.2)
    read = figure_of(warehouse.connect, "select 1 as n, pg_sleep(0.6)")
    with pytest.raises(Unavailable) as caught:
        asyncio.run(shared.get("one", "x", read))
    assert caught.value.problem == "slow"
    time.sleep(0.6)
    assert asyncio.run(shared.get("one", "x", read))["n"] == 1


def test_a_server_that_falls_silent_after_its_welcome_is_cut_off(warehouse: Warehouse) -> None:
    began = time.monotonic()

    def ask(connection: Connection) -> None:
        connection.execute("set statement_timeout = 0")  # nothing of the server's own helps
        connection.execute("select pg_sleep(60)")

    with (
        pytest.raises(Unavailable) as caught,
        cut_after(warehouse.connect, 0.5) as impatient,
        reading(impatient) as connection,
    ):
        ask(connection)
    assert caught.value.problem == "unreachable"
    assert time.monotonic() - began < 10


def test_a_connection_that_opens_when_the_time_is_over_is_cut_off(warehouse: Warehouse) -> None:
    def connect() -> psycopg.Connection[Any]:
        time.sleep(0.3)
        return warehouse.connect()

    with (
        pytest.raises(Unavailable),
        cut_after(connect, 0.1) as impatient,
        reading(impatient),
    ):
        pass
