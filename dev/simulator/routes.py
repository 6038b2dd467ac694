"""Which paths exist, and what each shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dev.simulator.query import Scope
from dev.simulator.resources import RESOURCES, Resource
from dev.simulator.store import Store


@dataclass(frozen=True)
class Route:
    """A path of the API: an index (maybe nested under a parent) or a single row."""

    resource: Resource
    scope: Scope | None = None
    parent: Callable[[Store], bool] | None = None
    row_id: str | None = None


def _by_value(attr: str, indexed: bool, name: str) -> Callable[[str, int], Scope]:
    def make(path: str, number: int) -> Scope:
        ids = (lambda store: store.tables[name].where(attr, number)) if indexed else None
        return Scope(path, lambda _, row: getattr(row, attr) == number, ids)

    return make


def _contains(attr: str) -> Callable[[str, int], Scope]:
    return lambda path, number: Scope(path, lambda _, row: number in getattr(row, attr))


def _users_through(name: str, attr: str) -> Callable[[str, int], Scope]:
    """The users that have a row in the table `name` whose `attr` is the parent's id."""

    def make(path: str, number: int) -> Scope:
        def ids(store: Store) -> list[int]:
            return [row.user_id for row in store.tables[name].of(attr, number)]

        return Scope(path, lambda _, __: True, ids)

    return make


def _coalitions_of_user(path: str, number: int) -> Scope:
    def ids(store: Store) -> list[int]:
        return [row.coalition_id for row in store.coalitions_users.of("user_id", number)]

    return Scope(path, lambda _, __: True, ids)


_NESTED: dict[tuple[str, str], Callable[[str, int], Scope]] = {
    ("cursus", "projects"): _contains("cursus_ids"),
    ("cursus", "users"): _users_through("cursus_users", "cursus_id"),
    ("cursus", "cursus_users"): _by_value("cursus_id", True, "cursus_users"),
    ("campus", "users"): _users_through("campus_users", "campus_id"),
    ("campus", "achievements"): _contains("campus_ids"),
    ("projects", "projects"): _by_value("parent_id", True, "projects"),
    ("projects", "projects_users"): _by_value("project_id", False, "projects_users"),
    ("achievements", "achievements_users"): _by_value(
        "achievement_id", False, "achievements_users"
    ),
    ("coalitions", "users"): _users_through("coalitions_users", "coalition_id"),
    ("coalitions", "coalitions_users"): _by_value("coalition_id", True, "coalitions_users"),
    ("coalitions", "scores"): _by_value("coalition_id", True, "scores"),
    ("blocs", "coalitions"): _by_value("bloc_id", True, "coalitions"),
    ("users", "coalitions"): _coalitions_of_user,
    ("users", "coalitions_users"): _by_value("user_id", True, "coalitions_users"),
    ("users", "campus_users"): _by_value("user_id", True, "campus_users"),
    ("users", "cursus_users"): _by_value("user_id", True, "cursus_users"),
    ("users", "projects_users"): _by_value("user_id", True, "projects_users"),
}


def _shown(name: str, number: int) -> Callable[[Store], bool]:
    def parent(store: Store) -> bool:
        row: Any = store.tables[name].get(number)
        return row is not None and RESOURCES[name].visible(store, row)

    return parent


def find_route(path: str) -> Route | None:
    """Return what `path` shows, or None when the API has no such path."""
    parts = path.strip("/").split("/")
    if parts[0] != "v2":
        return None
    match parts[1:]:
        case [name] if name in RESOURCES:
            return Route(RESOURCES[name])
        case [name, row_id] if name in RESOURCES:
            return Route(RESOURCES[name], row_id=row_id)
        case [parent, row_id, name] if (parent, name) in _NESTED and row_id.isdecimal():
            scope = _NESTED[parent, name](path, int(row_id))
            return Route(RESOURCES[name], scope, _shown(parent, int(row_id)))
        case _:
            return None
