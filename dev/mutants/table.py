"""The table of mutants in docs/correctness.md."""

from __future__ import annotations

from dev.mutants.catalogue import MUTANTS

BEGIN = "<!-- mutants: printed by `python -m dev.mutants --table` -->"
END = "<!-- end of mutants -->"


def mutant_table() -> str:
    """Return a Markdown table: each mutant, and the tests that catch it."""
    rows = ["| Mutant | What it puts back | Caught by |", "| --- | --- | --- |"]
    for mutant in MUTANTS:
        tests = ", ".join(f"`{test.rpartition('/')[2]}`" for test in mutant.tests)
        rows.append(f"| `{mutant.name}` | {mutant.what} | {tests} |")
    return "\n".join(rows)
