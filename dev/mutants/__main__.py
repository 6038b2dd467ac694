"""`python -m dev.mutants [name ...]`: every mutant must make its tests fail."""

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
from pathlib import Path

from dev.mutants.catalogue import MUTANTS
from dev.mutants.model import Mutant
from dev.mutants.table import mutant_table
from dev.settings import ROOT

_LONGEST_S = 300
_FAILED = 1  # pytest: tests ran and some failed; 2 to 5 mean that it could not run them


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mutants named, or all; return 1 if one survives or proves nothing."""
    parser = argparse.ArgumentParser(prog="python -m dev.mutants", description=__doc__)
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
