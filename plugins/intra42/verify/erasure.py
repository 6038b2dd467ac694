"""Make an account's old values disappear once the API shows it anonymised, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

from intra42.api.model import Answer
from intra42.api.pagination import Page, keyset
from intra42.attempt.troubles import Troubles
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.read.history import store_nested
from intra42.store import admission
from intra42.store.decode import Decoded, Seen
from intra42.store.loading import Provenance, existing
from intra42.store.page import put
from intra42.store.reading import Reader
from intra42.store.witnesses import seen_since, witnesses
from intra42.verify import absence
from intra42.verify.absence import Look
from intra42.verify.removal import Removal, hold, remove_users
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_AT_ONCE = 95


class Nested:
    """Accounts as the rows of a table show them, asked for by user id.

    Attributes:
        found: those who were shown so far, as they were shown.
    """

    def __init__(self, work: Work, resource: Resource) -> None:
        self._work = work
        self._resource = resource
        self.found: dict[int, Seen] = {}

    @property
    def name(self) -> str:
        """The table."""
        return self._resource.name

    def read(self, ids: Sequence[int]) -> Look:
        """Read the rows of these accounts; keep the accounts true that the mirror has."""
        params = {str(self._resource.user_key): ",".join(map(str, ids))}
        shown: set[int] = set()
        seq = 0
        for page in keyset(
            self._work.client,
            str(self._resource.by_id),
            params,
            sortable=self._resource.sortable,
        ):
            self._work.log_page(page)
            seq, last = seq or page.answer.seq, page.answer
            shown |= self._store(page, ids)
        return Look(shown & set(ids), seq, last)

    def _store(self, page: Page, ids: Collection[int]) -> set[int]:
        """Store whom a page shows; return who that is: all, where a record does not say."""
        rows = store_nested(self._work, page, existing(self._work, graph.people().name, ids))
        self.found |= {row.id: (row, page.answer) for row in rows}
        named = [_id_of(record) for record in page.records]
        return set(ids) if None in named else {number for number in named if number is not None}

    def witnesses(self, ids: Iterable[int]) -> list[int]:
        """Return others who have a row that the API has lately shown."""
        return witnesses(self._work, self.name, ids, owner="user_id")

    def is_unknown(self) -> bool:
        """Tell whether nobody at all has such a row."""
        statement = compose("erasure/knows_any", target=table(self.name))
        row = self._work.connection.execute(statement).fetchone()
        return not (row and row[0])


def _id_of(record: object) -> int | None:
    user = record.get("user") if isinstance(record, dict) else None
    number = user.get("id") if isinstance(user, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def erase(work: Work) -> None:
    """Scrub anonymised accounts, let in again those that are back, erase those that are gone.

    Raises:
        NoWitness: an answer proves nothing.
        DeleteRefused: more accounts would go than the guard allows; not one is erased.
    """
    troubles = Troubles()
    try_to_erase(work, troubles)
    troubles.tell()


def try_to_erase(work: Work, troubles: Troubles) -> None:
    """Do as `erase`, and leave what goes wrong in `troubles`."""
    work.commit(lambda: work.execute("erasure/scrub_anonymised"))
    with troubles.kept():
        _let_back(work)
    with troubles.kept():
        _erase_vanished(work)


def _let_back(work: Work) -> None:
    """Let accounts in again that any place shows; they bring their whole history."""
    back = absence.lately_buried(work, graph.people())
    for chunk in chunked(back, _AT_ONCE):
        left = set(chunk)
        shown = admission.collect(work, graph.people(), left)
        found = {row.id: (row, answer) for row, answer in shown.seen}
        bad = Decoded(bad=[(item, answer) for item, answer in shown.bad if item.id in left])
        work.commit(lambda bad=bad: put(work, graph.people(), bad, Provenance.DIRECT))  # type: ignore[misc]
        for place in (Nested(work, resource) for resource in graph.nesting_people()):
            left -= found.keys()
            if left:
                place.read(sorted(left))
                found |= {n: seen for n, seen in place.found.items() if n in left}
        if found:
            log.warning("%d erased accounts are back: they enter again", len(found))
            admission.admit(
                work,
                found,
                enrolled=False,
                remember=False,
                returning=True,
                known=list(found.values()),
            )


def _erase_vanished(work: Work) -> None:
    """Look for accounts that no listing showed in the other places, then everywhere once more."""
    first: dict[int, int] = dict(work.fetch("erasure/vanished"))
    if not first:
        return
    others = [Nested(work, resource) for resource in graph.nesting_people()]
    # The sync of users has looked for them by id and in their enrolments.
    left = absence.look(work, others[-1], first)
    first = {user: seq for user, seq in first.items() if user in left}
    places: list[absence.Place] = [absence.Rows(Reader(work, graph.people())), *others]
    gone = absence.confirm(work, places, first) if first else {}
    if gone:
        _erase(work, gone, first)
    work.commit(lambda: work.execute("erasure/forget_vanished"))
    work.commit(lambda: work.execute("erasure/scrub_anonymised"))


def _erase(work: Work, gone: Mapping[int, Answer], first: Mapping[int, int]) -> None:
    if not work.config.delete_missing:
        log.warning("%d accounts are gone; delete_missing is false, so they stay", len(gone))
        return
    proof = max(gone.values(), key=lambda answer: answer.seq)
    why = Removal(
        reason="the account is no longer shown by the API",
        purged=False,
        seq=proof.seq,
        deleted_at=proof.date,
    )

    def step() -> list[int]:
        work.wait_for("absence/lock", resource=graph.people().name)
        _guard(work, len(gone), proof)
        _hold(work, sorted(gone))
        users = sorted(gone.keys() - _seen_since(work, {user: first[user] for user in gone}))
        remove_users(work, users, why)
        return users

    erased = len(work.commit(step))
    if erased < len(gone):
        log.warning("%d accounts stay: rows of theirs were shown meanwhile", len(gone) - erased)
    log.warning("Erased %d accounts that the API no longer shows", erased)


def _hold(work: Work, users: Sequence[int]) -> None:
    """Let nobody add rows of these accounts, and wait for those who are just writing some."""
    work.fetch("erasure/hold_users", users=users)
    for resource in graph.children_of_users():
        hold(work, resource, "user_id", users)


def _seen_since(work: Work, first: Mapping[int, int]) -> set[int]:
    """Return the accounts that any of the places showed after the first proof that they are gone.

    Rows that only hold an account's id outlive it: memberships are shown of hidden accounts, too.
    """
    seen = seen_since(work, graph.people().name, first)
    for resource in graph.nesting_people():
        seen |= seen_since(work, resource.name, first, owner="user_id")
    return seen


def _guard(work: Work, gone: int, proof: Answer) -> None:
    """Refuse to erase too many accounts in a day or a week."""
    if work.request.allow_mass_delete:
        return
    total, *lately = work.fetch("erasure/lately_erased", **absence.spans_before(proof.date))[0]
    absence.refuse_too_many(
        work, f"users: {gone} accounts", gone, lately, lambda _enough: int(total)
    )
