"""The mirror as a dbt source: `docs/dbt/sources.yml`, from the real schema and the catalogue.

Descriptions are the comments of the schema, data types and tests follow from its columns and keys.
How fresh a table is says the run ledger: a row of a quiet table may rightly be old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import yaml

from dev.stack.settings import ROOT
from intra42.catalog import graph
from intra42.catalog.model import Cadence
from intra42.catalog.resources import RESOURCES
from intra42.warehouse.statements import SCHEMA

DOCUMENT = ROOT / "docs" / "dbt" / "sources.yml"

_HEAD = "# Written by `make docs` from the schema, for a project of dbt 1.10 or newer.\n"
_BOOKKEEPING = (
    "sync_runs",
    "sync_run_tables",
    "sync_state",
    "checks",
    "tombstones",
    "parked_records",
)
# Hours: a warning, an error.
_LATE_AFTER = {Cadence.QUARTER_HOUR: (1, 3), Cadence.NIGHT: (26, 50)}

_RELATIONS = """
    select c.oid, c.relname, c.relkind, obj_description(c.oid, 'pg_class')
    from pg_class as c
    where c.relnamespace = 'intra42'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    order by c.relname
"""
_COLUMNS = """
    select
      a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      col_description(a.attrelid, a.attnum),
      exists (
        select 1 from pg_index as i
        where i.indrelid = a.attrelid and i.indisunique and i.indnkeyatts = 1
          and i.indkey[0] = a.attnum and i.indpred is null
      ),
      (
        select k.confrelid::regclass::text
        from pg_constraint as k
        where k.conrelid = a.attrelid and k.contype = 'f' and k.conkey = array[a.attnum]
        limit 1
      )
    from pg_attribute as a
    where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""
_LOADED_AT = (
    "select max(finished_at) from intra42.sync_runs where status = 'success' and resource = '{}'"
)


def document(connection: psycopg.Connection[Any]) -> str:
    """Return the text of `sources.yml` for a migrated database."""
    relations = connection.execute(_RELATIONS).fetchall()
    tables = {
        name: _table(connection, oid, name, comment)
        for oid, name, kind, comment in relations
        if kind in "vm" or _is_public(connection, oid, name)
    }
    source = {
        "name": SCHEMA,
        "schema": SCHEMA,
        "description": "The mirror of the 42 Intra API.",
        "tables": [tables[name] for name in _in_order(tables)],
    }
    text: str = yaml.safe_dump(
        {"version": 2, "sources": [source]}, sort_keys=False, allow_unicode=True, width=100
    )
    return _HEAD + text


def _is_public(connection: psycopg.Connection[Any], oid: int, name: str) -> bool:
    """Tell whether a table is for readers: rows of the API, what belongs to them, the ledger."""
    columns = {row[0] for row in connection.execute(_COLUMNS, [oid])}
    return (
        "_synced_at" in columns
        or name in _BOOKKEEPING
        or name.startswith(tuple(f"{resource.name}_" for resource in RESOURCES))
    )


def _in_order(tables: Mapping[str, Any]) -> Sequence[str]:
    """Return the catalogue's tables in its order, each with those it fills, then all others."""
    known = graph.tables()
    return [*known, *(name for name in tables if name not in known)]


def _table(
    connection: psycopg.Connection[Any], oid: int, name: str, comment: str | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "description": comment or ""}
    for resource in graph.read_for_themselves():
        if name in graph.tables_of(resource.name):
            late, very_late = _LATE_AFTER[resource.cadence]
            found["config"] = {
                "loaded_at_query": _LOADED_AT.format(resource.name),
                "freshness": {
                    "warn_after": {"count": late, "period": "hour"},
                    "error_after": {"count": very_late, "period": "hour"},
                },
            }
    found["columns"] = [_column(*row) for row in connection.execute(_COLUMNS, [oid])]
    return found


def _column(
    name: str, type_: str, required: bool, comment: str | None, unique: bool, parent: str | None
) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name}
    if comment:
        column["description"] = comment
    column["data_type"] = type_
    tests: list[Any] = []
    if unique:
        tests.append("unique")
    if required:
        tests.append("not_null")
    if parent:
        to = f"source('{SCHEMA}', '{parent.rpartition('.')[2]}')"
        tests.append({"relationships": {"arguments": {"to": to, "field": "id"}}})
    if tests:
        column["data_tests"] = tests
    return column
