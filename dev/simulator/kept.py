"""Long results that depend on their own rows alone: kept up to date while the world moves on."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from dev.simulator.tables import Table

Test = Callable[[Any], bool]
Key = tuple[Any, ...]


class Kept:
    """Ids by question, in ascending order; a row that changed since is tested again."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._found: OrderedDict[Key, tuple[list[int], list[int], int]] = OrderedDict()

    def get(self, key: Key, table: Table[Any], tests: Sequence[Test]) -> list[int] | None:
        """Return the ids of rows for which all `tests` hold now, if the question is known."""
        ids, journal, seen = self._found.get(key, ([], [], 0))
        if journal is not table.journal:
            return None
        for row_id in set(journal[seen:]):
            row = table.rows.get(row_id)
            wanted = row is not None and all(test(row) for test in tests)
            place = bisect_left(ids, row_id)
            there = place < len(ids) and ids[place] == row_id
            if wanted and not there:
                ids.insert(place, row_id)
            elif there and not wanted:
                del ids[place]
        self._found[key] = (ids, journal, len(journal))
        return ids

    def put(self, key: Key, table: Table[Any], ids: list[int]) -> None:
        """Keep an answer; the oldest one is forgotten when there are too many."""
        self._found[key] = (ids, table.journal, len(table.journal))
        if len(self._found) > self._entries:
            self._found.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._found.clear()
