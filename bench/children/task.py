"""Run one task of a primary table in this process, and say what it cost.

With `--since` it reads exactly what changed since then, else what a first load reads.
"""

from __future__ import annotations

import argparse
import json
import logging

from bench.children.mirror import Warehouse, measured, say, settings
from bench.peak import peak_mb
from intra42.attempt.work import Counts
from intra42.catalog import graph
from intra42.run.primary import sync_primary


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.children.task", description=__doc__)
    parser.add_argument("resource")
    parser.add_argument("--database", required=True)
    parser.add_argument("--api", required=True, help="what the simulator printed, JSON")
    parser.add_argument("--config", default="{}")
    parser.add_argument("--since", help="ISO time")
    parser.add_argument("--per-second", type=float, default=100_000, help="until it is announced")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    warehouse = Warehouse(
        options.database,
        settings(json.loads(options.api), per_second=options.per_second),
        json.loads(options.config),
    )
    params = {"updated_from": options.since} if options.since else {}
    resource = graph.get(options.resource)
    before_mb = peak_mb()
    counts: list[Counts] = []

    def step() -> None:
        with warehouse.attempt(resource.name, **params) as work:
            sync_primary(work, resource)
            counts.append(work.counts)

    cost = measured(step)
    say(
        {
            "wall_s": cost.wall_s,
            "cpu_s": cost.cpu_s,
            "rss_before_mb": before_mb,
            "rss_peak_mb": peak_mb(),
            "pages": counts[0].pages,
            "rows": counts[0].inserted + counts[0].updated + counts[0].unchanged,
            "written": counts[0].inserted + counts[0].updated,
        }
    )


if __name__ == "__main__":
    main()
