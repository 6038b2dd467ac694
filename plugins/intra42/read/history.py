"""Read users' rows by user id, whatever their `updated_at`: entrants, first loads, each night.

The inbox in the database says whose rows are to be read. Users whose rows take several pages are a
partition then: a page's rows and the position after it commit together, and users leave the inbox
with their last page.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence

from psycopg import sql

from intra42.api.concurrent import Series
from intra42.api.pagination import Page, keyset
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import IncompleteListing
from intra42.read import jobs
from intra42.read.jobs import Job, Partition
from intra42.read.partitions import PartitionSeries
from intra42.store.decode import Decoded, cut_all
from intra42.store.loading import Provenance
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
    reader.read(queue.next, Provenance.DIRECT)
    queue.read_hidden(least=1)
    work.commit(lambda: queue.job.finish(work, reader.resource))


def tables(work: Work) -> list[Resource]:
    """Return the tables of users' rows that this run keeps true: asked for, and not refused."""
    refused = dict(work.fetch("jobs/refused"))
    return [r for r in graph.history(work.config.tables) if r.name not in refused]


def queue_unseen_users(work: Work) -> None:
    """Queue every mirrored user that this run has not yet read directly."""
    work.commit(lambda: work.execute("scope/queue_unseen_users"))


def waiting(work: Work, resource: Resource) -> int:
    """Return how many users are queued for this run to read."""
    return int(work.fetch("jobs/queued", **_inbox(work, resource))[0][0])


def _inbox(work: Work, resource: Resource) -> dict[str, object]:
    """Return which part of the inbox is ours: a run of an explicit window has its own."""
    explicit = work.request.window is not None
    return {
        "resource": resource.name,
        "all_dags": work.is_loader and not explicit,
        "only_run": work.identity.run_id if explicit else None,
    }


def _job(work: Work, resource: Resource) -> Job:
    """Return the job that reads queued users, begun by an earlier attempt or now."""
    found = jobs.unfinished(work, resource, jobs.HISTORY)
    return found[0] if found else work.commit(lambda: jobs.begin(work, resource, jobs.HISTORY))


class _Queue:
    """Hands out queued users, some at a time to one series: first those half read, then others."""

    def __init__(self, work: Work, reader: Reader) -> None:
        self._work = work
        self._reader = reader
        self.job = _job(work, reader.resource)
        self._being_read: set[int] = set()  # numbers of partitions
        self._users_being_read: set[int] = set()
        self._behind = 0
        self._rows = 0  # of the users read so far, to guess how many others have
        self._users = 0
        self._hidden: list[int] = []
        self._hidden_since = 0  # the number of the first request that did not show one of them

    def next(self) -> Series | None:
        """Return whom to read next; whoever is queued meanwhile is found in the end."""
        partition = jobs.next_partition(self._work, self.job, self._being_read) or self._further()
        if partition is None:
            return None
        self.begin(partition)
        kind = _UsersSeries if self._reader.resource.people else _RowsSeries
        return kind(self._work, self._reader, self, partition)

    def begin(self, partition: Partition) -> None:
        """Note that a partition is being read, by its number once it has one."""
        self._users_being_read.update(partition.ids)
        if partition.number:
            self._being_read.add(partition.number)

    def leave(self, users: Collection[int], rows: int, *, done: bool = True) -> None:
        """Note that a partition had so many rows, and whether its users are `done` with it."""
        self._rows += rows
        if done:
            self._users += len(users)
            self._users_being_read.difference_update(users)

    def take_off(self, users: Iterable[int]) -> None:
        """Take users off the inbox, in the open transaction."""
        inbox = _inbox(self._work, self._reader.resource)
        self._work.execute("jobs/users_are_read", users=list(users), **inbox)

    def hide(self, users: Iterable[int], seq: int) -> None:
        """Note who did not come back by id; many are looked for together, in their enrolments."""
        self._hidden += users
        self._hidden_since = self._hidden_since or seq
        self._users_being_read.update(self._hidden)
        self.read_hidden(least=CHUNK - 1)

    def read_hidden(self, *, least: int) -> None:
        """Look for hidden users while there are at least so many; they leave the inbox then."""
        while len(self._hidden) >= least:
            users = self._hidden[: CHUNK - 1]
            _read_hidden(self._work, users, self._hidden_since)
            self._work.commit(lambda users=users: self.take_off(users))  # type: ignore[misc]
            del self._hidden[: CHUNK - 1]
            self._users_being_read.difference_update(users)

    def _further(self) -> Partition | None:
        """Return users whom nobody reads; written down only once they take a second page."""
        candidates = self._candidates()
        if not candidates and self._behind:
            self._behind = 0
            candidates = self._candidates()
        if not candidates:
            return None
        users = self._chosen(candidates)
        self._behind = users[-1]
        return Partition(ids=tuple(users))

    def _candidates(self) -> list[tuple[int, int]]:
        resource = self._reader.resource
        statement = compose("jobs/next_users", target=table(resource.name), owner=_owner(resource))
        values = {
            **self._work.names,
            **_inbox(self._work, resource),
            "behind": self._behind,
            "being_read": list(self._users_being_read),
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


class _RowsSeries(PartitionSeries):
    """All rows of some users, asked for by user id."""

    def __init__(self, work: Work, reader: Reader, queue: _Queue, partition: Partition) -> None:
        super().__init__(work, reader, queue.job, partition)
        self._queue = queue
        self._rows = 0
        self._done = False  # whether the users are, with all their partitions

    def question(self) -> tuple[str, dict[str, str]]:
        """Return the listing that takes user ids, and the users."""
        resource = self.reader.resource
        return resource.by_id or resource.endpoint, self.reader.users_filters(self.partition.ids)

    def surely_has_rows(self) -> bool:
        """Tell whether these are so many users that one of them should have a row."""
        from_start = not self.partition.after and len(self.partition.ids) >= _MANY
        return from_start or super().surely_has_rows()

    def checkpoint(self, page: Page) -> None:
        """Write how far the users' rows are stored."""
        _note_clock(self.work, self.reader.resource, page)
        super().checkpoint(page)

    def end(self, page: Page) -> None:
        """Take the users off the inbox with their last page; it shows all that they have."""
        work, partition = self.work, self.partition
        users = list(partition.ids)
        self._done = not partition.number or bool(
            work.fetch("jobs/ends_users", job_id=self.job.id, number=partition.number, users=users)[
                0
            ][0]
        )
        if not self._done:
            return
        self._queue.take_off(users)
        if not work.request.window:
            _mark_read(work, self.reader.resource, users, page)

    def stored(self, page: Page) -> None:
        """Let others be read when these are done."""
        super().stored(page)
        self._queue.begin(self.partition)
        self._rows += len(page.records)
        if self.ends:
            self._queue.leave(self.partition.ids, self._rows, done=self._done)


def _mark_read(work: Work, resource: Resource, users: list[int], page: Page) -> None:
    """Note that all rows of these users have been seen: there is nothing to count."""
    work.connection.execute(
        compose("audit/mark_read", target=table(resource.name)),
        {
            **work.names,
            "resource": resource.name,
            "users": users,
            "audited_at": page.answer.date,
            "seq": page.answer.seq,
        },
    )


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

    def __init__(self, work: Work, reader: Reader, queue: _Queue, partition: Partition) -> None:
        super().__init__(reader, partition.ids)
        self._work = work
        self._queue = queue

    def stored(self, page: Page) -> None:
        """Take who came back off the queue, and have the others looked for elsewhere.

        Raises:
            IncompleteListing: nobody came back, not even somebody who was just there.
        """
        if not page.done:
            return
        returned = self.returned or _ask_with_witness(self._work, self.reader, list(self.ids))
        self._work.commit(lambda: self._queue.take_off(sorted(returned)))
        self._queue.leave(self.ids, len(returned))
        self._queue.hide([user for user in self.ids if user not in returned], page.answer.seq)


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
    work.commit(lambda: put(work, resource, found, Provenance.EMBEDDED))
    return rows
