from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.simulator import Simulator
from tests.dags.stack import Stack


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A campus of 30 students."""
    with Simulator("campus", seed=3, students=30) as simulator:
        yield simulator


@pytest.fixture
def stack(database_url: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The connections and the variable, over an empty warehouse."""
    return Stack(database_url, sim, monkeypatch)
