from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from intra42.warehouse.schema import migrate

Connect = Callable[[], psycopg.Connection[Any]]


@pytest.fixture
def warehouse(database_url: str) -> str:
    """The URL of a database with our schema."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        migrate(connection)
    return database_url


@pytest.fixture
def connect(warehouse: str) -> Connect:
    return lambda: psycopg.connect(warehouse)
