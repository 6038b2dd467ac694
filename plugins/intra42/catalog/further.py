"""Further tables: read only where the setting `tables` asks for them."""

from __future__ import annotations

from intra42.catalog.columns import identity, text, timestamp
from intra42.catalog.model import Cadence, Resource

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
