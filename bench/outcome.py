"""What a section of the benchmark hands back: lines of the table, and facts for the JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    what: str
    measured: str
    wanted: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return f"{self.what:<66}{self.measured:>28}  {self.wanted:<20}{verdict}".rstrip()


@dataclass
class Outcome:
    """The lines and facts of one section."""

    lines: list[Line] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, what: str, measured: str, wanted: str = "", met: bool | None = None) -> None:
        self.lines.append(Line(what, measured, wanted, met))


def spread(values: Sequence[float], digits: int = 2) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "runs": len(values),
    }


def text(values: Sequence[float], unit: str = "", digits: int = 2) -> str:
    """Return the median, and the spread where there is one."""
    middle = f"{statistics.median(values):,.{digits}f}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
