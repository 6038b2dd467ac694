"""Reference tables: what people and their activity refer to, read whole every night."""

from __future__ import annotations

from intra42.catalog.columns import bigint, boolean, identity, integer, printed, text, timestamp
from intra42.catalog.model import Cadence, Link, Ref, Resource

CURSUS = Resource(
    name="cursus",
    description="The curricula, as /v2/cursus lists them.",
    group="reference",
    cadence=Cadence.NIGHT,
    endpoint="/v2/cursus",
    by_id="/v2/cursus",
    title="All cursus.",
    columns=(
        identity("The API's id of the cursus, such as 21 for the 42 cursus."),
        text("name", "Its name."),
        text("slug", "Its name as it stands in addresses."),
        text("kind", "main, piscine, professional_training, ... (free text)"),
        timestamp("created_at", "When the API says it was created."),
    ),
)

CAMPUSES = Resource(
    name="campuses",
    description="Campuses, as /v2/campus lists them, and stubs of campuses that "
    "only other rows mention.",
    group="reference",
    cadence=Cadence.NIGHT,
    endpoint="/v2/campus",
    by_id="/v2/campus",
    listed=True,
    title="All listed campuses, and stubs of those only mentioned.",
    named_by="campus_ids",
    unread=frozenset({"endpoint"}),
    columns=(
        identity("The API's id of the campus."),
        text("name", "Its name.", compared=True),
        text("time_zone", "Its time zone, such as Europe/Paris."),
        bigint("language_id", "The API's id of its language.", "language", "id"),
        text("language_name", "Its language, such as French.", "language", "name"),
        text(
            "language_identifier", "Its language as a code, such as fr.", "language", "identifier"
        ),
        bigint("users_count", "All accounts ever, applicants included."),
        bigint("vogsphere_id", "The campus's git server."),
        text("country", "Its country."),
        text("address", "Its street address."),
        text("zip", "Its postal code."),
        text("city", "Its city."),
        text("website", "Address of its website; often empty text."),
        text("facebook", "Address of its page there; often empty text."),
        text("twitter", "Address of its page there; often empty text."),
        boolean("active", "Whether Intra calls it active; /v2/campus lists only such ones."),
        boolean("public", "Whether Intra calls it public; /v2/campus lists only such ones."),
        text(
            "email_extension",
            "What its e-mail addresses end with; null where it has none of its own.",
        ),
        boolean(
            "default_hidden_phone", "Whether its users' telephone numbers are hidden by default."
        ),
    ),
)

PROJECTS = Resource(
    name="projects",
    description="Projects of the configured cursus, and those that only other rows mention.",
    group="reference",
    cadence=Cadence.NIGHT,
    endpoint="/v2/cursus/{cursus_id}/projects",
    by_id="/v2/projects",
    listed=True,
    scope_cursus="cursus_ids",
    title="Projects of the configured cursus, with their cursus, campuses and sessions.",
    unread=frozenset({"children", "attachments", "videos"}),
    columns=(
        identity("The API's id of the project."),
        text("name", "Its name."),
        text("slug", "Its name as it stands in addresses."),
        bigint(
            "parent_id",
            "The project this one is a part of; not a foreign key, it may be unlisted.",
            "parent",
            "id",
        ),
        bigint("difficulty", "A number without a unit; not documented."),
        boolean("exam", "Whether it is an exam."),
        bigint("git_id", "Not documented; often null."),
        text("repository", "Not documented; often null."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed."),
    ),
    links=(
        Link(
            table="cursus_projects",
            description="Which project belongs to which cursus; follows the project's own list.",
            own="project_id",
            own_is="The project.",
            other="cursus_id",
            other_is="The cursus.",
            other_table="cursus",
            field="cursus",
        ),
        Link(
            table="campus_projects",
            description="Which project is offered on which campus; follows the project's own list.",
            own="project_id",
            own_is="The project.",
            other="campus_id",
            other_is="The campus; it may be one that is not listed.",
            other_table="campuses",
            field="campus",
        ),
    ),
)

PROJECT_SESSIONS = Resource(
    name="project_sessions",
    description="How a project is offered on a campus and in a cursus, as the "
    "project's own list has it.",
    group="reference",
    cadence=Cadence.NIGHT,
    endpoint="/v2/cursus/{cursus_id}/projects",
    explode="project_sessions",
    embedded_in="projects",
    listed=True,
    scope_cursus="cursus_ids",
    unread=frozenset(
        {"project_id", "objectives", "scales", "uploads", "minimum_mark", "maximum_xp"}
    ),
    references=(
        Ref("project_id", "projects"),
        Ref("campus_id", "campuses"),
        Ref("cursus_id", "cursus"),
    ),
    columns=(
        identity("The API's id of the session."),
        bigint("project_id", "The project in whose list it is.", "..", "id", required=True),
        bigint("campus_id", "The campus it is for; null: all that have none of their own."),
        bigint("cursus_id", "May be a cursus that the project itself does not list."),
        boolean("solo", "Whether the project is done alone."),
        timestamp("begin_at", "From when it can be done; null: always."),
        timestamp("end_at", "Until when it can be done; null: no end."),
        printed(
            "estimate_time",
            "How long the project takes, such as 7 days; the API has shown "
            "numbers (seconds), too: stored as text.",
        ),
        bigint("difficulty", "The experience it gives; the project has its own."),
        text("description", "What the session says of the project."),
        integer("duration_days", "Days from the beginning to the end; null: no limit."),
        printed("terminating_after", "As the API has it, as text."),
        integer("max_people", "How many may subscribe; null: no limit."),
        boolean("is_subscriptable", "Whether students can subscribe."),
        text("team_behaviour", "How teams are made: user, ... (free text)"),
        text("commit", "As the API has it."),
        timestamp("created_at", "When the API says it was created."),
        timestamp("updated_at", "When the API says it last changed."),
    ),
)

ACHIEVEMENTS = Resource(
    name="achievements",
    description="The achievements catalogue.",
    group="reference",
    cadence=Cadence.NIGHT,
    endpoint="/v2/campus/{campus_id}/achievements",
    by_id="/v2/achievements",
    listed=True,
    title="The achievements catalogue, with its campuses.",
    unread=frozenset({"achievements"}),
    columns=(
        identity("The API's id of the achievement."),
        text("name", "Its name."),
        text("description", "What must be done for it."),
        text("tier", "none, easy, medium, hard or challenge."),
        text("kind", "project, social, pedagogy or scolarity."),
        boolean("visible", "Whether it is visible; only such ones are listed."),
        text("image", "Path of its picture, without the host."),
        integer("nbr_of_success", "How often it must be done; null for once."),
        text("users_url", "The API's address of those who have it."),
        bigint(
            "parent_id",
            "The achievement this one is a step of; not a foreign key, it may be unlisted.",
            "parent",
            "id",
        ),
        text("title", "The title it gives, with %login as placeholder.", "title", "name"),
    ),
    links=(
        Link(
            table="campus_achievements",
            description="Which achievement can be earned on which campus; exact for "
            "configured, listed campuses.",
            own="achievement_id",
            own_is="The achievement.",
            other="campus_id",
            other_is="The campus.",
            other_table="campuses",
            field="campus",
            in_record=False,
        ),
    ),
)

COALITIONS = Resource(
    name="coalitions",
    description="Coalitions, as the blocs (campus x cursus) list them.",
    group="reference",
    cadence=Cadence.NIGHT,
    endpoint="/v2/blocs",
    campus_filter="filter[campus_id]",
    explode="coalitions",
    listed=True,
    title="Coalitions, read through the blocs.",
    followed_by="id",
    references=(
        Ref("campus_id", "campuses"),
        Ref("cursus_id", "cursus"),
    ),
    columns=(
        identity("The API's id of the coalition."),
        text("name", "Its name."),
        text("slug", "Its name as it stands in addresses."),
        text("image_url", "Address of its picture."),
        text("cover_url", "Address of its background picture."),
        text("color", "Its colour in hexadecimal; some have stray blanks."),
        bigint("score", "The coalition's score; reset between seasons."),
        bigint(
            "user_id", "The master of the coalition; not a foreign key, they may be out of scope."
        ),
        bigint("bloc_id", "The bloc (campus x cursus) it belongs to.", "..", "id"),
        bigint("campus_id", "The campus of its bloc.", "..", "campus_id"),
        bigint("cursus_id", "The cursus of its bloc.", "..", "cursus_id"),
    ),
)
