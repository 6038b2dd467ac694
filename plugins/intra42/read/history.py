"""Read users' rows by user id, whatever their `updated_at`: entrants, first loads, each night.

The queue in the database is the checkpoint: a page's rows and the position after it commit
together, and a chunk of users leaves the queue with its last page.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from intra42.api.flight import Series, middle_of_rest
from intra42.api.pagination import LAST_ID, Page, keyset
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import IncompleteListing
from intra42.store.decode import Decoded, cut_all
from intra42.store.loading import Trust
from intra42.store.page import put
from intra42.store.parents import CHUNK
from intra42.store.reading import IdsSeries, Reader
from intra42.store.rows import Cutter, Row
from intra42.store.witnesses import witnesses
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_FEW_PAGES = 5
_MARGIN = 1.08  # more rows than others have: a page too many costs more than one not quite full
_MANY = 20  # users, of whom at least one should have a row


def drain(work: Work, reader: Reader) -> None:
    """Read all queued users of this resource; the loader also takes what other DAGs left."""
    queued = waiting(work, reader.resource)
    if not queued:
        return
    log.info("%s: reading the rows of %d users by user id", reader.resource.name, queued)
    queue = _Queue(work, reader)
    reader.read(queue.next, Trust.DIRECT)
    queue.read_hidden(least=1)


def queue_unseen_users(work: Work) -> None:
    """Queue every mirrored user that this run has not yet read directly."""
    work.commit(lambda: work.execute("scope/queue_unseen_users"))


def waiting(work: Work, resource: Resource) -> int:
    """Return how many users are queued for this run to read."""
    return int(work.fetch("jobs/queued", **_queue(work, resource))[0][0])


def _queue(work: Work, resource: Resource) -> dict[str, object]:
    """Return which part of the queue is ours: a run of an explicit window has its own."""
    explicit = work.request.window is not None
    return {
        "resource": resource.name,
        "all_dags": work.is_loader and not explicit,
        "only_run": work.identity.run_id if explicit else None,
        "reader": work.identity.run_id if explicit else "",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chunk:
    """Users who are read together, or of their rows those of ids over `after` up to `highest`."""

    users: list[int]
    part: int = 0
    after: int = 0
    highest: int = LAST_ID

    @property
    def key(self) -> dict[str, int]:
        """How the database knows it."""
        return {"first_user": self.users[0], "part": self.part}


class _Queue:
    """Hands out chunks of the queue, each to one series: those begun before, then the others."""

    def __init__(self, work: Work, reader: Reader) -> None:
        self._work = work
        self._reader = reader
        self._waiting: list[_Chunk] = []
        self._parts: Counter[int] = Counter()  # of each chunk that is being read
        self._last_part = 0
        self._being_read: set[int] = set()
        self._behind = 0
        self._rows = 0  # of the users read so far, to guess how many others have
        self._users = 0
        self._hidden: list[int] = []
        self._hidden_since = 0  # the number of the first request that did not show one of them
        for users, part, after, highest in work.fetch(
            "jobs/begun_chunk", **_queue(work, reader.resource)
        ):
            self.add(_Chunk(users=users, part=part, after=after, highest=highest))

    def add(self, chunk: _Chunk) -> None:
        """Take over a chunk, or a part of one, that is to be read."""
        self._last_part = max(self._last_part, chunk.part)
        self._waiting.append(chunk)
        self._parts[chunk.users[0]] += 1
        self._being_read.update(chunk.users)

    def next(self) -> Series | None:
        """Return the next chunk to read; whoever is queued meanwhile is found in the end."""
        if not self._waiting:
            candidates = self._candidates()
            if not candidates and self._behind:
                self._behind = 0
                candidates = self._candidates()
            if not candidates:
                return None
            chunk = _Chunk(users=self._chosen(candidates))
            self._behind = chunk.users[-1]
            self.add(chunk)
        chunk = self._waiting.pop()
        if self._reader.resource.people:
            return _UsersSeries(self._work, self._reader, self, chunk)
        return _RowsSeries(self._work, self._reader, self, chunk)

    def leave(self, chunk: _Chunk, rows: int) -> None:
        """Note that a chunk or a part of one is done, and how many rows it had."""
        self._rows += rows
        self._parts[chunk.users[0]] -= 1
        if not self._parts[chunk.users[0]]:
            self._users += len(chunk.users)
            self._being_read.difference_update(chunk.users)

    def is_last_part(self, chunk: _Chunk) -> bool:
        """Tell whether no other part of a chunk is left."""
        return self._parts[chunk.users[0]] == 1

    def hide(self, users: Iterable[int], seq: int) -> None:
        """Note who did not come back by id; many are looked for together, in their enrolments."""
        self._hidden += users
        self._hidden_since = self._hidden_since or seq
        self._being_read.update(self._hidden)
        self.read_hidden(least=CHUNK - 1)

    def read_hidden(self, *, least: int) -> None:
        """Look for hidden users while there are at least so many; they leave the queue then."""
        while len(self._hidden) >= least:
            users = self._hidden[: CHUNK - 1]
            _read_hidden(self._work, users, self._hidden_since)
            values = {**_queue(self._work, self._reader.resource), "users": users}
            self._work.commit(
                lambda values=values: self._work.execute(  # type: ignore[misc]
                    "jobs/finish_users", first_user=0, part=0, **values
                )
            )
            del self._hidden[: CHUNK - 1]
            self._being_read.difference_update(users)

    def new_part(self) -> int:
        """Return a number for a further part of a chunk, which no part in the queue has."""
        self._last_part += 1
        return self._last_part

    def _candidates(self) -> list[tuple[int, int]]:
        resource = self._reader.resource
        statement = compose("jobs/next_users", target=table(resource.name), owner=_owner(resource))
        values = {
            **self._work.names,
            **_queue(self._work, resource),
            "behind": self._behind,
            "being_read": list(self._being_read),
        }
        return self._work.connection.execute(statement, values).fetchall()

    def _chosen(self, candidates: Sequence[tuple[int, int]]) -> list[int]:
        if self._reader.resource.people:
            return [user for user, _known in candidates]
        return packed(candidates, guess=self._rows / self._users if self._users else 0)


def _owner(resource: Resource) -> sql.Identifier:
    return sql.Identifier("user_id" if resource.has_user else "id")


def packed(
    candidates: Sequence[tuple[int, int]], page: int = CHUNK, *, guess: float = 0
) -> list[int]:
    """Return the first users of (user, known rows) whose rows fill whole pages.

    A hundred users with 130 rows would take two requests and waste most of the second one; those
    with the first hundred rows take one. Where there are many pages, the waste does not matter. Of
    whom we know no rows, `guess` says how many others have; a guess is taken with a margin.
    """
    known = [(user, rows or guess * _MARGIN) for user, rows in candidates]
    total = sum(rows for _user, rows in known)
    if not page < total <= _FEW_PAGES * page:
        return [user for user, _rows in known]
    room = total // page * page
    chosen: list[int] = []
    for user, rows in known:
        room -= rows
        if room < 0 and chosen:
            break
        chosen.append(user)
    return chosen


class _RowsSeries(Series):
    """All rows of some users, asked for by user id."""

    def __init__(self, work: Work, reader: Reader, queue: _Queue, chunk: _Chunk) -> None:
        self._work = work
        self._reader = reader
        self._queue = queue
        self._chunk = chunk
        self._further: _Chunk | None = None
        self._rows = 0
        doubt_empty = not chunk.after and len(chunk.users) >= _MANY
        super().__init__(self._pages(doubt_empty=doubt_empty))

    def _pages(self, *, doubt_empty: bool) -> Iterator[Page]:
        return self._reader.pages(
            self._reader.users_filters(self._chunk.users),
            after=self._chunk.after,
            highest=self._chunk.highest,
            doubt_empty=doubt_empty,
        )

    def arrived(self, page: Page, spare: int) -> bool:
        """Leave the upper half of a long rest to another series while there is room for one."""
        middle = middle_of_rest(page, self._chunk.highest) if spare > 0 else None
        if middle is not None:
            part = self._queue.new_part()
            self._further = replace(self._chunk, part=part, after=middle)
            self._chunk = replace(self._chunk, after=page.last_id, highest=middle)
            # Nobody has seen these ids yet, but there should be rows.
            self.pages = self._pages(doubt_empty=True)
        return not page.done

    def checkpoint(self, page: Page) -> None:
        """Write how far the users' rows are stored."""
        _note_clock(self._work, self._reader.resource, page)
        if page.done:
            self._finish_part(page)
            return
        self._move(replace(self._chunk, after=page.last_id))
        if self._further is not None:
            self._move(self._further)

    def _finish_part(self, page: Page) -> None:
        work, resource = self._work, self._reader.resource
        work.execute(
            "jobs/finish_users",
            users=self._chunk.users,
            **self._chunk.key,
            **_queue(work, resource),
        )
        if self._queue.is_last_part(self._chunk) and not work.request.window:
            work.connection.execute(
                compose("audit/mark_read", target=table(resource.name)),
                {
                    **work.names,
                    "resource": resource.name,
                    "users": self._chunk.users,
                    "audited_at": page.answer.date,
                    "seq": page.answer.seq,
                },
            )

    def _move(self, chunk: _Chunk) -> None:
        self._work.execute(
            "jobs/move_users",
            users=chunk.users,
            after=chunk.after,
            highest=chunk.highest,
            **chunk.key,
            **_queue(self._work, self._reader.resource),
        )

    def stored(self, page: Page) -> None:
        """Let others be read when these are done."""
        if self._further is not None:
            self._queue.add(self._further)
            self._further = None
        self._rows += len(page.records)
        if page.done:
            self._queue.leave(self._chunk, self._rows)


def _note_clock(work: Work, resource: Resource, page: Page) -> None:
    """Give the jobs that wait for this queue their clock: that of the first answer."""
    if work.request.window:
        return
    work.execute(
        "jobs/move_waiting_jobs",
        resource=resource.name,
        clock=page.answer.sent_at,
        answered=bool(page.records),
    )


class _UsersSeries(IdsSeries):
    """Users asked for by id; those whom the listing no longer shows, in their enrolments."""

    def __init__(self, work: Work, reader: Reader, queue: _Queue, chunk: _Chunk) -> None:
        super().__init__(reader, chunk.users)
        self._work = work
        self._queue = queue
        self._chunk = chunk

    def stored(self, page: Page) -> None:
        """Take who came back off the queue, and have the others looked for elsewhere.

        Raises:
            IncompleteListing: nobody came back, not even somebody who was just there.
        """
        if not page.done:
            return
        work, users = self._work, self._chunk.users
        returned = self.returned or _ask_with_witness(work, self.reader, users)
        values = {**_queue(work, self.reader.resource), "users": sorted(returned)}
        work.commit(lambda: work.execute("jobs/finish_users", **self._chunk.key, **values))
        self._queue.leave(self._chunk, len(returned))
        self._queue.hide([user for user in users if user not in returned], page.answer.seq)


def _ask_with_witness(work: Work, reader: Reader, users: list[int]) -> set[int]:
    """Ask again with a user who was seen in this run: an empty answer proves nothing."""
    witness = witnesses(work, reader.resource.name, users)
    asked = [*users[: CHUNK - 1], *witness]
    returned, _answer = reader.read_ids(asked)
    if witness and not returned:
        message = (
            f"users: none of {len(asked)} users came back, not even id {witness[0]}, "
            "which was there before; the answer is not believed"
        )
        raise IncompleteListing(message)
    return returned


def _read_hidden(work: Work, users: Sequence[int], since: int) -> None:
    """Read accounts that /v2/users does not show from the users nested in their enrolments.

    Anonymised accounts (`3b3-` logins) are missing there and still found so; measured by a public
    client. Nested users may be stale, so they only change a row where they are clearly newer.
    `users` are fewer than a hundred; `since` is the number of the request that did not show them.
    """
    resource = graph.nesting_people()[0]
    witness = witnesses(work, resource.name, users, owner="user_id")
    params = {str(resource.user_key): ",".join(map(str, [*users, *witness]))}
    found: set[int] = set()
    for page in keyset(work.client, str(resource.by_id), params):
        work.log_page(page)
        found |= {row.id for row in store_nested(work, page, users)}
    log.info(
        "%d accounts are not listed any more; %d of them are still shown in enrolments",
        *(len(users), len(found & set(users))),
    )
    if found & set(witness):
        vanished = sorted(set(users) - found)
        work.commit(lambda: work.execute("erasure/note_vanished", users=vanished, seq=since))


def store_nested(work: Work, page: Page, users: Collection[int]) -> list[Row]:
    """Store those of `users` who are nested in the records of `page`; return whom it shows."""
    resource = graph.people()
    nested = [r["user"] for r in page.records if isinstance(r, dict) and r.get("user")]
    rows, _unfit = cut_all(Cutter(resource), nested)
    wanted = [(row, page.answer) for row in rows if row.id in users]
    found = Decoded(seen=wanted, records=len(page.records))
    work.commit(lambda: put(work, resource, found, Trust.EMBEDDED))
    return rows
