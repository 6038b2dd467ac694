"""End to end against what others do: same simulator, same PostgreSQL, same listing.

Processor seconds are those of the client's work, imports left out, and of PostgreSQL.
"""

from __future__ import annotations

import json
import shutil
import statistics
from typing import Any

from bench import cpu
from bench.context import PEERS_PYTHON, Context
from bench.listing import CONFIG, Listing, newest
from bench.outcome import Outcome, spread, text

_TEMPLATE = "bench_peers_parents"
_DATABASE = "bench_peers"
_DLT = {"dlt": (), "dlt, flat": ("--flat",)}
_SEED = "row by row"
_WANTED = {"dlt": 4.0, "dlt, flat": 2.5}


def section(context: Context) -> Outcome:
    sizes, upstream = context.sizes, context.upstream
    context.say(f"peers: a network world of {sizes.world_students:,} students, and its parents")
    students = ("--students", str(sizes.world_students))
    url = context.fresh_database(_TEMPLATE)
    context.child("parents", "--database", url, *students, "--config", json.dumps(CONFIG))
    upstream.start("network", students=sizes.world_students)
    outcome = Outcome()
    if not PEERS_PYTHON.exists():
        context.say("dlt is not there: `make bench` installs it")
    wanted = {"cursus_users": sizes.cursus_users, "projects_users": sizes.projects_users}
    costs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (name, rows), rounds in zip(wanted.items(), sizes.peer_rounds, strict=True):
        listing = newest(upstream, name, rows)
        costs[name] = _rounds(context, listing, rounds)
        _table(outcome, listing, costs[name])
    _together(outcome, costs)
    upstream.stop()
    for database in (_DATABASE, _TEMPLATE):
        context.drop_database(database)
    return outcome


def _rounds(context: Context, listing: Listing, rounds: int) -> dict[str, list[dict[str, Any]]]:
    names = ["ours", _SEED, *(_DLT if PEERS_PYTHON.exists() else ())]
    costs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        context.say(f"peers: {listing.rows:,} {listing.resource}, round {number + 1}/{rounds}")
        for name in names:
            # It takes long, and nothing was asked for: once will do.
            if number and name == _SEED:
                continue
            costs[name].append(_run(context, listing, name))
    return costs


def _run(context: Context, listing: Listing, name: str) -> dict[str, Any]:
    upstream = context.upstream
    database = context.fresh_database(_DATABASE, _TEMPLATE)
    context.checkpoint()
    asked = len(upstream.ledger())
    before = cpu.seconds(context.stack)
    access = ("--url", upstream.url, "--token", upstream.token())
    common = (listing.resource, "--database", database)
    params = ("--params", json.dumps(listing.params))
    if name == "ours":
        cost = context.child(
            "task",
            *common,
            *("--api", json.dumps(upstream.facts), "--config", json.dumps(CONFIG)),
            *("--since", listing.since),
        )
    elif name == _SEED:
        chosen = ("--cursus-ids", json.dumps(CONFIG["cursus_ids"]))
        cost = context.child("row_by_row", *common, *access, *params, *chosen)
    else:
        state = context.stack.state / "dlt"
        shutil.rmtree(state, ignore_errors=True)
        cost = context.child(
            "dlt_pipeline",
            *(*common, *access, *params, *_DLT[name], "--state", str(state)),
            python=PEERS_PYTHON,
            environment={
                "DLT_DATA_DIR": str(state),
                "HOME": str(state),
                "RUNTIME__DLTHUB_TELEMETRY": "false",
                "RUNTIME__LOG_LEVEL": "ERROR",
            },
        )
    used = cpu.between(before, cpu.seconds(context.stack))
    if cost["rows"] != listing.rows:
        context.say(f"{name} stored {cost['rows']:,} rows of {listing.rows:,}")
    return {
        **cost,
        "postgres_cpu_s": used["postgres"],
        "all_cpu_s": cost["cpu_s"] + used["postgres"],
        "requests": len(upstream.ledger()) - asked,
    }


def _ratios(costs: dict[str, list[dict[str, Any]]], peer: str, unit: str) -> list[float]:
    pairs = zip(costs[peer], costs["ours"], strict=False)
    return [other[unit] / own[unit] for other, own in pairs]


def _table(outcome: Outcome, listing: Listing, costs: dict[str, list[dict[str, Any]]]) -> None:
    facts: dict[str, Any] = {"rows": listing.rows}
    for name, runs in costs.items():
        walls = [run["wall_s"] for run in runs]
        facts[name] = {
            "wall_s": spread(walls),
            "rows_per_s": round(listing.rows / statistics.median(walls)),
            "cpu_s": spread([run["all_cpu_s"] for run in runs]),
            "postgres_cpu_s": spread([run["postgres_cpu_s"] for run in runs]),
            "rss_peak_mb": round(max(run["rss_peak_mb"] for run in runs)),
            "requests": [run["requests"] for run in runs],
            "rows_stored": [run["rows"] for run in runs],
        }
        if name != "ours":
            facts[name]["cpu_times_ours"] = spread(_ratios(costs, name, "all_cpu_s"))
            facts[name]["wall_times_ours"] = spread(_ratios(costs, name, "wall_s"))
        if "version" in runs[0]:
            facts[name]["version"] = runs[0]["version"]
            facts[name]["imports_cpu_s"] = spread([run["imports_cpu_s"] for run in runs])
    outcome.facts[listing.resource] = facts
    own = [run["all_cpu_s"] for run in costs["ours"]]
    outcome.add(
        f"end to end, {listing.rows:,} {listing.resource}, processor seconds", text(own, " s")
    )
    for name in costs:
        if name != "ours":
            outcome.add(
                f"  {name}: processor time in ours, wall in ours",
                f"{text(_ratios(costs, name, 'all_cpu_s'), 'x')}, "
                f"{statistics.median(_ratios(costs, name, 'wall_s')):.1f}x",
            )


def _together(outcome: Outcome, costs: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    """Add the medians of both tables: the ratio that was asked for."""

    def total(name: str, unit: str) -> float:
        tables = [[float(run[unit]) for run in table[name]] for table in costs.values()]
        return sum(map(statistics.median, tables))

    for name in next(iter(costs.values())):
        if name == "ours":
            continue
        ratio = total(name, "all_cpu_s") / total("ours", "all_cpu_s")
        wanted = _WANTED.get(name)
        outcome.facts.setdefault("both", {})[name] = {
            "cpu_times_ours": round(ratio, 2),
            "wall_times_ours": round(total(name, "wall_s") / total("ours", "wall_s"), 2),
        }
        outcome.add(
            f"end to end, both tables: {name}, processor time in ours",
            f"{ratio:.2f}x",
            f"at least {wanted:.1f}x" if wanted else "",
            ratio >= wanted if wanted else None,
        )
