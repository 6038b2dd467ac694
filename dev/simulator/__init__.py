"""A faithful simulator of the 42 Intra API, with worlds, events, faults and the truth."""

from dev.simulator.clock import Clock
from dev.simulator.faults import KINDS
from dev.simulator.mutations import MUTATIONS
from dev.simulator.simulator import Simulator

__all__ = ["KINDS", "MUTATIONS", "Clock", "Simulator"]
