"""The dbt source of the documentation is that of the schema, and says enough to be of use."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg
import pytest
import yaml

from dev.docs.dbt import DOCUMENT, document
from intra42.catalog.resources import RESOURCES
from intra42.warehouse.schema import migrate

TEXT = DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    """The tables of the document, by name."""
    (source,) = yaml.safe_load(TEXT)["sources"]
    return {table["name"]: table for table in source["tables"]}


def test_the_source_is_fresh(database_url: str) -> None:
    with closing(psycopg.connect(database_url, autocommit=True)) as connection:
        migrate(connection)
        assert document(connection) == TEXT, "run `make docs`"


def test_every_table_of_the_catalogue_is_there_and_described(tables: dict[str, Any]) -> None:
    for resource in RESOURCES:
        for name in (resource.name, *(link.table for link in resource.links)):
            assert tables[name]["description"], name
            assert tables[name]["config"]["loaded_at_query"], name
    assert "active_students" in tables
    assert not {
        name for name in tables if name.startswith("api_") or name in {"jobs", "partitions"}
    }


def test_columns_have_types_and_the_tests_of_their_keys(tables: dict[str, Any]) -> None:
    columns = {column["name"]: column for column in tables["cursus_users"]["columns"]}
    assert columns["id"]["data_tests"] == ["unique", "not_null"]
    assert columns["level"]["data_type"] == "double precision"
    assert {
        "relationships": {"arguments": {"to": "source('intra42', 'users')", "field": "id"}}
    } in (columns["user_id"]["data_tests"])
    links = {column["name"]: column for column in tables["cursus_projects"]["columns"]}
    assert "unique" not in links["cursus_id"]["data_tests"]


def test_the_age_of_a_table_can_be_asked_for(tables: dict[str, Any], database_url: str) -> None:
    with closing(psycopg.connect(database_url, autocommit=True)) as connection:
        migrate(connection)
        for table in tables.values():
            if query := table.get("config", {}).get("loaded_at_query"):
                assert connection.execute(query).fetchall() == [(None,)]
