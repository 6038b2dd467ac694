"""The table of docs/privacy.md that follows from the catalogue: what is stored about people."""

from __future__ import annotations

from collections.abc import Iterable

from dev.stack.settings import ROOT
from intra42.catalog.model import Column, Resource
from intra42.catalog.resources import RESOURCES

DOCUMENT = ROOT / "docs" / "privacy.md"
BEGIN = "<!-- people: written by `make docs` -->"
END = "<!-- end of people -->"

_HEAD = ("Table", "About", "Text that `hash_columns` may name", "Other columns")


def table() -> str:
    """Return the Markdown table of all tables with rows about a person, and of the others."""
    people = [resource for resource in RESOURCES if _is_about_people(resource)]
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(resource) for resource in people)]
    others = ", ".join(
        f"`{resource.name}` ({_names(_text(resource)) or 'none'})"
        for resource in RESOURCES
        if resource not in people
    )
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        f"{lines}\n\nTables that are not about a person, and their text that `hash_columns` may "
        f"name, too: {others}."
    )


def _is_about_people(resource: Resource) -> bool:
    return resource.has_user or resource.name == "users"


def _row(resource: Resource) -> tuple[str, ...]:
    text = _text(resource)
    others = [column for column in resource.columns if column not in text]
    about = "the person" if resource.name == "users" else "what the person did, by `user_id`"
    return f"`{resource.name}`", about, _names(text), _names(others)


def _text(resource: Resource) -> list[Column]:
    return [column for column in resource.columns if column.can_be_hashed]


def _names(columns: Iterable[Column]) -> str:
    return ", ".join(f"`{column.name}`" for column in columns)
