"""`make docs`: write the README's table of resources from the catalogue."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dev.settings import ROOT
from intra42.catalog.graph import of_group
from intra42.catalog.model import Link, Resource

README = ROOT / "README.md"
BEGIN = "<!-- resources: written by `make docs` -->"
END = "<!-- end of resources -->"

_HEAD = ("Table", "Endpoint", "Key", "Cursor field", "References")


def resource_table() -> str:
    """Return the Markdown table of all tables of the mirror, reference tables first."""
    rows: list[Sequence[str]] = [_HEAD, ["---"] * len(_HEAD)]
    for group in ("reference", "primary"):
        for resource in of_group(group):
            rows.append(_row(resource))
            rows += [_link_row(resource, link) for link in resource.links]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(resource: Resource) -> list[str]:
    references = [f"`{ref.column}` → `{ref.table}`" for ref in resource.references]
    return [
        f"`{resource.name}`",
        f"`{resource.endpoint}`",
        "`id`",
        _cursor(resource),
        ", ".join(references),
    ]


def _cursor(resource: Resource) -> str:
    if resource.cursor_field is None:
        return "none: read whole"
    field = f"`{resource.cursor_field}`"
    return f"{field}, and all rows every night" if resource.silent else field


def _link_row(resource: Resource, link: Link) -> list[str]:
    columns = {link.other: link.other_table, link.own: resource.name}
    return [
        f"`{link.table}`",
        f"with `{resource.name}`",
        ", ".join(f"`{column}`" for column in columns),
        f"with `{resource.name}`",
        ", ".join(f"`{column}` → `{table}`" for column, table in columns.items()),
    ]


def with_table(text: str) -> str:
    """Return the README's text with a fresh table between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, _begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not end:
        message = f"{README.name} lacks the line {BEGIN} or, below it, {END}"
        raise ValueError(message)
    return f"{before}{BEGIN}\n\n{resource_table()}\n\n{END}{after}"


def main() -> int:
    """Rewrite README.md where it is stale."""
    text = README.read_text(encoding="utf-8")
    fresh = with_table(text)
    if fresh != text:
        README.write_text(fresh, encoding="utf-8")
        print(f"{README.name}: the table of resources was stale and is written again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
