"""Prove that rows are gone, and delete them: two complete answers, witnesses, a guard, tombstones.

A row is deleted only after two complete answers of the same run, each of which returned at least
one other id asked for in the same request. An error, an empty page or a cut answer proves nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from psycopg import sql

from intra42.api.model import Answer
from intra42.catalog.model import Resource
from intra42.errors import DeleteRefused, NoWitness
from intra42.statements import compose, table
from intra42.sync.reading import Reader, derive_from
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

_WITNESSES = 5  # any one of them will do: another may have gone too
_PLACES = 100 - _WITNESSES
_DAY = timedelta(hours=24)
_ASKED_FOR = timedelta(days=30)


def ask(work: Work, reader: Reader, ids: Sequence[int]) -> set[int]:
    """Read `ids` by id, at most 100, and return those that came back: the first look.

    Raises:
        NoWitness: no id of the request came back, not even a known one asked for beside them.
    """
    returned, _answer = reader.read_ids(ids)
    return returned or ask_beside_witness(work, reader, ids)


def ask_beside_witness(work: Work, reader: Reader, ids: Sequence[int]) -> set[int]:
    """Read `ids`, of which an answer showed none, beside known ones; return those that came back.

    Raises:
        NoWitness: as in `ask`.
    """
    if not ids:
        return set()
    witness = _witness(work, reader.resource, ids)
    if not witness:
        message = (
            f"{reader.resource.name}: none of {len(ids)} ids came back (first id {ids[0]}), and no "
            "other row is known that could witness their absence; nothing is deleted"
        )
        raise NoWitness(message)
    log.warning("None of %d ids came back: asking again with a known one", len(ids))
    returned: set[int] = set()
    for part in chunked(ids, _PLACES):
        returned |= _read_with(reader, part, witness)[0]
    return returned & set(ids)


def ask_again(work: Work, reader: Reader, ids: Sequence[int]) -> dict[int, Answer]:
    """Ask for `ids` a second time, each request with a witness; return what is gone, with proof.

    Raises:
        NoWitness: an answer without its witness; nothing may be deleted.
    """
    gone: dict[int, Answer] = {}
    for part in chunked(ids, _PLACES):
        witness = _witness(work, reader.resource, ids)
        if not witness:
            message = (
                f"{reader.resource.name}: no row is left that could witness the absence of "
                f"{len(ids)} ids; nothing is deleted"
            )
            raise NoWitness(message)
        returned, answer = _read_with(reader, part, witness)
        gone |= {number: answer for number in part if number not in returned}
    return gone


def _read_with(
    reader: Reader, ids: Sequence[int], witness: Sequence[int]
) -> tuple[set[int], Answer]:
    returned, answer = reader.read_ids([*ids, *witness])
    if not returned:
        message = (
            f"{reader.resource.name}: ids {', '.join(map(str, witness))}, which were there before, "
            f"did not come back beside {len(ids)} others; the answer is not believed and nothing "
            "is deleted"
        )
        raise NoWitness(message)
    return returned, answer


def _witness(work: Work, resource: Resource, ids: Iterable[int]) -> list[int]:
    statement = compose("absence/witness", target=table(resource.name))
    values = {"resource": resource.name, "ids": sorted(ids), "witnesses": _WITNESSES}
    return [row[0] for row in work.connection.execute(statement, values).fetchall()]


def lately_buried(work: Work, resource: Resource) -> list[int]:
    """Return the ids deleted in the last 30 days and not restored, to be asked for again."""
    since = work.latest_clock - _ASKED_FOR
    return [row[0] for row in work.fetch("absence/buried", resource=resource.name, since=since)]


def delete(work: Work, resource: Resource, gone: Mapping[int, Answer], asked: int) -> int:
    """Delete rows whose absence is proven, if the guard allows it; return how many went.

    Args:
        work: the task attempt.
        resource: a table whose rows belong to users.
        gone: for each id, the second answer that did not have it.
        asked: how many rows this run has asked for.

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
    parts = _parts(resource)
    last = max(gone.values(), key=lambda answer: answer.seq)

    def step() -> int:
        work.wait_for("absence/lock", resource=resource.name)
        _guard(work, resource, doomed, asked, last)
        rows = work.connection.execute(
            compose("absence/delete", **parts),
            {
                **work.names,
                "resource": resource.name,
                "ids": doomed,
                "seqs": [gone[number].seq for number in doomed],
                "deleted_at": last.date,
                "reason": "absent from two complete answers of one run",
            },
        ).fetchall()
        work.counts.changed(resource.name, deleted=len(rows))
        if resource.name in {"cursus_users", "campus_users"}:
            derive_from(work, resource.name, sorted({row[1] for row in rows}), last)
        return len(rows)

    deleted = work.commit(step)
    log.warning(
        "Deleted %d rows of %s that the API no longer has; their tombstones are kept",
        *(deleted, resource.name),
    )
    return deleted


def _parts(resource: Resource) -> dict[str, sql.Composable]:
    has_cursus = resource.scope_cursus is not None
    cursus = sql.SQL("|| '/' || coalesce(e.cursus_id::text, 'none')") if has_cursus else sql.SQL("")
    return {"target": table(resource.name), "cursus": cursus}


def _guard(work: Work, resource: Resource, doomed: Sequence[int], asked: int, last: Answer) -> None:
    """Refuse a mass delete: too many rows in this run, or in a day of both DAGs."""
    if work.request.allow_mass_delete:
        return
    config = work.config
    allowed = max(config.max_delete_rows, config.max_delete_share * asked)
    hint = "Nothing was deleted; look at the API, then trigger the DAG with allow_mass_delete"
    if len(doomed) > allowed:
        message = (
            f"{resource.name}: {len(doomed)} of {asked} rows asked for are gone; at most "
            f"{allowed:.0f} may be deleted in one run (max_delete_rows {config.max_delete_rows}, "
            f"max_delete_share {config.max_delete_share}). {hint}"
        )
        raise DeleteRefused(message)
    values = {"resource": resource.name, "ids": list(doomed), "since": last.date - _DAY}
    statement = compose("absence/lately_deleted", **_parts(resource))
    for scope, rows, lately, now in work.connection.execute(statement, values).fetchall():
        allowed = max(config.max_delete_rows, config.max_delete_share * rows)
        if lately + now > allowed:
            message = (
                f"{resource.name}: {now} rows of scope {scope} are gone, after {lately} deleted in "
                f"the last 24 hours; at most {allowed:.0f} of {rows} may go in a day. {hint}"
            )
            raise DeleteRefused(message)
