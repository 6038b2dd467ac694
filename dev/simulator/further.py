"""The truth about the further tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dev.simulator.clock import to_datetime
from dev.simulator.references import coalition_place
from dev.simulator.world import World

Row = dict[str, Any]
Tables = dict[str, dict[Any, Row]]
Keys = dict[str, set[Any]]


_TABLES = ("skills", "quests", "quests_users", "locations", "scores")
# By each of which a table is asked for.
COMES_WITH = dict.fromkeys(("quests_users", "quests"), ("quests_users", "quests"))


def further_tables(
    world: World, users: Collection[int], campuses: Collection[int]
) -> tuple[Tables, Keys]:
    """Return rows and required keys for a mirror of `users`, and of `campuses` if any."""
    rows: Tables = {
        name: {row.id: _plain(row, world, name) for row in world.tables[name]} for name in _TABLES
    }
    keys = {name: set(table) for name, table in rows.items()}
    keys["quests_users"] = {n for n, row in rows["quests_users"].items() if row["user_id"] in users}
    keys["quests"] = {rows["quests_users"][number]["quest_id"] for number in keys["quests_users"]}
    keys["locations"] = {
        number
        for number, row in rows["locations"].items()
        if row["user_id"] in users and row["campus_id"] in (campuses or {row["campus_id"]})
    }
    keys["scores"] = {
        number
        for number, row in rows["scores"].items()
        if not campuses or coalition_place(world, row["coalition_id"])[0] in campuses
    }
    return rows, keys


def _plain(row: Any, world: World, table: str) -> Row:
    """Return the columns of a row as the database has them."""
    values = {name: getattr(row, name) for name in world.tables[table].field_names}
    return {n: to_datetime(v) if n.endswith("_at") else v for n, v in values.items()}
