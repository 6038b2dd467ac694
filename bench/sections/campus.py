"""A campus of 600 students through Airflow: its first load, and the night after an ordinary day."""

from __future__ import annotations

from bench import runs
from bench.context import Context
from bench.outcome import Outcome
from bench.sections.region import add_memory
from bench.upstream import PER_HOUR, PER_SECOND
from dev.stack.demo import INCREMENTAL, NIGHTLY
from dev.stack.verify import compare_url

STUDENTS = 600
_HOUR_S = 3600


def section(context: Context) -> Outcome:
    stack, upstream, outcome = context.airflow(), context.upstream, Outcome()
    context.say(f"first load of a campus of {STUDENTS} students")
    runs.forget_mirror(stack.warehouse_url)
    upstream.start("campus", students=STUDENTS)
    config = {"campus_ids": [upstream.facts["campus_id"]]}
    context.configure(config)
    load = runs.measure(stack, upstream, NIGHTLY)
    outcome.facts["first_load"] = {
        "rows": sum(runs.rows(stack.warehouse_url).values()),
        **load.as_dict(),
    }
    add_memory(outcome, "campus", load.task_rss_mb)
    context.say(f"an ordinary day passes; the nightly run at {PER_SECOND}/s and {PER_HOUR:,}/h")
    upstream.limit(PER_SECOND, PER_HOUR)
    upstream.advance(_HOUR_S)
    context.finish(INCREMENTAL)  # learns the limits
    stack.api.set_paused(INCREMENTAL, paused=True)
    upstream.advance(8 * _HOUR_S)
    upstream.mutate("ordinary_day")
    upstream.advance(8 * _HOUR_S)
    night = runs.measure(stack, upstream, NIGHTLY)
    differences = compare_url(stack.warehouse_url, upstream.url, config)
    audit = sum(n for task, n in night.requests_of.items() if task.endswith("audit"))
    quota_s = (night.requests - 1) / PER_SECOND
    outcome.facts["nightly_after_an_ordinary_day"] = {
        **night.as_dict(),
        "quota_alone_s": round(quota_s, 1),
        "wall_in_quota_alone": round(night.wall_s / quota_s, 2),
        "differences_from_the_truth": len(differences),
    }
    outcome.add(
        f"nightly run of {STUDENTS} students after an ordinary day, but its audit",
        f"{night.requests - audit} requests",
        "at most 60",
        night.requests - audit <= 60,
    )
    outcome.add("  and the audit of rows' existence on top", f"{audit} requests")
    outcome.add("  answered 429", f"{night.refused}")
    outcome.add(
        "  wall, trigger to success; in the seconds the quota alone demands",
        f"{night.wall_s:.1f} s, {night.wall_s / quota_s:.2f}x",
    )
    outcome.add("  differences from the truth", f"{len(differences)}", "none", not differences)
    return outcome
