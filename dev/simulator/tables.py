"""A table of rows with what the endpoints need to answer a page in a few milliseconds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

from dev.simulator.rows import Row

R = TypeVar("R", bound=Row)

_BEFORE_ALL_IDS = -1
_AFTER_ALL_IDS = 1 << 62


class Table(Generic[R]):
    """Rows by id, in id order, by the values of `indexed` fields and by `updated_at`.

    A hidden row is kept but in no index: no endpoint shows it until it is unhidden.
    """

    def __init__(self, name: str, kind: type[R], *indexed: str) -> None:
        assert is_dataclass(kind)  # noqa: S101
        self.name = name
        self.field_names = frozenset(field.name for field in fields(kind))
        self.rows: dict[int, R] = {}
        self.hidden: dict[int, R] = {}
        self.ids: list[int] = []
        self.last_id = 0
        self._indexes: dict[str, dict[Any, list[int]]] = {name: {} for name in indexed}
        self._by_time: list[tuple[int, int]] | None = None
        # The ids of rows that came, changed or went since many were loaded at once.
        self.journal: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[R]:
        return iter(self.rows.values())

    def __contains__(self, row_id: int) -> bool:
        return row_id in self.rows

    def __getitem__(self, row_id: int) -> R:
        return self.rows[row_id]

    def get(self, row_id: int | None) -> R | None:
        """Return the shown row `row_id`, or None."""
        return None if row_id is None else self.rows.get(row_id)

    def known(self, row_id: int | None) -> R | None:
        """Return the row `row_id` even when it is hidden, or None."""
        if row_id is None:
            return None
        return self.rows.get(row_id) or self.hidden.get(row_id)

    def everything(self) -> list[R]:
        """Return all rows, the hidden ones last."""
        return [*self.rows.values(), *self.hidden.values()]

    @property
    def indexed(self) -> frozenset[str]:
        """The names of the indexed fields."""
        return frozenset(self._indexes)

    def next_id(self) -> int:
        """Return an id that was never used."""
        return self.last_id + 1

    def load(self, rows: Iterable[R]) -> None:
        """Add many rows at once."""
        for row in rows:
            self.rows[row.id] = row
            for name, index in self._indexes.items():
                index.setdefault(getattr(row, name), []).append(row.id)
        self.ids = sorted(self.rows)
        self.last_id = max(self.last_id, self.ids[-1] if self.ids else 0)
        self._by_time = None
        self.journal = []

    def add(self, row: R) -> R:
        """Add one row."""
        if row.id in self.rows or row.id in self.hidden:
            message = f"{self.name} {row.id} exists already"
            raise ValueError(message)
        self._show(row)
        self.last_id = max(self.last_id, row.id)
        return row

    def remove(self, row_id: int) -> R:
        """Delete a row, shown or hidden."""
        if row_id in self.hidden:
            return self.hidden.pop(row_id)
        return self._unshow(row_id)

    def change(self, row_id: int, **values: object) -> R:
        """Set fields of a row, shown or hidden."""
        unknown = values.keys() - self.field_names
        if unknown:
            message = f"{self.name} has no field {', '.join(sorted(unknown))}"
            raise ValueError(message)
        row = self.hidden.get(row_id)
        was_shown = row is None
        if row is None:
            row = self._unshow(row_id)
        for name, value in values.items():
            setattr(row, name, value)
        if was_shown:
            self._show(row)
        else:
            self.hidden[row_id] = row
        return row

    def hide(self, row_id: int) -> None:
        """Stop showing a row."""
        self.hidden[row_id] = self._unshow(row_id)

    def unhide(self, row_id: int) -> None:
        """Show a hidden row again."""
        self._show(self.hidden.pop(row_id))

    def where(self, name: str, value: object) -> list[int]:
        """Return the ids of rows whose indexed field `name` is `value`."""
        return self._indexes[name].get(value, [])

    def of(self, name: str, value: object) -> list[R]:
        """Return the rows whose indexed field `name` is `value`."""
        return [self.rows[row_id] for row_id in self.where(name, value)]

    def updated_between(self, low: int, high: int) -> list[int]:
        """Return the ids of rows with `updated_at` from `low` to `high`, both included."""
        if self._by_time is None:
            self._by_time = sorted(
                (getattr(row, "updated_at", 0), row.id) for row in self.rows.values()
            )
        start = bisect_left(self._by_time, (low, _BEFORE_ALL_IDS))
        end = bisect_right(self._by_time, (high, _AFTER_ALL_IDS))
        return [row_id for _, row_id in self._by_time[start:end]]

    def _show(self, row: R) -> None:
        self.rows[row.id] = row
        self.journal.append(row.id)
        insort(self.ids, row.id)
        for name, index in self._indexes.items():
            insort(index.setdefault(getattr(row, name), []), row.id)
        if self._by_time is not None:
            insort(self._by_time, (getattr(row, "updated_at", 0), row.id))

    def _unshow(self, row_id: int) -> R:
        row = self.rows.pop(row_id)
        self.journal.append(row_id)
        del self.ids[bisect_left(self.ids, row_id)]
        for name, index in self._indexes.items():
            index[getattr(row, name)].remove(row_id)
        if self._by_time is not None:
            entry = (getattr(row, "updated_at", 0), row_id)
            del self._by_time[bisect_left(self._by_time, entry)]
        return row
