"""RESOURCES: what the mirror holds. Task edges, COPY order, checks and docs derive from it.

Source of endpoints, filters and shapes: the public API documentation and what its clients
measured; `docs/api.md` says how sure each fact is.
"""

from __future__ import annotations

from intra42.catalog.activity import ACHIEVEMENTS_USERS, COALITIONS_USERS, PROJECTS_USERS
from intra42.catalog.further import LOCATIONS, QUESTS, QUESTS_USERS, SCORES, SKILLS
from intra42.catalog.model import Resource
from intra42.catalog.people import CAMPUS_USERS, CURSUS_USERS, USERS
from intra42.catalog.reference import (
    ACHIEVEMENTS,
    CAMPUSES,
    COALITIONS,
    CURSUS,
    PROJECT_SESSIONS,
    PROJECTS,
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
    SKILLS,
    QUESTS,
    QUESTS_USERS,
    LOCATIONS,
    SCORES,
)
