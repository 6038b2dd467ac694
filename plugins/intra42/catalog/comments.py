"""What the tables of the mirror and their columns are, as comments of the database."""

from __future__ import annotations

from collections.abc import Iterator

from intra42.catalog.model import Link, Resource
from intra42.catalog.resources import RESOURCES

_SYNCED_AT = "The API's clock when it showed this version."
_RUN_ID = "The Airflow run that stored this version."
_SEQ = "The number of the request that showed this version; later ones win."
_LISTED = "Whether the last complete listing had it; false for stubs."
_LISTED_INSIDE = "Whether the latest list of its {owner} had it."

Comment = tuple[str, str | None, str]


def comments() -> Iterator[Comment]:
    """Yield table, column (None: the table itself) and sentence."""
    for resource in RESOURCES:
        yield from _of_resource(resource)
        for link in resource.links:
            yield from _of_link(link)


def _of_resource(resource: Resource) -> Iterator[Comment]:
    yield resource.name, None, resource.description
    for column in resource.columns:
        yield resource.name, column.name, column.description
    if resource.listed:
        owner = (resource.owner or "").removesuffix("_id")
        yield resource.name, "listed", _LISTED_INSIDE.format(owner=owner) if owner else _LISTED
    yield resource.name, "_synced_at", _SYNCED_AT
    yield resource.name, "_run_id", _RUN_ID
    yield resource.name, "_seq", _SEQ


def _of_link(link: Link) -> Iterator[Comment]:
    yield link.table, None, link.description
    yield link.table, link.own, link.own_is
    yield link.table, link.other, link.other_is
    yield link.table, "_synced_at", _SYNCED_AT
    yield link.table, "_run_id", _RUN_ID
