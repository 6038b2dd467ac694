"""Which parameters each endpoint declares, its default order and its form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dev.simulator import further_shapes, reference_shapes, shapes
from dev.simulator.store import Store

Match = Callable[[Store, Any, frozenset[Any]], bool]
Visible = Callable[[Store, Any], bool]

STANDARD = "id:int created_at:time updated_at:time"


def _fields(text: str) -> dict[str, str]:
    parts = (item.partition(":") for item in text.split())
    return {name: kind for name, _, kind in parts}


def _always(_: Store, __: Any) -> bool:
    return True


@dataclass(frozen=True)
class Resource:
    """What an endpoint's kind of record supports; None means the parameter is ignored."""

    name: str
    shape: Callable[[Store, Any], reference_shapes.Json]
    filters: dict[str, str] | None
    ranges: dict[str, str] | None
    sorts: dict[str, str] | None
    order: tuple[str, ...] = ("-created_at", "-id")
    detail: Callable[[Store, Any], reference_shapes.Json] | None = None
    visible: Visible = _always


_CAMPUS = _fields(
    f"{STANDARD} name:str time_zone:str language_id:int active:bool public:bool country:str "
    "city:str zip:str address:str website:str email_extension:str users_count:int "
    "vogsphere_id:int default_hidden_phone:bool"
)
_CURSUS = _fields(f"{STANDARD} name:str slug:str kind:str restricted:bool is_subscriptable:bool")
_PROJECT_RANGES = _fields(
    f"{STANDARD} name:str parent_id:int slug:str position:int description:str difficulty:int"
)
_PROJECT = _PROJECT_RANGES | _fields(
    "visible:bool exam:bool inherited_team:bool has_git:bool has_mark:bool repository:str "
    "git_id:int"
)
_USER_RANGES = _fields(
    f"{STANDARD} login:str email:str pool_year:str pool_month:str kind:str status:str"
)
_USER = _USER_RANGES | _fields(
    "primary_campus_id:int first_name:str last_name:str alumni?:bool staff?:bool"
)
_CURSUS_USER_RANGES = _fields(
    f"{STANDARD} cursus_id:int user_id:int end_at:time begin_at:time has_coalition:bool "
    "blackholed_at:time level:float"
)
_CURSUS_USER = _CURSUS_USER_RANGES | _fields(
    "active:bool campus_id:int end:bool future:bool blackholed:bool"
)
_PROJECTS_USER_RANGES = _fields(
    f"{STANDARD} project_id:int user_id:int occurrence:int final_mark:int retriable_at:time "
    "marked_at:time status:str"
)
_PROJECTS_USER = _PROJECTS_USER_RANGES | _fields("cursus:int campus:int retriable:bool marked:bool")
_ACHIEVEMENT = _fields(
    f"{STANDARD} name:str internal_name:str kind:str tier:str description:str pedago:bool "
    "visible:bool nbr_of_success:int parent_id:int image:str slug:str position:int reward:str "
    "title_id:int"
)
_ACHIEVEMENTS_USER = _fields(
    f"{STANDARD} user_id:int achievement_id:int nbr_of_success:int rewarded:bool"
)
_COALITION = _fields(
    f"{STANDARD} bloc_id:int user_id:int name:str image:str slug:str color:str cover:str"
)
_COALITIONS_USER = _fields(f"{STANDARD} coalition_id:int user_id:int this_year_score:int")
_BLOC = _fields(f"{STANDARD} cursus_id:int campus_id:int squad_size:int")
_SKILL = _fields(f"{STANDARD} name:str slug:str")
_QUESTS_USER_RANGES = _fields(
    f"{STANDARD} quest_id:int user_id:int end_at:time validated_at:time prct:float advancement:str"
)
_QUESTS_USER = _QUESTS_USER_RANGES | _fields("campus_id:int end:bool validated:bool")
_LOCATION_RANGES = _fields(
    "id:int user_id:int begin_at:time end_at:time primary:bool host:str campus_id:int"
)
_LOCATION = _LOCATION_RANGES | _fields("active:bool inactive:bool future:bool end:bool")
_SCORE = _fields(
    f"{STANDARD} coalition_id:int coalitions_user_id:int calculation_id:int scoreable_id:int "
    "scoreable_type:str value:int reason:str"
)
_CAMPUS_USER = _fields(f"{STANDARD} user_id:int campus_id:int is_primary:bool")


def _same(declared: dict[str, str]) -> dict[str, Any]:
    return {"filters": declared, "ranges": declared, "sorts": declared}


RESOURCES: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource(
            "campus",
            reference_shapes.campus,
            **_same(_CAMPUS),
            order=("-id",),
            visible=Store.lists_campus,
        ),
        Resource("cursus", reference_shapes.cursus, **_same(_CURSUS), order=("-id",)),
        Resource(
            "projects",
            reference_shapes.project,
            filters=_PROJECT,
            ranges=_PROJECT_RANGES,
            sorts=_PROJECT_RANGES,
            order=("position", "-id"),
            visible=Store.lists_project,
        ),
        Resource(
            "users",
            shapes.user,
            filters=_USER,
            ranges=_USER_RANGES,
            sorts=_USER_RANGES,
            order=("-id",),
            detail=shapes.user_detail,
            visible=Store.lists_user,
        ),
        Resource(
            "cursus_users",
            shapes.cursus_user,
            filters=_CURSUS_USER,
            ranges=_CURSUS_USER_RANGES,
            sorts=_CURSUS_USER_RANGES,
        ),
        Resource(
            "projects_users",
            shapes.projects_user,
            filters=_PROJECTS_USER,
            ranges=_PROJECTS_USER_RANGES,
            sorts=None,
            order=("id",),
        ),
        Resource(
            "achievements",
            reference_shapes.achievement,
            **_same(_ACHIEVEMENT),
            order=("id",),
            visible=Store.lists_achievement,
        ),
        Resource(
            "achievements_users",
            shapes.achievements_user,
            **_same(_ACHIEVEMENTS_USER),
            order=("-id",),
        ),
        Resource(
            "coalitions",
            reference_shapes.coalition,
            filters=None,
            ranges=None,
            sorts=_COALITION,
            visible=lambda _, row: bool(row.listed),
        ),
        Resource(
            "coalitions_users",
            shapes.coalitions_user,
            filters=_COALITIONS_USER,
            ranges=_COALITIONS_USER | {"this_year_score_updated_at": "time"},
            sorts=_COALITIONS_USER | {"this_year_score_updated_at": "time"},
        ),
        Resource("blocs", reference_shapes.bloc, filters=_BLOC, ranges=None, sorts=_BLOC),
        Resource("campus_users", shapes.campus_user, **_same(_CAMPUS_USER)),
        Resource(
            "quests_users",
            further_shapes.quests_user,
            filters=_QUESTS_USER,
            ranges=_QUESTS_USER_RANGES,
            sorts=_QUESTS_USER_RANGES,
            order=("-id",),
        ),
        Resource(
            "locations",
            further_shapes.location,
            filters=_LOCATION,
            ranges=_LOCATION_RANGES,
            sorts=_LOCATION_RANGES,
            order=("-begin_at", "-id"),
        ),
        Resource("scores", further_shapes.score, filters=None, ranges=None, sorts=_SCORE),
        Resource("skills", further_shapes.skill, **_same(_SKILL), order=("name", "-id")),
    )
}

ATTRIBUTES = {
    "alumni?": "alumni",
    "staff?": "staff",
    "this_year_score": "score",
    "this_year_score_updated_at": "updated_at",
    "image": "image_url",
    "cover": "cover_url",
}


def attribute(resource: str, name: str) -> str:
    """Return the row attribute behind a declared field."""
    if resource == "achievements":
        return name
    return ATTRIBUTES.get(name, name)


def _member_of(store: Store, user_id: int, campus_ids: frozenset[Any]) -> bool:
    return any(row.campus_id in campus_ids for row in store.campus_users.of("user_id", user_id))


def _account_active(store: Store, row: Any, wanted: frozenset[Any]) -> bool:
    owner = store.users.known(row.user_id)
    return owner is not None and owner.active in wanted


def _before(moment: int | None, store: Store) -> bool:
    return moment is not None and moment <= store.clock.now_ms()


SPECIAL_FILTERS: dict[tuple[str, str], Match] = {
    ("users", "primary_campus_id"): lambda store, row, wanted: (
        store.primary_campus(row.id) in wanted
    ),
    ("projects", "visible"): lambda _, __, wanted: True in wanted,
    ("cursus_users", "active"): _account_active,
    # Who has been transferred away keeps a membership, but not the primary one.
    ("cursus_users", "campus_id"): lambda store, row, wanted: (
        store.primary_campus(row.user_id) in wanted
    ),
    ("locations", "active"): lambda _, row, wanted: (row.end_at is None) in wanted,
    ("locations", "inactive"): lambda _, row, wanted: (row.end_at is not None) in wanted,
    ("locations", "end"): lambda store, row, wanted: _before(row.end_at, store) in wanted,
    ("locations", "future"): lambda store, row, wanted: (
        (not _before(row.begin_at, store)) in wanted
    ),
    # Of the user, not of the milestone: nobody knows, and it is the harsher guess.
    ("quests_users", "campus_id"): lambda store, row, wanted: (
        store.primary_campus(row.user_id) in wanted
    ),
    ("quests_users", "end"): lambda store, row, wanted: _before(row.end_at, store) in wanted,
    ("quests_users", "validated"): lambda _, row, wanted: (row.validated_at is not None) in wanted,
    ("cursus_users", "end"): lambda store, row, wanted: _before(row.end_at, store) in wanted,
    ("cursus_users", "future"): lambda store, row, wanted: (
        (row.begin_at is not None and not _before(row.begin_at, store)) in wanted
    ),
    ("cursus_users", "blackholed"): lambda store, row, wanted: (
        _before(row.blackholed_at, store) in wanted
    ),
    ("projects_users", "cursus"): lambda store, row, wanted: (
        store.harsh.ignore_cursus_filter or any(c in wanted for c in row.cursus_ids)
    ),
    ("projects_users", "campus"): lambda store, row, wanted: (
        row.campus_id in wanted or _member_of(store, row.user_id, wanted)
    ),
    ("projects_users", "retriable"): lambda store, row, wanted: (
        _before(row.retriable_at, store) in wanted
    ),
}
