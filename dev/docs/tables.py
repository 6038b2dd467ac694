"""docs/tables.md: every table and column, from a migrated database and the catalogue.

The database knows types, keys, references and comments; the catalogue knows where in the API's
record a value is.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Inspector

from dev.stack.postgres import Postgres
from dev.stack.settings import ROOT
from intra42.catalog import graph
from intra42.catalog.model import Column, Link, Resource, Source
from intra42.catalog.resources import RESOURCES
from intra42.warehouse.schema import migrate
from intra42.warehouse.statements import SCHEMA

DOCUMENT = ROOT / "docs" / "tables.md"
BEGIN = "<!-- tables: written by `make docs` -->"
END = "<!-- end of tables -->"

# What no reader of the tables needs; what a newer version adds is described until it is named here.
INTERNAL = frozenset(
    {
        *("anonymised_users", "api_limits", "api_tokens", "audit_positions"),
        *("dag_runs", "hashed_columns"),
        *("jobs", "last_heard", "listing_totals", "outsiders", "partitions", "to_read"),
        *("schema_migrations", "settings", "vanished_users", "verifications"),
    }
)
_BOOKKEEPING_FIRST = ("sync_runs", "sync_run_tables", "sync_state", "checks", "audits")
UNKNOWN = "Unknown."
# For a column of that name which has no sentence of its own.
_GENERAL = {
    "user_id": "The user.",
    "cursus_id": "The cursus.",
    "campus_id": "The campus.",
    "project_id": "The project.",
}
_SHORT_TYPES = {
    "timestamp with time zone": "timestamptz",
    "timestamp with time zone[]": "timestamptz[]",
    "float": "double precision",
}
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One column as the reference shows it; `table` is what it refers to."""

    name: str
    type: str
    nullable: bool
    key: bool
    table: str | None
    comment: str


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One table or view as the database has it."""

    name: str
    comment: str
    fields: tuple[Field, ...]
    definition: str | None = None

    @property
    def is_view(self) -> bool:
        """Tell whether it is a view."""
        return self.definition is not None

    @property
    def is_mirror(self) -> bool:
        """Tell whether its rows come from the API: those say when it showed them."""
        return not self.is_view and any(field.name == "_synced_at" for field in self.fields)


def relations(database_url: str) -> dict[str, Relation]:
    """Return the tables and views of a migrated database by name.

    Args:
        database_url: libpq URL.
    """
    engine = sqlalchemy.create_engine(
        database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    )
    try:
        inspector = sqlalchemy.inspect(engine)
        views = inspector.get_view_names(SCHEMA)
        names = sorted([*inspector.get_table_names(SCHEMA), *views])
        return {name: _relation(inspector, name, is_view=name in views) for name in names}
    finally:
        engine.dispose()


def _relation(inspector: Inspector, name: str, *, is_view: bool) -> Relation:
    keys = inspector.get_pk_constraint(name, SCHEMA)["constrained_columns"]
    references = {
        key["constrained_columns"][0]: key["referred_table"]
        for key in inspector.get_foreign_keys(name, SCHEMA)
    }
    return Relation(
        name=name,
        definition=inspector.get_view_definition(name, SCHEMA) if is_view else None,
        comment=_sentence(inspector.get_table_comment(name, SCHEMA)["text"]),
        fields=tuple(
            Field(
                name=column["name"],
                type=_type_name(column["type"]),
                nullable=column["nullable"],
                key=column["name"] in keys,
                table=references.get(column["name"]),
                comment=_sentence(column["comment"]),
            )
            for column in inspector.get_columns(name, SCHEMA)
        ),
    )


def _type_name(type_: sqlalchemy.types.TypeEngine[object]) -> str:
    name = type_.compile(dialect=_DIALECT).lower()
    return _SHORT_TYPES.get(name, name)


def _sentence(comment: str | None) -> str:
    """Return a comment with its full stop, in one line, fit for a cell; empty for none."""
    text = " ".join((comment or "").split()).replace("|", "\\|")
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def reference(found: Mapping[str, Relation]) -> str:
    """Return the generated part of the document.

    Args:
        found: What `relations` returned.
    """
    mirror = _mirror_order(found)
    hidden = {"checks", *INTERNAL}
    views = [name for name, each in found.items() if each.is_view and name not in hidden]
    rest = found.keys() - {*mirror, *views, *INTERNAL}
    bookkeeping = [name for name in _BOOKKEEPING_FIRST if name in rest]
    bookkeeping += sorted(rest - {*bookkeeping})
    parts = [
        f"**Mirror:** {_links(mirror)}.\n",
        f"**Views:** {_links(views)}.\n",
        f"**Bookkeeping:** {_links(bookkeeping)}.\n",
        "**Internal:** [in one line each](#internal).\n",
        "## Mirror\n",
        *(_mirror_table(found[name]) for name in mirror),
        "## Views\n",
        *(_section(_told(found[name], found), found[name].comment) for name in views),
        "## Bookkeeping\n",
        *(_section(found[name], found[name].comment) for name in bookkeeping),
        "## Internal\n",
        "No promise is made about these: a release may change them.\n",
        *_table(
            ("Table", "What"),
            [(f"`{name}`", found[name].comment) for name in sorted(INTERNAL & found.keys())],
        ),
    ]
    return "\n".join(parts).rstrip()


def _mirror_order(found: Mapping[str, Relation]) -> list[str]:
    """Return the names of the mirror's tables, in the catalogue's order, others behind."""
    order = graph.tables()
    own = [name for name, relation in found.items() if relation.is_mirror and name not in order]
    return [name for name in order if name in found] + own


def _links(names: list[str]) -> str:
    return ", ".join(f"[{name}](#{name})" for name in names)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _mirror_table(relation: Relation) -> str:
    source, paths = _origin(relation.name)
    other = "ours" if source else "see right"
    return _section(
        relation,
        f"{relation.comment} {source}".rstrip(),
        {field.name: paths.get(field.name, other) for field in relation.fields},
    )


def _section(relation: Relation, text: str, origins: Mapping[str, str] | None = None) -> str:
    """Return heading, sentences and columns; `origins` is where each column's value comes from."""
    head = ["Column", "Type"]
    head += [] if relation.is_view else ["Null", "Key"]
    head += ["From"] if origins else []
    rows = []
    for field in relation.fields:
        row = [f"`{field.name}`", field.type]
        row += [] if relation.is_view else ["yes" if field.nullable else "no", _key(field)]
        row += [origins[field.name]] if origins else []
        rows.append((*row, field.comment or _GENERAL.get(field.name) or UNKNOWN))
    return "\n".join(
        [f"### {relation.name}", "", text, "", *_table((*head, "What"), rows), ""],
    )


def _told(view: Relation, found: Mapping[str, Relation]) -> Relation:
    """Return the view with the sentences of the tables that its columns come from."""
    below = re.findall(rf"\b{SCHEMA}\.(\w+)", view.definition or "")
    known = {
        field.name: field.comment
        for name in reversed(below)
        if name in found
        for field in found[name].fields
        if field.comment
    }
    fields = (
        replace(field, comment=field.comment or known.get(field.name, "")) for field in view.fields
    )
    return replace(view, fields=tuple(fields))


def _key(field: Field) -> str:
    parts = ["primary"] if field.key else []
    parts += [f"→ [{field.table}](#{field.table})"] if field.table else []
    return ", ".join(parts)


def _origin(table: str) -> tuple[str, dict[str, str]]:
    """Return where a table's records come from, and where in them the value of each column is.

    Both are empty for a table that the catalogue does not know.
    """
    for resource in RESOURCES:
        if resource.name == table:
            return _source_of(resource), {each.name: _from(each) for each in resource.columns}
        for link in resource.links:
            if link.table == table:
                return _link_of(resource, link)
    return "", {}


def _link_of(resource: Resource, link: Link) -> tuple[str, dict[str, str]]:
    parent = f"[{resource.name}](#{resource.name})"
    if link.in_record:
        paths = {link.own: "`id`", link.other: f"`{link.field}[].id`"}
        return f"Source: each record of {parent}.", paths
    paths = {link.own: "`id`", link.other: "the list it was in"}
    return f"Source: the lists that {parent} come from.", paths


def _source_of(resource: Resource) -> str:
    inside = f", each of its `{resource.explode}`" if resource.explode else ""
    source = f"Source: `{resource.endpoint}`{inside}"
    if resource.cursor_field is None:
        return f"{source}, read whole every night."
    also = ", and all rows every night" if resource.nightly else ""
    return f"{source}, by `{resource.cursor_field}`{also}."


def _from(column: Column) -> str:
    if column.source is Source.DERIVED:
        return "derived"
    path = ".".join(column.path).replace("...", "../")
    return f"derived from `{path}`" if column.source is Source.FIRST_CONFIGURED else f"`{path}`"


@contextmanager
def migrated_database() -> Iterator[str]:
    """Start a PostgreSQL of our own, migrate a database in it, and yield its URL."""
    folder = Path(tempfile.mkdtemp(prefix="intra42-docs-"))
    folder.chmod(0o755)
    server = Postgres(folder / "data", closed=True)
    try:
        server.start()
        server.ensure_database("documented")
        with psycopg.connect(server.url("documented"), autocommit=True) as connection:
            migrate(connection)
        yield server.url("documented")
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
