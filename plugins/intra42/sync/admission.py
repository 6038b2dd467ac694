"""Who is in scope: users who enter bring their whole history."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from intra42.api.model import Answer
from intra42.api.pagination import keyset
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.sync.embedded import cut_all
from intra42.sync.flight import Flight, Series
from intra42.sync.loading import Seen, Trust, existing, load_all, park
from intra42.sync.parents import CHUNK, resolve
from intra42.sync.rows import Cutter, Row, Unfit
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

_REMEMBERED = timedelta(days=7)

Batch = tuple[list[Row], list[Unfit], Answer]


def looks_like_a_student(record: Mapping[str, Any]) -> bool:
    """Tell from a record's nested user whether he may belong to the mirror."""
    user = record.get("user")
    return isinstance(user, Mapping) and is_wanted(user)


def is_wanted(user: Mapping[str, Any]) -> bool:
    """Tell whether an account not yet mirrored is needed: a student who is not an alumnus."""
    return user.get("kind") == "student" and user.get("alumni?") is not True


def admit(
    work: Work,
    ids: Iterable[int],
    *,
    enrolled: bool,
    remember: bool,
    returning: bool = False,
    known: Sequence[Seen] = (),
) -> set[int]:
    """Mirror those of `ids` who are in scope and queue their history; return them.

    `enrolled` says that a row of theirs in a configured cursus was seen. With `remember`, the
    evidence is weak: somebody who was looked up in the last 7 days and found outside is not asked
    for again. Whoever is `returning` was in the mirror before, and who is in stays in, whatever he
    has become. `known` holds the users' own records where a listing has just shown them.
    """
    wanted = set(ids) - existing(work, "users", ids)
    if remember and wanted and work.client.last_date:
        since = work.client.last_date - _REMEMBERED
        rows = work.fetch("scope/outsiders", ids=sorted(wanted), since=since)
        wanted -= {row[0] for row in rows}
    admitted = _admit(work, wanted, enrolled=enrolled, returning=returning, known=known)
    outside = sorted(wanted - admitted)
    if outside and remember:
        work.execute("scope/remember_outsiders", ids=outside, checked_at=work.client.last_date)
    return admitted


def _admit(
    work: Work, wanted: set[int], *, enrolled: bool, returning: bool, known: Sequence[Seen]
) -> set[int]:
    memberships: list[Batch] = []
    chosen = set(wanted)
    if work.config.campus_ids:
        memberships = collect(work, "campus_users", "filter[user_id]", chosen)
        if not returning:
            chosen &= _at_home(memberships, frozenset(work.config.campus_ids))
    if not enrolled and not returning:
        chosen &= _enrolled(work, chosen)
    if not chosen:
        return set()
    seen = list(known)
    if not seen:
        for rows, unfit, answer in collect(work, "users", "filter[id]", chosen):
            seen += [(row, answer) for row in rows]
            own = [item for item in unfit if item.id in chosen]
            if own:
                work.commit(lambda u=own, a=answer: park(work, graph.get("users"), u, a))  # type: ignore[misc]
    entering = [
        (row, answer)
        for row, answer in seen
        if row.id in chosen and (returning or is_wanted(row.record))
    ]
    if entering:
        _store(work, entering, memberships)
    return {row.id for row, _answer in entering}


def _store(work: Work, users: Sequence[Seen], memberships: Sequence[Batch]) -> None:
    """Store users who enter with their memberships, and queue the rest of their history."""
    campus_users = graph.get("campus_users")
    position = campus_users.column_names.index("user_id")
    entering = {row.id for row, _answer in users}
    own = [
        (row, answer)
        for rows, _unfit, answer in memberships
        for row in rows
        if row.values[position] in entering
    ]
    resolve(work, campus_users, [row for row, _answer in own])
    queued = [
        resource.name
        for resource in graph.children_of_users()
        if resource.name != "campus_users" or not memberships
    ]

    def step() -> None:
        load_all(work, graph.get("users"), users, Trust.DIRECT)
        load_all(work, campus_users, own, Trust.DIRECT)
        for _rows, unfit, answer in memberships:
            park(work, campus_users, unfit, answer)
        if memberships:
            work.execute(
                "derive/from_campus_users",
                ids=sorted(entering),
                synced_at=memberships[-1][2].date,
            )
        work.execute("state/enqueue", resources=queued, users=sorted(entering))

    work.commit(step)
    log.info("%d users entered the scope: their whole history will be read", len(entering))


def collect(work: Work, name: str, key: str, ids: Iterable[int], **filters: str) -> list[Batch]:
    """Read all rows of `ids`, a hundred a question, without storing them.

    Meant for a few hundred users and their few rows of a light table.
    """
    resource = graph.get(name)
    cutter = Cutter(resource, work.request.mirrored_cursus("cursus_ids"))
    path = resource.by_id or resource.endpoint
    questions = iter(
        [
            Series(
                keyset(
                    work.client,
                    path,
                    {key: ",".join(map(str, chunk)), **filters},
                    page_size=CHUNK,
                    sortable=resource.sortable,
                )
            )
            for chunk in chunked(sorted(ids), CHUNK)
        ]
    )
    batches: list[Batch] = []
    with Flight(work.client, lambda: next(questions, None)) as flight:
        for landed in flight:
            for _series, page in landed:
                work.log_page(page, name)
                work.counts.records += len(page.records)
                rows, unfit = cut_all(cutter, page.records)
                batches.append((rows, unfit, page.answer))
    return batches


def _at_home(memberships: Sequence[Batch], campus_ids: frozenset[int]) -> set[int]:
    """Return the users whose primary campus (highest id if several) is one of `campus_ids`."""
    names = graph.get("campus_users").column_names
    user, campus, primary = (names.index(n) for n in ("user_id", "campus_id", "is_primary"))
    home: dict[int, tuple[int, int]] = {}
    for rows, _unfit, _answer in memberships:
        for row in rows:
            if row.values[primary]:
                best = (row.id, row.values[campus])
                home[row.values[user]] = max(home.get(row.values[user], best), best)
    return {owner for owner, (_id, where) in home.items() if where in campus_ids}


def _enrolled(work: Work, users: set[int]) -> set[int]:
    resource: Resource = graph.get("cursus_users")
    ours = work.config.all_cursus_ids
    position = resource.column_names.index("user_id")
    cursus = resource.column_names.index("cursus_id")
    filters = {"filter[cursus_id]": ",".join(map(str, sorted(ours)))}
    return {
        row.values[position]
        for rows, _unfit, _answer in collect(
            work, resource.name, "filter[user_id]", users, **filters
        )
        for row in rows
        if row.values[cursus] in ours and looks_like_a_student(row.record)
    }
