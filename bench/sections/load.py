"""The load half alone: rows already cut, stored by the package and by COPY and merge."""

from __future__ import annotations

import json
import statistics
from typing import Any

from bench.context import Context
from bench.listing import CONFIG
from bench.outcome import Outcome, spread, text

# Rows a transaction: pages that were in flight together are stored together.
BATCH = 1000
_OTHER_BATCHES = (100,)
_DATABASE = "bench_load"
_KINDS = ("ours", "floor", "one_commit_floor", "bare_floor")


def section(context: Context) -> Outcome:
    sizes = context.sizes
    tables = {"cursus_users": sizes.cursus_users, "projects_users": sizes.projects_users}
    url = context.fresh_database(_DATABASE)
    found = context.child(
        "loading",
        *("--database", url, "--students", str(sizes.world_students)),
        *("--config", json.dumps(CONFIG), "--tables", json.dumps(tables)),
        *("--rounds", str(sizes.load_rounds), "--batch", str(BATCH)),
        *("--other-batches", *map(str, _OTHER_BATCHES)),
    )
    context.drop_database(_DATABASE)
    outcome = Outcome()
    for name, measured in found.items():
        _table(outcome, name, measured)
    _together(outcome, found)
    return outcome


def _seconds(measured: dict[str, Any], step: str, unit: str = "wall_s") -> list[float]:
    return [turn[step][unit] for turn in measured["rounds"]]


def _shares(
    measured: dict[str, Any], part: str, floor: str, unit: str, own: str = "ours"
) -> list[float]:
    pairs = zip(
        _seconds(measured, f"{floor}_{part}", unit),
        _seconds(measured, f"{own}_{part}", unit),
        strict=True,
    )
    return [base / max(taken, 0.001) for base, taken in pairs]


def _table(outcome: Outcome, name: str, measured: dict[str, Any]) -> None:
    rows = measured["rows"]
    facts: dict[str, Any] = {"rows": rows, "batch": BATCH}
    for part in ("first", "again"):
        for kind in _KINDS:
            walls = _seconds(measured, f"{kind}_{part}")
            facts[f"{kind}_{part}"] = {
                "wall_s": spread(walls),
                "cpu_s": spread(_seconds(measured, f"{kind}_{part}", "cpu_s")),
                "rows_per_s": round(rows / statistics.median(walls)),
            }
        for kind in _KINDS[1:]:
            facts[f"share_of_{kind}_{part}"] = {
                "wall": spread(_shares(measured, part, kind, "wall_s")),
                "cpu": spread(_shares(measured, part, kind, "cpu_s")),
            }
    facts["rows_per_s_with_other_batches"] = {
        batch: round(rows / cost["wall_s"]) for batch, cost in measured["other_batches"].items()
    }
    facts["tuples_rewritten"] = [turn["rewritten"] for turn in measured["rounds"]]
    facts["tuples_stored"] = [turn["stored"] for turn in measured["rounds"]]
    outcome.facts[name] = facts
    shares = _shares(measured, "first", "floor", "wall_s")
    outcome.add(
        f"load half, {rows:,} {name}, first load: {facts['ours_first']['rows_per_s']:,} rows/s",
        f"{text(shares)} of the floor",
    )
    if "no_history_first" in measured["rounds"][0]:
        bare = _shares(measured, "first", "floor", "wall_s", own="no_history")
        facts["share_of_floor_without_history"] = spread(bare)
        outcome.add(
            "  without the history of levels", f"{statistics.median(bare):.2f} of the floor"
        )
    for kind, what in (
        ("one_commit_floor", "that commits once"),
        ("bare_floor", "that commits once, without foreign keys"),
    ):
        other = statistics.median(_shares(measured, "first", kind, "wall_s"))
        outcome.add(f"  of a floor {what}", f"{other:.2f} of that floor")
    for batch, speed in facts["rows_per_s_with_other_batches"].items():
        outcome.add(f"  with {batch} rows a transaction", f"{speed:,} rows/s")
    again = statistics.median(_shares(measured, "again", "floor", "wall_s"))
    outcome.add("  the same rows again", f"{again:.2f} of the floor")


def _together(outcome: Outcome, found: dict[str, Any]) -> None:
    """Add up both tables round by round: the figure that was asked for."""
    shares, used, once, rewritten = [], [], [], 0
    for turns in zip(*(measured["rounds"] for measured in found.values()), strict=True):
        sums = {
            (kind, unit): sum(turn[f"{kind}_first"][unit] for turn in turns)
            for kind in ("ours", "floor", "one_commit_floor")
            for unit in ("wall_s", "cpu_s")
        }
        shares.append(sums["floor", "wall_s"] / sums["ours", "wall_s"])
        used.append(sums["floor", "cpu_s"] / sums["ours", "cpu_s"])
        once.append(sums["one_commit_floor", "wall_s"] / sums["ours", "wall_s"])
        rewritten += sum(turn["rewritten"] for turn in turns)
    outcome.facts["both"] = {
        "share_of_floor": spread(shares),
        "share_of_floor_cpu": spread(used),
        "share_of_one_commit_floor": spread(once),
    }
    middle = statistics.median(shares)
    outcome.add(
        f"load half, both tables, {BATCH:,} rows a transaction",
        f"{text(shares)} of the floor",
        "at least 0.9",
        middle >= 0.9,
    )
    outcome.add("  the same in processor seconds", f"{text(used)} of the floor")
    outcome.add("  of a floor that commits once", f"{text(once)} of that floor")
    outcome.add(
        "  tuples rewritten by a pass over unchanged rows",
        f"{rewritten:,}",
        "none",
        not rewritten,
    )
