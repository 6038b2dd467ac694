"""The first load of the region world through Airflow, limiter off."""

from __future__ import annotations

from collections.abc import Sequence

from bench import floor, runs
from bench.context import Context
from bench.outcome import Outcome
from dev.stack.demo import NIGHTLY


def section(context: Context) -> Outcome:
    stack, outcome = context.airflow(), Outcome()
    context.say("first load of the region world, through Airflow")
    runs.forget_mirror(stack.warehouse_url)
    context.upstream.start("region")
    context.configure({})
    cost = runs.measure(stack, context.upstream, NIGHTLY)
    pages = context.upstream.ledger()
    rows = sum(runs.rows(stack.warehouse_url).values())
    rate = rows / cost.wall_s
    outcome.facts = {"rows": rows, "rows_per_s": round(rate), **cost.as_dict()}
    outcome.add(
        "region, first load through Airflow, limiter off",
        f"{rate:,.0f} rows/s",
        "at least 4,000",
        rate >= 4000,
    )
    outcome.add(
        "  processor time, all processes; cores' worth we got",
        f"{cost.cpu_s['all']:.0f} s, {cost.cpu_s['all'] / cost.wall_s:.1f} cores",
    )
    context.say("the floors: the same pages by HTTP alone, the same rows by COPY and merge alone")
    floors = floor.measure(context.upstream, pages, stack.warehouse_url, rows)
    share = floors.seconds / cost.wall_s
    outcome.facts |= {"floor": floors.as_dict(), "share_of_both_floors": round(share, 2)}
    outcome.add("  share of both floors, one after the other", f"{share:.2f} of the floor")
    add_memory(outcome, "region", cost.task_rss_mb)
    return outcome


def add_memory(outcome: Outcome, world: str, peaks: Sequence[float]) -> None:
    largest = max(peaks, default=0.0)
    outcome.add(
        f"{world}, resident memory of a task: smallest, largest",
        f"{min(peaks, default=0.0):.0f}, {largest:.0f} MB",
        "below 250 MB",
        largest < 250,
    )
