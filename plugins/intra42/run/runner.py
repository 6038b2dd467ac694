"""Run the steps of a DAG in this process, by its rules: which step stops which, what is red."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from intra42.run.plan import Does, Step, asked_of, why_skipped
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
        perform: takes a step; of a mapped one, with its number, and the chunks of a refetch.
        fails: the errors by which a step fails; any other ends the run.
    """
    outcome = Outcome()
    chunks: Sequence[Sequence[int]] = ()
    for step in plan:
        state = _state_without(step, [outcome.states[name] for name in step.after])
        if state is None and why_skipped(step.does, request, step.resource):
            state = State.SKIPPED
        if state is None:
            found, errors = _take(_instances(step, request, chunks), perform, fails)
            outcome.errors += errors
            state = State.FAILED if errors else State.SUCCESS if found else State.SKIPPED
            if step.does is Does.PLAN and not errors:
                [chunks] = found
        outcome.states[step.name] = state
    return outcome


def _instances(
    step: Step, request: Request, chunks: Sequence[Sequence[int]]
) -> list[tuple[Step, int, Sequence[int]]]:
    """Return what to take: the step, or one for each thing that it is mapped over."""
    match step.does:
        case Does.REFETCH:
            return [(step, number, part) for number, part in enumerate(chunks)]
        case Does.FURTHER:
            tables = enumerate(asked_of(step, request))
            return [(replace(step, resource=name), number, ()) for number, name in tables]
        case _:
            return [(step, -1, ())]


def _take(
    instances: Iterable[tuple[Step, int, Sequence[int]]],
    perform: Callable[[Step, int, Sequence[int]], Any],
    fails: tuple[type[Exception], ...],
) -> tuple[list[Any], list[Exception]]:
    """Take the instances of a step; return what came of them, and the errors."""
    found: list[Any] = []
    errors: list[Exception] = []
    for step, number, part in instances:
        try:
            found.append(None if step.does is Does.NOTHING else perform(step, number, part))
        except fails as error:
            errors.append(error)
    return found, errors


def _state_without(step: Step, before: Sequence[State]) -> State | None:
    """Return what the steps before it make of a step, None if it has its turn."""
    if step.settles:
        return None if State.SUCCESS in before else State.UPSTREAM_FAILED
    return None if _RED.isdisjoint(before) else State.UPSTREAM_FAILED


def red(states: Mapping[str, State]) -> list[str]:
    """Return the steps that failed, first one first."""
    return [name for name, state in states.items() if state is State.FAILED]
