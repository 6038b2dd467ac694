"""Whether the catalogue contradicts itself: `make lint` and the unit tests ask, no DAG does.

A contradiction costs a red check of whoever adds a table, never a DAG that cannot be parsed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from intra42.catalog.model import Nightly, Resource, Source
from intra42.catalog.resources import RESOURCES
from intra42.errors import CatalogError


def check(resources: Sequence[Resource] = RESOURCES) -> None:
    """Look at all resources together.

    Raises:
        CatalogError: what contradicts itself, a line each.
    """
    found = list(problems(resources))
    if found:
        raise CatalogError("\n".join(found))


def problems(resources: Sequence[Resource] = RESOURCES) -> Iterator[str]:
    """Yield a sentence for each contradiction."""
    tables = {resource.name for resource in resources}
    for resource in resources:
        for sentence in (
            *_undescribed(resource),
            *_unreadable(resource),
            *_misplaced(resource, resources),
            *_endless(resource),
            *_not_columns(resource),
            *_unknown(resource, tables),
        ):
            yield f"{resource.name}: {sentence}"


def _undescribed(resource: Resource) -> Iterator[str]:
    if not resource.description:
        yield "no description says what it is"
    if not resource.title and resource.embedded_in is None:
        yield "no title says what its task does"
    for column in resource.columns:
        if not column.description:
            yield f"no description says what the column {column.name} is"
    for link in resource.links:
        if not (link.description and link.own_is and link.other_is):
            yield f"no description says what {link.table} and its columns are"


def _unreadable(resource: Resource) -> Iterator[str]:
    if resource.group not in {"reference", "primary", "further"}:
        yield f"there is no group {resource.group}"
    if resource.group == "reference" or (resource.is_optional and not resource.has_user):
        return
    if resource.cursor_field is None:
        yield "no cursor field says what has changed"
    if resource.user_key is None:
        yield "its rows are read by user, and no filter takes user ids"
    if resource.by_id is None:
        yield "its rows are asked for again by id, and no listing takes ids"
    if not (resource.has_user or resource.people):
        yield "its rows belong to nobody"


def _misplaced(resource: Resource, resources: Sequence[Resource]) -> Iterator[str]:
    outer = next((r for r in resources if r.name == resource.embedded_in), None)
    mentioned = outer is not None and any(ref.table == resource.name for ref in outer.references)
    if outer and resource.owner is None and not mentioned:
        yield f"neither refers to {outer.name} nor {outer.name} to it"


def _endless(resource: Resource) -> Iterator[str]:
    if resource.tail_of is None:
        return
    owners = [ref.column for ref in resource.references if ref.table == resource.tail_of]
    if len(owners) != 1 or f"{{{owners[0]}}}" not in resource.endpoint:
        yield f"no column in its endpoint says whose of {resource.tail_of} a ledger is"


def _not_columns(resource: Resource) -> Iterator[str]:
    names = {*resource.column_names}
    for what, column in (
        *(("a cursor", cursor.field) for cursor in resource.cursors),
        ("open_until", resource.open_until),
        ("followed_by", resource.followed_by),
        *(("silent", name) for name in resource.silent),
    ):
        if column is not None and column not in names:
            yield f"{what} names {column}, which is no column"
    looked_for = bool(resource.silent) or resource.nightly is Nightly.OPEN
    if looked_for != bool(resource.open_until):
        yield "open rows have silent columns or are asked for each night: it needs both or neither"
    if resource.of_campus and not (resource.campus_filter and "campus_id" in names):
        yield "its rows belong to a campus, and no filter or no column says to which"
    if resource.derives_from and all(c.source is not Source.DERIVED for c in resource.columns):
        yield "it derives from others, and no column is derived"


def _unknown(resource: Resource, tables: Iterable[str]) -> Iterator[str]:
    for what, name in (
        *(("a reference", ref.table) for ref in resource.references),
        *(("a link", link.other_table) for link in resource.links),
        *(("derives_from", name) for name in resource.derives_from),
        ("triggers", resource.triggers),
        ("embedded_in", resource.embedded_in),
        ("tail_of", resource.tail_of),
    ):
        if name is not None and name not in tables:
            yield f"{what} names {name}, which is no table of the catalogue"


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or None)
