"""`make bench`: measure the mirror, print one table, write bench/results/latest.json.

Each section has a process, a PostgreSQL and an Airflow of its own, which nothing was measured in
before; how busy the machine was without us just before and after stands beside it. Nothing is
asserted: the table shows what was asked for beside what was measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import machine
from bench.context import Context
from bench.outcome import Line
from bench.registry import SECTIONS
from dev.stack.airflow import AirflowStack, AlreadyRunning
from dev.stack.demo import interruptible
from dev.stack.processes import ComponentDied
from dev.stack.settings import ROOT, STATE

RESULTS = ROOT / "bench" / "results" / "latest.json"
_STOPPED = 130


def run(names: list[str], command: list[str], output: Path) -> list[Line]:
    """Run sections of these names, each in a new process; write down what ran beside it.

    Raises:
        KeyboardInterrupt: somebody asked us to end.
    """
    lines: list[Line] = []
    for name in names:
        before = machine.moment()
        process = subprocess.Popen([*command, "--section", name], cwd=ROOT)
        try:
            status = process.wait()
        except BaseException:
            process.wait()
            raise
        if status == _STOPPED:
            raise KeyboardInterrupt
        if status:
            lines.append(Line(f"{name} failed, see the output", "", "a result", met=False))
            continue
        load = machine.beside(before, machine.moment())
        result = json.loads(output.read_text())[name]
        keep(output, name, {"machine": result.pop("machine"), "load": load, **result})
        lines += marked(load, [Line(**line) for line in result["table"]])
    return lines


def marked(load: dict[str, Any], lines: list[Line]) -> list[Line]:
    """Return the lines of a section, set apart where others used the machine meanwhile."""
    if not load["under_load"]:
        return lines
    used = f"{load['before']['cpu_percent']:.0f} and {load['after']['cpu_percent']:.0f} %"
    head = Line(
        "UNDER LOAD: times of the next lines say little",
        f"{used} used by others",
        f"at most {machine.QUIET_PERCENT:.0f} %",
    )
    return [head, *lines]


def section(name: str, options: argparse.Namespace) -> int:
    """Measure one section in this process, which has done nothing else; write and print it."""
    dags = options.state.resolve() / "dags"
    _forget(options.state)
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    with AirflowStack(
        state=options.state, dags=dags, say=lambda line: print(f"bench: {line}")
    ) as stack:
        context = Context(stack, options, dags)
        facts = machine.describe(stack.postgres.url())
        try:
            outcome = dict(SECTIONS)[name](context)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others get their chance
            context.say(f"{name} failed:\n{''.join(traceback.format_exception(error))}")
            return 1
        took_s = round(context.elapsed_s, 1)
    print("", *outcome.lines, "", sep="\n", flush=True)
    table = [asdict(line) for line in outcome.lines]
    keep(
        options.output,
        name,
        {"machine": facts, "took_s": took_s, "table": table, **outcome.facts},
    )
    return 0


def keep(output: Path, name: str, result: dict[str, Any]) -> None:
    """Write the result of one section; what the file says of others stays."""
    kept = json.loads(output.read_text()) if output.exists() else {}
    merged = {**kept, name: result}
    output.parent.mkdir(parents=True, exist_ok=True)
    order = [section for section, _run in SECTIONS]
    text = json.dumps({name: merged[name] for name in order if name in merged}, indent=2)
    output.write_text(f"{text}\n")


def table(lines: list[Line]) -> str:
    title = f"{'':<66}{'measured':>28}  {'wanted':<20}"
    return "\n".join([title, *map(str, lines)])


def arguments() -> argparse.Namespace:
    known = [name for name, _section in SECTIONS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--state", type=Path, default=STATE / "bench", help="where all is kept")
    parser.add_argument("--output", type=Path, help="where the result goes")
    parser.add_argument("--only", nargs="+", choices=known, default=known, metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--core-runs", type=int, default=1, help="first loads without Airflow")
    parser.add_argument("--section", choices=known, help=argparse.SUPPRESS)  # in this process
    options = parser.parse_args()
    if options.output is None:
        options.output = options.state / "quick.json" if options.quick else RESULTS
    return options


def main() -> int:
    options = arguments()
    try:
        with interruptible():
            if options.section:
                return section(options.section, options)
            command = [sys.executable, "-m", "bench", *sys.argv[1:]]
            names = [name for name, _section in SECTIONS if name in options.only]
            shown = table(run(names, command, options.output))
    except KeyboardInterrupt:
        print("\nbench: stopped", flush=True)
        return _STOPPED
    except (AlreadyRunning, ComponentDied) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{shown}\n\nwritten to {options.output}")
    return 0


def _forget(state: Path) -> None:
    """Let every run begin with empty databases; an earlier one that still runs is noticed later."""
    with AirflowStack(state=state, say=lambda line: print(f"bench: {line}")) as stack:
        stack.postgres.stop()
        folder = stack.postgres.folder
    for gone in (folder, state / "airflow", state / "dags"):
        shutil.rmtree(gone, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
