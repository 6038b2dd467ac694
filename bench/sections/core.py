"""The first load of the region world without Airflow, and its two floors."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from bench import cpu, floor, runs
from bench.context import Context
from bench.outcome import Outcome, spread, text
from dev.stack.demo import NIGHTLY, RunFailed
from dev.stack.settings import ROOT, process_environment

_DATABASE = "bench_core"


def section(context: Context) -> Outcome:
    context.say("first load of the region world, without Airflow")
    stack, upstream = context.stack, context.upstream
    upstream.start("region")
    core: dict[str, Any] = {}
    walls = []
    for number in range(context.options.core_runs):
        url = context.fresh_database(f"{_DATABASE}_{number}")
        before = cpu.seconds(stack)
        sent = len(upstream.ledger())
        core = core_process(context, url, NIGHTLY)
        used = cpu.between(before, cpu.seconds(stack))
        walls.append(core["wall_s"])
    pages = upstream.ledger()[sent:]
    rows = sum(runs.rows(url).values())
    context.say("the floors: the same pages by HTTP alone, the same rows by COPY and merge alone")
    floors = floor.measure(upstream, pages, url, rows)
    for number in range(context.options.core_runs):
        context.drop_database(f"{_DATABASE}_{number}")
    wall = statistics.median(walls)
    outcome = Outcome()
    outcome.facts = {
        "rows": rows,
        "requests": len(pages),
        "wall_s": spread(walls),
        "rows_per_s": round(rows / wall),
        "cpu_s": {**used, "client": round(core["cpu_s"], 2)},
        "rss_peak_mb": round(core["rss_peak_mb"], 1),
        "rss_after_imports_mb": round(core["rss_before_mb"], 1),
        "floor": floors.as_dict(),
        "share_of_both_floors": round(floors.seconds / wall, 2),
    }
    outcome.add(
        f"region, first load without Airflow: {rows / wall:,.0f} rows/s",
        f"{text([floors.seconds / one for one in walls])} of both floors",
    )
    outcome.add("  floor, load half: COPY and merge alone", f"{rows / floors.load_s:,.0f} rows/s")
    outcome.add(
        "  floor, HTTP half: the same pages alone", f"{len(pages) / floors.http_s:,.0f} pages/s"
    )
    outcome.add("  resident memory of that process", f"{core['rss_peak_mb']:.0f} MB")
    return outcome


def core_process(context: Context, database_url: str, dag_id: str) -> dict[str, Any]:
    """Run the tasks of a DAG without Airflow in a child, and return what it says it cost."""
    command = [sys.executable, "-m", "bench.core", dag_id]
    command += ["--database", database_url, "--api", json.dumps(context.upstream.facts)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=process_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RunFailed(f"the run without Airflow failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
