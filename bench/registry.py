"""The sections, in the order in which they disturb each other least: Airflow's come last."""

from __future__ import annotations

from collections.abc import Callable

from bench.context import Context
from bench.outcome import Outcome
from bench.sections import (
    campus,
    campus_loop,
    core,
    idle,
    load,
    memory,
    network,
    pace,
    peers,
    region,
)

Section = Callable[[Context], Outcome]

SECTIONS: list[tuple[str, Section]] = [
    ("load", load.section),
    ("peers", peers.section),
    ("campus_loop", campus_loop.section),
    ("memory", memory.section),
    ("network", network.section),
    ("core", core.section),
    ("pace", pace.section),
    ("region", region.section),
    ("idle", idle.section),
    ("campus", campus.section),
]
