"""How the API shows accounts and what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.simulator.clock import MINUTE, iso
from dev.simulator.reference_shapes import API, CDN, Json, cursus, nested_campus, short_achievement
from dev.simulator.rows import (
    AchievementsUser,
    CampusUser,
    CoalitionsUser,
    CursusUser,
    Project,
    ProjectsUser,
    User,
)

if TYPE_CHECKING:
    from dev.simulator.store import Store

SKILLS = {
    1: "Algorithms & AI",
    2: "Imperative programming",
    3: "Rigor",
    4: "Unix",
    5: "Graphics",
    6: "Web",
    7: "Group & interpersonal",
    10: "Network & system administration",
    14: "Adaptation & creativity",
    17: "Object-oriented programming",
}


def image(row: User) -> Json:
    """Show the picture of a user, all null where there is none."""
    sizes = ("large", "medium", "small", "micro")
    if row.image is None:
        return {"link": None, "versions": dict.fromkeys(sizes)}
    base = f"{CDN}/users/{row.image}/"
    versions = {size: f"{base}{size}_{row.login}.jpg" for size in sizes}
    return {"link": f"{base}{row.login}.jpg", "versions": versions}


def user(_: Store, row: User) -> Json:
    """Show the 25 keys of a user, the same in lists and nested."""
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
        "image": image(row),
        "staff?": row.staff,
        "correction_point": row.correction_point,
        "pool_month": row.pool_month,
        "pool_year": row.pool_year,
        "location": row.location,
        "wallet": row.wallet,
        "anonymize_date": row.anonymize_date,
        "data_erasure_date": row.data_erasure_date,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "alumnized_at": iso(row.alumnized_at),
        "alumni?": row.alumni,
        "active?": row.active,
    }


def campus_user(_: Store, row: CampusUser) -> Json:
    """Show a membership in a campus."""
    return {
        "id": row.id,
        "user_id": row.user_id,
        "campus_id": row.campus_id,
        "is_primary": row.is_primary,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def cursus_user(store: Store, row: CursusUser) -> Json:
    """Show an enrolment: user and cursus nested, no `user_id`."""
    parent = store.cursuses.known(row.cursus_id)
    return {
        "grade": row.grade,
        "level": row.level,
        "skills": [
            {"id": number, "name": SKILLS[number], "level": level} for number, level in row.skills
        ],
        "blackholed_at": iso(row.blackholed_at),
        "id": row.id,
        "begin_at": iso(row.begin_at),
        "end_at": iso(row.end_at),
        "cursus_id": row.cursus_id,
        "has_coalition": row.has_coalition,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "user": user(store, store.nested_user(row.user_id, row.id)),
        "cursus": cursus(store, parent) if parent else None,
    }


def _team(row: ProjectsUser, attempt: int, login: str, project_row: Project) -> Json:
    last = attempt == row.occurrence
    done = not last or row.status == "finished"
    suffix = f"-{attempt}" if attempt else ""
    number = (row.current_team_id or 0) - row.occurrence + attempt
    url = f"{API}/users/{login}"
    member = {"id": row.user_id, "login": login, "url": url, "leader": True}
    member |= {"occurrence": attempt, "validated": True, "projects_user_id": row.id}
    return {
        "id": number,
        "name": f"{login}'s {project_row.slug}{suffix}",
        "url": f"{API}/teams/{number}",
        "final_mark": row.final_mark if done else None,
        "project_id": row.project_id,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "status": row.status if last else "finished",
        "terminating_at": None,
        "users": [member],
        "locked?": True,
        "validated?": row.validated if done else None,
        "closed?": done,
        "repo_url": f"git@vogsphere.example.invalid:vogsphere/intra-uuid-{number}",
        "repo_uuid": f"intra-uuid-{number}",
        "locked_at": iso(row.created_at + MINUTE),
        "closed_at": iso(row.updated_at) if done else None,
        "project_session_id": row.project_id * 100,
        "project_gitlab_path": f"pedago_world/42-cursus/{project_row.slug}",
    }


def bare_projects_user(store: Store, row: ProjectsUser) -> Json:
    """Show an attempt as a user's own object nests it: without user and teams."""
    project_row = store.projects.known(row.project_id)
    assert project_row is not None  # noqa: S101
    return {
        "id": row.id,
        "occurrence": row.occurrence,
        "final_mark": row.final_mark,
        "status": row.status,
        "validated?": row.validated,
        "current_team_id": row.current_team_id,
        "project": {
            "id": project_row.id,
            "name": project_row.name,
            "slug": project_row.slug,
            "parent_id": project_row.parent_id,
        },
        "cursus_ids": list(row.cursus_ids),
        "marked_at": iso(row.marked_at),
        "marked": row.marked,
        "retriable_at": iso(row.retriable_at),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def projects_user(store: Store, row: ProjectsUser) -> Json:
    """Show an attempt with user and teams."""
    project_row = store.projects.known(row.project_id)
    assert project_row is not None  # noqa: S101
    owner = store.nested_user(row.user_id, row.id)
    attempts = range(row.occurrence + 1) if row.current_team_id else ()
    return {
        **bare_projects_user(store, row),
        "user": user(store, owner),
        "teams": [_team(row, number, owner.login, project_row) for number in attempts],
    }


def achievements_user(store: Store, row: AchievementsUser) -> Json:
    """Show a user's progress; nothing is nested."""
    owner = store.users.known(row.user_id)
    return {
        "id": row.id,
        "achievement_id": row.achievement_id,
        "user_id": row.user_id,
        "login": owner.login if owner else None,
        "nbr_of_success": row.nbr_of_success,
        "url": f"{API}/achievements_users/{row.id}",
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def coalitions_user(_: Store, row: CoalitionsUser) -> Json:
    """Show a membership in a coalition."""
    return {
        "id": row.id,
        "coalition_id": row.coalition_id,
        "user_id": row.user_id,
        "score": row.score,
        "rank": row.rank,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def user_detail(store: Store, row: User) -> Json:
    """Show the single user: the list form and a dozen arrays."""
    memberships = store.campus_users.of("user_id", row.id)
    campuses = [store.campuses.known(found.campus_id) for found in memberships]
    earned = store.achievements_users.of("user_id", row.id)
    achievements = [store.achievements.known(found.achievement_id) for found in earned]
    enrolments = store.cursus_users.of("user_id", row.id)
    attempts = store.projects_users.of("user_id", row.id)
    empty: dict[str, list[Json]] = {
        name: [] for name in ("titles", "titles_users", "partnerships", "patroned", "patroning")
    }
    return {
        **user(store, row),
        "groups": [],
        "cursus_users": [cursus_user(store, found) for found in enrolments],
        "projects_users": [bare_projects_user(store, found) for found in attempts],
        "languages_users": [],
        "achievements": [short_achievement(found) for found in achievements if found],
        **empty,
        "expertises_users": [],
        "roles": [],
        "campus": [nested_campus(found, row.id) for found in campuses if found],
        "campus_users": [campus_user(store, found) for found in memberships],
    }
