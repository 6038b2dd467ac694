"""docs/tables.md is what the schema and the catalogue say, and says something of every column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from dev.docs.readme import MIRROR, with_table
from dev.docs.tables import BEGIN, DOCUMENT, END, INTERNAL, UNKNOWN, Relation, reference, relations
from intra42.catalog.model import Column, Source
from intra42.catalog.resources import RESOURCES
from intra42.warehouse.schema import migrate

TEXT = DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture
def found(database_url: str) -> Mapping[str, Relation]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        migrate(connection)
    return relations(database_url)


def section(name: str, text: str = TEXT) -> list[list[str]]:
    """Return the cells of the rows of a table's section, without its head."""
    below = re.split(rf"^### {name}$", text, maxsplit=1, flags=re.MULTILINE)[1].split("\n#", 1)[0]
    lines = [line for line in below.split("\n") if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_reference_is_fresh(found: Mapping[str, Relation]) -> None:
    assert with_table(TEXT, BEGIN, END, reference(found)) == TEXT, "run `make docs`"


def test_every_table_is_in_it_once_with_its_columns(found: Mapping[str, Relation]) -> None:
    headings = re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)
    assert sorted(headings) == sorted(found.keys() - INTERNAL)
    for name in headings:
        columns = [row[0].strip("`") for row in section(name)]
        assert columns == [field.name for field in found[name].fields], name


def test_what_is_internal_exists_and_has_a_line(found: Mapping[str, Relation]) -> None:
    lines = re.findall(r"^\| `(\w+)` \| .+\. \|$", TEXT.split("\n## Internal\n")[1], re.MULTILINE)
    assert sorted(lines) == sorted(INTERNAL)
    assert found.keys() >= INTERNAL


def test_what_the_readme_calls_bookkeeping_is_described_in_full() -> None:
    rows = MIRROR.read_text(encoding="utf-8").split("| Table | One row per |")[1]
    named = re.findall(r"^\| `(\w+)` \|", rows.split("\n\n")[0], re.MULTILINE)
    assert len(named) >= 7
    for name in named:
        assert section(name), name


def test_every_column_has_a_sentence(found: Mapping[str, Relation]) -> None:
    for name in found.keys() - INTERNAL:
        for cells in section(name):
            assert cells[-1].endswith((".", "!", "?")), f"{name}.{cells[0]}"
            assert cells[-1] != UNKNOWN, (
                f"{name}.{cells[0]} has no comment: the catalogue, or schema/, adds it"
            )


def test_a_column_without_a_comment_is_called_unknown(found: Mapping[str, Relation]) -> None:
    cursus = found["cursus"]
    fields = tuple(
        replace(field, comment="" if field.name == "slug" else field.comment)
        for field in cursus.fields
    )
    text = reference({**found, "cursus": replace(cursus, fields=fields)})
    silent = [row[0] for row in section("cursus", text) if row[-1] == UNKNOWN]
    assert silent == ["`slug`"]


def test_a_table_that_the_catalogue_does_not_know_is_described_too(
    found: Mapping[str, Relation],
) -> None:
    text = reference({**found, "novelties": replace(found["cursus"], name="novelties")})
    assert {row[4] for row in section("novelties", text)} == {"see right"}
    assert "[novelties](#novelties)" in text


def test_every_value_of_the_api_says_where_it_is(found: Mapping[str, Relation]) -> None:
    """The paths as people would write them, of each kind of column there is."""
    shown = {
        f"{name}.{row[0].strip('`')}": row[4]
        for name, each in found.items()
        if each.is_mirror
        for row in section(name)
    }
    assert shown["users.image_large"] == "`image.versions.large`"
    assert shown["users.alumni"] == "`alumni?`"
    assert shown["users.campus_id"] == "derived"
    assert shown["users._seq"] == "ours"
    assert shown["coalitions.bloc_id"] == "`../id`"
    assert shown["projects_users.cursus_id"] == "derived from `cursus_ids`"
    assert shown["campus_projects.campus_id"] == "`campus[].id`"
    assert shown["campus_achievements.campus_id"] == "the list it was in"
    for resource in RESOURCES:
        for column in resource.columns:
            assert _last_key(column) in shown[f"{resource.name}.{column.name}"]


def _last_key(column: Column) -> str:
    return "derived" if column.source is Source.DERIVED else column.path[-1]


def test_keys_and_references_are_those_of_the_database(
    found: Mapping[str, Relation], database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        keys: list[tuple[Any, ...]] = connection.execute(
            "select c.relname, a.attname, f.relname from pg_constraint as k"
            " join pg_class as c on c.oid = k.conrelid"
            " join pg_class as f on f.oid = k.confrelid"
            " join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]"
            " where k.contype = 'f' and c.relnamespace = 'intra42'::regnamespace"
        ).fetchall()
    described = [key for key in keys if key[0] not in INTERNAL]
    assert len(described) >= 18
    for table, column, parent in described:
        (row,) = (row for row in section(table) if row[0] == f"`{column}`")
        assert f"→ [{parent}](#{parent})" in row[3]
