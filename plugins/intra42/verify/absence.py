"""Prove that something is gone, whatever it is: a row, an account, a pair, a parked record.

A proof is two complete answers of one run, the second sent after the first was seen. Each held a
witness: something else that was asked for in the same request and came back. Where there are
several places that could show it, each is asked twice beside a witness of its own. An error, an
empty page or a cut answer proves nothing, and what was shown after the first answer stays. Rows are
then deleted, if the guard allows it, each with a tombstone, and asked for again for 30 days.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from psycopg import sql

from intra42.api.model import Answer
from intra42.api.pagination import keyset
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.errors import DeleteRefused, NoWitness, NoWitnessLeft
from intra42.store.loading import Provenance
from intra42.store.page import derive_from
from intra42.store.reading import IdsSeries, Reader, ids_of
from intra42.store.witnesses import WITNESSES, seen_since, witnesses
from intra42.verify.removal import hold
from intra42.warehouse.statements import compose, read, table

log = logging.getLogger(__name__)

_PLACES = 100 - WITNESSES
_DAY, _WEEK = timedelta(hours=24), timedelta(days=7)
_ASKED_FOR = timedelta(days=30)
# What may go in a week, in terms of what may go in a day.
_ROWS_A_WEEK, _SHARE_A_WEEK = 3, 2
_HINT = "look at the API, then trigger the DAG with allow_mass_delete"


@dataclass(frozen=True, slots=True)
class Look:
    """A complete answer: the ids it showed, the number of its first request, its last page."""

    shown: set[int]
    seq: int
    answer: Answer


class Place(Protocol):
    """Somewhere the API would show what is asked for."""

    @property
    def name(self) -> str:
        """The table whose rows would show it."""

    def read(self, ids: Sequence[int]) -> Look:
        """Read what the API has for `ids`, at most a hundred."""

    def witnesses(self, ids: Iterable[int]) -> list[int]:
        """Return a few others that the API has lately shown here."""

    def is_unknown(self) -> bool:
        """Tell whether nobody was ever seen here, so that nobody can be a witness."""


class Rows:
    """The rows of a table, each asked for by its own id."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        """The table."""
        return self._reader.resource.name

    def read(self, ids: Sequence[int]) -> Look:
        """Read rows by their ids, and store them."""
        series = IdsSeries(self._reader, ids)
        seq = 0
        for page in series.pages:
            seq = seq or page.answer.seq
            self._reader.absorb_landed([(series, page)], Provenance.DIRECT)
        return Look(series.returned, seq, series.answer)

    def witnesses(self, ids: Iterable[int]) -> list[int]:
        """Return rows that the API has lately shown, other than `ids`."""
        return witnesses(self._reader.work, self.name, ids)

    def is_unknown(self) -> bool:
        """Tell that it is known: what is asked for was there."""
        return False


def look(
    work: Work, place: Place, ids: Collection[int], *, doubted: Collection[int] | None = None
) -> dict[int, Look]:
    """Ask `place` for `ids` beside witnesses; return those that it does not show, with the answer.

    Only the absence of those `doubted` (all, if None) is to be proven: others need no witness.

    Raises:
        NoWitness: an answer held none of the ids asked for, not even one known to be there.
    """
    absent: dict[int, Look] = {}
    for part in chunked(sorted(ids), _PLACES):
        known = place.witnesses(ids)
        seen = place.read([*part, *known])
        matters = doubted is None or not set(part).isdisjoint(doubted)
        if matters and not seen.shown and not place.is_unknown():
            _doubt(work, place, part, known)
        absent |= {number: seen for number in part if number not in seen.shown}
    return absent


def _doubt(work: Work, place: Place, part: Sequence[int], known: Sequence[int]) -> None:
    """Refuse an answer without a witness, unless a person decides and the API shows its users.

    Raises:
        NoWitness: the answer proves nothing; of a class of its own where no other row is left.
    """
    asked = f"{place.name}: none of {len(part)} ids came back (first id {part[0]})"
    if work.request.allow_mass_delete and _shows_users(work):
        log.warning("%s, and no witness; believed, because allow_mass_delete is set", asked)
        return
    if known:
        message = (
            f"{asked}, nor did ids {', '.join(map(str, known))}, which were there before; the "
            f"answer is not believed and nothing is deleted. If it goes on, {_HINT}"
        )
        raise NoWitness(message)
    message = (
        f"{asked}, and no other row is left that could witness their absence; nothing was deleted. "
        f"If they are really gone, {_HINT}"
    )
    raise NoWitnessLeft(message)


def _shows_users(work: Work) -> bool:
    """Tell whether the API answers at all: with users that it has lately shown."""
    known = witnesses(work, graph.people().name, ())
    if not known:
        return False
    shown: set[int] = set()
    for page in keyset(
        work.client, str(graph.people().by_id), {"filter[id]": ",".join(map(str, known))}
    ):
        work.log_page(page)
        shown |= ids_of(page)
    return not shown.isdisjoint(known)


def confirm(
    work: Work,
    places: Sequence[Place],
    first: Mapping[int, int],
    *,
    also: Collection[int] = (),
) -> dict[int, Answer]:
    """Ask a second time, in all places; return what none of them shows, with the last answer.

    Args:
        work: the task attempt.
        places: all places that could show it.
        first: what a first look at each of them did not show, with the number of its request.
        also: ids to be read beside them, whose absence is no news.

    Raises:
        NoWitness: as in `look`.
    """
    left = sorted({*first, *also})
    gone: dict[int, Answer] = {}
    for place in places:
        gone = {n: seen.answer for n, seen in look(work, place, left, doubted=first).items()}
        left = sorted(gone)
    return gone


def prove(work: Work, place: Place, ids: Collection[int]) -> dict[int, int]:
    """Look twice; return what is gone, with the number of the request that first lacked it.

    Raises:
        NoWitness: as in `look`.
    """
    first = _first_look(work, place, ids)
    gone = confirm(work, [place], first) if first else {}
    return {number: first[number] for number in gone}


def _first_look(work: Work, place: Place, ids: Collection[int]) -> dict[int, int]:
    """Return what `place` does not show, with the number of the request."""
    return {number: seen.seq for number, seen in look(work, place, ids).items()}


def lacking(
    work: Work, reader: Reader, ids: Sequence[int], returned: Collection[int], seq: int
) -> dict[int, int]:
    """Return which of `ids` an answer did not show, with its number: the first look.

    Where it showed none of them, they are asked for again beside witnesses.

    Raises:
        NoWitness: as in `look`.
    """
    if returned:
        return {number: seq for number in ids if number not in returned}
    log.warning("None of %d ids came back: asking again with a known one", len(ids))
    return _first_look(work, Rows(reader), ids)


def lately_buried(work: Work, resource: Resource) -> list[int]:
    """Return the ids deleted in the last 30 days that may come back, to be asked for again.

    They are as many as the guard let go. Of an account that was erased only the account is asked
    for, not its rows.
    """
    since = work.latest_clock - _ASKED_FOR
    return [row[0] for row in work.fetch("absence/buried", resource=resource.name, since=since)]


def resolve(
    work: Work, reader: Reader, suspects: Collection[int], buried: Sequence[int], asked: int
) -> None:
    """Look twice at rows that were not shown, and delete what is gone; the rest is as in `settle`.

    Raises:
        DeleteRefused: as in `delete`.
        NoWitness: as in `look`.
    """
    settle(work, reader, _first_look(work, Rows(reader), suspects), buried, asked)


def settle(
    work: Work, reader: Reader, first: Mapping[int, int], buried: Sequence[int], asked: int
) -> None:
    """Look a second time at what a first look lacked, and delete what is gone.

    What was `buried` and is shown again is restored by that. `asked` is as in `delete`.

    Raises:
        DeleteRefused: as in `delete`.
        NoWitness: as in `look`.
    """
    gone = confirm(work, [Rows(reader)], first, also=buried)
    back = [number for number in buried if number not in gone]
    if back:
        log.warning(
            "%d deleted rows of %s are back and were restored", len(back), reader.resource.name
        )
    proven = {number: gone[number] for number in first if number in gone}
    delete(work, reader.resource, proven, asked, first)


def delete(
    work: Work,
    resource: Resource,
    gone: Mapping[int, Answer],
    asked: int,
    first: Mapping[int, int] | None = None,
) -> int:
    """Delete rows whose absence is proven, if the guard allows it; return how many went.

    Args:
        work: the task attempt.
        resource: a table whose rows belong to users.
        gone: for each id, the second answer that did not have it.
        asked: how many rows this run has asked for.
        first: for each id, the number of the first request that did not show it, if known.

    Raises:
        DeleteRefused: more rows would go than allowed; not one is deleted.
    """
    doomed = sorted(gone)
    if not doomed:
        return 0
    if not work.config.delete_missing:
        log.warning(
            "%d rows of %s are gone from the API; delete_missing is false, so they stay",
            *(len(doomed), resource.name),
        )
        return 0
    last = max(gone.values(), key=lambda answer: answer.seq)
    since_first = {number: (first or {}).get(number) or gone[number].seq for number in doomed}

    def step() -> int:
        work.wait_for("absence/lock", resource=resource.name)
        _guard(work, resource, doomed, asked, last.date)
        hold(work, resource, "id", doomed)
        proven = sorted(gone.keys() - seen_since(work, resource.name, since_first))
        values = {
            **work.names,
            "resource": resource.name,
            "ids": proven,
            "seqs": [gone[number].seq for number in proven],
            "deleted_at": last.date,
            "reason": "absent from two complete answers of one run",
        }
        statement = compose("absence/delete", cursus=_cursus(resource), **_places(resource))
        rows = work.connection.execute(statement, values).fetchall()
        work.counts.changed(resource.name, deleted=len(rows))
        if resource.followed_by:
            derive_from(work, resource.name, sorted({row[1] for row in rows}), last)
        return len(rows)

    deleted = work.commit(step)
    log.warning(
        "Deleted %d rows of %s that the API no longer has; their tombstones are kept",
        *(deleted, resource.name),
    )
    return deleted


def _places(resource: Resource) -> dict[str, sql.Composable]:
    """Return a table, and who is on the campus that its rows are counted by, if anybody."""
    home = resource.home
    if home is None:
        nobody = {"home": read("absence/homeless"), "at_home": sql.SQL("true")}
        return {"target": table(resource.name), "owner": sql.Identifier("id"), **nobody}
    owner = sql.Identifier(home.column)
    return {
        "target": table(resource.name),
        "owner": owner,
        "home": table(home.table),
        "at_home": compose("absence/at_home", owner=owner),
    }


def _cursus(resource: Resource) -> sql.Composable:
    """Return what a scope's name ends with where its table has a cursus."""
    has_cursus = resource.scope_cursus is not None
    return sql.SQL("|| '/' || coalesce(e.cursus_id::text, 'none')" if has_cursus else "")


def _guard(
    work: Work, resource: Resource, doomed: Sequence[int], asked: int, now: datetime
) -> None:
    """Refuse a mass delete: too many rows in this run, or in a day or a week of both DAGs."""
    if work.request.allow_mass_delete:
        return
    config = work.config
    allowed = max(config.max_delete_rows, config.max_delete_share * asked)
    if len(doomed) > allowed:
        message = (
            f"{resource.name}: {len(doomed)} of {asked} rows asked for are gone; at most "
            f"{allowed:.0f} may be deleted in one run (max_delete_rows {config.max_delete_rows}, "
            f"max_delete_share {config.max_delete_share}). Nothing was deleted; {_HINT}"
        )
        raise DeleteRefused(message)
    has_cursus = resource.scope_cursus is not None
    found = compose(
        "absence/lately_deleted",
        **_places(resource),
        cursus=_cursus(resource),
        cursus_id=sql.SQL("e.cursus_id" if has_cursus else "null::bigint"),
    )
    same_cursus = sql.SQL("and e.cursus_id is not distinct from %(cursus_id)s")
    count = compose(
        "absence/rows_of_scope",
        **_places(resource),
        of_cursus=same_cursus if has_cursus else sql.SQL(""),
    )
    values = {"resource": resource.name, "ids": list(doomed), **spans_before(now)}
    for scope, campus_id, cursus_id, rows, *lately in work.connection.execute(
        found, values
    ).fetchall():
        place = {"campus_id": campus_id, "cursus_id": cursus_id}

        def counted(enough: int, place: Mapping[str, int | None] = place) -> int:
            row = work.connection.execute(count, {**place, "enough": enough}).fetchone()
            return int(row[0]) if row else 0

        refuse_too_many(
            work, f"{resource.name}: {rows} rows of scope {scope}", rows, lately, counted
        )


def spans_before(now: datetime) -> dict[str, datetime]:
    """Return where the day and the week begin that the guard looks at."""
    return {"day": now - _DAY, "week": now - _WEEK}


def refuse_too_many(
    work: Work,
    what: str,
    now: int,
    lately: Sequence[int],
    counted: Callable[[int], int],
) -> None:
    """Refuse to delete `now` more, after as many as `lately` went in a day and in a week.

    A week is looked at, too, because little a day is much in a month. `counted` returns how many
    there are, if need be no more than it is given: so many are enough.

    Raises:
        DeleteRefused: too many; the message begins with `what`.
    """
    config = work.config
    spans = (
        ("in the last 24 hours", "in a day", 1, 1),
        ("in the last 7 days", "in a week", _ROWS_A_WEEK, _SHARE_A_WEEK),
    )
    for (span, within, more_rows, more_share), before in zip(spans, lately, strict=True):
        least = more_rows * config.max_delete_rows
        if before + now <= least:
            continue
        share = more_share * config.max_delete_share
        total = counted(math.ceil((before + now) / share) + 1 if share else 1_000_000)
        allowed = max(least, share * total)
        if before + now > allowed:
            message = (
                f"{what} are gone, after {before} deleted {span}; at most {allowed:.0f} of {total} "
                f"may go {within}. Nothing was deleted; {_HINT}"
            )
            raise DeleteRefused(message)
