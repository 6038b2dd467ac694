"""What a mirror must hold, computed from the world alone.

Three answers per table: `rows` are the values a row must show if it is there at all (a column
that is left out may hold anything), `required` are the keys that must be there for the given
configuration, and `stubs` are keys the API lists nowhere, whose columns may also be null.

History is not known here. Students who are alumni or anonymised are therefore not required,
though they stay in a mirror that has seen them before: pass such users as `also_users`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from dev.simulator import references
from dev.simulator.clock import to_datetime
from dev.simulator.further import COMES_WITH, further_tables
from dev.simulator.reference_shapes import API
from dev.simulator.rows import CursusUser, ProjectsUser, User
from dev.simulator.shapes import SKILLS, image
from dev.simulator.world import World

Row = dict[str, Any]
Truth = dict[str, dict[str, Any]]

_MAX_INT = (1 << 63) - 1
CHILDREN = (
    "campus_users",
    "cursus_users",
    "projects_users",
    "achievements_users",
    "coalitions_users",
)


def truth(world: World, config: Mapping[str, Any], also_users: Collection[int] = ()) -> Truth:
    """Return rows, required keys and stubs of every table for a mirror with `config`."""
    scope = references.Scope.of(config)
    with world.lock:
        rows: dict[str, dict[Any, Row]] = {"users": _users(world)}
        for name in CHILDREN:
            rows[name] = _children(world, name, scope)
        required = _required(world, scope, rows, set(also_users))
        tables, needed, stubs = references.reference_tables(world, scope, rows, required)
        further, asked = further_tables(world, required["users"], scope.campus_ids)
    merged = {**rows, **tables, **further}
    wanted = {**required, **needed, **asked}
    for name, table in merged.items():
        _clean(table)
        wanted[name] = wanted[name] & table.keys()
    names = set(config.get("tables") or ())
    for name in further:
        if names.isdisjoint({"all", *COMES_WITH.get(name, (name,))}):
            del merged[name], wanted[name]
    return {"rows": merged, "required": wanted, "stubs": stubs}


def encode(facts: Truth) -> dict[str, Any]:
    """Return the truth in a form JSON can carry; `decode` undoes it."""
    rows = {
        name: [
            [list(key) if isinstance(key, tuple) else key, _plain(row)] for key, row in t.items()
        ]
        for name, t in facts["rows"].items()
    }
    keys = {
        part: {
            name: [list(k) if isinstance(k, tuple) else k for k in found]
            for name, found in facts[part].items()
        }
        for part in ("required", "stubs")
    }
    return {"rows": rows, **keys}


def decode(answer: Mapping[str, Any]) -> Truth:
    """Return the truth from its JSON form."""

    def key(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    rows = {
        name: {key(k): {c: _revive(c, v) for c, v in row.items()} for k, row in pairs}
        for name, pairs in answer["rows"].items()
    }
    parts = {
        part: {name: {key(k) for k in found} for name, found in answer[part].items()}
        for part in ("required", "stubs")
    }
    return {"rows": rows, **parts}


def _plain(row: Row) -> Row:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}


def _revive(column: str, value: Any) -> Any:
    is_time = column.endswith("_at") or column in {"anonymize_date", "data_erasure_date"}
    return datetime.fromisoformat(value) if is_time and isinstance(value, str) else value


def _date(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _users(world: World) -> dict[Any, Row]:
    """Return every account some endpoint shows, listed or embedded."""
    embedded = {row.user_id for row in world.cursus_users}
    embedded |= {row.user_id for row in world.projects_users}
    return {
        row.id: _user(world, row)
        for row in world.users.everything()
        if world.lists_user(row) or row.id in embedded
    }


def _user(world: World, row: User) -> Row:
    picture = image(row)
    return {
        "id": row.id,
        "email": row.email,
        "login": row.login,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "usual_full_name": row.usual_full_name,
        "usual_first_name": row.usual_first_name,
        "url": f"{API}/users/{row.login}",
        "phone": row.phone,
        "displayname": row.displayname,
        "kind": row.kind,
        "image_link": picture["link"],
        **{f"image_{size}": link for size, link in picture["versions"].items()},
        "staff": row.staff,
        "correction_point": row.correction_point,
        "pool_month": row.pool_month,
        "pool_year": row.pool_year,
        "location": row.location,
        "wallet": row.wallet,
        "anonymize_date": _date(row.anonymize_date),
        "data_erasure_date": _date(row.data_erasure_date),
        "created_at": to_datetime(row.created_at),
        "updated_at": to_datetime(row.updated_at),
        "alumnized_at": to_datetime(row.alumnized_at),
        "alumni": row.alumni,
        "active": row.active,
        "campus_id": world.primary_campus(row.id),
    }


def _children(world: World, name: str, scope: references.Scope) -> dict[Any, Row]:
    table = world.tables[name]
    moments = [column for column in table.field_names if column.endswith("_at")]
    others = table.field_names - {*moments, "cursus_ids"}
    shown: dict[Any, Row] = {}
    for row in table:
        values = {column: getattr(row, column) for column in others}
        for column in moments:
            values[column] = to_datetime(getattr(row, column))
        values.update(_derived(world, row, scope))
        shown[row.id] = values
    return shown


def _derived(world: World, row: Any, scope: references.Scope) -> Row:
    if isinstance(row, CursusUser):
        skills = [{"id": n, "name": SKILLS[n], "level": level} for n, level in row.skills]
        return {"skills": skills}
    if isinstance(row, ProjectsUser):
        cursus = next((c for c in scope.cursus_ids if c in row.cursus_ids), None)
        return {"campus_id": world.primary_campus(row.user_id), "cursus_id": cursus}
    if hasattr(row, "achievement_id"):
        enrolled = {found.cursus_id for found in world.cursus_users.of("user_id", row.user_id)}
        return {"cursus_id": next((c for c in scope.all_cursus_ids if c in enrolled), None)}
    if hasattr(row, "coalition_id"):
        return {"campus_id": references.coalition_place(world, row.coalition_id)[0]}
    return {}


def _required(
    world: World, scope: references.Scope, rows: dict[str, dict[Any, Row]], also: set[int]
) -> dict[str, set[Any]]:
    wanted_cursus = set(scope.all_cursus_ids)
    enrolled = {row.user_id for row in world.cursus_users if row.cursus_id in wanted_cursus}
    campus_ids = set(scope.campus_ids)
    users = {
        row.id
        for row in world.users
        if row.kind == "student"
        and not row.alumni
        and not row.anonymised
        and row.id in enrolled
        and (not campus_ids or world.primary_campus(row.id) in campus_ids)
        and not _unstorable(rows["users"].get(row.id, {}))
    }
    users |= also & rows["users"].keys()
    required: dict[str, set[Any]] = {"users": users}
    for name in CHILDREN:
        required[name] = {key for key, row in rows[name].items() if row["user_id"] in users}
    enrolments, attempts = rows["cursus_users"], rows["projects_users"]
    required["cursus_users"] = {
        key for key in required["cursus_users"] if enrolments[key]["cursus_id"] in wanted_cursus
    }
    required["projects_users"] = {
        key for key in required["projects_users"] if attempts[key]["cursus_id"] is not None
    }
    return required


def _unstorable(row: Row) -> bool:
    return any(isinstance(v, int) and abs(v) > _MAX_INT for v in row.values())


def _clean(table: dict[Any, Row]) -> None:
    """Drop rows no database can hold, and U+0000 from texts."""
    for key in [key for key, row in table.items() if _unstorable(row)]:
        del table[key]
    for row in table.values():
        for column, value in row.items():
            if isinstance(value, str) and "\0" in value:
                row[column] = value.replace("\0", "")
