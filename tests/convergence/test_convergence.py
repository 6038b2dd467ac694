"""Whatever happens upstream and breaks on the way: after two clean nights, mirror = world.

Hypothesis tells random histories (see `story` and `checks`) and shortens one that fails. The quick
profile is part of `make test`; `make test-deep` sets INTRA42_CONVERGENCE=deep.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.convergence.lines import Pool
from tests.convergence.story import QUIET, Story, Trouble
from tests.convergence.upstream import EVENTS, ONLY_IN_TURN
from tests.harness import INCREMENTAL, NIGHTLY

FAULTS = (
    *("500", "502", "503", "504", "429_second", "429_hour", "401", "403", "404"),
    *("html_200", "error_object_200", "redirect_to_login", "wrong_content_type"),
    *("empty_page", "short_page", "missing_total", "wrong_total", "unsorted"),
    *("missing_row", "missing_row", "missing_row"),
    *("duplicate_row", "duplicate_page", "ignore_range", "nul", "unfit"),
    *("cut", "short_body", "truncated_json"),
)

_COMMON = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}
PROFILES = {
    "quick": settings(max_examples=12, stateful_step_count=25, derandomize=True, **_COMMON),
    "deep": settings(
        max_examples=int(os.environ.get("INTRA42_HISTORIES", "1000")),
        stateful_step_count=100,
        **_COMMON,
    ),
}

_number = st.integers(0, 49)
_dag = st.sampled_from((NIGHTLY, INCREMENTAL))


@dataclass(frozen=True)
class Step:
    """One call of a story, printed as such."""

    name: str
    args: tuple[Any, ...]
    params: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        parts = [*map(repr, self.args), *(f"{key}={value!r}" for key, value in self.params)]
        return f"story.{self.name}({', '.join(parts)})"

    def tell(self, story: Story) -> None:
        getattr(story, self.name)(*self.args, **dict(self.params))


def _troubles(kinds: list[str]) -> st.SearchStrategy[Trouble]:
    requests = st.integers(0, 50)
    event = st.builds(
        Trouble,
        kind=st.just("event"),
        at=requests,
        name=st.sampled_from(kinds),
        a=_number,
        b=_number,
        times=st.sampled_from((1, 3, 9)),
    )
    fault = st.builds(
        Trouble,
        kind=st.just("fault"),
        at=requests,
        name=st.sampled_from(FAULTS),
        a=_number,
        b=_number,
        times=st.sampled_from((1, 1, 3, 9)),
    )
    death = st.builds(
        Trouble,
        kind=st.sampled_from(("kill", "cut")),
        at=st.integers(0, 900),
        answered=st.booleans(),
    )
    return st.one_of(st.just(QUIET), st.just(QUIET), event, event, fault, death)


def _steps(kinds: list[str]) -> st.SearchStrategy[Step]:
    trouble = _troubles(kinds)
    minutes = st.integers(0, 3000)
    event = st.builds(Step, st.just("event"), st.tuples(st.sampled_from(kinds), _number, _number))
    pause = st.tuples(st.sampled_from((0, 1, 15, 60, 240, 1500)))
    shapes = {
        "event": (60, event),
        "wait": (10, st.builds(Step, st.just("wait"), pause)),
        "nightly": (8, st.builds(Step, st.just("run"), st.tuples(st.just(NIGHTLY), trouble))),
        "quarter": (12, st.builds(Step, st.just("run"), st.tuples(st.just(INCREMENTAL), trouble))),
        "again": (3, st.builds(Step, st.just("again"), st.tuples(trouble))),
        "window": (2, st.builds(Step, st.just("window_twice"), st.tuples(_dag, minutes, minutes))),
        "backfill": (
            2,
            st.builds(Step, st.just("backfill"), st.tuples(_dag, minutes, minutes, trouble)),
        ),
        "whole": (
            1,
            st.builds(
                Step,
                st.just("run"),
                st.tuples(_dag, trouble),
                st.just((("full_refresh", True),)),
            ),
        ),
        "both": (2, st.builds(Step, st.just("both"), st.tuples(trouble, trouble))),
        "beside": (
            1,
            st.builds(Step, st.just("beside"), st.tuples(_dag, minutes, minutes, trouble, trouble)),
        ),
    }
    weighted = [name for name, (weight, _) in shapes.items() for _ in range(weight)]
    return st.sampled_from(weighted).flatmap(lambda name: shapes[name][1])


_ALL_STEPS = _steps(list(EVENTS))
_DAILY_STEPS = _steps([kind for kind in EVENTS if kind not in ONLY_IN_TURN])


class History(RuleBasedStateMachine):
    """A history that hypothesis tells."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self._pool = pool
        self._story: Story | None = None
        self._failed = False

    @initialize(
        campus_ids=st.sampled_from(([1], [1, 2], [])),
        refresh_chunk_size=st.sampled_from((100, 3)),
        lookback_minutes=st.sampled_from((30, 0)),
        budget=st.sampled_from((20, 1, 0)),
        max_delete_rows=st.sampled_from((20, 20, 1)),
        audited=st.booleans(),
        skew=st.integers(-600, 600),
        per_second=st.sampled_from((8, 2)),
        per_hour=st.sampled_from((1200, 200)),
        page_cap=st.sampled_from((None, 10, 3)),
        begun=st.booleans(),
    )
    def begin(self, budget: int, audited: bool, begun: bool, **settings: Any) -> None:
        """Open the school; `audited` lets the nightly run look at every row in turn."""
        names = ("campus_ids", "refresh_chunk_size", "max_delete_rows", "lookback_minutes")
        config = {name: settings.pop(name) for name in names}
        config |= {
            "incremental_request_budget": budget,
            "nightly_audit_requests": 500 if audited else 0,
        }
        self._audited = audited
        self._story = Story(self._pool, config, **settings)
        if begun:
            self._tell(Step("run", (NIGHTLY,)))

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        # Without the rotation nobody finds what only the rotation can find.
        self._tell(data.draw(_ALL_STEPS if self._audited else _DAILY_STEPS, label="step"))

    def _tell(self, step: Step) -> None:
        assert self._story
        try:
            step.tell(self._story)
        except BaseException:
            self._failed = True
            raise

    def teardown(self) -> None:
        """Let the history end well, unless it has not."""
        if self._story is None:
            return
        try:
            if not self._failed:
                self._story.two_nights()
        finally:
            self._story.close()


@pytest.fixture
def silence() -> Iterator[None]:
    """A thousand histories log a great deal."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_after_two_clean_nights_the_mirror_equals_the_world(pool, silence):
    profile = PROFILES[os.environ.get("INTRA42_CONVERGENCE", "quick")]
    run_state_machine_as_test(lambda: History(pool), settings=profile)
