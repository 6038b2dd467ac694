"""Run the steps of a DAG in this process, by its rules: which step stops which, what is red."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from intra42.run.plan import Does, Step, why_skipped
from intra42.settings import Request


class State(StrEnum):
    """What became of a step, in Airflow's words."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"


_RED = frozenset({State.FAILED, State.UPSTREAM_FAILED})


@dataclass(slots=True)
class Outcome:
    """What became of a run: the state of each step, and the errors of those that failed."""

    states: dict[str, State] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)

    @property
    def is_green(self) -> bool:
        """Whether no step is red."""
        return _RED.isdisjoint(self.states.values())


def run(
    plan: Iterable[Step],
    request: Request,
    perform: Callable[[Step, int, Sequence[int]], Any],
    fails: tuple[type[Exception], ...],
) -> Outcome:
    """Take the steps in their order.

    Args:
        plan: the steps of a DAG.
        request: the order of the run.
        perform: takes a step; of a refetch, the number of the task and its chunks.
        fails: the errors by which a step fails; any other ends the run.
    """
    outcome = Outcome()
    chunks: Sequence[Sequence[int]] = ()
    for step in plan:
        before = [outcome.states[name] for name in step.after]
        state = _state_before(step, before)
        if state is None and (why_skipped(step, request) or _is_idle(step, chunks)):
            state = State.SKIPPED
        if state is None:
            parts = list(enumerate(chunks)) if step.does is Does.REFETCH else [(-1, ())]
            state = State.SUCCESS
            for number, part in parts if step.does is not Does.NOTHING else ():
                try:
                    found = perform(step, number, part)
                except fails as error:
                    outcome.errors.append(error)
                    state = State.FAILED
                else:
                    chunks = found if step.does is Does.PLAN else chunks
        outcome.states[step.name] = state
    return outcome


def _state_before(step: Step, before: Sequence[State]) -> State | None:
    """Return what the steps before it make of a step, None if it has its turn."""
    if step.settles:
        return None if State.SUCCESS in before else State.UPSTREAM_FAILED
    return None if _RED.isdisjoint(before) else State.UPSTREAM_FAILED


def _is_idle(step: Step, chunks: Sequence[Sequence[int]]) -> bool:
    return step.does is Does.REFETCH and not chunks


def red(states: Mapping[str, State]) -> list[str]:
    """Return the steps that failed, first one first."""
    return [name for name, state in states.items() if state is State.FAILED]
