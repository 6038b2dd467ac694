"""Run the simulator as a process: `python -m dev.simulator --world campus --port 0`.

With SIMULATOR_CONTROL_KEY in its environment, only who sends that key may move the world.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from datetime import UTC, datetime

from dev.simulator.simulator import Simulator
from dev.simulator.worlds import WORLDS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.simulator", description=__doc__)
    parser.add_argument("--world", default="campus", choices=[*WORLDS, "empty"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--students", type=int, help="current students, instead of the usual")
    parser.add_argument("--limit-second", type=int, default=1000)
    parser.add_argument("--limit-hour", type=int, default=1_000_000)
    parser.add_argument("--latency", type=float, default=0, help="seconds before each answer")
    parser.add_argument("--clock", help="where the clock begins (ISO); it is then frozen")
    parser.add_argument("--running", action="store_true", help="let a --clock run all the same")
    return parser.parse_args()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    options = _arguments()
    start = datetime.fromisoformat(options.clock) if options.clock else datetime.now(UTC)
    simulator = Simulator(
        options.world,
        options.seed,
        options.students,
        options.limit_second,
        options.limit_hour,
        start if start.tzinfo else start.replace(tzinfo=UTC),
        running=options.running or not options.clock,
        port=options.port,
        control_key=os.environ.get("SIMULATOR_CONTROL_KEY"),
    )
    if options.latency:
        simulator.faults.add("slow", times=None, seconds=options.latency)
    with simulator:
        facts = {
            "url": simulator.url,
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
            "campus_id": simulator.campus_id,
        }
        print(json.dumps(facts), flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
