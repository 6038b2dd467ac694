"""Numbers that are drawn: others in each run, the same in each attempt of one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from intra42.attempt.work import Work

T = TypeVar("T")


def drawn(work: Work, *what: object) -> float:
    """Return a number from 0 up to 1 for this run and `what`."""
    text = "/".join(map(str, (work.identity.run_id, *what)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def rotated(work: Work, items: Sequence[T], *what: object) -> list[T]:
    """Return `items` in their order, but another one first in each run."""
    first = int(drawn(work, *what) * len(items))
    return [*items[first:], *items[:first]]
