"""Edges between resources, computed from the catalogue: foreign keys and derived columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from intra42.catalog.model import Entrants, Resource, Strangers
from intra42.catalog.resources import RESOURCES
from intra42.errors import CatalogError

_BY_NAME: Mapping[str, Resource] = {resource.name: resource for resource in RESOURCES}


def get(name: str) -> Resource:
    """Return the resource called `name`.

    Raises:
        CatalogError: there is none; the message lists those that are.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        message = f"there is no resource {name!r}; the catalogue has {', '.join(_BY_NAME)}"
        raise CatalogError(message) from None


def has(name: str) -> bool:
    """Tell whether there is a resource called `name`."""
    return name in _BY_NAME


def of_group(group: str) -> tuple[Resource, ...]:
    """Return what is read for itself of a group, in the catalogue's order."""
    return tuple(
        resource
        for resource in RESOURCES
        if resource.group == group and resource.embedded_in is None
    )


def read_for_themselves() -> tuple[Resource, ...]:
    """Return all resources but those that are embedded in others: one task each."""
    return (*of_group("reference"), *of_group("primary"), *of_group("further"))


def is_asked(resource: Resource, names: Collection[str]) -> bool:
    """Tell whether the setting `tables` asks for a resource: by name, by what comes with it.

    Today's tables need not be asked for.
    """
    if not resource.is_optional:
        return True
    read = read_with(resource.name)
    return "all" in names or not {*names}.isdisjoint(tables_of(read.name))


def embedded_in(name: str) -> tuple[Resource, ...]:
    """Return the resources whose rows are in the records of the resource called `name`."""
    return tuple(resource for resource in RESOURCES if resource.embedded_in == name)


def read_with(name: str) -> Resource:
    """Return the resource that is read to fill the table `name`: itself, or what it is part of.

    Raises:
        CatalogError: as `get`.
    """
    resource = get(name)
    return resource if resource.embedded_in is None else get(resource.embedded_in)


def tables_of(name: str) -> tuple[str, ...]:
    """Return the tables that are filled by reading the resource called `name`.

    Its own comes first, then those of its links and of what is embedded in its records.

    Raises:
        CatalogError: as `get`.
    """
    links = tuple(link.table for link in get(name).links)
    return (name, *links, *(resource.name for resource in embedded_in(name)))


def tables() -> tuple[str, ...]:
    """Return all tables that the API fills: each resource's own, then those that come with it."""
    return tuple(t for resource in read_for_themselves() for t in tables_of(resource.name))


def people() -> Resource:
    """Return the table of the people whom scope is about."""
    return next(resource for resource in RESOURCES if resource.people)


def homes() -> Resource:
    """Return the table that says on which campus people live, and so who enters."""
    return next(r for r in RESOURCES if r.entrants is Entrants.WITH_THEM)


def enrolments() -> Resource:
    """Return the table whose rows say in which cursus people are."""
    return next(r for r in RESOURCES if r.strangers is Strangers.ENROLLED)


def nesting_people() -> tuple[Resource, ...]:
    """Return the tables whose records hold the account itself."""
    return tuple(resource for resource in RESOURCES if resource.nests_people)


def refetched() -> Resource:
    """Return the table whose open rows are recomputed upstream without a trace."""
    return next(resource for resource in RESOURCES if resource.silent)


def listed_by_campus(names: Collection[str]) -> tuple[str, ...]:
    """Return the tables whose windows show people of some campuses only; as in `history`."""
    return tuple(
        resource.name
        for resource in (*of_group("primary"), *of_group("further"))
        if resource.campus_filter and not resource.of_campus and is_asked(resource, names)
    )


def children_of_users() -> tuple[Resource, ...]:
    """Return the resources whose rows belong to a user."""
    return tuple(resource for resource in RESOURCES if resource.has_user)


def history(names: Collection[str]) -> tuple[Resource, ...]:
    """Return those of them that are kept true where the setting `tables` has `names`."""
    return tuple(resource for resource in children_of_users() if is_asked(resource, names))


def parents(resource: Resource) -> frozenset[str]:
    """Return the names of all tables that `resource` needs first."""
    tables = {ref.table for ref in resource.references}
    tables.update(link.other_table for link in resource.links)
    tables.update(resource.derives_from)
    return frozenset(tables - {resource.name})


def edges(resources: Iterable[Resource] = RESOURCES) -> dict[str, frozenset[str]]:
    """Return, for each of `resources`, the parents among them that no other parent implies.

    Raises:
        CatalogError: the references run in a circle.
    """
    chosen = {resource.name: resource for resource in resources}
    direct = {name: parents(resource) & chosen.keys() for name, resource in chosen.items()}
    try:
        order = tuple(TopologicalSorter(direct).static_order())
    except CycleError as error:
        message = f"the catalogue's references run in a circle: {error.args[1]}"
        raise CatalogError(message) from error
    ancestors: dict[str, frozenset[str]] = {}
    for name in order:
        ancestors[name] = direct[name].union(*(ancestors[parent] for parent in direct[name]))
    return {
        name: frozenset(
            parent
            for parent in direct[name]
            if not any(parent in ancestors[other] for other in direct[name])
        )
        for name in chosen
    }
