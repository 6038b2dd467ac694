"""Each statement has a name of its own and a sentence, and something of ours runs it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from dev.stack.settings import ROOT
from intra42.catalog import graph
from intra42.warehouse.statements import FOLDER, names, read, script

ROOMS = sorted(path.stem for path in FOLDER.glob("*.sql") if path.stem != "views")
CODE = "".join(path.read_text("utf-8") for path in Path(ROOT, "plugins/intra42").rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_no_name_is_given_twice(room: str) -> None:
    given = re.findall(r"^-- name: (\w+)$", script(room).as_string(), re.MULTILINE)
    assert given
    assert [f"{room}/{name}" for name in given] == list(names(room))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_and_each_of_its_statements_begin_with_a_sentence(room: str) -> None:
    texts = [script(room).as_string(), *(read(name).as_string() for name in names(room))]
    for text in texts:
        assert re.match(r"-- \w", text), text[:200]


@pytest.mark.parametrize("name", [name for room in ROOMS for name in names(room)])
def test_no_statement_is_left_over(name: str) -> None:
    room, _, last = name.partition("/")
    # Some are chosen by their name alone, those that derive a column by the name of its table.
    of_a_table = room == "derive" and last.partition("_")[2] in graph.tables()
    assert f'"{name}"' in CODE or f'"{last}"' in CODE or of_a_table


def test_nothing_of_the_schema_is_created_twice() -> None:
    """Of two texts of one view only the last one counts, and an edit of the other is lost."""
    files = [
        *FOLDER.glob("schema/[0-9]*.sql"),
        *FOLDER.glob("functions/*.sql"),
        *map(FOLDER.joinpath, ("views.sql", "migrations.sql")),
    ]
    text = "\n".join(re.sub("--.*", "", file.read_text("utf-8")) for file in files)
    created = Counter(re.findall(r"create (?:or replace )?(\w+ intra42\.\w+)", text))
    assert {"view intra42.checks", "table intra42.users"} <= created.keys()
    assert [what for what, times in created.items() if times > 1] == []


def test_a_statement_that_is_not_there_is_no_empty_one() -> None:
    with pytest.raises(KeyError):
        read("merge/nothing")
    with pytest.raises(FileNotFoundError, match="copy the folder include/"):
        read("nothing/merge")
