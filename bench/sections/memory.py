"""The peak memory of one task's process, from a thousand rows to a million."""

from __future__ import annotations

import json

from bench.context import Context
from bench.listing import CONFIG, newest
from bench.outcome import Outcome

_RESOURCE = "projects_users"
_TEMPLATE = "bench_memory_parents"
_DATABASE = "bench_memory"
_FLAT = 1.25


def section(context: Context) -> Outcome:
    outcome, sizes, upstream = Outcome(), context.sizes, context.upstream
    context.say(f"memory: a network world of {sizes.memory_students:,} students, and its parents")
    students = ("--students", str(sizes.memory_students))
    url = context.fresh_database(_TEMPLATE)
    context.child("parents", "--database", url, *students, "--config", json.dumps(CONFIG))
    upstream.start("network", students=sizes.memory_students)
    found = []
    for rows in sizes.memory_rows:
        listing = newest(upstream, _RESOURCE, rows)
        context.say(f"memory: one task reads {listing.rows:,} rows")
        database = context.fresh_database(_DATABASE, _TEMPLATE)
        cost = context.child(
            "task",
            *(_RESOURCE, "--database", database, "--api", json.dumps(upstream.facts)),
            *("--config", json.dumps(CONFIG), "--since", listing.since),
        )
        found.append(
            {
                "rows": cost["rows"],
                "rows_per_s": round(cost["rows"] / cost["wall_s"]),
                "rss_peak_mb": round(cost["rss_peak_mb"], 1),
                "rss_after_imports_mb": round(cost["rss_before_mb"], 1),
            }
        )
        outcome.add(
            f"one task reads {cost['rows']:,} {_RESOURCE}: {found[-1]['rows_per_s']:,} rows/s",
            f"peak {cost['rss_peak_mb']:.0f} MB",
        )
    upstream.stop()
    for name in (_DATABASE, _TEMPLATE):
        context.drop_database(name)
    ratio = found[-1]["rss_peak_mb"] / found[0]["rss_peak_mb"]
    outcome.facts = {"tasks": found, "largest_to_smallest": round(ratio, 2)}
    outcome.add(
        f"  memory of the largest in that of the smallest, {found[0]['rows']:,} rows",
        f"{ratio:.2f}x",
        f"flat: at most {_FLAT}x",
        ratio <= _FLAT,
    )
    return outcome
