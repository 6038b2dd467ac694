"""Tell rows that nobody asked for: the API ignores what it does not support, with status 200.

A record shows by a field of its own whether a filter let it through. Some filters are about other
rows (the campus of an attempt's user), and some records lack the field: those prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intra42.api.model import Answer
from intra42.api.page import Page
from intra42.api.responses import describe
from intra42.errors import FilterIgnored

# The fields that hold what a filter selects by; a record has one of them, or none.
_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "filter[id]": (("id",),),
    "filter[user_id]": (("user_id",), ("user", "id")),
    "filter[cursus_id]": (("cursus_id",),),
    "filter[campus_id]": (("campus_id",),),
    "filter[kind]": (("kind",),),
    "filter[alumni?]": (("alumni?",),),
}


def ignored_filter(label: str, params: Mapping[str, str], answer: Answer) -> FilterIgnored | None:
    """Return the error of a page that answers another question, None where it may answer ours.

    A few rows that nobody asked for are no proof: rows change while they are read. Most of a page
    are, and so are more rows than there are ids in `filter[id]`.
    """
    records = answer.records
    for name in _FIELDS.keys() & params.keys():
        wanted = set(params[name].split(","))
        foreign = _foreign(name, wanted, records)
        too_many = name == "filter[id]" and answer.total > len(wanted)
        if foreign * 2 > len(records) or (foreign and too_many):
            return _error(label, name, foreign, len(wanted), answer)
    return None


def refuse_foreign(page: Page, name: str, foreign: int) -> None:
    """Refuse a page of which `foreign` rows were found elsewhere not to be what `name` selects.

    Raises:
        FilterIgnored: those are most of the page.
    """
    if foreign * 2 > len(page.records):
        asked = page.listing.asked
        label = describe("GET", page.listing.path, asked)
        raise _error(label, name, foreign, len(asked[name].split(",")), page.answer)


def _error(label: str, name: str, foreign: int, values: int, answer: Answer) -> FilterIgnored:
    message = (
        f"{label}: the endpoint ignores {name}: {foreign} of {len(answer.records)} rows were not "
        f"asked for (it has {answer.total} rows for {values} values), so nothing of the page is "
        "stored"
    )
    return FilterIgnored(message)


def _foreign(name: str, wanted: set[str], records: Sequence[Any]) -> int:
    """Count the records whose own field says that they were not asked for."""
    values = (_value(record, name) for record in records)
    return sum(value is not None and value not in wanted for value in values)


def _value(record: Any, name: str) -> str | None:
    """Return what a filter would find in a record, as the filter writes it; None if unknown."""
    for path in _FIELDS[name]:
        value = record
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | str):
            return str(value)
    return None
