"""What people do: attempts at projects, achievements, coalitions."""

from __future__ import annotations

from intra42.catalog.columns import (
    bigint,
    boolean,
    derived,
    first_configured,
    identity,
    integer,
    text,
    timestamp,
)
from intra42.catalog.model import Nightly, Ref, Resource, Strangers

PROJECTS_USERS = Resource(
    name="projects_users",
    description="Attempts of the users at projects of cursus_ids.",
    group="primary",
    endpoint="/v2/projects_users",
    by_id="/v2/projects_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    campus_filter="filter[campus]",
    cursus_filter="filter[cursus]",
    sortable=False,
    scope_campus=True,
    strangers=Strangers.LOOK_UP,
    scope_cursus="cursus_ids",
    derives_from=("campus_users",),
    title="Attempts at projects.",
    nests_people=True,
    triggers="cursus_users",
    unread=frozenset({"teams"}),
    references=(
        Ref("user_id", "users"),
        Ref("project_id", "projects"),
        Ref("cursus_id", "cursus"),
        Ref("campus_id", "campuses"),
    ),
    columns=(
        identity("The API's id; a retry keeps it, an attempt deleted and made again gets another."),
        bigint("user_id", "The user.", "user", "id", required=True),
        bigint("project_id", "The project.", "project", "id", required=True),
        first_configured(
            "cursus_id",
            "Derived: the first of cursus_ids that the record's own list contains.",
            "cursus_ids",
        ),
        derived("campus_id", "Derived: the user's campus_id."),
        integer(
            "final_mark",
            "0 to 125, -42 for cheating; on a retry the previous mark until the new one.",
        ),
        text("status", "in_progress, finished, ... (free text)"),
        boolean(
            "validated?", "Null until marked; on a retry the previous value until the new mark."
        ),
        integer("occurrence", "0 at the first try, 1 at the first retry, ..."),
        bigint(
            "current_team_id",
            "The API's id of the team of the current try; teams are not mirrored.",
        ),
        boolean(
            "marked", "Whether it is marked; on a retry the previous value until the new mark."
        ),
        timestamp("marked_at", "When it was marked; null on some old rows."),
        timestamp("retriable_at", "From when it can be tried again."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed; giving up does not move it."),
    ),
)

ACHIEVEMENTS_USERS = Resource(
    name="achievements_users",
    description="Achievements the users earned or progress towards.",
    group="primary",
    endpoint="/v2/achievements_users",
    by_id="/v2/achievements_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    users_if_cheaper=True,
    derives_from=("cursus_users",),
    title="Achievements earned or in progress.",
    unread=frozenset({"login", "url"}),
    references=(
        Ref("user_id", "users"),
        Ref("achievement_id", "achievements"),
    ),
    columns=(
        identity("The API's id."),
        bigint("user_id", "The user.", required=True),
        bigint("achievement_id", "The achievement.", required=True),
        derived(
            "cursus_id",
            "Derived: the first of cursus_ids, then refresh_cursus_ids, in "
            "which the user has a row.",
        ),
        integer("nbr_of_success", "Progress; compare with achievements.nbr_of_success."),
        timestamp("created_at", "When the API says it was created."),
        timestamp(
            "updated_at",
            "When the API says it last changed; whether each step moves it is unknown.",
        ),
    ),
)

COALITIONS_USERS = Resource(
    name="coalitions_users",
    description="Coalition memberships of the users.",
    group="primary",
    endpoint="/v2/coalitions_users",
    by_id="/v2/coalitions_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    users_if_cheaper=True,
    derives_from=("coalitions",),
    title="Coalition memberships with score and rank.",
    nightly=Nightly.WHOLE,
    references=(
        Ref("coalition_id", "coalitions"),
        Ref("user_id", "users"),
    ),
    columns=(
        identity("The API's id of the membership."),
        bigint("coalition_id", "The coalition.", required=True),
        bigint("user_id", "The user.", required=True),
        derived("campus_id", "Derived: the coalition's campus_id."),
        bigint("score", "Recomputed by Intra without updated_at; true after each nightly run."),
        bigint("rank", "Within the whole coalition; as untrustworthy as the API's."),
        timestamp("created_at", "When the API says it was created."),
        timestamp(
            "updated_at", "When the API says it last changed; score and rank change without it."
        ),
    ),
)
