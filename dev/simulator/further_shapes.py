"""How the API shows rows of the further tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.simulator.clock import iso
from dev.simulator.reference_shapes import Json
from dev.simulator.rows import Location, Quest, QuestsUser, Score, Skill
from dev.simulator.shapes import user

if TYPE_CHECKING:
    from dev.simulator.store import Store


def skill(_: Store, row: Skill) -> Json:
    """Show a skill."""
    return {
        "id": row.id,
        "slug": row.slug,
        "name": row.name,
        "created_at": iso(row.created_at),
    }


def quest(row: Quest) -> Json:
    """Show a milestone as others nest it."""
    return {
        "id": row.id,
        "name": row.name,
        "slug": row.slug,
        "kind": row.kind,
        "internal_name": row.internal_name,
        "description": row.description,
        "cursus_id": row.cursus_id,
        "campus_id": row.campus_id,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "grade_id": row.grade_id,
        "position": row.position,
    }


def quests_user(store: Store, row: QuestsUser) -> Json:
    """Show a user's milestone, with the user and the milestone inside."""
    return {
        "id": row.id,
        "end_at": iso(row.end_at),
        "quest_id": row.quest_id,
        "validated_at": iso(row.validated_at),
        "prct": row.prct,
        "advancement": row.advancement,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "user": user(store, store.nested_user(row.user_id, row.id)),
        "quest": quest(store.quests[row.quest_id]),
    }


def location(store: Store, row: Location) -> Json:
    """Show a session, with the user inside."""
    return {
        "end_at": iso(row.end_at),
        "id": row.id,
        "begin_at": iso(row.begin_at),
        "primary": row.primary,
        "host": row.host,
        "campus_id": row.campus_id,
        "user": user(store, store.nested_user(row.user_id, row.id)),
    }


def score(_: Store, row: Score) -> Json:
    """Show an entry of a ledger."""
    return {
        "id": row.id,
        "coalition_id": row.coalition_id,
        "scoreable_id": row.scoreable_id,
        "scoreable_type": row.scoreable_type,
        "coalitions_user_id": row.coalitions_user_id,
        "calculation_id": row.calculation_id,
        "value": row.value,
        "reason": row.reason,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }
