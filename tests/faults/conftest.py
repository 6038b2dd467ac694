"""One request under way at a time: which request a fault strikes is then known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.harness import Mirror

Make = Callable[..., Mirror]


def _one_at_a_time(make: Make) -> Make:
    def made(*arguments: Any, **options: Any) -> Mirror:
        mirror = make(*arguments, **options)
        mirror.api = replace(mirror.api, most_in_flight=1)
        return mirror

    return made


@pytest.fixture
def fresh(fresh: Make) -> Make:
    """A mirror of an empty database."""
    return _one_at_a_time(fresh)


@pytest.fixture
def loaded(loaded: Make) -> Make:
    """A mirror after its first load."""
    return _one_at_a_time(loaded)
