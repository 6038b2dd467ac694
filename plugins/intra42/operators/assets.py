"""One Airflow asset per table: what other DAGs can be scheduled on.

An asset is called after its table, `intra42.users`, and has no other address: which database the
warehouse is says a connection, and that cannot be asked while a DAG file is read. So
`Asset("intra42.users")` in anybody's DAG is the same asset.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset

from intra42.catalog import graph
from intra42.warehouse.statements import SCHEMA


def asset(table: str) -> Asset:
    """Return the asset of a table of the mirror."""
    return Asset(f"{SCHEMA}.{table}")


def is_ours(outlet: object) -> bool:
    """Tell whether an outlet of a task is a table of the mirror."""
    return isinstance(outlet, Asset) and outlet.name.partition(".")[0] == SCHEMA


def with_outlets(arguments: dict[str, Any], resource: str) -> dict[str, Any]:
    """Return an operator's arguments with the tables that reading `resource` fills as outlets.

    Outlets that are given stay as they are; a name that is no table's fails when the task runs.
    """
    if "outlets" in arguments or not graph.has(resource):
        return arguments
    return arguments | {"outlets": [asset(table) for table in graph.tables_of(resource)]}
