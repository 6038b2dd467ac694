"""Read users' rows by user id, whatever their `updated_at`: entrants, first loads, each night.

The queue in the database is the checkpoint: a page's rows and the position after it commit
together, and a chunk of users leaves the queue with its last page.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from psycopg import sql

from intra42.api.pagination import Page, keyset
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import IncompleteListing
from intra42.statements import compose, table
from intra42.sync.loading import Trust, load
from intra42.sync.parents import CHUNK, cut_all
from intra42.sync.reading import Reader
from intra42.sync.rows import Cutter
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

_FEW_PAGES = 5
_MANY = 20  # users, of whom at least one should have a row


def drain(work: Work, reader: Reader) -> None:
    """Read all queued users of this resource; the loader also takes what other DAGs left."""
    queued = waiting(work, reader.resource)
    if queued:
        log.info("%s: reading the rows of %d users by user id", reader.resource.name, queued)
    while chunk := _next_chunk(work, reader.resource):
        users, after = chunk
        if reader.resource.name == "users":
            _read_users(work, reader, users)
        else:
            _read_rows(work, reader, users, after)


def queue_unseen_users(work: Work) -> None:
    """Queue every mirrored user that this run has not yet read directly."""
    work.commit(lambda: work.execute("scope/queue_unseen_users"))


def waiting(work: Work, resource: Resource) -> int:
    """Return how many users are queued for this run to read."""
    return int(work.fetch("state/queued", **_queue(work, resource))[0][0])


def _queue(work: Work, resource: Resource) -> dict[str, object]:
    """Return which part of the queue is ours: a run of an explicit window has its own."""
    explicit = work.request.window is not None
    return {
        "resource": resource.name,
        "all_dags": work.is_loader and not explicit,
        "only_run": work.identity.run_id if explicit else None,
        "reader": work.identity.run_id if explicit else "",
    }


def _next_chunk(work: Work, resource: Resource) -> tuple[list[int], int] | None:
    begun = work.fetch("state/begun_chunk", **_queue(work, resource))
    if begun:
        return begun[0][0], begun[0][1]
    statement = compose("state/next_users", target=table(resource.name), owner=_owner(resource))
    rows = work.connection.execute(statement, {**work.names, **_queue(work, resource)}).fetchall()
    if not rows:
        return None
    if resource.name == "users":
        return [user for user, _known in rows], 0
    return packed(rows), 0


def _owner(resource: Resource) -> sql.Identifier:
    return sql.Identifier("user_id" if resource.has_user else "id")


def packed(candidates: Sequence[tuple[int, int]], page: int = CHUNK) -> list[int]:
    """Return the first users of (user, known rows) whose rows fill whole pages.

    A hundred users with 130 rows would take two requests and waste most of the second one; those
    with the first hundred rows take one. Where there are many pages, the waste does not matter.
    """
    total = sum(known for _user, known in candidates)
    if not page < total <= _FEW_PAGES * page:
        return [user for user, _known in candidates]
    room = total // page * page
    chosen: list[int] = []
    for user, known in candidates:
        room -= known
        if room < 0 and chosen:
            break
        chosen.append(user)
    return chosen


def _read_rows(work: Work, reader: Reader, users: list[int], after: int) -> None:
    resource = reader.resource

    def checkpoint(page: Page) -> None:
        _note_clock(work, resource, page)
        if page.done:
            work.execute("state/finish_users", users=users, **_queue(work, resource))
        else:
            work.execute(
                "state/move_users", users=users, after=page.last_id, **_queue(work, resource)
            )

    reader.read_by(
        reader.users_filters(users),
        checkpoint,
        after=after,
        doubt_empty=not after and len(users) >= _MANY,
    )


def _note_clock(work: Work, resource: Resource, page: Page) -> None:
    """Give the jobs that wait for this queue their clock: that of the first answer."""
    if work.request.window:
        return
    work.execute(
        "state/move_waiting_jobs",
        resource=resource.name,
        clock=page.answer.sent_at,
        answered=bool(page.records),
    )


def _read_users(work: Work, reader: Reader, users: list[int]) -> None:
    """Read users directly; those whom the student listing no longer shows, from their enrolments.

    Raises:
        IncompleteListing: nobody came back, not even somebody who was just there.
    """
    returned, _answer = reader.read_ids(users)
    if not returned:
        returned = _ask_with_witness(work, reader, users)
    hidden = [user for user in users if user not in returned]
    if hidden:
        _read_hidden(work, hidden)
    work.commit(
        lambda: work.execute("state/finish_users", users=users, **_queue(work, reader.resource))
    )


def _ask_with_witness(work: Work, reader: Reader, users: list[int]) -> set[int]:
    """Ask again with a user who was seen in this run: an empty answer proves nothing."""
    witness = work.fetch("scope/user_seen", users=users)
    asked = [*users[: CHUNK - 1], *(row[0] for row in witness)]
    returned, _answer = reader.read_ids(asked)
    if witness and not returned:
        message = (
            f"users: none of {len(asked)} users came back, not even id {witness[0][0]}, "
            "which was there before; the answer is not believed"
        )
        raise IncompleteListing(message)
    return returned


def _read_hidden(work: Work, users: Sequence[int]) -> None:
    """Read accounts that /v2/users does not show from the users nested in their enrolments.

    Anonymised accounts (`3b3-` logins) are missing there and still found so; measured by a public
    client. Nested users may be stale, so they only change a row where they are clearly newer.
    """
    for chunk in chunked(users, CHUNK - 1):
        witness = [row[0] for row in work.fetch("scope/user_seen", users=list(chunk))]
        params = {"filter[user_id]": ",".join(map(str, [*chunk, *witness]))}
        found: set[int] = set()
        for page in keyset(work.client, "/v2/cursus_users", params):
            work.log_page(page, "cursus_users")
            found |= store_nested(work, page, chunk)
        log.info(
            "%d accounts are not listed any more; %d of them are still shown in enrolments",
            *(len(chunk), len(found & set(chunk))),
        )
        if found & set(witness):
            vanished = sorted(set(chunk) - found)
            work.commit(lambda gone=vanished: work.execute("erasure/note_vanished", users=gone))  # type: ignore[misc]


def store_nested(work: Work, page: Page, users: Sequence[int]) -> set[int]:
    """Store those of `users` who are nested in the records of `page`; return whom it shows."""
    resource = graph.get("users")
    nested = [r["user"] for r in page.records if isinstance(r, dict) and r.get("user")]
    rows, _unfit = cut_all(Cutter(resource), nested)

    def step() -> None:
        work.counts.records += len(page.records)
        wanted = [row for row in rows if row.id in users]
        load(work, resource, wanted, page.answer, Trust.EMBEDDED)

    work.commit(step)
    return {row.id for row in rows}
