"""The truth about reference tables: catalogues, links, and parents nobody lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dev.simulator.clock import to_datetime, to_ms
from dev.simulator.reference_shapes import LANGUAGES, sessions, short_achievement
from dev.simulator.rows import Achievement, Campus, Coalition, Project
from dev.simulator.world import World

Row = dict[str, Any]
Tables = dict[str, dict[Any, Row]]
Keys = dict[str, set[Any]]


@dataclass(frozen=True)
class Scope:
    """Which campuses and cursus a mirror is configured for."""

    campus_ids: tuple[int, ...]
    cursus_ids: tuple[int, ...]
    refresh_cursus_ids: tuple[int, ...]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Read the configuration with its documented defaults."""
        return cls(
            tuple(config.get("campus_ids") or ()),
            tuple(config.get("cursus_ids") or (21,)),
            tuple(config.get("refresh_cursus_ids") or (1, 21)),
        )

    @property
    def all_cursus_ids(self) -> tuple[int, ...]:
        """The main cursus first, then the refreshed ones."""
        return tuple(dict.fromkeys(self.cursus_ids + self.refresh_cursus_ids))


def coalition_place(world: World, coalition_id: int) -> tuple[int | None, int | None]:
    """Return campus and cursus of a coalition, which only its bloc knows."""
    row = world.coalitions.get(coalition_id)
    bloc = world.blocs.get(row.bloc_id) if row is not None and row.listed else None
    return (bloc.campus_id, bloc.cursus_id) if bloc else (None, None)


def reference_tables(
    world: World, scope: Scope, rows: Tables, required: Keys
) -> tuple[Tables, Keys, Keys]:
    """Return rows, required keys and stubs of the reference and link tables."""
    tables: Tables = {
        "cursus": {row.id: _cursus(row) for row in world.cursuses},
        "campuses": {row.id: _campus(world, row) for row in world.campuses.everything()},
        "projects": {row.id: _project(world, scope, row) for row in world.projects.everything()},
        "project_sessions": {
            session["id"]: session
            for row in world.projects.everything()
            for session in _sessions(world, row)
        },
        "achievements": {
            row.id: _achievement(world, scope, row) for row in world.achievements.everything()
        },
        "coalitions": {
            row.id: _coalition(world, scope, row) for row in world.coalitions.everything()
        },
    }
    needed: Keys = {
        name: _mentioned(rows, required, name) for name in tables if name != "project_sessions"
    }
    needed["cursus"] |= set(scope.all_cursus_ids)
    chosen = set(scope.campus_ids)
    for name in ("projects", "achievements"):
        needed[name] |= {
            key
            for key, row in tables[name].items()
            if row.get("listed")
            and (not chosen or chosen & set(world.tables[name][key].campus_ids))
        }
    needed["campuses"] |= {
        row.id
        for row in world.campuses
        if world.lists_campus(row) and row.id in (chosen or {row.id})
    }
    needed["coalitions"] |= {key for key, row in tables["coalitions"].items() if row.get("listed")}
    _add_links(world, scope, tables, needed)
    _add_sessions(tables, needed)
    for key in needed["coalitions"]:
        place = coalition_place(world, key)
        if place[0] is not None and place[1] is not None:
            needed["campuses"].add(place[0])
            needed["cursus"].add(place[1])
    for name, keys in needed.items():
        for key in keys - tables[name].keys():
            tables[name][key] = {"id": key} | ({} if name == "cursus" else {"listed": False})
    stubs: Keys = {
        name: {key for key, row in table.items() if row.get("listed") is not True}
        for name, table in tables.items()
        if name not in {"cursus", "project_sessions"}
    }
    return tables, needed, stubs


def _mentioned(rows: Tables, required: Keys, name: str) -> set[Any]:
    """Return the parents in the table `name` that required rows point at."""
    column = {
        "cursus": "cursus_id",
        "campuses": "campus_id",
        "projects": "project_id",
        "achievements": "achievement_id",
        "coalitions": "coalition_id",
    }[name]
    return {
        rows[table][key][column]
        for table, keys in required.items()
        for key in keys
        if rows[table].get(key, {}).get(column) is not None
    }


def _add_links(world: World, scope: Scope, tables: Tables, needed: Keys) -> None:
    # Links of a parent that has gone may stay: only a fresh list can change them.
    projects = world.projects.everything()
    links: dict[str, set[tuple[int, int]]] = {
        "cursus_projects": {(c, row.id) for row in projects for c in row.cursus_ids},
        "campus_projects": {(c, row.id) for row in projects for c in row.campus_ids},
        "campus_achievements": {
            (c, row.id) for row in world.achievements.everything() for c in row.campus_ids
        },
    }
    columns = {
        "cursus_projects": ("cursus_id", "project_id"),
        "campus_projects": ("campus_id", "project_id"),
        "campus_achievements": ("campus_id", "achievement_id"),
    }
    for name, pairs in links.items():
        first, second = columns[name]
        tables[name] = {pair: {first: pair[0], second: pair[1]} for pair in pairs}
    listed = {key for key in needed["projects"] if tables["projects"][key].get("listed")}
    for name in ("cursus_projects", "campus_projects"):
        needed[name] = {pair for pair in links[name] if pair[1] in listed}
    needed["cursus"] |= {cursus_id for cursus_id, _ in needed["cursus_projects"]}
    needed["campuses"] |= {campus_id for campus_id, _ in needed["campus_projects"]}
    campuses = {row.id for row in world.campuses if world.lists_campus(row)}
    wanted = campuses & (set(scope.campus_ids) or campuses)
    needed["campus_achievements"] = {
        pair
        for pair in links["campus_achievements"]
        if pair[0] in wanted and tables["achievements"][pair[1]].get("listed")
    }


def _cursus(row: Any) -> Row:
    return {
        "id": row.id,
        "name": row.name,
        "slug": row.slug,
        "kind": row.kind,
        "created_at": to_datetime(row.created_at),
    }


_CAMPUS_COLUMNS = [
    "id",
    "name",
    "time_zone",
    "language_id",
    "users_count",
    "vogsphere_id",
    "country",
    "address",
    "zip",
    "city",
    "website",
    "facebook",
    "twitter",
    "active",
    "public",
    "email_extension",
    "default_hidden_phone",
]


def _campus(world: World, row: Campus) -> Row:
    name, identifier = LANGUAGES[row.language_id]
    return {
        **{column: getattr(row, column) for column in _CAMPUS_COLUMNS},
        "language_name": name,
        "language_identifier": identifier,
        "listed": world.lists_campus(row),
    }


_PROJECT_COLUMNS = ["id", "name", "slug", "parent_id", "difficulty", "exam", "git_id", "repository"]


def _project(world: World, scope: Scope, row: Project) -> Row:
    values = {column: getattr(row, column) for column in _PROJECT_COLUMNS}
    if world.projects.known(row.parent_id) is None:
        values["parent_id"] = None
    values |= {name: to_datetime(getattr(row, name)) for name in ("created_at", "updated_at")}
    if not world.lists_project(row):
        return values | {"listed": False}
    # A project found by id that no configured cursus lists may be called either.
    inside = set(scope.cursus_ids) & set(row.cursus_ids)
    return values | ({"listed": True} if inside else {})


_SESSION_COLUMNS = [
    "id",
    "project_id",
    "campus_id",
    "cursus_id",
    "solo",
    "difficulty",
    "description",
    "duration_days",
    "max_people",
    "is_subscriptable",
    "team_behaviour",
    "commit",
]


def _sessions(world: World, project: Project) -> list[Row]:
    """Return the sessions of a project; of a hidden one no more than whose they are."""
    shown = world.lists_project(project)
    return [
        {
            **{column: session[column] for column in _SESSION_COLUMNS},
            **{
                column: None if session[column] is None else str(session[column])
                for column in ("estimate_time", "terminating_after")
            },
            **{
                column: to_datetime(to_ms(session[column]))
                for column in ("begin_at", "end_at", "created_at", "updated_at")
            },
            "listed": True,
        }
        if shown
        else {"id": session["id"], "project_id": project.id}
        for session in sessions(project)
    ]


def _add_sessions(tables: Tables, needed: Keys) -> None:
    """Require the sessions of the listed projects, and the parents that they mention."""
    listed = {key for key in needed["projects"] if tables["projects"][key].get("listed")}
    rows = tables["project_sessions"]
    needed["project_sessions"] = {key for key, row in rows.items() if row["project_id"] in listed}
    for name, column in (("campuses", "campus_id"), ("cursus", "cursus_id")):
        mentioned = {rows[key][column] for key in needed["project_sessions"]}
        needed[name] |= mentioned - {None}


def _achievement(world: World, scope: Scope, row: Achievement) -> Row:
    values = short_achievement(row)
    values["parent_id"] = row.parent_id if world.achievements.known(row.parent_id) else None
    values["title"] = row.title[1] if row.title else None
    if not world.lists_achievement(row):
        return values | {"listed": False}
    chosen = set(scope.campus_ids) or {c.id for c in world.campuses if world.lists_campus(c)}
    return values | ({"listed": True} if chosen & set(row.campus_ids) else {})


_COALITION_COLUMNS = [
    "id",
    "name",
    "slug",
    "image_url",
    "cover_url",
    "color",
    "score",
    "user_id",
    "bloc_id",
]


def _coalition(world: World, scope: Scope, row: Coalition) -> Row:
    campus_id, cursus_id = coalition_place(world, row.id)
    values = {column: getattr(row, column) for column in _COALITION_COLUMNS}
    values |= {"campus_id": campus_id, "cursus_id": cursus_id}
    if campus_id is None:
        return values | {"listed": False}
    inside = not scope.campus_ids or campus_id in scope.campus_ids
    return values | ({"listed": True} if inside else {})
