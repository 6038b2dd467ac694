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
from intra42.sync.loading import Trust, existing, load, park
from intra42.sync.parents import CHUNK, cut_all, resolve
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
    known: Batch | None = None,
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
    admitted: set[int] = set()
    for chunk in chunked(sorted(wanted), CHUNK):
        admitted |= _admit_chunk(work, chunk, enrolled=enrolled, returning=returning, known=known)
    outside = sorted(wanted - admitted)
    if outside and remember:
        work.execute("scope/remember_outsiders", ids=outside, checked_at=work.client.last_date)
    return admitted


def _admit_chunk(
    work: Work, chunk: Sequence[int], *, enrolled: bool, returning: bool, known: Batch | None
) -> set[int]:
    memberships: list[Batch] = []
    chosen = set(chunk)
    if work.config.campus_ids:
        memberships = collect(work, "campus_users", {"filter[user_id]": _csv(chosen)})
        if not returning:
            chosen &= _at_home(memberships, frozenset(work.config.campus_ids))
    if chosen and not enrolled and not returning:
        chosen &= _enrolled(work, chosen)
    if not chosen:
        return set()
    users = [known] if known else collect(work, "users", {"filter[id]": _csv(chosen)})
    users = [
        (
            [row for row in rows if row.id in chosen and (returning or is_wanted(row.record))],
            [item for item in unfit if item.id in chosen],
            answer,
        )
        for rows, unfit, answer in users
    ]
    for _rows, unfit, answer in users:
        if unfit:
            work.commit(lambda u=unfit, a=answer: park(work, graph.get("users"), u, a))  # type: ignore[misc]
    entering = {row.id for rows, _unfit, _answer in users for row in rows}
    if entering:
        _store(work, users, memberships, entering)
    return entering


def _store(
    work: Work, users: Sequence[Batch], memberships: Sequence[Batch], entering: set[int]
) -> None:
    campus_users = graph.get("campus_users")
    position = campus_users.column_names.index("user_id")
    own = [
        ([row for row in rows if row.values[position] in entering], unfit, answer)
        for rows, unfit, answer in memberships
    ]
    for rows, _unfit, _answer in own:
        resolve(work, campus_users, rows)
    queued = [
        resource.name
        for resource in graph.children_of_users()
        if resource.name != "campus_users" or not memberships
    ]

    def step() -> None:
        for rows, _unfit, answer in users:
            load(work, graph.get("users"), rows, answer, Trust.DIRECT)
        for rows, unfit, answer in own:
            load(work, campus_users, rows, answer, Trust.DIRECT)
            park(work, campus_users, unfit, answer)
        if own:
            work.execute(
                "derive/from_campus_users", ids=sorted(entering), synced_at=own[-1][2].date
            )
        work.execute("state/enqueue", resources=queued, users=sorted(entering))

    work.commit(step)
    log.info("%d users entered the scope: their whole history will be read", len(entering))


def collect(work: Work, name: str, params: Mapping[str, str]) -> list[Batch]:
    """Read all rows that `params` select, page by page, without storing them.

    Meant for at most 100 users and their few rows of a light table.
    """
    resource = graph.get(name)
    cutter = Cutter(resource, work.config.cursus_ids)
    path = resource.by_id or resource.endpoint
    batches: list[Batch] = []
    for page in keyset(work.client, path, params, page_size=CHUNK, sortable=resource.sortable):
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
    params = {"filter[user_id]": _csv(users), "filter[cursus_id]": _csv(work.config.all_cursus_ids)}
    position = resource.column_names.index("user_id")
    cursus = resource.column_names.index("cursus_id")
    return {
        row.values[position]
        for rows, _unfit, _answer in collect(work, "cursus_users", params)
        for row in rows
        if row.values[cursus] in work.config.all_cursus_ids and looks_like_a_student(row.record)
    }


def _csv(ids: Iterable[int]) -> str:
    return ",".join(map(str, sorted(ids)))
