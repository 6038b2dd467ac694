"""Which combinations of parameters `make test` tries of a test that has several of them.

A fault at each of three pages in each of two DAGs is the same test six times. `make test` takes
each fault, each page and each DAG, but not each with each: the second fault meets the second page,
and so on. `make test-deep` takes them all, and so does whoever names a test.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

# `make test-deep` says so.
DEEP = os.environ.get("INTRA42_CONVERGENCE", "quick") != "quick"
FOLDERS = ("faults", "crashes")


def wants_all(config: pytest.Config) -> bool:
    """Tell whether every combination was asked for."""
    return DEEP or any("::" in argument for argument in config.args)


def leave_out(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the items that add no value of any parameter to those that stay."""
    tests: dict[str, list[pytest.Function]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and _combines(item.path):
            tests[item.nodeid.partition("[")[0]].append(item)
    return [item for group in tests.values() for item in _beside_the_diagonal(group)]


def _combines(path: Path) -> bool:
    return path.parent.name in FOLDERS


def _beside_the_diagonal(group: Sequence[pytest.Function]) -> list[pytest.Function]:
    values = [_values(item) for item in group]
    axes = [list(dict.fromkeys(axis)) for axis in zip(*values, strict=True)]
    longest = max(axes, key=len, default=[])
    diagonal = {
        tuple(axis[turn % len(axis)] for axis in axes) for turn, _value in enumerate(longest)
    }
    return [item for item, value in zip(group, values, strict=True) if value not in diagonal]


def _values(item: pytest.Function) -> tuple[str, ...]:
    """Return the item's value of each `parametrize`, as text."""
    names = [mark.args[0] for mark in item.iter_markers("parametrize")]
    split = [name.split(",") if isinstance(name, str) else name for name in names]
    return tuple(repr([item.callspec.params[name.strip()] for name in axis]) for axis in split)
