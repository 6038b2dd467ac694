"""From query parameters to the rows of a page: filter, range, sort, page."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from dev.simulator.clock import to_ms
from dev.simulator.kept import Kept
from dev.simulator.resources import SPECIAL_FILTERS, Resource, attribute
from dev.simulator.store import Store
from dev.simulator.tables import Table

Params = list[tuple[str, str]]

_DEFAULT_SIZE = 30
_MAX_SIZE = 100
_WORTH_CACHING = 1000
_CACHE_ENTRIES = 64
_CLOCK_FILTERS = {"end", "future", "blackholed", "retriable"}
# What these say of a row may change although the row does not.
_FOREIGN_FILTERS = _CLOCK_FILTERS | {"active", "campus", "campus_id", "primary_campus_id"}


class BadRequest(Exception):
    """The parameters are refused with a JSON error."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": error, "message": message}


@dataclass(frozen=True)
class Scope:
    """A nested path: only the rows for which `keep` holds, found through `ids` if that is set."""

    name: str
    keep: Callable[[Store, Any], bool]
    ids: Callable[[Store], Iterable[int]] | None = None


@dataclass
class Query:
    """Parsed parameters of an index endpoint."""

    resource: Resource
    scope: Scope | None = None
    filters: dict[str, frozenset[Any]] = field(default_factory=dict)
    ranges: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    sort: tuple[str, ...] = ()
    search: str = ""
    page: int = 1
    size: int = _DEFAULT_SIZE
    excluded: set[int] = field(default_factory=set)


@dataclass
class Page:
    """The rows of a page and the numbers its headers tell."""

    rows: list[Any]
    total: int
    number: int
    size: int


def _convert(kind: str, text: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"true": True, "false": False}[text]
        if kind == "time":
            return to_ms(text)
    except (ValueError, KeyError) as error:
        message = f"{text!r} is not a valid {kind}"
        raise BadRequest(422, "Unprocessable Entity", message) from error
    return text


def _refuse(verb: str, name: str, declared: Iterable[str]) -> NoReturn:
    known = ", ".join(f'"{field_name}"' for field_name in declared)
    message = f"Attributes {name} doesn't exists. You can only {verb} on: [{known}]"
    raise BadRequest(400, f"{verb.title()} Error", message)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _add_filter(query: Query, name: str, text: str) -> None:
    declared = query.resource.filters
    if declared is None:
        return
    if name not in declared:
        _refuse("filter", name, declared)
    values = [part for part in text.split(",") if part]
    if values:
        query.filters[name] = frozenset(_convert(declared[name], part) for part in values)


def _add_range(query: Query, name: str, text: str) -> None:
    declared = query.resource.ranges
    if declared is None:
        return
    if name not in declared:
        _refuse("range", name, declared)
    ends = text.split(",")
    if len(ends) != 2 or not all(ends):
        message = f"The range on {name} needs two values separated by a comma"
        raise BadRequest(400, "Range Error", message)
    low, high = (_convert(declared[name], end.strip()) for end in ends)
    query.ranges[name] = (low, high)


def _set_sort(query: Query, text: str) -> None:
    declared = query.resource.sorts
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if declared is None or not names:
        return
    for name in names:
        if name.lstrip("-") not in declared:
            message = f"The {name.lstrip('-')} field is not sortable"
            raise BadRequest(400, "Sort Error", message)
    query.sort = names


def parse(resource: Resource, scope: Scope | None, params: Params) -> Query:
    """Read the parameters of an index endpoint; unknown kinds of parameter are ignored."""
    query = Query(resource, scope, sort=resource.order)
    for key, text in params:
        kind, _, rest = key.partition("[")
        name = rest.removesuffix("]")
        if kind == "filter" and rest:
            _add_filter(query, name, text)
        elif kind == "range" and rest:
            _add_range(query, name, text)
        elif key == "sort":
            _set_sort(query, text)
        elif key in {"page[number]", "page"}:
            query.page = _number(text) or 1
        elif key in {"page[size]", "per_page"}:
            query.size = min(_number(text) or _DEFAULT_SIZE, _MAX_SIZE)
        elif kind == "search" and resource.name == "users":
            query.search = text.lower()
    return query


class Engine:
    """Runs queries over a world, keeping long results until the world moves."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[Any, ...], list[int]] = OrderedDict()
        self._kept_version: tuple[Any, ...] = ()
        self._lasting = Kept(_CACHE_ENTRIES)
        self._lasting_harsh = ""

    def run(self, query: Query) -> Page:
        """Return the asked page."""
        table: Table[Any] = self._store.tables[query.resource.name]
        ids = self._sorted(query, table)
        if query.excluded:
            ids = [row_id for row_id in ids if row_id not in query.excluded]
        start, end = 0, len(ids)
        if "id" in query.ranges and query.sort == ("id",):
            low, high = query.ranges["id"]
            start, end = bisect_left(ids, low), max(bisect_right(ids, high), bisect_left(ids, low))
        size = min(query.size, self._store.harsh.page_cap or query.size)
        first = min(start + (query.page - 1) * size, end)
        chosen = ids[first : min(first + size, end)]
        return Page([table.rows[row_id] for row_id in chosen], end - start, query.page, size)

    def _sorted(self, query: Query, table: Table[Any]) -> list[int]:
        """Return the matching ids in order; `range[id]` is left to the caller for sort=id."""
        by_id = query.sort == ("id",)
        ranges = {k: v for k, v in query.ranges.items() if not (by_id and k == "id")}
        plain = not (query.filters or ranges or query.search or query.scope)
        if plain and by_id and query.resource.name.endswith("_users"):
            return table.ids
        self._forget_what_moved()
        scope = query.scope.name if query.scope else ""
        key: tuple[Any, ...] = (query.resource.name, scope, query.sort, query.search)
        key += (tuple(sorted(query.filters.items())), tuple(sorted(ranges.items())))
        if _CLOCK_FILTERS & query.filters.keys():
            key += (self._store.clock.now_ms(),)
        lasts = by_id and _tells_by_its_rows(query)
        tests = self._tests(query, ranges)
        found = self._lasting.get(key, table, tests) if lasts else self._kept.get(key)
        if found is not None:
            return found
        ids = self._order(query.sort, self._matching(query, ranges, table, tests), table)
        if len(ids) > _WORTH_CACHING and lasts:
            self._lasting.put(key, table, ids)
        elif len(ids) > _WORTH_CACHING:
            self._kept[key] = ids
            if len(self._kept) > _CACHE_ENTRIES:
                self._kept.popitem(last=False)
        return ids

    def _forget_what_moved(self) -> None:
        harsh = repr(self._store.harsh)
        if harsh != self._lasting_harsh:
            self._lasting.clear()
            self._lasting_harsh = harsh
        version = (self._store.version, harsh)
        if version != self._kept_version:
            self._kept.clear()
            self._kept_version = version

    def _candidates(
        self, query: Query, ranges: dict[str, tuple[Any, Any]], table: Table[Any]
    ) -> Iterable[int]:
        wanted = query.filters
        if "id" in wanted:
            return sorted(row_id for row_id in wanted["id"] if row_id in table.rows)
        for name in ("user_id", "coalition_id", "login"):
            if name in wanted and name in table.indexed:
                return [i for value in wanted[name] for i in table.where(name, value)]
        if query.scope and query.scope.ids:
            return query.scope.ids(self._store)
        if "updated_at" in ranges and "updated_at" in table.field_names:
            return table.updated_between(*ranges["updated_at"])
        if "id" in ranges:
            low, high = ranges["id"]
            return table.ids[bisect_left(table.ids, low) : bisect_right(table.ids, high)]
        for name in ("campus_id", "cursus_id"):
            if name in wanted and name in table.indexed:
                return [i for value in wanted[name] for i in table.where(name, value)]
        if "campus" in wanted:
            return self._attempts_of_campuses(wanted["campus"])
        return table.ids

    def _attempts_of_campuses(self, campus_ids: frozenset[Any]) -> set[int]:
        store = self._store
        found: set[int] = set()
        for campus_id in campus_ids:
            found.update(store.projects_users.where("campus_id", campus_id))
            for member in store.campus_users.of("campus_id", campus_id):
                found.update(store.projects_users.where("user_id", member.user_id))
        return found

    def _matching(
        self,
        query: Query,
        ranges: dict[str, tuple[Any, Any]],
        table: Table[Any],
        tests: list[Callable[[Any], bool]],
    ) -> list[int]:
        rows = table.rows
        found = {
            row_id
            for row_id in self._candidates(query, ranges, table)
            if row_id in rows and all(test(rows[row_id]) for test in tests)
        }
        return sorted(found)

    def _tests(
        self, query: Query, ranges: dict[str, tuple[Any, Any]]
    ) -> list[Callable[[Any], bool]]:
        store, resource = self._store, query.resource
        visible, scope = resource.visible, query.scope
        tests: list[Callable[[Any], bool]] = [lambda row: visible(store, row)]
        if resource.name.endswith("_users"):
            tests = []
        if scope:
            keep = scope.keep
            tests.append(lambda row: keep(store, row))
        tests += [self._filter_test(resource, *item) for item in query.filters.items()]
        tests += [self._range_test(resource, *item) for item in ranges.items()]
        if query.search:
            text = query.search
            tests.append(
                lambda row: any(text in v.lower() for v in (row.login, row.email, row.displayname))
            )
        return tests

    def _filter_test(
        self, resource: Resource, name: str, wanted: frozenset[Any]
    ) -> Callable[[Any], bool]:
        store = self._store
        special = SPECIAL_FILTERS.get((resource.name, name))
        if special is not None:
            return lambda row: special(store, row, wanted)
        attr = attribute(resource.name, name)
        return lambda row: getattr(row, attr, None) in wanted

    @staticmethod
    def _range_test(resource: Resource, name: str, ends: tuple[Any, Any]) -> Callable[[Any], bool]:
        low, high = ends
        attr = attribute(resource.name, name)

        def inside(row: Any) -> bool:
            value = getattr(row, attr, None)
            return value is not None and bool(low <= value <= high)

        return inside

    def _order(self, sort: tuple[str, ...], ids: list[int], table: Table[Any]) -> list[int]:
        if sort == ("id",):
            return ids
        if sort == ("-id",):
            return ids[::-1]
        rows = table.rows
        for name in reversed(sort):
            attr = attribute(table.name, name.lstrip("-"))
            # PostgreSQL's order: nulls last when ascending, first when descending.
            keys = {i: getattr(rows[i], attr, None) for i in ids}
            ids = sorted(
                ids,
                key=lambda i, keys=keys: (keys[i] is None, 0 if keys[i] is None else keys[i]),  # type: ignore[misc]
                reverse=name.startswith("-"),
            )
        return ids


def _tells_by_its_rows(query: Query) -> bool:
    """Tell whether a row's own values decide if it is in the result."""
    foreign = _FOREIGN_FILTERS & query.filters.keys()
    own = query.resource.name.endswith("_users")
    return own and not (foreign or query.scope or query.search)


def shuffled(rows: list[Any], seed: int) -> list[Any]:
    """Return `rows` in an order that is certainly another one, if there are two or more."""
    mixed = rows[:]
    random.Random(seed).shuffle(mixed)
    return mixed if mixed != rows or len(rows) < 2 else rows[::-1]
