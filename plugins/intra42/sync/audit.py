"""Verify in turn that the API has the rows the mirror has: no more, no fewer.

`X-Total` of `filter[user_id]=<100 ids>&range[id]=1,<highest id mirrored>` costs one request and
proves the existence of thousands of rows. Where it differs from the mirror, the users are halved
until the difference is cornered, and only their rows are read. What is left of the budget refetches
the rows verified longest ago, which finds silent changes in old rows.
"""

from __future__ import annotations

import logging
from collections import deque
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
from intra42.sync.flight import Flight, Series
from intra42.sync.loading import Trust
from intra42.sync.parents import CHUNK
from intra42.sync.reading import IdsSeries, Reader, ids_of, lock
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

_READ_TOGETHER = 10  # users, where a filter cannot be trusted to count by


@dataclass(slots=True)
class _Audit:
    """The audit of one table in this run."""

    reader: Reader
    highest: int
    users: int = 0
    rows: int = 0
    asked: set[int] = field(default_factory=set)  # ids refetched
    being_counted: set[int] = field(default_factory=set)  # users
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
            len(item.asked),
            audited,
            total,
            f"{oldest:%Y-%m-%d %H:%M} UTC" if oldest else "never",
        )
    if refused:
        raise DeleteRefused("\n".join(refused))


def _begin(work: Work, resource: Resource) -> _Audit:
    lock(work, resource)
    reader = Reader(work, resource)
    return _Audit(reader, max(1, reader.highest_stored()))


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
            reader.absorb([page], Trust.LISTING, lambda: None)
            if _left(work, budget) <= 0:
                break


class _Question(Series):
    """How many rows the API has for some users; those that come with the answer are stored."""

    def __init__(self, item: _Audit, users: Sequence[int]) -> None:
        params = item.reader.users_filters(users)
        client = item.reader.work.client
        super().__init__(keyset(client, item.resource.endpoint, params, highest=item.highest))
        self.item = item
        self.users = users

    def arrived(self, page: Page, spare: int) -> bool:
        """Ask for no other page: the first one has the number."""
        del page, spare
        return False


def _count_in_turn(work: Work, audits: Sequence[_Audit], first_seq: int, budget: int) -> None:
    """Take a hundred users of one table after the other, until all are counted or it is enough.

    A difference once found is followed to its end, whatever the budget says.
    """
    waiting = deque(audits)
    followed: deque[_Question] = deque()

    def more() -> _Question | None:
        if followed:
            return followed.popleft()
        while waiting and _left(work, budget) > flight.under_way:
            item = waiting.popleft()
            users = _next_users(work, item, first_seq)
            if not users:
                continue
            waiting.append(item)
            if item.counts_can_be_trusted:
                item.being_counted.update(users)
                return _Question(item, users)
            _read_whole(work, item, users, budget)
        return None

    with Flight(work.client, more) as flight:
        for landed in flight:
            for question, page in landed:
                assert isinstance(question, _Question)  # noqa: S101  # `more` returns no other
                for users in _compare(work, question, page, budget):
                    followed.append(_Question(question.item, users))


def _next_users(work: Work, item: _Audit, first_seq: int) -> list[int]:
    rows = work.fetch(
        "audit/next_users",
        resource=item.resource.name,
        first_seq=first_seq,
        being_counted=list(item.being_counted),
    )
    return [row[0] for row in rows]


def _compare(work: Work, question: _Question, page: Page, budget: int) -> list[Sequence[int]]:
    """Compare the number of rows with the mirror's; return the halves of a difference, to be asked.

    Where a difference can be told from the page, or is that of a single user, it is cornered.
    """
    item, users, answer = question.item, question.users, page.answer
    item.being_counted.difference_update(users)
    if not _store_counted(work, item, page):
        _read_whole(work, item, users, budget)
        return []
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
        item.being_counted.update(users)
        return [users[:middle], users[middle:]]
    return []


def _store_counted(work: Work, item: _Audit, page: Page) -> bool:
    """Store the rows that came with a count; tell whether it counts nobody else's."""
    before = work.counts.dropped
    item.reader.absorb([page], Trust.DIRECT, lambda: None)
    if work.counts.dropped > before and item.resource.cursus_filter:
        log.warning(
            "%s: %s is not exact, so rows are read instead of counted",
            *(item.resource.name, item.resource.cursus_filter),
        )
        item.counts_can_be_trusted = False
    return item.counts_can_be_trusted


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
    waiting = deque(audits)

    def more() -> _Refetch | None:
        while waiting and _left(work, budget) > flight.under_way:
            item = waiting.popleft()
            statement = compose("audit/oldest_checks", target=table(item.resource.name))
            # A row that was parked or did not come back is still the oldest: once is enough.
            values = {
                "resource": item.resource.name,
                "first_seq": first_seq,
                "asked": list(item.asked),
            }
            rows = work.connection.execute(statement, values).fetchall()
            if rows:
                waiting.append(item)
                ids = sorted(row[0] for row in rows)
                item.asked.update(ids)
                return _Refetch(item, ids)
        return None

    with Flight(work.client, more) as flight:
        for landed in flight:
            for series, page in landed:
                assert isinstance(series, _Refetch)  # noqa: S101  # `more` returns no other
                series.item.reader.absorb_landed([(series, page)], Trust.DIRECT)


class _Refetch(IdsSeries):
    """Rows asked for again; those that do not come back are suspect."""

    def __init__(self, item: _Audit, ids: Sequence[int]) -> None:
        super().__init__(item.reader, ids)
        self.item = item

    def stored(self, page: Page) -> None:
        """Note what did not come back.

        Raises:
            NoWitness: the answer proves nothing.
        """
        if page.done:
            reader = self.item.reader
            returned = self.returned or absence.ask_beside_witness(reader.work, reader, self.ids)
            self.item.suspects |= set(self.ids) - returned


def _resolve_suspects(work: Work, item: _Audit) -> None:
    """Look twice at rows that were not shown, and restore what was deleted and is back."""
    absent: set[int] = set()
    for part in chunked(sorted(item.suspects), CHUNK):
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
    absence.delete(work, item.resource, proven, max(item.rows, len(item.asked)))
