"""The first load of the whole network at the real quota, in simulated time.

`python -m bench.network` builds the network world, loads it through the DAGs' own task functions in
several processes, kills some of them at random, lets the incremental runs go on meanwhile, compares
the mirror with the truth after a second night, and says what all of it cost in requests.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import costs, machine
from bench.night import Night
from bench.upstream import PER_HOUR
from dev.stack.demo import RunFailed, interruptible
from dev.virtual.foreman import TaskFailed
from dev.virtual.records import Run

STUDENTS = 40_000
INTERRUPTIONS = 4.0
LONGEST_S = 7200.0
_IN_FLIGHT = {"way back", "at work"}  # of who is killed on the way there, nothing arrives


def measure(
    students: int = STUDENTS,
    seed: int = 1,
    interruptions: float = INTERRUPTIONS,
    longest_s: float = LONGEST_S,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return what the first load of a network took.

    Raises:
        RunFailed: it did not end in `longest_s` of real time.
        TaskFailed: a task failed three times.
    """
    began = time.monotonic()
    with Night(
        students=students, seed=seed, interruptions=interruptions, longest_s=longest_s, say=say
    ) as night:
        load = night.first_load()
        result = {"students": students, "seed": seed, **_load(night, load)}
        second = night.second_night()
        result["second_night"] = _short(night, second)
        differences = night.differences()
        result["differences_from_the_truth"] = len(differences)
        result["differences"] = differences[:20]
        result["errors"] = night.foreman.errors
        result["real_s"] = round(time.monotonic() - began, 1)
    return result


def _hours(run: Run) -> float:
    assert run.end is not None
    return round((run.end - run.due) / timedelta(hours=1), 2)


def _short(night: Night, run: Run) -> dict[str, Any]:
    return {
        "simulated_hours": _hours(run),
        "requests": sum(sent.run is run for sent in night.foreman.sent),
        "deferrals": run.deferrals,
    }


def _load(night: Night, run: Run) -> dict[str, Any]:
    pairs = costs.pairs(night)
    own = [(sent, entry) for sent, entry in pairs if sent.run is run]
    again = costs.twice(own)
    sent = [one for one, _ in own]
    tables = costs.tables(night, sent, [second for _, second in again])
    minimum = sum(table.minimum for name, table in tables.items() if name != costs.AUDIT)
    dead = {death.task for death in night.foreman.deaths}
    hours = costs.hours(pairs, run)
    return {
        "first_load": {
            **_short(night, run),
            "minimum": minimum,
            "share_of_minimum": round(minimum / len(sent), 3),
            "statuses": dict(Counter(str(entry.status) for _, entry in own)),
            "asked_twice": {
                "requests": len(again),
                "by_the_heir_of_a_killed_task": sum(
                    first.task is second.task and second.task in dead for first, second in again
                ),
                "by_task_and_task": dict(
                    Counter(f"{first.task.name}, {second.task.name}" for first, second in again)
                ),
            },
        },
        "interruptions": {
            "number": night.interrupted,
            "requests_in_flight": sum(d.why in _IN_FLIGHT for d in night.foreman.deaths),
            "by_state": dict(Counter(death.why for death in night.foreman.deaths)),
            "by_task": dict(Counter(death.task.name for death in night.foreman.deaths)),
        },
        "incremental": costs.quarters(night),
        "quota": {
            "per_hour": PER_HOUR,
            "whole_hours": costs.spread(
                [hour["nightly"] + hour["incremental"] for hour in hours if hour["whole"]]
            ),
            "hours": hours,
        },
        "tables": {name: table.as_dict() for name, table in tables.items() if table.requests},
        "questions": costs.questions(sent),
    }


def table(result: Mapping[str, Any]) -> str:
    """Return the result for people."""
    load, kills, quarters = (result[k] for k in ("first_load", "interruptions", "incremental"))
    twice = load["asked_twice"]
    whole = [h["nightly"] + h["incremental"] for h in result["quota"]["hours"] if h["whole"]]
    lasted = quarters["lasted_s"] or {"median": 0, "95%": 0}
    lines = [
        ("students", f"{result['students']:,}"),
        ("first load, requests", f"{load['requests']:,}"),
        ("  simulated hours", f"{load['simulated_hours']}"),
        ("  theoretical minimum, requests", f"{load['minimum']:,}"),
        ("  minimum / requests", f"{load['share_of_minimum']:.1%}"),
        ("  interruptions", f"{kills['number']}"),
        ("  requests in flight at them", f"{kills['requests_in_flight']}"),
        (
            "  asked twice, by heirs / by all",
            f"{twice['by_the_heir_of_a_killed_task']} / {twice['requests']}",
        ),
        (
            "quota used in whole hours, least to most",
            f"{min(whole, default=0):,} to {max(whole, default=0):,} of {PER_HOUR:,}",
        ),
        (
            "incremental runs served / skipped",
            f"{quarters['served']} / {quarters['skipped_because_one_still_ran']}",
        ),
        ("  lasted, median / 95 %", f"{lasted['median']:.0f} / {lasted['95%']:.0f} s"),
        ("second night, requests", f"{result['second_night']['requests']:,}"),
        ("differences from the truth", f"{result['differences_from_the_truth']}"),
        ("real seconds", f"{result['real_s']:.0f}"),
    ]
    widths = (10, 10, 8, 8, 8, 8, 10)
    titles = ("minimum", "requests", "failed", "twice", "empty", "reread", "not full")
    head = [f"{title:>{width}}" for title, width in zip(titles, widths, strict=True)]
    rows = [f"{'':<31}" + "".join(head)]
    for name, one in result["tables"].items():
        values = (one["minimum"], one["requests"], *one["spent_on"].values())
        cells = [f"{value:>{width},}" for value, width in zip(values, widths, strict=True)]
        rows.append(f"{name:<31}" + "".join(cells))
    return "\n".join([*(f"{what:<44}{value:>26}" for what, value in lines), "", *rows])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.network", description=__doc__)
    parser.add_argument("--students", type=int, default=STUDENTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interruptions-per-hour", type=float, default=INTERRUPTIONS)
    parser.add_argument("--longest", type=float, default=LONGEST_S, metavar="SECONDS")
    parser.add_argument("--output", type=Path, help="where to write the result as JSON")
    options = parser.parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"network: {time.monotonic() - began:4.0f} s  {text}", flush=True)

    try:
        with interruptible():
            result = measure(
                options.students,
                options.seed,
                options.interruptions_per_hour,
                options.longest,
                say,
            )
    except KeyboardInterrupt:
        print("\nnetwork: stopped", flush=True)
        return 130
    except (RunFailed, TaskFailed) as error:
        print(f"network: {error}", file=sys.stderr)
        return 1
    result["moment"] = machine.moment()
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{table(result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
