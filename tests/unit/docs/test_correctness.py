"""docs/correctness.md and docs/faults.md name tests that exist, and the mutants cannot rot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev.stack.settings import ROOT
from tests.deep.mutants import BEGIN, END, MUTANTS, Mutant, mutant_table

TEXT = (ROOT / "docs" / "correctness.md").read_text(encoding="utf-8")
FAULTS = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
CASES = {"T": 16, "A": 6, "P": 14, "M": 7, "D": 10, "X": 10, "K": 12, "C": 6, "R": 6}
FILES = {path.name: path for path in sorted((ROOT / "tests").rglob("test_*.py"))}


def defines(path: Path, test: str) -> bool:
    source = path.read_text(encoding="utf-8")
    return re.search(rf"^def {re.escape(test)}\(", source, re.MULTILINE) is not None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_finds_its_place_and_its_tests(mutant: Mutant, tmp_path: Path) -> None:
    for edit in mutant.edits:
        copy = tmp_path / edit.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / edit.file).read_bytes())
    mutant.apply(tmp_path)
    for edit in mutant.edits:
        changed = (tmp_path / edit.file).read_text(encoding="utf-8")
        if edit.file.endswith(".py"):
            compile(changed, edit.file, "exec")
        assert changed != (ROOT / edit.file).read_text(encoding="utf-8")
    assert mutant.tests
    for node in mutant.tests:
        file, _colons, test = node.partition("::")
        assert defines(ROOT / file, test), node


def test_a_mutant_whose_place_is_gone_says_so(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if len(mutant.edits) == 1)
    file = tmp_path / mutant.edits[0].file
    file.parent.mkdir(parents=True)
    file.write_text("something else\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"{mutant.name}: .* 0 times"):
        mutant.apply(tmp_path)


def test_mutants_have_different_names() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_table_of_mutants_is_fresh() -> None:
    shown = TEXT.split(BEGIN, 1)[1].split(END, 1)[0].strip()
    assert shown == mutant_table(), "print it with `python -m tests.deep.mutants --table`"


def test_every_case_of_a_fault_has_a_test() -> None:
    rows = re.findall(
        r"^\| ([A-Z]\d+) \| [^|]+ \| .*(?:`test_\w+\.py::test_\w+`|\*both\*)", FAULTS, re.M
    )
    assert rows == [f"{family}{n}" for family, most in CASES.items() for n in range(1, most + 1)]


@pytest.mark.parametrize(
    ("text", "least"), [(TEXT, 60), (FAULTS, 80)], ids=["correctness", "faults"]
)
def test_every_test_and_file_it_names_exists(text: str, least: int) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > least
    for file, test in named:
        assert defines(FILES[file], test), f"{file}::{test}"
    for path in re.findall(r"`((?:plugins|include|dev|tests)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target


def test_the_names_of_test_files_are_unique() -> None:
    named = {file for file, _test in re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXT + FAULTS)}
    for file in named:
        assert len(list((ROOT / "tests").rglob(file))) == 1, file
