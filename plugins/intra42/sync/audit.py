"""Verify in turn that the API has the rows the mirror has: no more, no fewer.

`X-Total` of `filter[user_id]=<100 ids>&range[id]=1,<highest id mirrored>` costs one request and
proves the existence of thousands of rows. Where it differs from the mirror, the users are halved
until the difference is cornered, and only their rows are read. What is left of the budget refetches
the rows verified longest ago, which finds silent changes in old rows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg import sql

from intra42.api.model import Answer
from intra42.api.pagination import Page, keyset
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import DeleteRefused
from intra42.statements import compose, table
from intra42.sync import absence
from intra42.sync.loading import Trust
from intra42.sync.reading import Reader, ids_of, lock
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

_CHUNK = 100
_READ_TOGETHER = 10  # users, where a filter cannot be trusted to count by


@dataclass(slots=True)
class _Audit:
    """The audit of one table in this run."""

    reader: Reader
    highest: int
    users: int = 0
    rows: int = 0
    refetched: int = 0
    suspects: set[int] = field(default_factory=set)
    counts_can_be_trusted: bool = True

    @property
    def resource(self) -> Resource:
        """The table."""
        return self.reader.resource


def audit(work: Work) -> None:
    """Audit all tables of users' rows within `nightly_audit_requests`; heal what differs.

    Raises:
        DeleteRefused: more rows are gone than the guard allows; the other tables were healed.
        NoWitness: an answer proves nothing.
    """
    budget = work.config.nightly_audit_requests
    if not budget:
        log.info("nightly_audit_requests is 0: nothing is audited")
        return
    first_seq: int = work.fetch("state/run_start")[0][0]
    audits = [_begin(work, resource) for resource in graph.children_of_users()]
    _find_missing_students(work, budget)
    # Counts must not starve the refetches, which alone find silent changes in old rows.
    _count_in_turn(work, audits, first_seq, budget - budget // 3)
    _refetch_oldest(work, audits, first_seq, budget)
    refused: list[str] = []
    for item in audits:
        try:
            _resolve_suspects(work, item)
        except DeleteRefused as error:
            refused.append(str(error))
        item.reader.report_notes()
        total, audited, oldest = work.fetch("audit/progress", resource=item.resource.name)[0]
        log.info(
            "Audit of %s: %d rows of %d users counted, %d rows refetched; %d of %d users counted "
            "so far, longest ago %s",
            item.resource.name,
            item.rows,
            item.users,
            item.refetched,
            audited,
            total,
            f"{oldest:%Y-%m-%d %H:%M} UTC" if oldest else "never",
        )
    if refused:
        raise DeleteRefused("\n".join(refused))


def _begin(work: Work, resource: Resource) -> _Audit:
    lock(work, resource)
    row = work.connection.execute(compose("audit/highest", target=table(resource.name))).fetchone()
    return _Audit(Reader(work, resource), max(1, int(row[0]) if row else 0))


def _left(work: Work, budget: int) -> int:
    return budget - work.client.usage.requests


def _find_missing_students(work: Work, budget: int) -> None:
    """Compare the number of students with the listing's; read it whole where it has more."""
    resource = graph.get("users")
    campuses = sorted(work.config.campus_ids) or None
    for cursus_id in work.config.all_cursus_ids:
        if _left(work, budget) <= 0:
            return
        params = {"filter[kind]": "student", "filter[alumni?]": "false"}
        if campuses:
            params[str(resource.campus_filter)] = ",".join(map(str, campuses))
        path = resource.endpoint.format(cursus_id=cursus_id)
        reader = Reader(work, resource)
        for page in keyset(work.client, path, params):
            if page.number == 1:
                known = work.fetch(
                    "audit/expected_students", campuses=campuses, cursus_id=cursus_id
                )[0][0]
                if page.answer.total <= known:
                    break
                log.info(
                    "%d students in cursus %d, %d of them mirrored: reading the listing again",
                    *(page.answer.total, cursus_id, known),
                )
            reader.absorb(page, Trust.LISTING, lambda: None)
            if _left(work, budget) <= 0:
                break


def _count_in_turn(work: Work, audits: Sequence[_Audit], first_seq: int, budget: int) -> None:
    """Take a hundred users of one table after the other, until all are counted or it is enough."""
    waiting = list(audits)
    while waiting:
        for item in list(waiting):
            users = [
                row[0]
                for row in work.fetch(
                    "audit/next_users", resource=item.resource.name, first_seq=first_seq
                )
            ]
            if not users or _left(work, budget) <= 0:
                waiting.remove(item)
            else:
                _compare(work, item, users, budget)


def _compare(work: Work, item: _Audit, users: Sequence[int], budget: int) -> None:
    """Compare the number of rows of `users`; halve them until a difference is cornered."""
    page = _count(work, item, users) if item.counts_can_be_trusted else None
    if page is None:
        _read_whole(work, item, users, budget)
        return
    answer = page.answer
    ours = _mirrored(work, item, users)
    if answer.total == len(ours) + _parked(work, item, users):
        _mark(work, item, users, answer, len(ours))
    elif answer.total == len(answer.records):
        # All of them are on this page: what it does not show is suspect.
        item.suspects |= ours - ids_of(page)
        _mark(work, item, users, answer, len(ours))
    elif len(users) == 1:
        _read_whole(work, item, users, budget)
    else:
        middle = len(users) // 2
        for half in (users[:middle], users[middle:]):
            # A difference once found is followed to its end, whatever the budget says.
            _compare(work, item, half, budget)


def _count(work: Work, item: _Audit, users: Sequence[int]) -> Page | None:
    """Ask how many rows the API has for `users`, and store those that come with the answer.

    Returns None where the answer shows that it counts other rows too.
    """
    params = item.reader.users_filters(users)
    page = next(keyset(work.client, item.resource.endpoint, params, highest=item.highest))
    before = work.counts.dropped
    item.reader.absorb(page, Trust.DIRECT, lambda: None)
    if work.counts.dropped > before and item.resource.cursus_filter:
        log.warning(
            "%s: %s is not exact, so rows are read instead of counted",
            *(item.resource.name, item.resource.cursus_filter),
        )
        item.counts_can_be_trusted = False
        return None
    return page


def _mirrored(work: Work, item: _Audit, users: Sequence[int]) -> set[int]:
    cursus = item.reader.our_cursus()
    column = sql.NULL if cursus is None else sql.Identifier("mine", "cursus_id")
    statement = compose("audit/mirrored", target=table(item.resource.name), cursus=column)
    values = {
        "users": list(users),
        "highest": item.highest,
        "cursus": None if cursus is None else list(cursus),
    }
    return {row[0] for row in work.connection.execute(statement, values).fetchall()}


def _parked(work: Work, item: _Audit, users: Sequence[int]) -> int:
    statement = compose("audit/parked", target=table(item.resource.name))
    values = {
        "resource": item.resource.name,
        "users": list(map(str, users)),
        "highest": item.highest,
    }
    row = work.connection.execute(statement, values).fetchone()
    return int(row[0]) if row else 0


def _read_whole(work: Work, item: _Audit, users: Sequence[int], budget: int) -> None:
    """Read all rows of some users; what the mirror has beside them is suspect."""
    for part in chunked(users, _READ_TOGETHER):
        if _left(work, budget) <= 0 and len(users) > 1:
            return
        shown: set[int] = set()
        last: list[Answer] = []

        def note(page: Page, shown: set[int] = shown, last: list[Answer] = last) -> None:
            last[:] = [page.answer]
            shown.update(ids_of(page))

        item.reader.read_by(item.reader.users_filters(part), note)
        ours = _mirrored(work, item, part)
        item.suspects |= ours - shown
        _mark(work, item, part, last[0], len(ours))


def _mark(work: Work, item: _Audit, users: Sequence[int], answer: Answer, rows: int) -> None:
    item.users += len(users)
    item.rows += rows
    work.commit(
        lambda: work.execute(
            "audit/mark",
            resource=item.resource.name,
            users=list(users),
            audited_at=answer.date,
            seq=answer.seq,
        )
    )


def _refetch_oldest(work: Work, audits: Sequence[_Audit], first_seq: int, budget: int) -> None:
    """Spend what is left on rows verified longest ago: silent changes in old rows."""
    waiting = list(audits)
    asked: set[tuple[str, int]] = set()
    while waiting:
        for item in list(waiting):
            statement = compose("audit/oldest_checks", target=table(item.resource.name))
            values = {"resource": item.resource.name, "first_seq": first_seq}
            rows = work.connection.execute(statement, values).fetchall()
            name = item.resource.name
            # A row that was parked or did not come back is still the oldest: once is enough.
            ids = sorted(row[0] for row in rows if (name, row[0]) not in asked)
            if not ids or _left(work, budget) <= 0:
                waiting.remove(item)
                continue
            asked.update((name, number) for number in ids)
            item.refetched += len(ids)
            item.suspects |= set(ids) - absence.ask(work, item.reader, ids)


def _resolve_suspects(work: Work, item: _Audit) -> None:
    """Look twice at rows that were not shown, and restore what was deleted and is back."""
    absent: set[int] = set()
    for part in chunked(sorted(item.suspects), _CHUNK):
        absent |= set(part) - absence.ask(work, item.reader, part)
    buried: list[int] = []
    if item.resource.name != "cursus_users":
        # The refresh of ongoing enrolments asks for its own.
        buried = absence.lately_buried(work, item.resource)
    if not absent and not buried:
        return
    gone = absence.ask_again(work, item.reader, sorted({*absent, *buried}))
    restored = [number for number in buried if number not in gone]
    if restored:
        log.warning("%d deleted rows of %s are back", len(restored), item.resource.name)
    proven = {number: gone[number] for number in absent if number in gone}
    absence.delete(work, item.resource, proven, max(item.rows, item.refetched))
