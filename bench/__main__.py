"""`make bench`: measure the mirror, print one table, write bench/results/latest.json.

Nothing is asserted: the table shows what was asked for beside what was measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import cpu, machine, runs
from bench.floor import LoadFloor, http_s
from bench.upstream import PER_HOUR, PER_SECOND, Upstream
from dev.airflow import AirflowStack, AlreadyRunning
from dev.demo import INCREMENTAL, NIGHTLY, RunFailed, interruptible, start_run
from dev.postgres import free_port
from dev.processes import ComponentDied
from dev.settings import ROOT, STATE, process_environment
from dev.verify import compare_url

RESULTS = ROOT / "bench" / "results" / "latest.json"
STUDENTS = 600
QUIET_RUNS = 3
FLOOR_RUNS = 3
_CORE = "bench_core"
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    what: str
    measured: str
    wanted: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return f"{self.what:<58}{self.measured:>26}  {self.wanted:<20}{verdict}".rstrip()


class Bench:
    """The benchmarks, in the order in which they disturb each other least."""

    def __init__(self, stack: AirflowStack, options: argparse.Namespace) -> None:
        self._stack = stack
        self._options = options
        self._upstream = Upstream(stack, free_port())
        self._began = time.monotonic()
        self.lines: list[Line] = []
        self.result: dict[str, Any] = {
            "machine": machine.describe(stack.postgres.url()),
            "moments": {},
        }

    def run(self) -> None:
        self._core()
        self._start_airflow()
        self._first_load_of_the_region()
        self._campus()
        if self._options.network:
            self._network(self._options.network * 60)
        self._mark("end")
        self.result["total_s"] = round(time.monotonic() - self._began, 1)
        self.result["table"] = [asdict(line) for line in self.lines]

    def _say(self, text: str) -> None:
        print(f"bench: {time.monotonic() - self._began:4.0f} s  {text}", flush=True)

    def _mark(self, name: str) -> None:
        self.result["moments"][name] = machine.moment()

    def _add(self, what: str, measured: str, wanted: str = "", met: bool | None = None) -> None:
        self.lines.append(Line(what, measured, wanted, met))

    # The first load without Airflow, and its floors.

    def _core(self) -> None:
        self._say("first load of the region world, without Airflow")
        self._mark("core")
        stack, upstream = self._stack, self._upstream
        upstream.start("region")
        core, walls = {}, []
        for number in range(self._options.core_runs):
            database = f"{_CORE}_{number}"
            stack.postgres.ensure_database(database)
            url = stack.postgres.url(database)
            before = cpu.seconds(stack)
            sent = len(upstream.ledger())
            core = _core_process(url, upstream.facts)
            used = cpu.between(before, cpu.seconds(stack))
            walls.append(core["wall_s"])
        pages = upstream.ledger()[sent:]
        rows = sum(runs.rows(url).values())
        self._say("the floors: the same pages by HTTP alone, the same rows by COPY and merge alone")
        http = http_s(upstream, pages)
        floor = LoadFloor(url)
        loads = [floor.load_s() for _ in range(FLOOR_RUNS)]
        floor.close()
        load, wall = statistics.median(loads), statistics.median(walls)
        self.rows, self.floor_s = rows, http + load
        self.result["region_core"] = {
            "rows": rows,
            "requests": len(pages),
            "wall_s": _spread(walls),
            "rows_per_s": round(rows / wall),
            "cpu_s": {**used, "client": round(core["cpu_s"], 2)},
            "rss_peak_mb": round(core["rss_peak_mb"], 1),
            "rss_after_imports_mb": round(core["rss_before_mb"], 1),
        }
        self.result["region_floor"] = {
            "http_s": round(http, 2),
            "http_pages_per_s": round(len(pages) / http),
            "load_s": _spread(loads),
            "load_rows_per_s": round(rows / load),
            "http_then_load_rows_per_s": round(rows / (http + load)),
        }
        self._add("region, first load without Airflow", f"{rows / wall:,.0f} rows/s")
        self._add("  resident memory of that process", f"{core['rss_peak_mb']:.0f} MB")
        self._add("  floor, load half: COPY and merge alone", f"{rows / load:,.0f} rows/s")
        self._add("  floor, HTTP half: the same pages alone", f"{len(pages) / http:,.0f} pages/s")
        self._add(
            "  share of both floors, one after the other", f"{self.floor_s / wall:.2f} of the floor"
        )

    # Through Airflow.

    def _start_airflow(self) -> None:
        self._say("starting Airflow; a run on a tiny campus warms it up")
        stack, upstream = self._stack, self._upstream
        upstream.start("campus", students=20)
        facts = upstream.facts
        connection = {
            "conn_type": "intra42",
            "host": upstream.url,
            "login": facts["client_id"],
            "password": facts["client_secret"],
            # What the server announces with its answers replaces both.
            "extra": {"requests_per_second": OFF_PER_SECOND, "requests_per_hour": OFF_PER_HOUR},
        }
        stack.start_airflow(
            connections={
                "intra42_api": json.dumps(connection),
                "intra42_db": stack.warehouse_url.replace("postgresql://", "postgres://", 1),
            },
            paused=(NIGHTLY, INCREMENTAL),
        )
        self._configure({"campus_ids": [facts["campus_id"]]})
        self._finish(NIGHTLY)

    def _configure(self, config: dict[str, Any]) -> None:
        api, name = self._stack.api, "intra42_config"
        known = {item["key"] for item in api.call("GET", "variables")["variables"]}
        body = {"key": name, "value": json.dumps(config)}
        if name in known:
            api.call("PATCH", f"variables/{name}", json=body)
        else:
            api.call("POST", "variables", json=body)

    def _finish(self, dag_id: str) -> None:
        """Unpause the DAG and wait for the run that the scheduler then starts by itself."""
        run_id = start_run(self._stack, dag_id)
        state = self._stack.api.wait(dag_id, run_id, lambda *_: self._stack.processes.check())
        if state != "success":
            raise RunFailed(f"the warm-up run of {dag_id} ended as {state}")

    def _first_load_of_the_region(self) -> None:
        self._say("first load of the region world, through Airflow")
        self._mark("region")
        runs.forget_mirror(self._stack.warehouse_url)
        self._upstream.start("region")
        self._configure({})
        cost = runs.measure(self._stack, self._upstream, NIGHTLY)
        rows = sum(runs.rows(self._stack.warehouse_url).values())
        rate = rows / cost.wall_s
        self.result["region_first_load"] = {
            "rows": rows,
            "rows_per_s": round(rate),
            "share_of_floor": round(rate * self.floor_s / self.rows, 2),
            **cost.as_dict(),
        }
        self._add(
            "region, first load through Airflow, limiter off",
            f"{rate:,.0f} rows/s",
            "at least 4,000",
            rate >= 4000,
        )
        self._add(
            "  processor time, all processes; cores' worth we got",
            f"{cost.cpu_s['all']:.0f} s, {cost.cpu_s['all'] / cost.wall_s:.1f} cores",
        )
        self._add(
            "  share of both floors, one after the other",
            f"{rate * self.floor_s / self.rows:.2f} of the floor",
        )
        self._add_memory("region", cost.task_rss_mb)

    def _add_memory(self, world: str, peaks: Sequence[float]) -> None:
        largest = max(peaks, default=0.0)
        self._add(
            f"{world}, resident memory of a task: smallest, largest",
            f"{min(peaks, default=0.0):.0f}, {largest:.0f} MB",
            "below 250 MB",
            largest < 250,
        )

    def _campus(self) -> None:
        self._say(f"first load of a campus of {STUDENTS} students")
        self._mark("campus")
        stack, upstream = self._stack, self._upstream
        runs.forget_mirror(stack.warehouse_url)
        upstream.start("campus", students=STUDENTS)
        config = {"campus_ids": [upstream.facts["campus_id"]]}
        self._configure(config)
        load = runs.measure(stack, upstream, NIGHTLY)
        self.result["campus_first_load"] = {
            "rows": sum(runs.rows(stack.warehouse_url).values()),
            **load.as_dict(),
        }
        self._add_memory("campus", load.task_rss_mb)
        self._say(f"the same world again, at {PER_SECOND}/s and {PER_HOUR}/h; a run to warm up")
        upstream.start("campus", students=STUDENTS, limited=True)
        upstream.advance(_HOUR_S)
        self._finish(INCREMENTAL)
        self._quiet_runs()
        self._say("an ordinary day passes; the nightly run")
        upstream.advance(8 * _HOUR_S)
        upstream.mutate("ordinary_day")
        upstream.advance(8 * _HOUR_S)
        stack.api.set_paused(INCREMENTAL, paused=True)
        night = runs.measure(stack, upstream, NIGHTLY)
        differences = compare_url(stack.warehouse_url, upstream.url, config)
        self.result["nightly_after_an_ordinary_day"] = {
            **night.as_dict(),
            "differences_from_the_truth": len(differences),
        }
        audit = sum(n for task, n in night.requests_of.items() if task.endswith("audit"))
        self._add(
            f"nightly run of {STUDENTS} students after an ordinary day, but its audit",
            f"{night.requests - audit} requests",
            "at most 60",
            night.requests - audit <= 60,
        )
        self._add("  and the audit of rows' existence on top", f"{audit} requests")
        self._add("  answered 429", f"{night.refused}")
        self._add("  wall, trigger to success", f"{night.wall_s:.1f} s")
        self._add("  differences from the truth", f"{len(differences)}", "none", not differences)

    def _quiet_runs(self) -> None:
        costs = []
        for number in range(1, QUIET_RUNS + 1):
            self._say(f"a quiet quarter of an hour passes; incremental run {number}/{QUIET_RUNS}")
            self._mark(f"quiet_{number}")
            self._upstream.mutate("quiet_quarter")
            self._upstream.advance(900)
            costs.append(runs.measure(self._stack, self._upstream, INCREMENTAL))
        walls = [cost.wall_s for cost in costs]
        most = max(cost.requests for cost in costs)
        refused = sum(cost.refused for cost in costs)
        self.result["quiet_incremental"] = {
            "wall_s": _spread(walls),
            "requests": [cost.requests for cost in costs],
            "runs": [cost.as_dict() for cost in costs],
        }
        self._add(
            f"quiet incremental run of {STUDENTS} students",
            f"{most} requests",
            "at most 14",
            most <= 14,
        )
        self._add("  answered 429, in all runs", f"{refused}")
        self._add(
            f"  wall, trigger to success, {len(walls)} runs",
            f"{statistics.median(walls):.1f} s ({min(walls):.1f} to {max(walls):.1f})",
            "at most 30 s",
            max(walls) <= 30,
        )
        middle = sorted(costs, key=lambda cost: cost.wall_s)[len(costs) // 2]
        self._add("  of that: first request to last", f"{middle.first_to_last_request_s:.1f} s")
        self._add(
            "  of that: no task at work, only Airflow", f"{middle.wall_s - middle.ours_s:.1f} s"
        )

    def _network(self, seconds: float) -> None:
        self._say(f"first load of the network world, given up after {seconds / 60:.0f} min")
        self._mark("network")
        runs.forget_mirror(self._stack.warehouse_url)
        self._upstream.start("network")
        self._configure({})
        peaks = runs.watch_memory(self._stack, NIGHTLY, seconds)
        found = runs.rows(self._stack.warehouse_url)
        self.result["network_partial_load"] = {
            "seconds": seconds,
            "rows": found,
            "task_rss_largest_mb": round(max(peaks, default=0.0), 1),
        }
        self._add_memory(f"network ({sum(found.values()):,} rows)", peaks)


OFF_PER_SECOND, OFF_PER_HOUR = 100_000, 1_000_000_000


def _core_process(database_url: str, facts: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.core", NIGHTLY]
    command += ["--database", database_url, "--api", json.dumps(facts)]
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


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), 2),
        "min": round(min(values), 2),
        "max": round(max(values), 2),
        "runs": len(values),
    }


def _table(bench: Bench) -> str:
    facts = bench.result["machine"]
    loads = [moment["load_1m"] for moment in bench.result["moments"].values()]
    head = (
        f"{facts['cores']} cores, {facts['memory_gb']} GB, {facts['system']}, Python "
        f"{facts['python']}, PostgreSQL {facts['postgresql']}, Airflow {facts['airflow']}; "
        f"load average {min(loads)} to {max(loads)}; {bench.result['total_s']:.0f} s in all"
    )
    title = f"{'':<58}{'measured':>26}  {'wanted':<20}"
    return "\n".join([head, "", title, *map(str, bench.lines)])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--state", type=Path, default=STATE / "bench", help="where all is kept")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--core-runs", type=int, default=1, help="first loads without Airflow")
    parser.add_argument(
        "--network", type=float, default=0, metavar="MINUTES", help="load the network for so long"
    )
    options = parser.parse_args()
    try:
        with interruptible():
            _forget(options.state)
            with AirflowStack(
                state=options.state, say=lambda line: print(f"bench: {line}")
            ) as stack:
                bench = Bench(stack, options)
                bench.run()
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(bench.result, indent=2) + "\n")
    except KeyboardInterrupt:
        print("\nbench: stopped", flush=True)
        return 130
    except (AlreadyRunning, ComponentDied, RunFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{_table(bench)}\n\nwritten to {options.output}")
    return 0


def _forget(state: Path) -> None:
    """Let every run begin with empty databases; an earlier one that still runs is noticed later."""
    with AirflowStack(state=state, say=lambda line: print(f"bench: {line}")) as stack:
        stack.postgres.stop()
        folder = stack.postgres.folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(state / "airflow", ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
