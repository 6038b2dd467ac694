"""RESOURCES: what the mirror holds. Task edges, COPY order, checks and docs derive from it.

Source of endpoints, filters and shapes: the public API documentation and what its clients
measured; `docs/api.md` says how sure each fact is.
"""

from __future__ import annotations

from intra42.catalog.model import Column, Link, Ref, Resource, Source, Strangers, Type


def _columns(
    type_: Type, names: str, *, required: bool = False, compared: bool = False
) -> tuple[Column, ...]:
    """Return columns whose key in the record is their name, or their name with a question mark."""
    return tuple(
        Column(
            name=name.rstrip("?"),
            type=type_,
            path=(name,),
            required=required,
            compared=compared,
        )
        for name in names.split()
    )


def _at(name: str, type_: Type, *path: str, required: bool = False) -> Column:
    return Column(name=name, type=type_, path=path, required=required)


def _derived(name: str) -> Column:
    return Column(name=name, type=Type.BIGINT, path=(), source=Source.DERIVED)


def _printed(name: str) -> Column:
    return Column(name=name, type=Type.TEXT, path=(name,), source=Source.PRINTED)


_ID = _columns(Type.BIGINT, "id", required=True)
_TIMES = _columns(Type.TIMESTAMP, "created_at updated_at")
_USER_ID = _columns(Type.BIGINT, "user_id", required=True)

CURSUS = Resource(
    name="cursus",
    group="reference",
    endpoint="/v2/cursus",
    by_id="/v2/cursus",
    columns=(
        *_ID,
        *_columns(Type.TEXT, "name slug kind"),
        *_columns(Type.TIMESTAMP, "created_at"),
    ),
)

CAMPUSES = Resource(
    name="campuses",
    group="reference",
    endpoint="/v2/campus",
    by_id="/v2/campus",
    listed=True,
    columns=(
        *_ID,
        *_columns(Type.TEXT, "name", compared=True),
        *_columns(Type.TEXT, "time_zone"),
        _at("language_id", Type.BIGINT, "language", "id"),
        _at("language_name", Type.TEXT, "language", "name"),
        _at("language_identifier", Type.TEXT, "language", "identifier"),
        *_columns(Type.BIGINT, "users_count vogsphere_id"),
        *_columns(Type.TEXT, "country address zip city website facebook twitter"),
        *_columns(Type.BOOLEAN, "active public"),
        *_columns(Type.TEXT, "email_extension"),
        *_columns(Type.BOOLEAN, "default_hidden_phone"),
    ),
)

PROJECTS = Resource(
    name="projects",
    group="reference",
    endpoint="/v2/cursus/{cursus_id}/projects",
    by_id="/v2/projects",
    listed=True,
    scope_cursus="cursus_ids",
    columns=(
        *_ID,
        *_columns(Type.TEXT, "name slug"),
        _at("parent_id", Type.BIGINT, "parent", "id"),
        *_columns(Type.BIGINT, "difficulty"),
        *_columns(Type.BOOLEAN, "exam"),
        *_columns(Type.BIGINT, "git_id"),
        *_columns(Type.TEXT, "repository"),
        *_TIMES,
    ),
    links=(
        Link("cursus_projects", "project_id", "cursus_id", "cursus", "cursus"),
        Link("campus_projects", "project_id", "campus_id", "campuses", "campus"),
    ),
)

PROJECT_SESSIONS = Resource(
    name="project_sessions",
    group="reference",
    endpoint="/v2/cursus/{cursus_id}/projects",
    explode="project_sessions",
    embedded_in="projects",
    listed=True,
    scope_cursus="cursus_ids",
    columns=(
        *_ID,
        _at("project_id", Type.BIGINT, "..", "id", required=True),
        *_columns(Type.BIGINT, "campus_id cursus_id"),
        *_columns(Type.BOOLEAN, "solo"),
        *_columns(Type.TIMESTAMP, "begin_at end_at"),
        _printed("estimate_time"),
        *_columns(Type.BIGINT, "difficulty"),
        *_columns(Type.TEXT, "description"),
        *_columns(Type.INTEGER, "duration_days"),
        _printed("terminating_after"),
        *_columns(Type.INTEGER, "max_people"),
        *_columns(Type.BOOLEAN, "is_subscriptable"),
        *_columns(Type.TEXT, "team_behaviour commit"),
        *_TIMES,
    ),
    references=(
        Ref("project_id", "projects"),
        Ref("campus_id", "campuses"),
        Ref("cursus_id", "cursus"),
    ),
)

ACHIEVEMENTS = Resource(
    name="achievements",
    group="reference",
    endpoint="/v2/campus/{campus_id}/achievements",
    by_id="/v2/achievements",
    listed=True,
    columns=(
        *_ID,
        *_columns(Type.TEXT, "name description tier kind"),
        *_columns(Type.BOOLEAN, "visible"),
        *_columns(Type.TEXT, "image"),
        *_columns(Type.INTEGER, "nbr_of_success"),
        *_columns(Type.TEXT, "users_url"),
        _at("parent_id", Type.BIGINT, "parent", "id"),
        _at("title", Type.TEXT, "title", "name"),
    ),
    links=(
        Link(
            "campus_achievements",
            "achievement_id",
            "campus_id",
            "campuses",
            "campus",
            in_record=False,
        ),
    ),
)

COALITIONS = Resource(
    name="coalitions",
    group="reference",
    endpoint="/v2/blocs",
    explode="coalitions",
    listed=True,
    columns=(
        *_ID,
        *_columns(Type.TEXT, "name slug image_url cover_url color"),
        *_columns(Type.BIGINT, "score user_id"),
        _at("bloc_id", Type.BIGINT, "..", "id"),
        _at("campus_id", Type.BIGINT, "..", "campus_id"),
        _at("cursus_id", Type.BIGINT, "..", "cursus_id"),
    ),
    references=(Ref("campus_id", "campuses"), Ref("cursus_id", "cursus")),
    campus_filter="filter[campus_id]",
)

USERS = Resource(
    name="users",
    group="primary",
    endpoint="/v2/cursus/{cursus_id}/users",
    by_id="/v2/users",
    cursor_field="updated_at",
    user_key="filter[id]",
    campus_filter="filter[primary_campus_id]",
    scope_campus=True,
    scope_cursus="all_cursus_ids",
    silent=True,
    columns=(
        *_ID,
        *_columns(Type.TEXT, "email login first_name last_name usual_full_name usual_first_name"),
        *_columns(Type.TEXT, "url phone displayname"),
        *_columns(Type.TEXT, "kind", compared=True),
        _at("image_link", Type.TEXT, "image", "link"),
        *(
            _at(f"image_{size}", Type.TEXT, "image", "versions", size)
            for size in ("large", "medium", "small", "micro")
        ),
        *_columns(Type.BOOLEAN, "staff?"),
        *_columns(Type.BIGINT, "correction_point"),
        *_columns(Type.TEXT, "pool_month pool_year location"),
        *_columns(Type.BIGINT, "wallet"),
        *_columns(Type.TIMESTAMP, "anonymize_date data_erasure_date"),
        *_TIMES,
        *_columns(Type.TIMESTAMP, "alumnized_at"),
        *_columns(Type.BOOLEAN, "alumni? active?"),
        _derived("campus_id"),
    ),
    references=(Ref("campus_id", "campuses"),),
)

CAMPUS_USERS = Resource(
    name="campus_users",
    group="primary",
    endpoint="/v2/campus_users",
    by_id="/v2/campus_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    strangers=Strangers.NEWCOMER,
    columns=(
        *_ID,
        *_USER_ID,
        *_columns(Type.BIGINT, "campus_id", required=True),
        *_columns(Type.BOOLEAN, "is_primary"),
        *_TIMES,
    ),
    references=(Ref("user_id", "users"), Ref("campus_id", "campuses")),
)

CURSUS_USERS = Resource(
    name="cursus_users",
    group="primary",
    endpoint="/v2/cursus_users",
    by_id="/v2/cursus_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    campus_filter="filter[campus_id]",
    cursus_filter="filter[cursus_id]",
    scope_campus=True,
    scope_cursus="all_cursus_ids",
    strangers=Strangers.LOOK_UP,
    columns=(
        *_ID,
        _at("user_id", Type.BIGINT, "user", "id", required=True),
        *_columns(Type.BIGINT, "cursus_id", required=True),
        *_columns(Type.TEXT, "grade"),
        *_columns(Type.DOUBLE, "level"),
        *_columns(Type.JSON, "skills"),
        *_columns(Type.TIMESTAMP, "begin_at end_at blackholed_at"),
        *_columns(Type.BOOLEAN, "has_coalition"),
        *_TIMES,
    ),
    references=(Ref("user_id", "users"), Ref("cursus_id", "cursus")),
)

PROJECTS_USERS = Resource(
    name="projects_users",
    group="primary",
    endpoint="/v2/projects_users",
    by_id="/v2/projects_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    campus_filter="filter[campus]",
    cursus_filter="filter[cursus]",
    scope_campus=True,
    scope_cursus="cursus_ids",
    sortable=False,
    strangers=Strangers.LOOK_UP,
    derives_from=("campus_users",),
    columns=(
        *_ID,
        _at("user_id", Type.BIGINT, "user", "id", required=True),
        _at("project_id", Type.BIGINT, "project", "id", required=True),
        Column(
            name="cursus_id",
            type=Type.BIGINT,
            path=("cursus_ids",),
            source=Source.FIRST_CONFIGURED,
        ),
        _derived("campus_id"),
        *_columns(Type.INTEGER, "final_mark"),
        *_columns(Type.TEXT, "status"),
        *_columns(Type.BOOLEAN, "validated?"),
        *_columns(Type.INTEGER, "occurrence"),
        *_columns(Type.BIGINT, "current_team_id"),
        *_columns(Type.BOOLEAN, "marked"),
        *_columns(Type.TIMESTAMP, "marked_at retriable_at"),
        *_TIMES,
    ),
    references=(
        Ref("user_id", "users"),
        Ref("project_id", "projects"),
        Ref("cursus_id", "cursus"),
        Ref("campus_id", "campuses"),
    ),
)

ACHIEVEMENTS_USERS = Resource(
    name="achievements_users",
    group="primary",
    endpoint="/v2/achievements_users",
    by_id="/v2/achievements_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    users_if_cheaper=True,
    derives_from=("cursus_users",),
    columns=(
        *_ID,
        *_USER_ID,
        *_columns(Type.BIGINT, "achievement_id", required=True),
        _derived("cursus_id"),
        *_columns(Type.INTEGER, "nbr_of_success"),
        *_TIMES,
    ),
    references=(Ref("user_id", "users"), Ref("achievement_id", "achievements")),
)

COALITIONS_USERS = Resource(
    name="coalitions_users",
    group="primary",
    endpoint="/v2/coalitions_users",
    by_id="/v2/coalitions_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    silent=True,
    users_if_cheaper=True,
    derives_from=("coalitions",),
    columns=(
        *_ID,
        *_columns(Type.BIGINT, "coalition_id", required=True),
        *_USER_ID,
        _derived("campus_id"),
        *_columns(Type.BIGINT, "score rank"),
        *_TIMES,
    ),
    references=(Ref("coalition_id", "coalitions"), Ref("user_id", "users")),
)

RESOURCES: tuple[Resource, ...] = (
    CURSUS,
    CAMPUSES,
    PROJECTS,
    PROJECT_SESSIONS,
    ACHIEVEMENTS,
    COALITIONS,
    USERS,
    CAMPUS_USERS,
    CURSUS_USERS,
    PROJECTS_USERS,
    ACHIEVEMENTS_USERS,
    COALITIONS_USERS,
)
