"""How the API shows rows of the further tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.simulator.clock import iso
from dev.simulator.reference_shapes import Json
from dev.simulator.rows import Skill

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
