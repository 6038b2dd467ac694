"""Run the tasks of a DAG without Airflow in a process of its own, and say what it cost.

`python -m bench.core` prints one JSON object; the benchmark starts it as a child, so that neither
the simulator nor the benchmark shares its interpreter. `--profile` writes a cProfile file.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

from bench.peak import peak_mb

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.core", description=__doc__)
    parser.add_argument("dag", choices=["intra42_nightly", "intra42_incremental"])
    parser.add_argument("--database", required=True)
    parser.add_argument("--api", required=True, help="what the simulator printed, JSON")
    parser.add_argument("--config", default="{}")
    parser.add_argument("--profile", type=Path)
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT / "plugins"), str(ROOT)]
    # By name: the types of the tests are not checked.
    harness = importlib.import_module("tests.harness")
    simulator = SimpleNamespace(**json.loads(options.api))
    mirror = harness.Mirror(options.database, simulator, json.loads(options.config))
    before_mb = peak_mb()
    profile = cProfile.Profile()
    began, cpu = time.monotonic(), time.process_time()
    with profile if options.profile else nullcontext():
        run_id = mirror.run(options.dag)
    facts = {
        "run_id": run_id,
        "wall_s": time.monotonic() - began,
        "cpu_s": time.process_time() - cpu,
        "rss_before_mb": before_mb,
        "rss_peak_mb": peak_mb(),
    }
    if options.profile:
        profile.dump_stats(options.profile)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
