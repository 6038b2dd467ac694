"""Cut a record of the API into a row of a table: pure, one record at a time.

A record that cannot become a row is `Unfit` with a reason; the caller parks it and keeps the rest.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from intra42.catalog import graph
from intra42.catalog.model import Column, Resource, Source, Type

_MISSING = object()
UNREADABLE = object()  # a value that could be anything
_BOUNDS = {
    Type.BIGINT: (-(2**63), 2**63 - 1),
    Type.INTEGER: (-(2**31), 2**31 - 1),
}
_MAX_EXACT_FLOAT = 2**53
# A time as the API writes it.
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


class UnfitError(Exception):
    """A value cannot be stored; the message names the field and what is wrong."""


@dataclass(slots=True)
class Notes:
    """What was noticed while cutting, reported once per run and resource."""

    nul_characters: int = 0
    bad_unicode: int = 0
    missing: dict[str, Any] = field(default_factory=dict)  # field -> id of the first record
    additional: dict[str, Any] = field(default_factory=dict)


class Row(NamedTuple):
    """One row: values in the catalogue's column order, as COPY's text; None is null.

    `absent` names optional columns whose key the record did not have: their old value is kept.
    """

    id: int
    values: tuple[Any, ...]
    updated_at: datetime | None
    record: Mapping[str, Any]
    absent: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unfit:
    """A record that could not be cut: its id if it has one, the fields we read, and why.

    `record` is all of it, by which its scope is decided; it is never stored.
    """

    id: int | None
    payload: dict[str, Any]
    reason: str
    record: Any = field(default=None, compare=False, repr=False)

    def without_values(self) -> Unfit:
        """Return what may be kept where nobody knows whom it is about."""
        return Unfit(self.id, {}, self.reason, self.record)


class Cutter:
    """Cuts the records of one resource; knows the order of the configured cursus."""

    def __init__(self, resource: Resource, cursus_ids: Iterable[int] = ()) -> None:
        self.resource = resource
        self.notes = Notes()
        self._cursus_ids = tuple(cursus_ids)
        self._known = _known_keys(resource)
        self._seen: set[frozenset[str]] = set()
        names = resource.column_names
        self._id = names.index("id")
        self._updated_at = names.index("updated_at") if "updated_at" in names else None
        self._steps = [self._step(column) for column in resource.columns]

    def _step(self, column: Column) -> tuple[Column, str | None, Callable[[Any], Any]]:
        """Return a column, the key of its value where that is all there is to it, and its type."""
        convert = _CONVERT[column.type]
        # A time is text, too, but of our own making.
        if column.type is Type.TEXT:
            convert = self._text
        elif column.type is Type.JSON:
            convert = self._json
        plain = column.source is Source.RECORD and len(column.path) == 1
        return column, column.path[0] if plain else None, convert

    def cut(self, record: Any) -> Row | Unfit:
        """Return the row of `record`, or why there is none."""
        if not isinstance(record, dict):
            what = {"value": _printable(record)}
            return Unfit(None, what, "the record is not a JSON object", record)
        try:
            return self._cut(record)
        except UnfitError as error:
            kept = payload(self.resource, record)
            return Unfit(_id_or_none(record), kept, str(error), record)

    def read(self, record: Any, name: str) -> Any:
        """Return one column's value of a record that is bad elsewhere, `UNREADABLE` if unknown."""
        column, _key, convert = self._steps[self.resource.column_names.index(name)]
        try:
            value = self._value(record, column)
            if value is _MISSING:
                return UNREADABLE
            return None if value is None else convert(value)
        except UnfitError:
            return UNREADABLE

    def _cut(self, record: Mapping[str, Any]) -> Row:
        self._compare_keys(record)
        values: list[Any] = []
        absent: set[str] = set()
        try:
            for column, key, convert in self._steps:
                value = self._value(record, column) if key is None else record.get(key, _MISSING)
                if value is not None and value is not _MISSING:
                    values.append(convert(value))
                    continue
                if column.required or value is _MISSING:
                    self._do_without(record, column, value, absent)
                values.append(None)
        except UnfitError as error:
            message = f"{'.'.join(column.path)} {error}"
            raise UnfitError(message) from None
        updated_at = None if self._updated_at is None else values[self._updated_at]
        return Row(
            values[self._id],
            tuple(values),
            datetime.fromisoformat(updated_at) if updated_at else None,
            record,
            frozenset(absent),
        )

    def _value(self, record: Mapping[str, Any], column: Column) -> Any:
        if column.source is Source.DERIVED:
            return None
        value = _follow(record, column.path)
        if column.source is Source.FIRST_CONFIGURED:
            if not isinstance(value, list):
                message = "is missing or not a list"
                raise UnfitError(message)
            for number in self._cursus_ids:
                if number in value:
                    return number
            return None
        if column.source is Source.PRINTED and type(value) in {int, float}:
            return str(value)
        return value

    def _do_without(
        self, record: Mapping[str, Any], column: Column, value: Any, absent: set[str]
    ) -> None:
        if column.required:
            message = "is missing" if value is _MISSING else "is null"
            raise UnfitError(message)
        if value is _MISSING:
            absent.add(column.name)
            self.notes.missing.setdefault(".".join(column.path), record.get("id"))

    def _text(self, value: Any) -> str:
        return self._plain(_text(value))

    def _json(self, value: Any) -> str:
        """Return JSON without what PostgreSQL cannot hold, which is escaped there."""
        text = _json(value)
        if "\\u0000" not in text and "\\ud" not in text:
            return text
        return json.dumps(_clean_json(json.loads(text), self._plain))

    def _plain(self, text: str) -> str:
        """Remove what PostgreSQL cannot hold: U+0000 and halves of surrogate pairs."""
        if "\x00" in text:
            self.notes.nul_characters += text.count("\x00")
            text = text.replace("\x00", "")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                self.notes.bad_unicode += 1
                text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def _compare_keys(self, record: Mapping[str, Any]) -> None:
        keys = frozenset(record)
        if keys in self._seen or len(self._seen) > 1000:
            return
        self._seen.add(keys)
        for key in keys - self._known:
            self.notes.additional.setdefault(str(key)[:80], record.get("id"))


def payload(resource: Resource, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `record` the catalogue reads, in a form jsonb can hold."""
    kept: dict[str, Any] = {}
    for column in resource.columns:
        if column.source is Source.DERIVED:
            continue
        try:
            value = _follow(record, column.path)
        except UnfitError:
            value = _MISSING
        if value is not _MISSING:
            kept[".".join(column.path)] = _printable(value)
    return kept


def _known_keys(resource: Resource) -> frozenset[str]:
    keys = {column.path[0] for column in resource.columns if column.path}
    keys.update(link.field for link in resource.links)
    keys.update(str(inner.explode) for inner in graph.embedded_in(resource.name))
    return frozenset(keys | resource.unread)


def _follow(record: Any, path: tuple[str, ...]) -> Any:
    value = record
    for key in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            message = "lies in something that is no object"
            raise UnfitError(message)
        if key not in value:
            return _MISSING
        value = value[key]
    return value


def _id_or_none(record: Mapping[str, Any]) -> int | None:
    value = record.get("id")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    return None


def _integer(type_: Type) -> Callable[[Any], int]:
    low, high = _BOUNDS[type_]

    def convert(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_EXACT_FLOAT:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            message = f"is {_kind(value)} where a whole number belongs"
            raise UnfitError(message)
        if not low <= value <= high:
            message = f"is outside the type {type_}"
            raise UnfitError(message)
        return value

    return convert


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = f"is {_kind(value)} where text belongs"
        raise UnfitError(message)
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        message = f"is {_kind(value)} where true or false belongs"
        raise UnfitError(message)
    return value


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"is {_kind(value)} where a number belongs"
        raise UnfitError(message)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        message = "is outside the type double precision"
        raise UnfitError(message)
    return number


def _timestamp(value: Any) -> str:
    """Return a time in an ISO 8601 form that Python and PostgreSQL read alike."""
    if not isinstance(value, str):
        message = f"is {_kind(value)} where a time belongs"
        raise UnfitError(message)
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = "is not a time with a UTC offset"
        raise UnfitError(message)
    return value if _UTC.fullmatch(value) else moment.isoformat()


def _json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        message = "holds a number outside the type double precision"
        raise UnfitError(message) from None


_CONVERT: dict[Type, Callable[[Any], Any]] = {
    Type.BIGINT: _integer(Type.BIGINT),
    Type.INTEGER: _integer(Type.INTEGER),
    Type.TEXT: _text,
    Type.BOOLEAN: _boolean,
    Type.DOUBLE: _double,
    Type.TIMESTAMP: _timestamp,
    Type.JSON: _json,
}


def _kind(value: Any) -> str:
    """Name a value's JSON type without showing the value, which may be personal."""
    names: dict[type, str] = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _printable(value: Any) -> Any:
    """Return `value` in a form jsonb can hold: no NUL, no lone surrogate, no infinity."""
    return _clean_json(
        value, lambda text: text.replace("\x00", "").encode(errors="replace").decode()
    )


def _clean_json(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_clean_json(element, clean) for element in value]
    if isinstance(value, Mapping):
        return {clean(str(key)): _clean_json(element, clean) for key, element in value.items()}
    return value
