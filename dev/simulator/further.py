"""The truth about the further tables."""

from __future__ import annotations

from typing import Any

from dev.simulator.clock import to_datetime
from dev.simulator.world import World

Row = dict[str, Any]
Tables = dict[str, dict[Any, Row]]
Keys = dict[str, set[Any]]


# By each of which a table is asked for.
COMES_WITH: dict[str, tuple[str, ...]] = {}


def further_tables(world: World) -> tuple[Tables, Keys]:
    """Return rows and required keys of the tables that a mirror has only where it is asked to."""
    rows: Tables = {"skills": {row.id: _plain(row, world, "skills") for row in world.skills}}
    return rows, {name: set(table) for name, table in rows.items()}


def _plain(row: Any, world: World, table: str) -> Row:
    """Return the columns of a row as the database has them."""
    values = {name: getattr(row, name) for name in world.tables[table].field_names}
    return {n: to_datetime(v) if n.endswith("_at") else v for n, v in values.items()}
