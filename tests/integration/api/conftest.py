from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from intra42 import statements

Connect = Callable[[], psycopg.Connection[Any]]


@pytest.fixture
def warehouse(database_url: str) -> str:
    """The URL of a database that has the tables of the API layer, migrated twice."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(statements.read("migrations/0001_api"))
    return database_url


@pytest.fixture
def connect(warehouse: str) -> Connect:
    return lambda: psycopg.connect(warehouse)
