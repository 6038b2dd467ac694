"""`python -m tests.deep.mutants [name ...]`: every mutant must make its tests fail.

A mutant is a known defect as a patch: `patches/<name>.patch` says what it puts back and which tests
catch it. Its hunks are found by their text, wherever the lines around them have moved.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.stack.settings import ROOT

_LONGEST_S = 300
_FAILED = 1  # pytest: tests ran and some failed; 2 to 5 mean that it could not run them
_PATCHES = Path(__file__).parent / "patches"
BEGIN = "<!-- mutants: printed by `python -m tests.deep.mutants --table` -->"
END = "<!-- end of mutants -->"


@dataclass(frozen=True, slots=True)
class Edit:
    """One place to change: `old` occurs exactly once in the file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defect, put back.

    Args:
        name: for the command line and the table in docs/correctness.md.
        what: what goes wrong, in a few words.
        edits: the changes that bring it back.
        tests: node ids, at least one of which must fail.
    """

    name: str
    what: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]

    @classmethod
    def from_patch(cls, path: Path) -> Mutant:
        """Read a mutant from its patch."""
        head, *files = re.split(r"^--- a/", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        return cls(
            path.stem,
            head.split("\n", 1)[0],
            tuple(edit for text in files for edit in _edits(text)),
            tuple(re.findall(r"^Caught-by: (.+)$", head, re.MULTILINE)),
        )

    def apply(self, root: Path) -> None:
        """Change the files below `root`.

        Raises:
            ValueError: an old text is not there exactly once.
        """
        for edit in self.edits:
            path = root / edit.file
            text = path.read_text(encoding="utf-8")
            if text.count(edit.old) != 1:
                message = f"{self.name}: {edit.file} has its old text {text.count(edit.old)} times"
                raise ValueError(message)
            path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def _edits(text: str) -> Iterator[Edit]:
    """Yield the hunks of one file of a patch."""
    head, *hunks = re.split(r"^@@ .*\n", text, flags=re.MULTILINE)
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)
        yield Edit(
            head.split("\n", 1)[0],
            "".join(line[1:] for line in lines if line[0] in " -"),
            "".join(line[1:] for line in lines if line[0] in " +"),
        )


MUTANTS = tuple(Mutant.from_patch(path) for path in sorted(_PATCHES.glob("*.patch")))


def mutant_table() -> str:
    """Return a Markdown table: each mutant, and the tests that catch it."""
    rows = ["| Mutant | What it puts back | Caught by |", "| --- | --- | --- |"]
    for mutant in MUTANTS:
        tests = ", ".join(f"`{test.rpartition('/')[2]}`" for test in mutant.tests)
        rows.append(f"| `{mutant.name}` | {mutant.what} | {tests} |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mutants named, or all; return 1 if one survives or proves nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.deep.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--table", action="store_true", help="print the documentation's table")
    options = parser.parse_args(arguments)
    if options.table:
        print(mutant_table())
        return 0
    if options.list:
        print("\n".join(f"{mutant.name:34} {mutant.what}" for mutant in MUTANTS))
        return 0
    unknown = set(options.names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    started = time.monotonic()
    problem = _without_mutant(chosen)
    if problem:
        print(f"These tests must pass without a mutant first: {problem}")
        return 1
    alive = [mutant.name for mutant in chosen if not _is_caught(mutant)]
    print(
        f"{len(chosen) - len(alive)} of {len(chosen)} mutants caught in "
        f"{time.monotonic() - started:.0f} s" + (f"; not: {', '.join(alive)}" if alive else "")
    )
    return 1 if alive else 0


def _without_mutant(mutants: Sequence[Mutant]) -> str:
    """Run the tests on a copy without a defect; return what went wrong, nothing if all is well."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with _copy() as copy:
        result = _pytest(copy, tests, _LONGEST_S * 6)
    return "" if result.returncode == 0 else _last_lines(result)


def _is_caught(mutant: Mutant) -> bool:
    started = time.monotonic()
    with _copy() as copy:
        mutant.apply(copy)
        verdict, caught = _try(mutant, copy)
    seconds = time.monotonic() - started
    print(f"{'ok ' if caught else 'NOT'} {mutant.name:34} {seconds:5.1f} s  {verdict}", flush=True)
    return caught


@contextmanager
def _copy() -> Iterator[Path]:
    """Yield a copy of the tracked files as they are now; the tree itself is never changed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    with tempfile.TemporaryDirectory(prefix="intra42-mutant-") as folder:
        copy = Path(folder) / "tree"
        for name in filter(None, listed.stdout.split("\0")):
            source, target = ROOT / name, copy / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        (copy / ".venv").symlink_to(ROOT / ".venv")
        yield copy


def _try(mutant: Mutant, copy: Path) -> tuple[str, bool]:
    """Run the mutant's tests in its tree; return what came of it, and whether it was caught."""
    try:
        result = _pytest(copy, mutant.tests, _LONGEST_S)
    except subprocess.TimeoutExpired:
        return f"its tests did not end within {_LONGEST_S} s", False
    if result.returncode == 0:
        return f"survives: {mutant.what}", False
    red = re.findall(r"^FAILED (.+?)(?: - .*)?$", result.stdout, re.MULTILINE)
    if result.returncode != _FAILED or not red:
        return f"no failed test: {_last_lines(result)}", False
    return f"red: {red[0].partition('::')[2]}", True


def _pytest(copy: Path, tests: Sequence[str], longest_s: float) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'plugins'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    _prove_that_the_copy_is_imported(copy, environment)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    with subprocess.Popen(
        command,
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            output, _nothing = process.communicate(timeout=longest_s)
        except subprocess.TimeoutExpired:
            # As Ctrl-C would: the tests stop the PostgreSQL that they started.
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output)


def _last_lines(result: subprocess.CompletedProcess[str]) -> str:
    lines = result.stdout.splitlines()[-15:]
    return "\n".join([f"pytest ended with {result.returncode}", *lines])


def _prove_that_the_copy_is_imported(copy: Path, environment: Mapping[str, str]) -> None:
    code = "import intra42.warehouse.statements as s; print(s.__file__, s.FOLDER)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=copy,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for path in found:
        if not Path(path).resolve().is_relative_to(copy.resolve()):
            message = f"{path} would be tested, not the copy in {copy}"
            raise RuntimeError(message)


if __name__ == "__main__":
    sys.exit(main())
