"""Verify in turn that the API has the rows the mirror has: no more, no fewer.

Sets are compared wherever a page shows all rows of a question. Else `X-Total` of
`filter[user_id]=<100 ids>&range[id]=<from>,<to>` costs one request and counts thousands of rows. A
sum can be right by two errors, so who is counted together, and where the ids are cut, is drawn anew
each night. Where a count differs, the users are halved until the difference is cornered, and only
their rows are read. What is left of the budget refetches the rows verified longest ago, which finds
silent changes in old rows. Each of these has a share of the budget that the others cannot eat.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import zip_longest

from psycopg import sql

from intra42.api.concurrent import Concurrent, Series
from intra42.api.model import Answer
from intra42.api.pagination import Page, keyset
from intra42.attempt.troubles import Troubles
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import Intra42Error
from intra42.read import history
from intra42.read.history import packed
from intra42.store.loading import Provenance
from intra42.store.parents import CHUNK
from intra42.store.reading import IdsSeries, Reader, ids_of, lock
from intra42.verify import absence
from intra42.verify.draw import drawn, rotated
from intra42.verify.erasure import try_to_erase
from intra42.verify.pruning import prune
from intra42.verify.purge import purge
from intra42.verify.students import find_missing_students
from intra42.warehouse.statements import SCHEMA, compose, table

log = logging.getLogger(__name__)

_REMEMBERED = timedelta(days=60)  # since when a row was found gone
_READ_TOGETHER = 10  # users, where a filter cannot be trusted to count by
_CUT_ONE_IN = 8  # counts, where not everybody can be counted in one night
_TURN = 16  # requests for one difference before another one has its turn: mostly enough

# Where the share of each phase ends, as a part of the budget: listings of students, counts, pursuit
# of differences. What one leaves is the next one's; the refetches have the rest.
_STUDENTS, _COUNTS, _PURSUIT = 1 / 10, 2 / 3, 3 / 4


@dataclass(frozen=True, slots=True)
class _Part:
    """Some users' rows of ids over `after`, up to `highest`."""

    users: tuple[int, ...]
    after: int
    highest: int

    def halves(self) -> tuple[_Part, _Part]:
        """Return the same rows by half of the users each."""
        middle = len(self.users) // 2
        return replace(self, users=self.users[:middle]), replace(self, users=self.users[middle:])


@dataclass(slots=True)
class _Audit:
    """The audit of one table in this run."""

    reader: Reader
    highest: int
    users: int = 0
    rows: int = 0
    asked: set[int] = field(default_factory=set)  # ids refetched
    suspects: set[int] = field(default_factory=set)
    waiting: deque[int] | None = None  # users to be counted; not yet known before the first
    parts: deque[_Part] = field(default_factory=deque)  # of users who are being counted
    unsettled: Counter[int] = field(default_factory=Counter)  # parts left of each user
    differences: deque[_Part] = field(default_factory=deque)
    counts_can_be_trusted: bool = True
    in_trouble: bool = False

    @property
    def resource(self) -> Resource:
        """The table."""
        return self.reader.resource


def audit(work: Work) -> None:
    """Audit all tables of users' rows within `nightly_audit_requests`; heal what differs.

    Trouble with one table does not stop the others.

    Raises:
        DeleteRefused: more rows are gone than the guard allows; the other tables were healed.
        NoWitness: an answer proves nothing.
        Intra42Error: what else went wrong with a table; of several, one line each.
    """
    troubles = Troubles()
    _try_to_audit(work, troubles)
    troubles.tell()


def _try_to_audit(work: Work, troubles: Troubles) -> None:
    prune(work)
    purge_parked(work)
    budget = work.config.nightly_audit_requests
    if not budget:
        log.info("nightly_audit_requests is 0: nothing is audited")
        return
    first_seq: int = work.fetch("ledger/run_start")[0][0]
    # Another table is the first each night.
    audits = rotated(work, [_begin(work, r) for r in history.tables(work)], "tables")
    students, counts, pursuit, refetches = _ends(work, budget)
    with troubles.kept():
        find_missing_students(work, students)
    _apart(troubles, audits, lambda items: _count_in_turn(work, items, first_seq, counts))
    _apart(troubles, audits, lambda items: _pursue(work, items, pursuit))
    _apart(troubles, audits, lambda items: _refetch_oldest(work, items, first_seq, refetches))
    for item in audits:
        # Of a table in trouble nothing is deleted, either.
        if not item.in_trouble:
            with troubles.kept():
                _resolve_suspects(work, item)
        item.reader.report_notes()
        _log_progress(work, item)


def _apart(
    troubles: Troubles, audits: Sequence[_Audit], step: Callable[[Sequence[_Audit]], None]
) -> None:
    """Do `step` for all tables together; if one of them fails, for each of the others by itself."""
    left = [item for item in audits if not item.in_trouble]
    if troubles.none_of(lambda: step(left)):
        return
    for item in left:
        if not item.in_trouble:
            item.in_trouble = not troubles.none_of(lambda item=item: step([item]))  # type: ignore[misc]


def _log_progress(work: Work, item: _Audit) -> None:
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


def purge_parked(work: Work) -> None:
    """Keep nothing of people who are not mirrored among the parked records."""
    users = [resource.name for resource in graph.children_of_users()]
    purged = work.commit(lambda: work.fetch("parked/purge", tables=users))[0][0]
    if purged:
        log.info("%d parked records of people who are not mirrored are forgotten", purged)


def _ends(work: Work, budget: int) -> list[int]:
    """Return the number of requests of this attempt at which the share of each phase ends.

    A budget of few requests is drawn for: no phase goes without for ever. What an attempt before
    has spent is spent; what was asked before the audit is not the audit's.
    """
    begin = work.client.usage.requests - work.requests_before
    chance = drawn(work, "shares")
    shares = (_STUDENTS, _COUNTS, _PURSUIT)
    # The third digit is noise of the fractions.
    return [*(begin + int(round(budget * share, 3) + chance) for share in shares), begin + budget]


def _begin(work: Work, resource: Resource) -> _Audit:
    lock(work, resource)
    reader = Reader(work, resource)
    return _Audit(reader, max(1, reader.highest_stored()))


def _left(work: Work, budget: int) -> int:
    return budget - work.client.usage.requests


class _OnePage(Series):
    """One request about a table that is audited.

    Attributes:
        item: the audit of the table.
    """

    item: _Audit

    def arrived(self, page: Page, spare: int) -> bool:
        """Ask for no other page."""
        del page, spare
        return False

    def failed(self, error: Exception) -> None:
        """Leave the table alone for the rest of the night."""
        del error
        self.item.in_trouble = True


class _Question(_OnePage):
    """How many rows the API has for some users; those that come with the answer are stored."""

    def __init__(self, item: _Audit, part: _Part, pursuit: _Pursuit | None = None) -> None:
        params = item.reader.users_filters(part.users)
        client = item.reader.work.client
        path = item.resource.endpoint
        super().__init__(keyset(client, path, params, after=part.after, highest=part.highest))
        self.item = item
        self.part = part
        self.pursuit = pursuit


def _count_in_turn(work: Work, audits: Sequence[_Audit], first_seq: int, budget: int) -> None:
    """Count some users of one table after the other, until all are counted or it is enough."""
    for item in audits:
        if item.waiting is None:
            item.waiting = deque(_next_users(work, item, first_seq, budget))
    needed = sum(2 * -(-len(item.waiting or ()) // CHUNK) for item in audits)
    thorough = needed <= _left(work, budget)
    waiting = deque(audits)

    def more() -> _Question | None:
        while waiting and _left(work, budget) > concurrent.under_way:
            item = waiting.popleft()
            part = _next_part(work, item, thorough=thorough)
            if part is None:
                continue
            waiting.append(item)
            if item.counts_can_be_trusted:
                return _Question(item, part)
            _read_whole(work, item, part.users)
        return None

    with Concurrent(work.client, more) as concurrent:
        for landed in concurrent:
            for question, page in landed:
                assert isinstance(question, _Question)  # noqa: S101  # `more` returns no other
                if _differs(work, question, page):
                    question.item.differences.append(question.part)


def _next_users(work: Work, item: _Audit, first_seq: int, budget: int) -> Iterator[int]:
    """Return the users to count next, as many as there may be questions for."""
    rows = work.fetch(
        "audit/next_users",
        resource=item.resource.name,
        first_seq=first_seq,
        since=work.latest_clock - _REMEMBERED,
        most=CHUNK * max(1, _left(work, budget)),
    )
    return (row[0] for row in rows)


def _next_part(work: Work, item: _Audit, *, thorough: bool) -> _Part | None:
    """Return whose rows to count next, None if everybody is.

    Whoever has a handful of rows is counted with so many others that one page shows them all.
    Where that is not possible, the ids are cut in two at a drawn place: what is missing from one
    side cannot be made up by what is too many on the other.
    """
    if item.parts:
        return item.parts.popleft()
    waiting = item.waiting
    if not waiting:
        return None
    if not item.counts_can_be_trusted:
        users = [waiting.popleft() for _ in range(min(_READ_TOGETHER, len(waiting)))]
        return _Part(tuple(users), 0, item.highest)
    users = [waiting.popleft() for _ in range(min(CHUNK, len(waiting)))]
    rows = _rows(work, item, _Part(tuple(users), 0, item.highest))
    if thorough:
        often = Counter(rows.values())
        chosen = packed([(user, often[user]) for user in users])
        waiting.extendleft(reversed(users[len(chosen) :]))
        users = chosen
    ids = sorted(number for number, owner in rows.items() if owner in set(users))
    whole = _Part(tuple(users), 0, item.highest)
    lucky = thorough or drawn(work, item.resource.name, users[0]) * _CUT_ONE_IN < 1
    if len(ids) <= CHUNK or not lucky:
        item.parts.append(whole)
    else:
        cut = ids[int(drawn(work, item.resource.name, users[0], "cut") * (len(ids) - 1))]
        item.parts += (replace(whole, highest=cut), replace(whole, after=cut))
    item.unsettled.update(dict.fromkeys(users, len(item.parts)))
    return item.parts.popleft()


def _differs(work: Work, question: _Question, page: Page) -> bool:
    """Compare a page with the mirror; tell whether there is a difference it does not show."""
    item, part, answer = question.item, question.part, page.answer
    if not _store_counted(work, item, page):
        item.parts.clear()
        again = [user for user in part.users if item.unsettled.pop(user, 0)]
        item.waiting = deque([*again, *(item.waiting or ())])
        return False
    ours = _rows(work, item, part).keys()
    if answer.total == len(answer.records):
        # All of them are on this page: what it does not show is suspect.
        item.suspects |= ours - ids_of(page)
    elif answer.total != len(ours | _parked(work, item, part)):
        return True
    _settle(work, item, part.users, answer, len(ours))
    return False


class _Pursuit:
    """One difference that is followed: the parts that hold it, or may."""

    def __init__(self, item: _Audit, part: _Part) -> None:
        self.item = item
        self.asked = 0
        self.is_asking = False
        self._parts: list[_Part] = []
        self.split(part)

    def next(self) -> _Question | None:
        """Return the next question, None if nothing is left to ask."""
        if not self._parts or not self.item.counts_can_be_trusted:
            return None
        self.asked += 1
        self.is_asking = True
        return _Question(self.item, self._parts.pop(), self)

    def split(self, part: _Part) -> None:
        """Go on with the halves of a part that differs; whoever is left alone is read whole."""
        if len(part.users) > 1:
            self._parts += reversed(part.halves())
        else:
            _read_whole(self.item.reader.work, self.item, part.users)


def _pursue(work: Work, audits: Sequence[_Audit], budget: int) -> None:
    """Follow the differences that counts have shown until each is cornered, or it is enough.

    Each has its turn. One that is drawn has it whatever the budget says, so that each night settles
    something. The users of those not cornered are among the first to be counted next time.
    """
    queue = deque(rotated(work, list(_in_turn(audits)), "pursuit"))
    first = queue[0] if queue else None

    def more() -> _Question | None:
        for pursuit in tuple(queue):
            privileged = pursuit is first and pursuit.asked < _TURN
            if pursuit.is_asking or not (privileged or _left(work, budget) > concurrent.under_way):
                continue
            if pursuit.asked and pursuit.asked % _TURN == 0 and len(queue) > 1:
                queue.remove(pursuit)
                queue.append(pursuit)
            question = pursuit.next()
            if question is not None:
                return question
            queue.remove(pursuit)
        return None

    with Concurrent(work.client, more) as concurrent:
        for landed in concurrent:
            for question, page in landed:
                assert isinstance(question, _Question)  # noqa: S101  # `more` returns no other
                pursuit = question.pursuit
                assert pursuit is not None  # noqa: S101
                pursuit.is_asking = False
                if _differs(work, question, page):
                    pursuit.split(question.part)


def _in_turn(audits: Sequence[_Audit]) -> Iterator[_Pursuit]:
    """Take the differences of all tables, one of each after the other."""
    for parts in zip_longest(*(item.differences for item in audits)):
        for item, part in zip(audits, parts, strict=True):
            if part is not None:
                yield _Pursuit(item, part)
    for item in audits:
        item.differences.clear()


def _store_counted(work: Work, item: _Audit, page: Page) -> bool:
    """Store the rows that came with a count; tell whether it counts nobody else's."""
    before = work.counts.dropped
    item.reader.absorb([page], Provenance.DIRECT, lambda: None)
    if work.counts.dropped > before and item.resource.cursus_filter:
        log.warning(
            "%s: %s is not exact, so rows are read instead of counted",
            *(item.resource.name, item.resource.cursus_filter),
        )
        item.counts_can_be_trusted = False
    return item.counts_can_be_trusted


def _rows(work: Work, item: _Audit, part: _Part) -> dict[int, int]:
    """Return the mirrored rows of a part, and whose each of them is."""
    name, ours = item.reader.ours()
    column = sql.Identifier("mine", name) if name else sql.NULL
    statement = compose("audit/mirrored", target=table(item.resource.name), column=column)
    values = {
        "users": list(part.users),
        "after": part.after,
        "highest": part.highest,
        "ours": list(ours) if name else None,
    }
    return dict(work.connection.execute(statement, values).fetchall())


def _parked(work: Work, item: _Audit, part: _Part) -> set[int]:
    rows = work.fetch(
        "parked/of_users",
        resource=item.resource.name,
        users=list(map(str, part.users)),
        after=part.after,
        highest=part.highest,
    )
    return {row[0] for row in rows}


def _read_whole(work: Work, item: _Audit, users: Sequence[int]) -> None:
    """Read all rows of a few users; what the mirror has beside them is suspect."""
    shown: set[int] = set()
    last: list[Answer] = []

    def note(page: Page) -> None:
        last[:] = [page.answer]
        shown.update(ids_of(page))

    item.reader.read_by(item.reader.users_filters(users), note)
    ours = _rows(work, item, _Part(tuple(users), 0, item.highest)).keys()
    item.suspects |= ours - shown
    for user in users:
        item.unsettled[user] = 1
    _settle(work, item, users, last[0], len(ours))


def _settle(work: Work, item: _Audit, users: Sequence[int], answer: Answer, rows: int) -> None:
    """Count rows as audited; users, too, when no other part of theirs is left."""
    item.rows += rows
    item.unsettled.subtract(users)
    done = [user for user in users if item.unsettled[user] <= 0]
    item.users += len(done)
    if not done:
        return
    work.commit(
        lambda: work.execute(
            "audit/mark",
            resource=item.resource.name,
            users=done,
            audited_at=answer.date,
            seq=answer.seq,
        )
    )


def _refetch_oldest(work: Work, audits: Sequence[_Audit], first_seq: int, budget: int) -> None:
    """Spend what is left on rows verified longest ago: silent changes in old rows."""
    waiting = deque((item, _oldest(work, item, first_seq, _left(work, budget))) for item in audits)

    def more() -> _Refetch | None:
        while waiting and _left(work, budget) > concurrent.under_way:
            item, chunks = waiting.popleft()
            ids = next(chunks, ())
            if ids:
                waiting.append((item, chunks))
                item.asked.update(ids)
                return _Refetch(item, sorted(ids))
        return None

    with Concurrent(work.client, more) as concurrent:
        for landed in concurrent:
            for series, page in landed:
                assert isinstance(series, _Refetch)  # noqa: S101  # `more` returns no other
                series.item.reader.absorb_landed([(series, page)], Provenance.DIRECT)


def _oldest(work: Work, item: _Audit, first_seq: int, requests: int) -> Iterator[Sequence[int]]:
    """Yield the rows verified longest ago, a hundred at a time, for at most so many requests.

    The table is looked through once, when its turn comes: a network's takes most of a second.
    """
    if requests <= 0:
        return
    statement = compose("audit/oldest_checks", target=table(item.resource.name))
    values = {
        "resource": item.resource.name,
        "target": f"{SCHEMA}.{item.resource.name}",
        "first_seq": first_seq,
        "turn": work.clock.toordinal(),
        "limit": requests * CHUNK,
    }
    rows = work.connection.execute(statement, values).fetchall()
    yield from chunked([row[0] for row in rows], CHUNK)


class _Refetch(_OnePage, IdsSeries):
    """Rows asked for again; those that do not come back are suspect.

    What a smaller page has no room for is as old as before, and has its turn.
    """

    def __init__(self, item: _Audit, ids: Sequence[int]) -> None:
        IdsSeries.__init__(self, item.reader, ids)
        self.item = item

    def stored(self, page: Page) -> None:
        """Note what did not come back.

        Raises:
            NoWitness: the answer proves nothing.
        """
        reader = self.item.reader
        later = set() if page.done else {number for number in self.ids if number > page.last_id}
        asked = [number for number in self.ids if number not in later]
        self.item.asked -= later
        try:
            lacking = absence.lacking(reader.work, reader, asked, self.returned, page.answer.seq)
        except Intra42Error as error:
            self.failed(error)
            raise
        self.item.suspects |= lacking.keys()


def _resolve_suspects(work: Work, item: _Audit) -> None:
    """Look twice at rows that were not shown, and restore what was deleted and is back."""
    buried: list[int] = []
    if not item.resource.silent:
        # The refresh of open rows asks for its own.
        buried = absence.lately_buried(work, item.resource)
    asked = max(item.rows, len(item.asked))
    absence.resolve(work, item.reader, item.suspects, buried, asked)


def verify(work: Work) -> None:
    """Erase accounts that are gone, audit the tables, purge: neither stops the others.

    Raises:
        Intra42Error: as `erase`, `audit` and `purge`; of several, one line each.
    """
    troubles = Troubles()
    try_to_erase(work, troubles)
    _try_to_audit(work, troubles)
    with troubles.kept():
        purge(work)
    troubles.tell()
