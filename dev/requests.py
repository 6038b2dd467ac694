"""How many requests a run costs: the plan of docs/requests.md, computed from the catalogue.

A listing costs one request and one more for each further page of 100 rows. So a run costs what its
questions cost, and what changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dev.settings import ROOT
from intra42.catalog.graph import of_group
from intra42.catalog.model import Resource

PAGE = 100
DOCUMENT = ROOT / "docs" / "requests.md"
BEGIN = "<!-- requests: written by `make docs` -->"
END = "<!-- end of requests -->"


@dataclass(frozen=True, kw_only=True)
class Size:
    """A mirror, and what changed since its last run.

    `changed` is rows by table that the run's windows show; where a window covers the whole network,
    all of its rows. `strays` are mirrored users whose campus is not configured. `reference` is rows
    by reference listing, `mentioned` rows by reference table that no listing shows.
    """

    name: str
    users: int
    ongoing: int
    cursus: int = 2
    strays: int = 0
    budget: int = 20
    changed: Mapping[str, int] = field(default_factory=dict)
    reference: Mapping[str, int] = field(default_factory=dict)
    mentioned: Mapping[str, int] = field(default_factory=dict)
    memberships: int = 0


def pages(rows: int) -> int:
    """Return the requests of a listing: an empty one takes one too."""
    return max(1, math.ceil(rows / PAGE))


def window(resource: Resource, size: Size) -> int:
    """Return the requests that show what changed in a table."""
    rows = size.changed.get(resource.name, 0)
    cost = pages(rows)
    if resource.users_if_cheaper:
        # The first page has the total, and tells whether asking for our users costs less.
        cost = min(cost, 1 + math.ceil(size.users / PAGE))
    if "{cursus_id}" in resource.endpoint:
        # One listing for each cursus; what changed is shown by one of them.
        cost += size.cursus - 1
    if resource.campus_filter and size.strays:
        cost += math.ceil(size.strays / PAGE)
    return cost


def quarter(size: Size) -> dict[str, int]:
    """Return the requests of an incremental run, by table and for the refresh."""
    plan = {resource.name: window(resource, size) for resource in of_group("primary")}
    plan["refresh"] = min(math.ceil(size.ongoing / PAGE), size.budget)
    return plan


def night(size: Size) -> dict[str, int]:
    """Return the requests of a nightly run without its audit, by table and for the refresh."""
    plan = {
        name: pages(rows) + math.ceil(size.mentioned.get(name, 0) / PAGE)
        for name, rows in size.reference.items()
    }
    for resource in of_group("primary"):
        if resource.name == "users":
            # What changed, and everybody by id, for what changes silently.
            plan[resource.name] = window(resource, size) + math.ceil(size.users / PAGE)
        elif resource.silent:
            # Asked for by user, so many users together that their rows fill pages.
            plan[resource.name] = math.ceil(max(size.memberships, size.users) / PAGE)
        else:
            plan[resource.name] = window(resource, size)
    plan["refresh"] = math.ceil(size.ongoing / PAGE)
    return plan


_REFERENCE = {"cursus": 75, "campuses": 54, "projects": 535, "achievements": 120, "coalitions": 54}
_NETWORK = {**_REFERENCE, "achievements": 1042}
_DAY = {"users": 300, "campus_users": 100, "cursus_users": 150, "projects_users": 400}
SIZES = (
    Size(name="campus", users=600, ongoing=600, reference=_REFERENCE, changed={}),
    Size(name="region", users=5000, ongoing=5000, reference=_REFERENCE, changed={}),
    Size(name="network", users=40_000, ongoing=20_000, reference=_NETWORK, changed={}),
)


def tables() -> str:
    """Return the Markdown tables of the quiet quarter hour and of the quiet night."""
    parts = []
    for title, plan in (("A quiet quarter hour", quarter), ("A quiet night", night)):
        plans = [plan(size) for size in SIZES]
        rows = [
            f"| {title} | {' | '.join(f'{size.name} of {size.users:,}' for size in SIZES)} |",
            "| --- | --- | --- | --- |",
            *(f"| `{name}` | {' | '.join(str(one[name]) for one in plans)} |" for name in plans[0]),
            f"| together | {' | '.join(str(sum(one.values())) for one in plans)} |",
        ]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)
