"""Further tables: read only where the setting `tables` asks for them."""

from __future__ import annotations

from datetime import timedelta

from intra42.catalog.columns import (
    bigint,
    boolean,
    double,
    identity,
    integer,
    printed,
    text,
    timestamp,
)
from intra42.catalog.model import Cadence, Cursor, Nightly, Ref, Resource

SKILLS = Resource(
    name="skills",
    description="Skills that enrolments and sessions of projects name, as /v2/skills lists them.",
    group="further",
    cadence=Cadence.NIGHT,
    endpoint="/v2/skills",
    by_id="/v2/skills",
    title="All skills.",
    columns=(
        identity("The API's id of the skill."),
        text("name", "Its name."),
        text("slug", "Its name as it stands in addresses."),
        timestamp("created_at", "When the API says it was created."),
    ),
)

QUESTS = Resource(
    name="quests",
    description="Milestones of a cursus, as the rows of quests_users show them.",
    group="further",
    endpoint="/v2/quests_users",
    embedded_in="quests_users",
    explode="quest",
    references=(
        Ref("cursus_id", "cursus"),
        Ref("campus_id", "campuses"),
    ),
    columns=(
        identity("The API's id of the milestone."),
        text("name", "Its name, such as Common Core Rank 01."),
        text("slug", "Its name as it stands in addresses."),
        text("kind", "main, ... (free text)"),
        text("internal_name", "A name for staff; mostly null."),
        text("description", "What it asks for."),
        bigint("cursus_id", "The cursus."),
        bigint("campus_id", "The campus; null where it is one of all."),
        bigint("grade_id", "The API's id of the grade it leads to; may be null."),
        integer("position", "Its place among those of the cursus."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed."),
    ),
)

QUESTS_USERS = Resource(
    name="quests_users",
    description="Milestones of the users: reached, or to be reached until a deadline.",
    group="further",
    endpoint="/v2/quests_users",
    by_id="/v2/quests_users",
    cursor_field="updated_at",
    user_key="filter[user_id]",
    campus_filter="filter[campus_id]",
    scope_campus=True,
    title="Milestones of the users.",
    references=(
        Ref("quest_id", "quests"),
        Ref("user_id", "users"),
    ),
    columns=(
        identity("The API's id."),
        bigint("quest_id", "The milestone.", required=True),
        bigint("user_id", "The user.", "user", "id", required=True),
        timestamp("end_at", "The deadline, or when it ended without being reached."),
        timestamp("validated_at", "When it was reached; null until then."),
        double("prct", "How far it is, in percent; mostly null."),
        printed("advancement", "As the API has it; mostly null."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed."),
    ),
)

LOCATIONS = Resource(
    name="locations",
    description="Sessions of the users at computers of the campuses of campus_ids: who was where, "
    "from when to when.",
    group="further",
    endpoint="/v2/locations",
    by_id="/v2/locations",
    # Written at log-in, completed at log-out, without a time of change; a campus may write sessions
    # of the days before.
    cursor_field="begin_at",
    lookback=timedelta(days=3),
    also_by=(Cursor("end_at", timedelta(hours=1)),),
    open_until="end_at",
    nightly=Nightly.OPEN,
    user_key="filter[user_id]",
    campus_filter="filter[campus_id]",
    scope_campus=True,
    of_campus=True,
    title="Sessions of the users at the computers of the campuses.",
    unread=frozenset({"floor", "row", "post"}),
    references=(
        Ref("user_id", "users"),
        Ref("campus_id", "campuses"),
    ),
    columns=(
        identity("The API's id of the session."),
        bigint("user_id", "The user.", "user", "id", required=True),
        bigint("campus_id", "The campus of the computer, perhaps not the user's.", required=True),
        text("host", "The computer: a seat such as c1r2s3, or the serial number of a laptop."),
        boolean("primary", "Whether Intra counts it; null where a record does not say."),
        timestamp("begin_at", "When the user logged in."),
        timestamp("end_at", "When they logged out; null while the session is open."),
    ),
)

SCORES = Resource(
    name="scores",
    description="What each coalition was given, and for what: a ledger. Its sum is not the "
    "coalition's score, which is reset between seasons.",
    group="further",
    endpoint="/v2/coalitions/{coalition_id}/scores",
    tail_of="coalitions",
    title="The ledgers of the coalitions.",
    references=(Ref("coalition_id", "coalitions"),),
    columns=(
        identity("The API's id of the entry."),
        bigint("coalition_id", "The coalition.", required=True),
        bigint(
            "coalitions_user_id",
            "The membership that earned it, mirrored or not; null where the coalition did.",
        ),
        bigint("calculation_id", "The API's id of the rule; null for an entry by hand."),
        bigint("scoreable_id", "The API's id of what earned it; may be null."),
        text("scoreable_type", "What that is: Location, ScaleTeam, ... (free text)"),
        bigint("value", "Points; negative where they were taken away."),
        text("reason", "Why, as a text for people."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed."),
    ),
)
