"""The people of the mirror, and where they belong: users, campus memberships, enrolments."""

from __future__ import annotations

from intra42.catalog.columns import (
    bigint,
    boolean,
    derived,
    double,
    identity,
    jsonb,
    text,
    timestamp,
)
from intra42.catalog.model import Entrants, First, Nightly, Ref, Resource, Strangers

USERS = Resource(
    name="users",
    description="Students of the scope. Once in, an account stays and is kept "
    "true, whatever it becomes.",
    group="primary",
    endpoint="/v2/cursus/{cursus_id}/users",
    by_id="/v2/users",
    cursor_field="updated_at",
    user_key="filter[id]",
    campus_filter="filter[primary_campus_id]",
    scope_campus=True,
    scope_cursus="all_cursus_ids",
    title="Students of the scope; whoever enters brings their whole history.",
    people=True,
    first=First.LISTING,
    nightly=Nightly.UNSEEN,
    references=(Ref("campus_id", "campuses"),),
    columns=(
        identity("The API's id of the account."),
        text("email", "E-mail address."),
        text("login", "Login; begins with 3b3- once the account is anonymised."),
        text("first_name", "First name."),
        text("last_name", "Last name."),
        text("usual_full_name", "The full name the user goes by."),
        text("usual_first_name", "The first name the user goes by; mostly null."),
        text("url", "The API's address of the account."),
        text("phone", "Telephone number; the word hidden for almost everybody."),
        text("displayname", "The name that Intra shows."),
        text("kind", "student, external (applicant) or admin.", compared=True),
        text("image_link", "Address of the picture; null where there is none.", "image", "link"),
        text("image_large", "Address of its large version.", "image", "versions", "large"),
        text("image_medium", "Address of its medium version.", "image", "versions", "medium"),
        text("image_small", "Address of its small version.", "image", "versions", "small"),
        text("image_micro", "Address of its smallest version.", "image", "versions", "micro"),
        boolean("staff?", "Whether the account is one of staff."),
        bigint("correction_point", "Evaluation points; may be negative."),
        text(
            "pool_month",
            "Month of the piscine, as an English word in lower case; null where unknown to Intra.",
        ),
        text("pool_year", "Text, as the API has it."),
        text("location", "The seat, such as c1r4s7; null when away."),
        bigint("wallet", "Wallet points; may be negative."),
        timestamp("anonymize_date", "When the account will be or was anonymised."),
        timestamp("data_erasure_date", "When the data will be erased."),
        timestamp("created_at", "When the API says the account was created."),
        timestamp(
            "updated_at",
            "When the API says it last changed; active and the dates of erasure change without it.",
        ),
        timestamp("alumnized_at", "When the user became an alumnus."),
        boolean("alumni?", "Whether the user is an alumnus."),
        boolean("active?", "Recomputed by Intra without updated_at; true after each nightly run."),
        derived(
            "campus_id",
            "Derived: the primary campus (highest membership id if several, null if none).",
        ),
    ),
)

CAMPUS_USERS = Resource(
    name="campus_users",
    description="Campus memberships of the users.",
    group="primary",
    endpoint="/v2/campus_users",
    by_id="/v2/campus_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    strangers=Strangers.NEWCOMER,
    title="Campus memberships; the primary one is the user's campus.",
    entrants=Entrants.WITH_THEM,
    followed_by="user_id",
    references=(
        Ref("user_id", "users"),
        Ref("campus_id", "campuses"),
    ),
    columns=(
        identity("The API's id of the membership."),
        bigint("user_id", "The user.", required=True),
        bigint("campus_id", "The campus.", required=True),
        boolean("is_primary", "Whether it is the user's home campus."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed."),
    ),
)

CURSUS_USERS = Resource(
    name="cursus_users",
    description="Enrolments of the users in cursus_ids and refresh_cursus_ids.",
    group="primary",
    endpoint="/v2/cursus_users",
    by_id="/v2/cursus_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    campus_filter="filter[campus_id]",
    cursus_filter="filter[cursus_id]",
    scope_campus=True,
    strangers=Strangers.ENROLLED,
    scope_cursus="all_cursus_ids",
    title="Enrolments with level, grade and skills.",
    nests_people=True,
    open_until="end_at",
    silent=("level", "grade", "skills"),
    followed_by="user_id",
    unread=frozenset({"cursus"}),
    references=(
        Ref("user_id", "users"),
        Ref("cursus_id", "cursus"),
    ),
    columns=(
        identity("The API's id of the enrolment."),
        bigint(
            "user_id",
            "The user; may have several enrolments in one cursus.",
            "user",
            "id",
            required=True,
        ),
        bigint("cursus_id", "The cursus.", required=True),
        text("grade", "Learner, Cadet, Member, Transcender, ... (free text)"),
        double(
            "level", "Recomputed by Intra without updated_at; kept true by refetching ongoing rows."
        ),
        jsonb("skills", "A list of {id, name, level}."),
        timestamp(
            "begin_at", "Begin of the enrolment; in the future for those who registered early."
        ),
        timestamp("end_at", "Null or in the future while the enrolment is ongoing."),
        timestamp("blackholed_at", "The deadline; null where there is none."),
        boolean("has_coalition", "Whether the user has a coalition in this cursus."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed; level changes without it."),
    ),
)
