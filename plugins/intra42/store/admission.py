"""Who is in scope: users who enter bring their whole history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from intra42.api.concurrent import Concurrent, Series
from intra42.api.page import Page
from intra42.api.pagination import keyset
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.store.decode import Bad, Decoded, Seen, decode
from intra42.store.loading import Provenance, existing
from intra42.store.page import put
from intra42.store.parents import CHUNK, resolve
from intra42.store.rows import Cutter

log = logging.getLogger(__name__)

_REMEMBERED = timedelta(days=7)

Homes = Mapping[int, set[int]]  # the campuses that users are members of


@dataclass(frozen=True, slots=True)
class Admission:
    """Who has entered the scope, and who belongs to it but may have no record to be stored."""

    entered: set[int] = field(default_factory=set)
    in_scope: set[int] = field(default_factory=set)


def looks_like_a_student(record: Mapping[str, Any]) -> bool:
    """Tell from a record's nested user whether they may belong to the mirror."""
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
    known: Sequence[Seen] | None = None,
) -> set[int]:
    """Mirror those of `ids` who are in scope and queue their history; return them.

    `enrolled` says that a row of theirs in a configured cursus was seen. With `remember`, the
    evidence is weak: somebody who was looked up in the last 7 days and found outside is not asked
    for again. Whoever is `returning` was in the mirror before, and who is in stays in, whatever
    they have become. `known` has the users' own records, where an answer has just shown them.
    """
    wanted = set(ids) - existing(work, graph.people().name, ids)
    if remember and wanted and work.client.last_date:
        since = work.client.last_date - _REMEMBERED
        rows = work.fetch("scope/outsiders", ids=sorted(wanted), since=since)
        wanted -= {row[0] for row in rows}
    admitted = _admit(work, wanted, enrolled=enrolled, returning=returning, known=known).entered
    outside = sorted(wanted - admitted)
    if outside and remember:
        work.execute("scope/remember_outsiders", ids=outside, checked_at=work.client.last_date)
    return admitted


def admit_shown(
    work: Work, seen: Sequence[Seen], bad: Iterable[Bad], check: Callable[[Homes], None]
) -> Admission:
    """Mirror those users in scope whose own records a listing has just shown.

    The records in `bad` cannot be stored; whether they are in scope is told all the same. `check`
    is told where they all live before anybody is stored.
    """
    wanted = {row.id for row, _answer in seen} | {int(item.id or 0) for item, _answer in bad}
    return _admit(work, wanted, enrolled=True, returning=False, known=seen, check=check)


def _admit(
    work: Work,
    wanted: set[int],
    *,
    enrolled: bool,
    returning: bool,
    known: Sequence[Seen] | None = None,
    check: Callable[[Homes], None] | None = None,
) -> Admission:
    memberships = Decoded()
    chosen = set(wanted)
    if work.config.campus_ids:
        memberships = collect(work, graph.homes(), chosen)
        if check:
            check(_campuses(memberships))
        if not returning:
            chosen &= _at_home(memberships, frozenset(work.config.campus_ids))
    if not enrolled and not returning:
        chosen &= _enrolled(work, chosen)
    if not chosen:
        return Admission()
    seen = _ask_for(work, chosen, returning=returning) if known is None else known
    entering = [
        (row, answer)
        for row, answer in seen
        if row.id in chosen and (returning or is_wanted(row.record))
    ]
    if entering:
        _store(work, entering, memberships)
    return Admission({row.id for row, _answer in entering}, chosen)


def _ask_for(work: Work, chosen: set[int], *, returning: bool) -> list[Seen]:
    """Return the users' own records; park those in scope that cannot be stored."""
    users = graph.people()
    found = collect(work, users, chosen)
    own = [
        (item, answer)
        for item, answer in found.bad
        if item.id in chosen and (returning or is_wanted(item.record))
    ]
    if own:
        work.commit(lambda: put(work, users, Decoded(bad=own), Provenance.DIRECT))
    return found.seen


def _store(work: Work, users: list[Seen], memberships: Decoded) -> None:
    """Store users who enter with their memberships, and queue the rest of their history."""
    homes = graph.homes()
    position = homes.column_names.index("user_id")
    owner = Cutter(homes)
    entering = {row.id for row, _answer in users}
    # The memberships of users who stay outside came with them.
    own = Decoded(
        seen=[(row, a) for row, a in memberships.seen if row.values[position] in entering],
        bad=[(i, a) for i, a in memberships.bad if owner.read(i.record, "user_id") in entering],
    )
    resolve(work, homes, own)
    queued = [
        resource.name
        for resource in graph.history(work.config.tables)
        if resource is not homes or not work.config.campus_ids
    ]

    def step() -> None:
        put(work, graph.people(), Decoded(seen=users), Provenance.DIRECT)
        put(work, homes, own, Provenance.DIRECT, new=True)
        work.execute("jobs/enqueue", resources=queued, users=sorted(entering))

    work.commit(step)
    log.info("%d users entered the scope: their whole history will be read", len(entering))


def collect(work: Work, resource: Resource, ids: Iterable[int], **filters: str) -> Decoded:
    """Read all rows of these users, a hundred a question, without storing them.

    Meant for a few hundred users and their few rows of a light table. The records are counted.
    """
    cutter = Cutter(resource, work.request.mirrored_cursus("cursus_ids"))
    path = resource.by_id or resource.endpoint
    questions = iter(
        [
            Series(
                keyset(
                    work.client,
                    path,
                    {str(resource.user_key): ",".join(map(str, chunk)), **filters},
                    page_size=CHUNK,
                    sortable=resource.sortable,
                )
            )
            for chunk in chunked(sorted(ids), CHUNK)
        ]
    )
    pages: list[Page] = []
    with Concurrent(work.client, lambda: next(questions, None)) as concurrent:
        for landed in concurrent:
            for _series, page in landed:
                work.log_page(page)
                work.counts.records += len(page.records)
                pages.append(page)
    return decode(cutter, pages)


def _at_home(memberships: Decoded, campus_ids: frozenset[int]) -> set[int]:
    """Return the users whose primary campus (highest id if several) is one of `campus_ids`."""
    names = graph.homes().column_names
    user, campus, primary = (names.index(n) for n in ("user_id", "campus_id", "is_primary"))
    home: dict[int, tuple[int, int]] = {}
    for row in memberships.rows:
        if row.values[primary]:
            best = (row.id, row.values[campus])
            home[row.values[user]] = max(home.get(row.values[user], best), best)
    return {owner for owner, (_id, where) in home.items() if where in campus_ids}


def _campuses(memberships: Decoded) -> Homes:
    """Return all campuses that users are members of, primary or not."""
    names = graph.homes().column_names
    user, campus = names.index("user_id"), names.index("campus_id")
    found: dict[int, set[int]] = {}
    for row in memberships.rows:
        found.setdefault(row.values[user], set()).add(row.values[campus])
    return found


def _enrolled(work: Work, users: set[int]) -> set[int]:
    resource = graph.enrolments()
    ours = work.config.all_cursus_ids
    position = resource.column_names.index("user_id")
    cursus = resource.column_names.index("cursus_id")
    filters = {str(resource.cursus_filter): ",".join(map(str, sorted(ours)))}
    return {
        row.values[position]
        for row in collect(work, resource, users, **filters).rows
        if row.values[cursus] in ours and looks_like_a_student(row.record)
    }
