"""The engine knows no table by name: what is particular to one is declared on its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from dev.stack.settings import ROOT
from intra42.catalog import graph
from intra42.warehouse.statements import FOLDER, names, read

OURS = Path(ROOT, "plugins", "intra42")
ENGINE = ("api", "warehouse", "attempt", "store", "read", "verify", "run")
# Who is in scope, whose account is gone: a domain of its own, about these tables.
PEOPLE_ROOMS = {"scope", "erasure"}
# What else may name a table, and why. No fourth one.
EXCEPTIONS = {
    "users": "every other table belongs to people: statements join them for scope and for deletes",
    "cursus_users": "whoever is no student has no enrolment; levels have a history of their own",
    "derive": "the statements of this room are about one derived column each, by their names",
}


def named_in(text: str) -> set[str]:
    """Return the tables that a statement reads or writes by name."""
    code = "\n".join(line.partition("--")[0] for line in text.splitlines())
    found = set(re.findall(r"intra42\.(\w+)", code)) | set(re.findall(r"'(\w+)'", code))
    return found & set(graph.tables())


def test_no_module_of_the_engine_names_a_table() -> None:
    found = set()
    for package in ENGINE:
        for file in sorted((OURS / package).rglob("*.py")):
            place = file.relative_to(OURS).as_posix()
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and node.value in graph.tables():
                    found.add((place, node.value))
    keys = {
        ("verify/audit.py", "users"),
        ("verify/audit.py", "cursus"),
        ("verify/purge.py", "users"),
        ("read/history.py", "users"),
    }
    # Names of values that statements have: `users=[...]`, `cursus=[...]`.
    values = {item for item in found if item in keys or item[1] == "cursus"}
    assert found - values == set()


def test_no_statement_of_the_engine_names_a_table_but_the_exceptions() -> None:
    assert len(EXCEPTIONS) <= 3
    rooms = {path.stem for path in FOLDER.glob("*.sql")} - PEOPLE_ROOMS - {"views", "page"}
    for room in rooms - EXCEPTIONS.keys():
        for name in names(room):
            assert named_in(read(name).as_string()) <= EXCEPTIONS.keys(), name
