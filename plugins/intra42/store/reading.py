"""Turn pages into rows: the one story that every read of a primary table tells.

Cut the records, decide about users we do not mirror, fetch unknown parents, then commit the rows,
what follows from them, and the position after the page in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from intra42.api.asked import refuse_foreign
from intra42.api.concurrent import Concurrent, Series
from intra42.api.model import Answer
from intra42.api.pagination import LAST_ID, Page, keyset
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource, Strangers
from intra42.store import admission
from intra42.store.decode import Decoded, decode, inner_cutters
from intra42.store.lists import Doubts
from intra42.store.loading import Provenance, existing
from intra42.store.page import put
from intra42.store.parents import resolve
from intra42.store.rows import UNREADABLE, Cutter, Row
from intra42.warehouse.statements import array, compose, read, table

log = logging.getLogger(__name__)

_SEVERAL = 3  # users from elsewhere, who are no chance


class Reader:
    """Reads pages of one primary resource within one task attempt."""

    def __init__(self, work: Work, resource: Resource) -> None:
        self.work = work
        self.resource = resource
        self.cutter = Cutter(resource, work.request.mirrored_cursus("cursus_ids"))
        self.inside = inner_cutters(resource)
        self.unreadable = 0  # records without a usable id
        self.doubts = Doubts()  # what the lists inside the rows lack
        self._entered: set[int] = set()  # users just read who entered, and are stored already
        self.foreign: set[int] = set()  # rows just read that belong to users out of scope
        self._order = {column.name: number for number, column in enumerate(resource.columns)}
        # The loader refetches all open rows anyway.
        self._asks_for_refresh = resource.triggers is not None and not work.is_loader

    def absorb(
        self,
        pages: Sequence[Page],
        provenance: Provenance,
        checkpoint: Callable[[], Any] = lambda: None,
    ) -> set[int]:
        """Store what `pages` hold; `checkpoint` runs in the same transaction.

        Returns the ids that they show, in scope or not.
        """
        for page in pages:
            self.work.log_page(page)
        return self.take(pages, provenance, checkpoint)

    def absorb_listing(self, pages: Iterable[Page]) -> set[int]:
        """Store a listing that is read whole; return the ids that it showed."""
        seen: set[int] = set()
        for page in pages:
            if page.number == 1:
                # The listing moved while it was read, and starts again.
                seen.clear()
            seen |= self.absorb([page], Provenance.DIRECT)
        return seen

    def take(
        self, pages: Sequence[Page], provenance: Provenance, checkpoint: Callable[[], Any]
    ) -> set[int]:
        """Do as `absorb` with pages that the log has already."""
        found = decode(self.cutter, pages, self.inside)
        shown, records = found.ids, len(found.seen) + len(found.bad)
        self.unreadable += sum(item.id is None for item, _answer in found.bad)
        self._entered = set()
        self._leave_out_others(found)
        ours = found.ids
        self._leave_out_strangers(pages, found)
        kept = found.ids
        self.foreign = ours - kept if self.resource.has_user else set()
        outside = sorted(shown - kept - self._entered)
        resolve(self.work, self.resource, found)

        def step() -> None:
            stored = len(found.seen) + len(found.bad) + len(self._entered)
            self.work.counts.dropped += records - stored
            put(self.work, self.resource, found, provenance, doubts=self.doubts)
            # A run about some campuses only does not know who else is in scope.
            if outside and not self.work.request.restricted:
                self._unpark(outside, pages[-1].answer)
            if provenance is Provenance.LISTING and self._asks_for_refresh:
                self.work.execute(
                    "refresh/request",
                    resource=self.resource.triggers,
                    users=array(self._users(found.rows)),
                )
            checkpoint()

        self.work.commit(step)
        return shown

    def read(self, more: Callable[[], Series | None], provenance: Provenance) -> None:
        """Read series of pages until there are no more, several at once where that is faster.

        Pages that came at the same time share a transaction.
        """
        with Concurrent(self.work.client, more) as concurrent:
            for landed in concurrent:
                self.absorb_landed(landed, provenance)

    def absorb_landed(self, landed: Sequence[tuple[Series, Page]], provenance: Provenance) -> None:
        """Store what landed in one transaction, with the checkpoints of its series."""

        def checkpoint() -> None:
            for series, page in landed:
                series.checkpoint(page)

        self.absorb([page for _series, page in landed], provenance, checkpoint)
        for series, page in landed:
            series.stored(page)

    def pages(
        self,
        params: Mapping[str, str],
        *,
        path: str | None = None,
        after: int = 0,
        highest: int = LAST_ID,
        doubt_empty: bool = False,
    ) -> Iterator[Page]:
        """Return the pages of the rows that `params` select; see `keyset`."""
        return keyset(
            self.work.client,
            path or self.resource.by_id or self.resource.endpoint,
            params,
            after=after,
            page_size=self.resource.page_size,
            sortable=self.resource.sortable,
            highest=highest,
            doubt_empty=doubt_empty,
        )

    def read_by(
        self,
        params: Mapping[str, str],
        checkpoint: Callable[[Page], Any],
        *,
        path: str | None = None,
    ) -> None:
        """Read all rows that `params` select, as direct answers, page by page."""
        for page in self.pages(params, path=path):
            self.absorb([page], Provenance.DIRECT, lambda page=page: checkpoint(page))  # type: ignore[misc]

    def read_ids(self, ids: Sequence[int]) -> tuple[set[int], Answer]:
        """Read rows by their ids; return those of `ids` that came back, and the last answer."""
        series = IdsSeries(self, ids)
        for page in series.pages:
            self.absorb_landed([(series, page)], Provenance.DIRECT)
        return series.returned, series.answer

    def users_filters(self, users: Iterable[int]) -> dict[str, str]:
        """Return the filters that select all rows of `users` that are ours."""
        params = {str(self.resource.user_key): ",".join(map(str, users))}
        column, ids = self.ours()
        resource = self.resource
        key = resource.campus_filter if column == "campus_id" else resource.cursus_filter
        if column and key:
            params[key] = ",".join(map(str, ids))
        return params

    def highest_stored(self) -> int:
        """Return the highest id that the mirror has, 0 if it has none."""
        statement = compose("merge/highest", target=table(self.resource.name))
        [row] = self.work.connection.execute(statement).fetchall()
        return int(row[0])

    def report_notes(self) -> None:
        """Say once what was odd about the records of this task."""
        for cutter in (self.cutter, *self.inside.values()):
            _report_notes(cutter)

    def _users(self, rows: Iterable[Row]) -> list[int]:
        return sorted({row.values[self._order["user_id"]] for row in rows})

    def _unpark(self, ids: Sequence[int], answer: Answer) -> None:
        """Keep nothing of records that turned out to be out of scope."""
        self.work.execute(
            "parked/unpark", resource=self.resource.name, ids=list(map(str, ids)), seq=answer.seq
        )

    def _leave_out_others(self, found: Decoded) -> None:
        """Keep what is ours or may be, and rows that were and are kept true."""
        name, ours = self.ours()
        if not name:
            return
        column = self._order[name]
        may_be = {*ours, UNREADABLE}
        rows = [(row.values[column] in ours, row, answer) for row, answer in found.seen]
        others = [
            (self.cutter.read(item.record, name) in may_be, item, answer)
            for item, answer in found.bad
        ]
        left = {row.id for is_ours, row, _answer in rows if not is_ours}
        left |= {item.id for is_ours, item, _answer in others if not is_ours and item.id}
        known = existing(self.work, self.resource.name, left) if left else set()
        found.seen = [(row, answer) for is_ours, row, answer in rows if is_ours or row.id in known]
        found.bad = [(item, a) for is_ours, item, a in others if is_ours or item.id in known]

    def ours(self) -> tuple[str, tuple[int, ...]]:
        """Return the column that says whether a row is mirrored, and its values; empty: none does.

        That is its cursus, or the campus of a table `of_campus`.
        """
        request, resource = self.work.request, self.resource
        if resource.of_campus:
            campuses = request.mirrored_campuses()
            return ("campus_id", campuses) if campuses else ("", ())
        if resource.scope_cursus is None or "cursus_id" not in self._order:
            return "", ()
        return "cursus_id", request.mirrored_cursus(resource.scope_cursus)

    def _leave_out_strangers(self, pages: Sequence[Page], found: Decoded) -> None:
        """Keep what belongs to mirrored users, once those who enter are mirrored, too.

        Of a bad record that does not say whose it is, nothing but its id is kept.
        """
        if self.resource.people:
            self._leave_out_unless_admitted(pages, found)
            return
        if not self.resource.has_user:
            return
        column = self._order["user_id"]
        owners = [self.cutter.read(item.record, "user_id") for item, _answer in found.bad]
        nobody = {None, UNREADABLE}
        users = {row.values[column] for row, _answer in found.seen} | set(owners) - nobody
        known = existing(self.work, graph.people().name, users)
        if not users <= known:
            strangers = [
                (row.values[column], row.record)
                for row, _answer in found.seen
                if row.values[column] not in known
            ]
            strangers += [
                (owner, item.record)
                for owner, (item, _answer) in zip(owners, found.bad, strict=True)
                if owner not in known | nobody
            ]
            known |= self._admitted(strangers)
        found.seen = [(row, answer) for row, answer in found.seen if row.values[column] in known]
        found.bad = [
            (item.without_values() if owner in nobody else item, answer)
            for owner, (item, answer) in zip(owners, found.bad, strict=True)
            if owner in known or owner in nobody
        ]

    def _leave_out_unless_admitted(self, pages: Sequence[Page], found: Decoded) -> None:
        """Keep what is of mirrored users; those who enter are stored with their memberships."""
        known = existing(self.work, self.resource.name, found.ids)
        new = [(r, a) for r, a in found.seen if r.id not in known and admission.is_wanted(r.record)]
        new_bad = [
            (item, answer)
            for item, answer in found.bad
            if item.id not in known
            and not (isinstance(item.record, dict) and not admission.is_wanted(item.record))
        ]
        nameless = [(item.without_values(), a) for item, a in new_bad if item.id is None]
        named = [(item, answer) for item, answer in new_bad if item.id is not None]
        admitted = admission.Admission()
        if new or named:
            check = partial(_refuse_users_from_elsewhere, pages)
            admitted = admission.admit_shown(self.work, new, named, check)
        self._entered = admitted.entered
        found.seen = [(row, answer) for row, answer in found.seen if row.id in known]
        found.bad = [
            *((item, answer) for item, answer in found.bad if item.id in known),
            *((item, answer) for item, answer in named if item.id in admitted.in_scope),
            *nameless,
        ]

    def _admitted(self, strangers: Sequence[tuple[int, Mapping[str, Any]]]) -> set[int]:
        """Return the owners of (owner, record) who turned out to have entered the scope."""
        policy = self.resource.strangers
        if policy in {Strangers.LOOK_UP, Strangers.ENROLLED}:
            return admission.admit(
                self.work,
                {owner for owner, record in strangers if admission.looks_like_a_student(record)},
                enrolled=policy is Strangers.ENROLLED,
                # Who is outside of what this run is about may be inside of the settings.
                remember=self.work.request.lists_all,
            )
        if policy is Strangers.NEWCOMER and self.work.config.campus_ids:
            return admission.admit(
                self.work,
                {owner for owner, record in strangers if self._may_be_a_newcomer(record)},
                enrolled=False,
                remember=False,
            )
        return set()

    def _may_be_a_newcomer(self, membership: Mapping[str, Any]) -> bool:
        campus = self.cutter.read(membership, "campus_id")
        primary = self.cutter.read(membership, "is_primary")
        return bool(primary) and campus in {*self.work.config.campus_ids, UNREADABLE}


def _refuse_users_from_elsewhere(pages: Iterable[Page], homes: admission.Homes) -> None:
    """Refuse a page of users most of whom have never been at the campuses asked for.

    Their records have no campus. Whoever has moved on keeps a membership, so that only somebody
    without any there was not asked for.

    Raises:
        FilterIgnored: the endpoint ignores the filter by campus.
    """
    key = str(graph.people().campus_filter)
    for page in pages:
        asked = page.listing.asked
        campuses = set(asked.get(key, "").split(","))
        lives = [set(map(str, homes[user])) for user in ids_of(page) if user in homes]
        foreign = sum(campuses.isdisjoint(home) for home in lives)
        if key in asked and foreign >= _SEVERAL:
            refuse_foreign(page, key, foreign)


def _report_notes(cutter: Cutter) -> None:
    name, notes = cutter.resource.name, cutter.notes
    for key, first in sorted(notes.additional.items()):
        log.warning(
            "%s: records have a field the catalogue does not know: %s (first seen in id %s)",
            *(name, key, first),
        )
    for key, first in sorted(notes.missing.items()):
        log.warning(
            "%s: records lack the field %s (first seen in id %s); older values are kept",
            *(name, key, first),
        )
    if notes.nul_characters or notes.bad_unicode:
        log.warning(
            "%s: removed %d NUL characters, replaced invalid Unicode in %d texts",
            *(name, notes.nul_characters, notes.bad_unicode),
        )


def ids_of(page: Page) -> set[int]:
    """Return the usable ids of a page's records."""
    return {
        number
        for record in page.records
        if isinstance(record, dict)
        and isinstance(number := record.get("id"), int)
        and not isinstance(number, bool)
    }


class IdsSeries(Series):
    """Rows asked for by their ids, and which of them came back.

    A record without a usable id may be any of them: then none is said to be absent. A record of
    somebody out of scope is not the row we ask for: ids may be given away.

    Attributes:
        reader: who stores them.
        ids: what is asked for.
        returned: those that came back so far.
        answer: the last answer.
    """

    answer: Answer

    def __init__(self, reader: Reader, ids: Sequence[int]) -> None:
        super().__init__(reader.pages({"filter[id]": ",".join(map(str, sorted(ids)))}))
        self.ids = ids
        self.returned: set[int] = set()
        self.reader = reader

    def checkpoint(self, page: Page) -> None:
        """Note which ids came back."""
        found = ids_of(page)
        self.answer = page.answer
        all_readable = len(found) == len(page.records)
        came = found - self.reader.foreign if all_readable else set(self.ids)
        self.returned |= came & set(self.ids)


def lock(work: Work, resource: Resource) -> None:
    """Become the only writer of this DAG and resource; wait for another one, at most 10 minutes.

    All scopes of a resource share listings, so they share the lock. An explicit window shares no
    checkpoint with anybody: months of backfill do not keep the runs of the day waiting.

    Raises:
        psycopg.errors.LockNotAvailable: the other one still works; nothing was asked of the API.
    """
    name = f"{work.identity.dag_id}/{resource.name}"
    _lock(work, f"{name}/{work.identity.run_id}" if work.request.window else name)


def lock_task(work: Work) -> None:
    """Become the only attempt of this task, where several tasks share a table; wait as in `lock`.

    Raises:
        psycopg.errors.LockNotAvailable: as in `lock`.
    """
    who = work.identity
    _lock(work, f"{who.dag_id}/{who.run_id}/{who.task_id}/{who.map_index}")


def _lock(work: Work, name: str) -> None:
    row = work.connection.execute(read("ledger/try_lock"), {"name": name}).fetchone()
    if row and row[0]:
        return
    log.info("Another task works on %s: waiting for it to end", name)
    work.wait_for("ledger/lock", name=name)
