"""Fill an empty database with the schema and with what rows of users refer to.

`python -m bench.children.parents` builds the world that the simulator of the same size serves.
"""

from __future__ import annotations

import argparse
import json
import logging

from bench.children.mirror import Warehouse, facts_of, load_parents, say, serve, settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.children.parents", description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--world", default="network")
    parser.add_argument("--students", type=int, default=0)
    parser.add_argument("--config", default="{}")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    with serve(options.world, options.students) as simulator:
        warehouse = Warehouse(
            options.database, settings(facts_of(simulator)), json.loads(options.config)
        )
        warehouse.open_run()
        load_parents(simulator, warehouse)
        counts = {name: len(table.rows) for name, table in simulator.world.tables.items()}
    with warehouse.connect() as connection:
        connection.autocommit = True
        connection.execute("vacuum analyze")
    say(counts)


if __name__ == "__main__":
    main()
