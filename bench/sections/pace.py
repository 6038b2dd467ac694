"""How much of the permitted rate one task uses, at any latency of the server."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench.context import Context
from bench.outcome import Outcome
from bench.upstream import PER_SECOND, Upstream
from dev.stack.demo import RunFailed
from dev.stack.postgres import free_port

_RESOURCE = "projects_users"
_STUDENTS = 5000  # of the region world: more pages than any case can ask for
_TEMPLATE = "bench_pace_parents"
_RATES = (PER_SECOND, 8)
_AT_ONCE = 8  # requests a second of all tasks that run side by side: the machine must not decide


@dataclass
class Case:
    """One latency: a simulator and a database of its own."""

    latency_s: float
    upstream: Upstream
    name: str


def section(context: Context) -> Outcome:
    outcome = Outcome()
    context.say("pace: parents of the region world")
    url = context.fresh_database(_TEMPLATE)
    world = ("--world", "region", "--students", str(_STUDENTS))
    context.child("parents", "--database", url, *world, "--config", '{"cursus_ids": [21]}')
    with ExitStack() as ending:
        ending.callback(context.drop_database, _TEMPLATE)
        cases = []
        for number, latency_s in enumerate(context.sizes.latencies_s):
            name = f"pace_{number}"
            case = Case(latency_s, Upstream(context.stack, free_port(), f"simulator_{name}"), name)
            ending.callback(context.drop_database, name)
            ending.callback(case.upstream.stop)
            case.upstream.start("region", students=_STUDENTS, latency_s=latency_s)
            cases.append(case)
        for per_second in _RATES:
            together = max(1, _AT_ONCE // per_second)
            context.say(
                f"pace: first load of {_RESOURCE} at {per_second}/s for"
                f" {context.sizes.pace_s:.0f} s, {together} of {len(cases)} latencies at a time"
            )
            found = []
            for number in range(0, len(cases), together):
                found += _rate(context, cases[number : number + together], per_second)
            _tell(outcome, per_second, found)
    return outcome


def _rate(context: Context, cases: list[Case], per_second: int) -> list[dict[str, Any]]:
    started = []
    for case in cases:
        # The hour never binds here; it has a benchmark of its own in the tests of the quota.
        case.upstream.limit(per_second, per_second * 36_000)
        database = context.fresh_database(case.name, _TEMPLATE)
        seen = len(case.upstream.ledger())
        command = [sys.executable, "-m", "bench.children.task", _RESOURCE]
        command += ["--database", database, "--api", json.dumps(case.upstream.facts)]
        command += ["--per-second", str(per_second)]
        started.append((case, seen, context.start(case.name, command)))
    time.sleep(context.sizes.pace_s)
    found = []
    for case, seen, process in started:
        over = process.poll() is not None
        process.terminate()
        process.wait()
        context.stack.processes.forget(case.name)
        if over:
            log = (context.stack.processes.logs / f"{case.name}.log").read_text(errors="replace")
            raise RunFailed(f"the task at {case.latency_s} s ended early:\n{log[-2000:]}")
        entries = case.upstream.ledger()[seen:]
        found.append(_measure(context, case, per_second, entries))
    return found


def _measure(
    context: Context, case: Case, per_second: int, entries: list[dict[str, Any]]
) -> dict[str, Any]:
    """Count what was accepted between the settling and the last whole second before the end."""
    settle_s = context.sizes.pace_settle_s
    arrivals = sorted(
        # A refusal is written down at once, an answer after its delay.
        entry["real_time"] - (0 if entry["status"] == 429 else case.latency_s)
        for entry in entries
    )
    accepted = sorted(
        entry["real_time"] - case.latency_s for entry in entries if entry["status"] != 429
    )
    begin = arrivals[0] + settle_s
    seconds = int(min(60.0, accepted[-1] - begin))
    inside = sum(begin <= moment < begin + seconds for moment in accepted)
    refused = sum(entry["status"] == 429 for entry in entries)
    return {
        "latency_s": case.latency_s,
        "seconds": seconds,
        "accepted": inside,
        "share_of_permitted_rate": round(inside / (per_second * seconds), 3),
        "requests_in_all": len(entries),
        "answered_429": refused,
    }


def _tell(outcome: Outcome, per_second: int, cases: list[dict[str, Any]]) -> None:
    outcome.facts[f"at_{per_second}_per_second"] = cases
    for case in cases:
        share = case["share_of_permitted_rate"]
        outcome.add(
            f"pace at {per_second}/s, server takes {case['latency_s']} s: {case['seconds']} s of "
            "one task",
            f"{share:.1%} of the rate",
            "at least 94 %",
            share >= 0.94,
        )
    asked = sum(case["requests_in_all"] for case in cases)
    refused = sum(case["answered_429"] for case in cases)
    share = 1000 * refused / asked
    outcome.add(
        f"pace at {per_second}/s, answered 429: {refused} of {asked:,}",
        f"{share:.1f} per 1,000",
        "at most 1 per 1,000",
        share <= 1,
    )
