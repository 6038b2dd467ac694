"""`make bench`: measure the mirror, print one table, write bench/results/latest.json.

Nothing is asserted: the table shows what was asked for beside what was measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import machine
from bench.context import Context
from bench.outcome import Line
from bench.registry import SECTIONS
from dev.airflow import AirflowStack, AlreadyRunning
from dev.demo import interruptible
from dev.processes import ComponentDied
from dev.settings import ROOT, STATE

RESULTS = ROOT / "bench" / "results" / "latest.json"


def run(context: Context, names: list[str], output: Path) -> list[Line]:
    """Run the sections of these names; write down and print each at once, also that one failed."""
    lines: list[Line] = []
    facts = machine.describe(context.stack.postgres.url())
    for name, section in SECTIONS:
        if name not in names:
            continue
        context.mark(name)
        began = context.elapsed_s
        try:
            outcome = section(context)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others get their chance
            context.say(f"{name} failed:\n{''.join(traceback.format_exception(error))}")
            lines.append(Line(f"{name} failed, see the output", "", "a result", met=False))
            continue
        lines += outcome.lines
        print("", *outcome.lines, "", sep="\n", flush=True)
        result = {
            "machine": facts,
            "moment": context.moments[name],
            "took_s": round(context.elapsed_s - began, 1),
            "table": [asdict(line) for line in outcome.lines],
            **outcome.facts,
        }
        keep(output, name, result)
    return lines


def keep(output: Path, name: str, result: dict[str, Any]) -> None:
    """Write the result of one section; what the file says of others stays."""
    kept = json.loads(output.read_text()) if output.exists() else {}
    order = [section for section, _run in SECTIONS]
    merged = {**kept, name: result}
    output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: merged[name] for name in order if name in merged}, indent=2)
    output.write_text(f"{text}\n")


def table(lines: list[Line], context: Context, facts: dict[str, Any]) -> str:
    loads = [moment["load_1m"] for moment in context.moments.values()]
    head = (
        f"{facts['cores']} cores, {facts['memory_gb']} GB, {facts['system']}, Python "
        f"{facts['python']}, PostgreSQL {facts['postgresql']}, Airflow {facts['airflow']}; "
        f"load average {min(loads)} to {max(loads)}; {context.elapsed_s:.0f} s in all"
    )
    title = f"{'':<66}{'measured':>28}  {'wanted':<20}"
    return "\n".join([head, "", title, *map(str, lines)])


def arguments() -> argparse.Namespace:
    known = [name for name, _section in SECTIONS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--state", type=Path, default=STATE / "bench", help="where all is kept")
    parser.add_argument("--output", type=Path, help="where the result goes")
    parser.add_argument("--only", nargs="+", choices=known, default=known, metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--core-runs", type=int, default=1, help="first loads without Airflow")
    options = parser.parse_args()
    if options.output is None:
        options.output = options.state / "quick.json" if options.quick else RESULTS
    return options


def main() -> int:
    options = arguments()
    dags = options.state.resolve() / "dags"
    try:
        with interruptible():
            _forget(options.state)
            shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
            with AirflowStack(
                state=options.state, dags=dags, say=lambda line: print(f"bench: {line}")
            ) as stack:
                context = Context(stack, options, dags)
                lines = run(context, options.only, options.output)
                shown = table(lines, context, machine.describe(stack.postgres.url()))
    except KeyboardInterrupt:
        print("\nbench: stopped", flush=True)
        return 130
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
