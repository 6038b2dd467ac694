"""`make docs`: write what follows from the catalogue and the schema into docs/."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from dev.docs import architecture, dbt, privacy, requests, tables
from dev.stack.settings import ROOT
from intra42.catalog.graph import embedded_in, of_group
from intra42.catalog.model import Link, Resource

README = ROOT / "README.md"
MIRROR = ROOT / "docs" / "mirror.md"
# What a user reads, in the order of reading.
HANDBOOK = (
    README,
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("settings", "mirror", "runs", "operate", "own-dags")
    ),
    ROOT / "docs" / "limits.md",
)
BEGIN = "<!-- resources: written by `make docs` -->"
END = "<!-- end of resources -->"

_HEAD = ("Table", "Endpoint", "Key", "Cursor field", "References")


def resource_table() -> str:
    """Return the Markdown table of all tables of the mirror, reference tables first."""
    rows: list[Sequence[str]] = [_HEAD, ["---"] * len(_HEAD)]
    for group in ("reference", "primary", "further"):
        for resource in of_group(group):
            rows.append(_row(resource))
            rows += [_row(inner) for inner in embedded_in(resource.name)]
            rows += [_link_row(resource, link) for link in resource.links]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(resource: Resource) -> list[str]:
    references = [f"`{ref.column}` → `{ref.table}`" for ref in resource.references]
    owner = f"with `{resource.embedded_in}`" if resource.embedded_in else ""
    return [
        f"`{resource.name}`",
        owner or f"`{resource.endpoint}`",
        "`id`",
        owner or _cursor(resource),
        ", ".join(references),
    ]


def _cursor(resource: Resource) -> str:
    if resource.cursor_field is None:
        return "none: read whole"
    field = f"`{resource.cursor_field}`"
    return f"{field} in the incremental; all rows every night" if resource.nightly else field


def _link_row(resource: Resource, link: Link) -> list[str]:
    columns = {link.other: link.other_table, link.own: resource.name}
    return [
        f"`{link.table}`",
        f"with `{resource.name}`",
        ", ".join(f"`{column}`" for column in columns),
        f"with `{resource.name}`",
        ", ".join(f"`{column}` → `{table}`" for column, table in columns.items()),
    ]


def handbook() -> str:
    """Return README and handbook as one text, with pictures as they lie from the root."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in HANDBOOK)
    return text.replace("](images/", "](docs/images/")


def with_table(text: str, begin: str = BEGIN, end: str = END, table: str = "") -> str:
    """Return `text` with a fresh table between its markers; that of the resources if none is given.

    Raises:
        ValueError: a marker is missing.
    """
    before, _begin, rest = text.partition(begin)
    _old, found, after = rest.partition(end)
    if not found:
        message = f"the document lacks the line {begin} or, below it, {end}"
        raise ValueError(message)
    return f"{before}{begin}\n\n{table or resource_table()}\n\n{end}{after}"


def main() -> int:
    """Rewrite the documents that are stale."""
    with tables.migrated_database() as url, psycopg.connect(url) as connection:
        columns = tables.reference(tables.relations(url))
        source = dbt.document(connection)
    wanted = (
        (MIRROR, BEGIN, END, resource_table()),
        (requests.DOCUMENT, requests.BEGIN, requests.END, requests.tables()),
        (privacy.DOCUMENT, privacy.BEGIN, privacy.END, privacy.table()),
        (tables.DOCUMENT, tables.BEGIN, tables.END, columns),
        (architecture.DOCUMENT, *architecture.ARROWS, architecture.diagram(architecture.arrows())),
        (architecture.DOCUMENT, *architecture.MODULES, architecture.module_table()),
    )
    for document, begin, end, table in wanted:
        text = document.read_text(encoding="utf-8")
        _write(document, text, with_table(text, begin, end, table))
    _write(dbt.DOCUMENT, dbt.DOCUMENT.read_text(encoding="utf-8"), source)
    return 0


def _write(document: Path, text: str, fresh: str) -> None:
    if fresh != text:
        document.write_text(fresh, encoding="utf-8")
        print(f"{document.name} was stale and is written again")


if __name__ == "__main__":
    sys.exit(main())
