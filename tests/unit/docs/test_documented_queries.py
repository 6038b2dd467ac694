"""A documented query loses no row because a name is missing: such a campus is `campus 42`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dev.stack.settings import ROOT
from intra42.warehouse.schema import migrate

OWN = "now(), 'run', 1"
DATA = f"""
    insert into intra42.cursus (id, _synced_at, _run_id, _seq) values (21, {OWN});
    insert into intra42.campuses (id, name, listed, _synced_at, _run_id, _seq)
    values (1, 'Paris', true, {OWN}), (42, null, false, {OWN}), (43, null, false, {OWN});
    insert into intra42.projects (id, name, listed, _synced_at, _run_id, _seq)
    values (5, null, false, {OWN});
    insert into intra42.users (id, campus_id, kind, alumni, _synced_at, _run_id, _seq)
    values (7, 42, 'student', false, {OWN}), (8, 1, 'student', false, {OWN}),
      (9, 43, 'student', false, {OWN}), (10, 1, 'student', false, {OWN});
    insert into intra42.campus_users
      (id, user_id, campus_id, is_primary, created_at, _synced_at, _run_id, _seq)
    select id, user_id, campus_id, is_primary, now() - make_interval(days => ago), {OWN}
    from (values
      (1, 7, 1, false, 400), (2, 7, 42, true, 5),
      (3, 8, 42, false, 400), (4, 8, 1, true, 4),
      (5, 9, 42, false, 400), (6, 9, 43, true, 3),
      (7, 10, 1, true, 2)
    ) as x (id, user_id, campus_id, is_primary, ago);
    insert into intra42.projects_users
      (id, user_id, project_id, cursus_id, campus_id, occurrence, validated, marked_at,
       _synced_at, _run_id, _seq)
    values (1, 7, 5, 21, 42, 0, true, now() - interval '1 day', {OWN});
"""


def queries() -> list[tuple[str, str]]:
    """Return every documented statement that reads, with the name of its page."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for block in re.findall(r"^```sql\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
            for statement in block.split(";"):
                text = re.sub(r"^\s*--.*\n", "", statement, flags=re.MULTILINE).strip()
                if re.match(r"(select|with)\b", text):
                    found.append((path.name, text))
    return found


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as made:
        migrate(made)
        made.execute(DATA)
        yield made


def the_query(words: str) -> str:
    [text] = [text for _, text in queries() if words in text]
    return text


def test_a_transfer_from_or_to_a_campus_without_a_name_is_shown(
    connection: psycopg.Connection[Any],
) -> None:
    rows = connection.execute(the_query("to_campus")).fetchall()  # type: ignore[arg-type]
    assert [row[:3] for row in rows] == [
        (9, "campus 42", "campus 43"),
        (8, "campus 42", "Paris"),
        (7, "Paris", "campus 42"),
    ]


def test_a_project_without_a_name_is_counted(connection: psycopg.Connection[Any]) -> None:
    rows = connection.execute(the_query("after_a_retry")).fetchall()  # type: ignore[arg-type]
    assert rows == [("project 5", 1, 0)]


def test_a_name_that_may_be_missing_has_a_stand_in_in_every_query() -> None:
    named = re.compile(r"(?<!coalesce\()\b\w+\.name\b")
    reference = re.compile(r"intra42\.(campuses|projects|coalitions|achievements)\b")
    assert len(queries()) > 5
    for page, text in queries():
        if reference.search(text):
            assert not named.search(text), (page, text)
