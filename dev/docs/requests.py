"""How many requests a run costs: the plan of docs/requests.md, computed from the catalogue.

A listing costs one request and one more for each further page of 100 rows. So a run costs what its
questions cost, and what changed. Beside ours stand the floor and what two other designs would spend
on the same tables; the document says what is assumed about them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dev.stack.settings import ROOT
from intra42.catalog.graph import of_group
from intra42.catalog.model import Resource
from intra42.read.listings import WITH_MEMBERSHIPS

PAGE = 100
DOCUMENT = ROOT / "docs" / "requests.md"
BEGIN = "<!-- requests: written by `make docs` -->"
END = "<!-- end of requests -->"

Plan = dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Size:
    """A mirror, and what changed since its last run.

    `campuses` are those configured, 0 for the network; `listed` those of the API. `changed` is rows
    by table that the run's windows show; where a window covers the whole network, all of its rows,
    of which `ours` are mirrored. `rows` is all mirrored rows by table. `strays` are mirrored users
    whose campus is not configured, `hidden` accounts that the list of users no longer shows,
    `entering` users who come into scope, `leaving` those who have just changed campus, `urgent`
    ongoing enrolments of users with a new attempt, `absent` enrolments that do not come back.
    `reference` is rows by reference listing, `mentioned` rows by reference table that no listing
    shows.
    """

    name: str
    users: int
    ongoing: int
    campuses: int = 1
    listed: int = 54
    cursus: int = 2
    strays: int = 0
    hidden: int = 0
    entering: int = 0
    leaving: int = 0
    urgent: int = 0
    absent: int = 0
    budget: int = 20
    changed: Mapping[str, int] = field(default_factory=dict)
    ours: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    reference: Mapping[str, int] = field(default_factory=dict)
    mentioned: Mapping[str, int] = field(default_factory=dict)
    memberships: int = 0

    @property
    def series(self) -> int:
        """How many series of questions a design needs that asks campus by campus."""
        return self.campuses or self.listed


def pages(rows: float) -> int:
    """Return the requests of a listing: an empty one takes one too."""
    return max(1, math.ceil(rows / PAGE))


def chunks(rows: float) -> int:
    """Return the requests that ask for `rows` things, a hundred at a time; none for none."""
    return math.ceil(rows / PAGE)


# Ours.


def window(resource: Resource, size: Size) -> int:
    """Return the requests that show what changed in a table."""
    rows = size.changed.get(resource.name, 0)
    cost = pages(rows)
    if resource.users_if_cheaper:
        # The first page has the total, and tells whether asking for our users costs less.
        cost = min(cost, 1 + chunks(size.users))
    if "{cursus_id}" in resource.endpoint:
        # One listing for each cursus; what changed is shown by one of them.
        cost += size.cursus - 1
    if resource.campus_filter:
        cost += chunks(size.strays)
    return cost + _moving(resource, size)


def _moving(resource: Resource, size: Size) -> int:
    """Return the requests for users who enter or leave: where they live, then their history."""
    if resource.name == "users":
        return chunks(size.entering) if size.campuses else 0
    moving = size.entering
    if resource.name == "campus_users" and size.campuses:
        # Where they live was asked when they turned up.
        moving = 0
    elif resource.name in {"cursus_users", "projects_users"}:
        # Read by campus, so that whoever leaves may have changed unseen.
        moving += size.leaving
    return pages(moving * _EACH[resource.name]) if moving else 0


def quarter(size: Size) -> Plan:
    """Return the requests of an incremental run, by table and for the refresh."""
    plan = backfill(size)
    plan["refresh"] = max(chunks(size.urgent), min(chunks(size.ongoing), size.budget))
    plan["refresh"] += chunks(size.absent) + chunks(size.leaving)
    return plan


def backfill(size: Size) -> Plan:
    """Return the requests of a run of an explicit window, by table."""
    return {resource.name: window(resource, size) for resource in of_group("primary")}


def night(size: Size) -> Plan:
    """Return the requests of a nightly run without its audit, by table and for the refresh."""
    plan = {
        name: pages(rows) + chunks(size.mentioned.get(name, 0))
        for name, rows in size.reference.items()
    }
    for resource in of_group("primary"):
        if resource.name == "users":
            # What changed, and everybody else by id, for what changes silently, strays among them.
            # Accounts that the list does not show are looked for in their enrolments, together.
            others = chunks(max(0, size.users - size.changed.get("users", 0)))
            plan["users"] = window(resource, replace(size, strays=0)) + others
            plan["users"] += math.ceil(size.hidden / (PAGE - 1))
        elif resource.nightly:
            # Asked for by user, so many users together that their rows fill pages.
            plan[resource.name] = chunks(max(size.memberships, size.users))
        else:
            plan[resource.name] = window(resource, size)
    # Whoever left is read by id once more.
    plan["refresh"] = chunks(size.ongoing) + chunks(size.absent) + chunks(size.leaving)
    return plan


def first_load(size: Size) -> Plan:
    """Return the requests of the first nightly run, by table and for the refresh."""
    plan = {
        name: pages(rows) + chunks(size.mentioned.get(name, 0))
        for name, rows in size.reference.items()
    }
    for resource in of_group("primary"):
        if resource.name == "users":
            # A listing for each cursus, and where a page's users live, if campuses are configured.
            plan["users"] = size.cursus - 1
            each = size.rows["campus_users"] / max(1, size.users)
            whole, rest = divmod(size.users, WITH_MEMBERSHIPS)
            if size.campuses:
                plan["users"] += whole * (1 + pages(WITH_MEMBERSHIPS * each))
                plan["users"] += (1 + pages(rest * each)) if rest else 0
            else:
                plan["users"] += pages(size.users)
        elif resource.name == "campus_users" and size.campuses:
            # Read with each user who entered, that is everybody.
            plan["campus_users"] = 0
        else:
            plan[resource.name] = _by_user(resource.name, size)
    plan["refresh"] = chunks(size.ongoing)
    return plan


def _by_user(name: str, size: Size) -> int:
    """Return the requests for all rows of a table, a hundred users at a time or fewer.

    From the second chunk on it is known how many rows a user has, so that chunks of few pages are
    made to fill them, with a margin.
    """
    each = size.rows[name] / max(1, size.users)
    first = min(size.users, PAGE)
    rest, rows = size.users - first, PAGE * each * 1.08
    if not PAGE < rows <= 5 * PAGE:
        whole, last = divmod(rest, PAGE)
        return (
            pages(first * each) + whole * pages(PAGE * each) + (pages(last * each) if last else 0)
        )
    full = int(rows // PAGE)
    return pages(first * each) + math.ceil(rest * each * 1.08 / (full * PAGE)) * full


# The floor: one question for each table that may have changed, and full pages of what did.


def floor_quarter(size: Size) -> Plan:
    """Return the fewest requests that show what changed; levels only of users with an attempt."""
    plan = {
        resource.name: pages(_scoped(resource, size) + size.entering * _EACH.get(resource.name, 1))
        for resource in of_group("primary")
    }
    return plan | {"refresh": chunks(size.urgent)}


def floor_night(size: Size) -> Plan:
    """Return the fewest requests that show what changed, and each row that changes silently."""
    plan = {name: pages(rows) for name, rows in size.reference.items()} | floor_quarter(size)
    plan["users"] = pages(size.users)
    plan["coalitions_users"] = pages(size.memberships)
    return plan | {"refresh": chunks(size.ongoing)}


def floor_first_load(size: Size) -> Plan:
    """Return full pages of all rows, each read once."""
    plan = {name: pages(rows) for name, rows in size.reference.items()}
    for resource in of_group("primary"):
        plan[resource.name] = pages(
            size.users if resource.name == "users" else size.rows[resource.name]
        )
    return plan | {"refresh": 0}


# The shell pipeline: campus by campus, page after page until one is empty.


def _until_empty(rows: float, series: int = 1) -> int:
    """Return the requests of `series` listings with `rows` rows together, each to an empty page."""
    return series * (math.ceil(rows / series / PAGE) + 1)


def shell_quarter(size: Size) -> Plan:
    """Return a cycle of the shell pipeline: one question a campus and table at least."""
    plan = {
        resource.name: _until_empty(_scoped(resource, size), size.series)
        for resource in of_group("primary")
    }
    # The one is made up from attempts; the other is read with the metadata.
    return plan | {"achievements_users": 0, "coalitions_users": 0, "refresh": 0}


def shell_night(size: Size) -> Plan:
    """Return a cycle of the shell pipeline with its metadata and its list of all users."""
    plan = _shell_reference(size) | shell_quarter(size)
    plan["users"] = _until_empty(size.users, size.series)
    plan["coalitions_users"] = _until_empty(size.memberships, size.series * _COALITIONS)
    return plan


def shell_first_load(size: Size) -> Plan:
    """Return everything, campus by campus."""
    plan = shell_night(size)
    for name in ("campus_users", "cursus_users", "projects_users"):
        plan[name] = _until_empty(size.rows[name], size.series)
    return plan


def _shell_reference(size: Size) -> Plan:
    return {
        "cursus": _until_empty(size.reference["cursus"]),
        "campuses": _until_empty(size.reference["campuses"]),
        "projects": _until_empty(size.reference["projects"]),
        "achievements": _until_empty(_CAMPUS_ACHIEVEMENTS * size.series, size.series),
        "coalitions": _until_empty(_ALL_COALITIONS),
    }


# CodamHero: written for one campus, so once for each; all ongoing enrolments in each cycle.


def hero_quarter(size: Size) -> Plan:
    """Return a cycle of CodamHero for each campus: windows, coalitions, ongoing rows by id."""
    each = size.series
    plan = {
        resource.name: each * pages(_scoped(resource, size) / each)
        for resource in of_group("primary")
    }
    plan["achievements_users"] = pages(size.changed.get("achievements_users", 0))
    plan["coalitions_users"] = each * pages(size.memberships / each)
    return plan | {"refresh": each * pages(size.ongoing / each)}


def hero_night(size: Size) -> Plan:
    """Return such a cycle with the reference tables."""
    return {name: pages(rows) for name, rows in size.reference.items()} | hero_quarter(size)


def hero_first_load(size: Size) -> Plan:
    """Return everything, campus by campus, and the first cycle's refetch."""
    plan = hero_night(size)
    each = size.series
    plan["users"] = each * pages(size.users / each)
    for name in ("campus_users", "cursus_users", "projects_users"):
        plan[name] = each * pages(size.rows[name] / each)
    plan["achievements_users"] = _by_user("achievements_users", size)
    return plan


def _scoped(resource: Resource, size: Size) -> int:
    """Return the changed rows of our campuses, whatever the endpoint can filter by."""
    return size.ours.get(resource.name, size.changed.get(resource.name, 0))


# What the document assumes.

_REFERENCE = {"cursus": 75, "campuses": 54, "projects": 535, "achievements": 102, "coalitions": 108}
_NETWORK = {**_REFERENCE, "achievements": 1042}
_CAMPUS_ACHIEVEMENTS = 102
_ALL_COALITIONS = 350
_COALITIONS = 7  # of a campus: four of its cursus, three of its piscine
_EACH = {
    "campus_users": 1.06,
    "cursus_users": 1.1,
    "projects_users": 17,
    "achievements_users": 11,
    "coalitions_users": 1.3,
}  # rows of a user


def _size(name: str, users: int, ongoing: int, campuses: int) -> Size:
    rows = {table: round(users * each) for table, each in _EACH.items()}
    return Size(
        name=name,
        users=users,
        ongoing=ongoing,
        campuses=campuses,
        rows=rows,
        memberships=rows["coalitions_users"],
        reference=_REFERENCE if campuses == 1 else _NETWORK,
    )


SIZES = (
    _size("campus", 600, 600, 1),
    _size("region", 5000, 5000, 6),
    _size("network", 40_000, 20_000, 0),
)


def busy(size: Size, accounts: int = 1000) -> Size:
    """Return the size after a quarter hour in which `accounts` of the network changed.

    They are mirrored ones as far as there are so many. Each has a new attempt and half of them a
    second one; half earn an achievement; one in fifty joins a campus or a coalition.
    """
    mine = min(accounts, size.users)
    return replace(
        size,
        urgent=mine,
        changed={
            "users": mine,
            "campus_users": accounts // 50,
            "cursus_users": mine,
            "projects_users": mine * 3 // 2,
            "achievements_users": accounts // 2,
            "coalitions_users": accounts // 50,
        },
        ours={
            "campus_users": mine // 50,
            "achievements_users": mine // 2,
            "coalitions_users": mine // 50,
        },
    )


def ordinary(size: Size, network: int = 40_000) -> Size:
    """Return the size after an ordinary day.

    Of a hundred users 17 changed, 14 have a new attempt or mark, five a new enrolment date or
    grade, two an achievement, one in two hundred a campus. A few enter, leave and were erased.
    """
    mine = size.users
    return replace(
        size,
        strays=mine // 100 if size.campuses else 0,
        hidden=mine // 100,
        entering=max(1, mine // 1000),
        leaving=max(1, mine // 2000) if size.campuses else 0,
        absent=max(1, mine // 1000),
        mentioned={"campuses": 12, "projects": 5, "achievements": 20},
        changed={
            "users": mine * 17 // 100,
            "campus_users": network // 200,
            "cursus_users": mine * 5 // 100,
            "projects_users": mine * 14 // 100,
            "achievements_users": network * 2 // 100,
        },
        ours={"campus_users": mine // 200, "achievements_users": mine * 2 // 100},
    )


def _same(size: Size) -> Size:
    return size


_QUARTER = (quarter, floor_quarter, shell_quarter, hero_quarter)
_NIGHT = (night, floor_night, shell_night, hero_night)
_FIRST = (first_load, floor_first_load, shell_first_load, hero_first_load)
SITUATIONS: tuple[tuple[str, Callable[[Size], Size], tuple[Callable[[Size], Plan], ...]], ...] = (
    ("A quiet quarter hour", _same, _QUARTER),
    ("A busy quarter hour", busy, _QUARTER),
    ("A quiet night", _same, _NIGHT),
    ("An ordinary night", ordinary, _NIGHT),
    ("A first load", _same, _FIRST),
)


def _shown(requests: int) -> str:
    return f"{requests:,}" if requests else "-"


def tables() -> str:
    """Return the Markdown tables of all situations: ours, the floor, the two other designs."""
    parts = []
    for title, happen, designs in SITUATIONS:
        cells = [[design(happen(size)) for design in designs] for size in SIZES]
        rows = [
            f"| {title} | {' | '.join(f'{size.name} of {size.users:,}' for size in SIZES)} |",
            "| --- | --- | --- | --- |",
        ]
        for name in cells[0][0]:
            shown = (" / ".join(_shown(plan[name]) for plan in plans) for plans in cells)
            rows.append(f"| `{name}` | {' | '.join(shown)} |")
        totals = (" / ".join(f"{sum(p.values()):,}" for p in plans) for plans in cells)
        rows.append(f"| together | {' | '.join(totals)} |")
        parts.append("\n".join(rows))
    return "\n\n".join([*parts, _day()])


def _day() -> str:
    """Return the Markdown table of 96 quiet quarter hours and an ordinary night."""
    frugal = [replace(size, budget=0) for size in SIZES]
    rows = (
        ("ours", SIZES, quarter, night),
        ("ours with `incremental_request_budget` 0", frugal, quarter, night),
        ("shell pipeline", SIZES, shell_quarter, shell_night),
        ("CodamHero", SIZES, hero_quarter, hero_night),
    )
    lines = [
        "| A day of 96 quiet quarter hours and an ordinary night | campus | region | network |",
        "| --- | --- | --- | --- |",
    ]
    for who, sizes, by_day, at_night in rows:
        costs = (
            96 * sum(by_day(size).values()) + sum(at_night(ordinary(size)).values())
            for size in sizes
        )
        lines.append(f"| {who} | {' | '.join(f'{cost:,}' for cost in costs)} |")
    return "\n".join(lines)
