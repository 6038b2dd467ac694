"""How the API shows reference rows: campuses, cursus, projects, achievements, coalitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dev.simulator.clock import DAY, HOUR, iso
from dev.simulator.rows import Achievement, Bloc, Campus, Coalition, Cursus, Project

if TYPE_CHECKING:
    from dev.simulator.store import Store

Json = dict[str, Any]

API = "https://api.intra.42.fr/v2"
CDN = "https://cdn.example.invalid"
LANGUAGES = {
    1: ("Français", "fr"),
    2: ("English", "en"),
    5: ("German", "de"),
    6: ("Portuguese", "pt"),
    7: ("Italian", "it"),
    11: ("Spanish", "es"),
    13: ("Japanese", "ja"),
    15: ("Polish", "pl"),
}
_LANGUAGE_BIRTH = 1_429_027_658_122
_LANGUAGE_TOUCHED = 1_752_800_000_000


def cursus(_: Store, row: Cursus) -> Json:
    """Show a cursus; the nested form is the same."""
    return {
        "id": row.id,
        "created_at": iso(row.created_at),
        "name": row.name,
        "slug": row.slug,
        "kind": row.kind,
    }


def nested_campus(row: Campus, copy: int = 0) -> Json:
    """Show a campus inside another object; `copy` tells differently aged copies apart."""
    name, identifier = LANGUAGES[row.language_id]
    touched = _LANGUAGE_TOUCHED - (row.id * 7 + copy) % 18 * 13 * HOUR
    return {
        "id": row.id,
        "name": row.name,
        "time_zone": row.time_zone,
        "language": {
            "id": row.language_id,
            "name": name,
            "identifier": identifier,
            "created_at": iso(_LANGUAGE_BIRTH),
            "updated_at": iso(touched),
        },
        "users_count": row.users_count,
        "vogsphere_id": row.vogsphere_id,
        "country": row.country,
        "address": row.address,
        "zip": row.zip,
        "city": row.city,
        "website": row.website,
        "facebook": row.facebook,
        "twitter": row.twitter,
        "active": row.active,
        "public": row.public,
        "email_extension": row.email_extension,
        "default_hidden_phone": row.default_hidden_phone,
    }


def campus(_: Store, row: Campus) -> Json:
    """Show a campus of the index."""
    shown = nested_campus(row)
    del shown["language"]["created_at"], shown["language"]["updated_at"]
    shown["endpoint"] = row.endpoint and {
        "id": row.id + 1000,
        "url": f"https://endpoint{row.id}.example.invalid:4000",
        "description": f"Endpoint {row.name}",
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }
    shown["endpoint"] = shown["endpoint"] or None
    return shown


def _project_link(row: Project) -> Json:
    url = f"https://projects.intra.42.fr/{row.slug}/mine"
    return {"name": row.name, "id": row.id, "slug": row.slug, "url": url}


def _session(row: Project, number: int, campus_id: int | None) -> Json:
    """Show a session; by its number it has this or that filled in, as upstream."""
    bare = number == 1
    own = row.cursus_ids[0] if row.cursus_ids else None
    return {
        "id": row.id * 100 + number,
        "solo": None if bare else number == 0,
        "begin_at": iso(row.created_at + 30 * DAY) if number == 2 else None,
        "end_at": iso(row.created_at + 60 * DAY) if number == 2 else None,
        "estimate_time": (None, 604_800, "3 hours", "7 days")[(row.id + number) % 4],
        "difficulty": None if bare else row.difficulty,
        "objectives": None if bare else ["Unix logic", "Rigor"],
        "description": None if bare else f"Invented summary of {row.name}.",
        "duration_days": 365 if bare else None,
        "terminating_after": 14 if number == 2 else None,
        "project_id": row.id,
        "campus_id": campus_id,
        "cursus_id": own if row.session_cursus_id is None else row.session_cursus_id,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.created_at + number * DAY),
        "max_people": 42 if number == 2 else None,
        "is_subscriptable": not bare,
        "scales": [] if bare else [{"id": row.id * 7, "correction_number": 3, "is_primary": True}],
        "uploads": [] if bare else [{"id": row.id * 3, "name": "Moulinette"}],
        "team_behaviour": "user",
        "commit": None,
    }


def sessions(row: Project) -> list[Json]:
    """Show the sessions of a project."""
    return [
        _session(row, number, campus_id) for number, campus_id in enumerate(row.session_campus_ids)
    ]


def project(store: Store, row: Project) -> Json:
    """Show a project with its campuses and sessions: the heaviest object of all."""
    parent = store.projects.known(row.parent_id)
    children = [p for p in store.projects.of("parent_id", row.id) if store.lists_project(p)]
    campuses = [store.campuses.known(campus_id) for campus_id in row.campus_ids]
    cursuses = [store.cursuses.known(cursus_id) for cursus_id in row.cursus_ids]
    return {
        "id": row.id,
        "name": row.name,
        "slug": row.slug,
        "difficulty": row.difficulty,
        "parent": _project_link(parent) if parent else None,
        "children": [_project_link(child) for child in children],
        "attachments": [],
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "exam": row.exam,
        "git_id": row.git_id,
        "repository": row.repository,
        "cursus": [cursus(store, found) for found in cursuses if found],
        "campus": [nested_campus(found, row.id) for found in campuses if found],
        "videos": [],
        "project_sessions": sessions(row),
    }


def short_achievement(row: Achievement) -> Json:
    """Show the nine fields every form of an achievement has."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "tier": row.tier,
        "kind": row.kind,
        "visible": row.visible,
        "image": row.image,
        "nbr_of_success": row.nbr_of_success,
        "users_url": f"{API}/achievements/{row.id}/users",
    }


def achievement(store: Store, row: Achievement) -> Json:
    """Show an achievement; its campuses are names, some of which no index knows."""
    campuses = [store.campuses.known(campus_id) for campus_id in row.campus_ids]
    parent = store.achievements.known(row.parent_id)
    return {
        **short_achievement(row),
        "achievements": [],
        "campus": [found.name for found in campuses if found] + list(row.stray_names),
        "parent": short_achievement(parent) if parent else None,
        "title": {"id": row.title[0], "name": row.title[1]} if row.title else None,
    }


def coalition(_: Store, row: Coalition) -> Json:
    """Show a coalition: no bloc, no campus, no dates."""
    return {
        "id": row.id,
        "name": row.name,
        "slug": row.slug,
        "image_url": row.image_url,
        "cover_url": row.cover_url,
        "color": row.color,
        "score": row.score,
        "user_id": row.user_id,
    }


def bloc(store: Store, row: Bloc) -> Json:
    """Show a bloc with its coalitions."""
    members = [found for found in store.coalitions.of("bloc_id", row.id) if found.listed]
    return {
        "id": row.id,
        "campus_id": row.campus_id,
        "cursus_id": row.cursus_id,
        "squad_size": row.squad_size,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "coalitions": [coalition(store, found) for found in members],
    }
