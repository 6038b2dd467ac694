"""Refetch ongoing enrolments by id: finds levels recomputed silently, and rows that vanished.

Intra recomputes `cursus_users.level` without touching `updated_at`, and removes the row of an
applicant who unregisters without a trace (both measured by public clients). Only asking by id shows
either. A row is deleted after two complete answers of one run, each with a witness.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from datetime import timedelta

from intra42.api.model import Answer
from intra42.api.pagination import Page
from intra42.catalog import graph
from intra42.errors import DeleteRefused, NoWitness
from intra42.sync import history
from intra42.sync.reading import Reader, derive_from, lock
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

_RESOURCE = "cursus_users"
_MAX_TASKS = 12  # mapped tasks cost about as much as a request each; more would cost more
_RESTORE_FOR = timedelta(days=30)


def drain_leftovers(work: Work) -> None:
    """Read the history of users who entered after the task of some table had already run."""
    for resource in graph.of_group("primary"):
        if work.fetch("state/queued", resource=resource.name, all_dags=work.is_loader)[0][0]:
            lock(work, resource)
            reader = Reader(work, resource)
            history.drain(work, reader)
            reader.report_notes()


def plan_chunks(work: Work) -> list[list[int]]:
    """Write the ids to refetch into `refresh_chunks`; return the chunk numbers of each task.

    The loader refetches all ongoing rows. The other DAG refetches those of users with an attempt in
    its window, always, and fills its request budget with the rows verified longest ago.
    """
    size = work.config.refresh_chunk_size
    budget = None if work.is_loader else work.config.incremental_request_budget * size
    now = work.fetch("state/latest_clock")[0][0]
    rows = work.fetch(
        "refresh/ongoing",
        cursus=list(work.config.refresh_cursus_ids),
        # A day of slack: asking for a row that has just ended costs nothing.
        since=now - timedelta(days=1),
    )
    urgent = [row[0] for row in rows if row[1]]
    rest = [row[0] for row in rows if not row[1]]
    chosen = urgent + (rest if budget is None else rest[: max(0, budget - len(urgent))])
    chunks = list(chunked(sorted(chosen), size))

    def step() -> None:
        work.execute("refresh/forget_chunks")
        work.execute("refresh/plan_requests")
        for number, ids in enumerate(chunks, start=1):
            work.execute("refresh/add_chunk", chunk=number, ids=list(ids))

    work.commit(step)
    log.info(
        "%d ongoing enrolments, %d of users with a new attempt: refetching %d in %d requests",
        *(len(rows), len(urgent), len(chosen), len(chunks)),
    )
    each = max(1, math.ceil(len(chunks) / _MAX_TASKS))
    return [list(group) for group in chunked(range(1, len(chunks) + 1), each)]


def refetch(work: Work, chunks: Sequence[int]) -> None:
    """Refetch the ids of `chunks`, and note which of them the API does not return.

    Raises:
        NoWitness: an answer held none of the ids asked for, not even one seen a moment ago.
    """
    reader = Reader(work, graph.get(_RESOURCE))
    try:
        for chunk, ids in work.fetch("refresh/chunks", chunks=list(chunks)):
            returned, _answer = _ask(work, reader, ids)
            absent = sorted(set(ids) - returned)
            work.commit(
                lambda chunk=chunk, absent=absent: work.execute(  # type: ignore[misc]
                    "refresh/end_chunk", chunk=chunk, absent=absent
                )
            )
            if absent:
                log.info("Chunk %d: %d of %d ids did not come back", chunk, len(absent), len(ids))
    finally:
        reader.report_notes()


def delete_missing(work: Work) -> None:
    """Ask a second time for what did not come back, and delete what is gone twice.

    Raises:
        NoWitness: the second answer proves nothing.
        DeleteRefused: more rows would go than the guard allows; not one is deleted.
    """
    reader = Reader(work, graph.get(_RESOURCE))
    try:
        work.commit(lambda: work.execute("refresh/end_requests"))
        asked, absent = work.fetch("refresh/outcome")[0]
        buried = _buried(work) if work.is_loader else []
        if not absent and not buried:
            log.info("All %d enrolments asked for came back: nothing to delete", asked)
            return
        gone, answers = _ask_again(work, reader, sorted({*absent, *buried}))
        restored = [number for number in buried if number not in gone]
        if restored:
            log.warning("%d deleted enrolments are back and were restored", len(restored))
        doomed = sorted(set(absent) & gone.keys())
        if doomed:
            _delete(work, doomed, {number: gone[number] for number in doomed}, asked, answers)
    finally:
        reader.report_notes()


def _buried(work: Work) -> list[int]:
    now = work.fetch("state/latest_clock")[0][0]
    return [row[0] for row in work.fetch("refresh/buried", since=now - _RESTORE_FOR)]


def _ask(work: Work, reader: Reader, ids: Sequence[int]) -> tuple[set[int], Answer]:
    """Read `ids` by id, with a witness beside them; return those that came back.

    Raises:
        NoWitness: no id of the request came back.
    """
    returned, answer = _read(reader, ids)
    if returned or not ids:
        return returned, answer
    witness = _witnesses(work, ids)
    if witness:
        log.warning("None of %d ids came back: asking again with a known one", len(ids))
        again: set[int] = set()
        for part in chunked(ids, 99):
            some, answer = _read(reader, [*part, witness[0]])
            if not some:
                break
            again |= some
        else:
            return again & set(ids), answer
    message = (
        f"{_RESOURCE}: none of {len(ids)} ids came back (first id {ids[0]})"
        + (f", not even id {witness[0]}, which was there before" if witness else "")
        + "; the answer is not believed and nothing is deleted"
    )
    raise NoWitness(message)


def _read(reader: Reader, ids: Sequence[int]) -> tuple[set[int], Answer]:
    returned: set[int] = set()
    answers: list[Answer] = []

    def note(page: Page) -> None:
        answers.append(page.answer)
        for record in page.records:
            if isinstance(record, dict) and isinstance(record.get("id"), int):
                returned.add(record["id"])

    reader.read_by({"filter[id]": ",".join(map(str, sorted(ids)))}, note)
    return returned & set(ids), answers[-1]


def _witnesses(work: Work, ids: Iterable[int]) -> list[int]:
    return [row[0] for row in work.fetch("refresh/witness", ids=sorted(ids))]


def _ask_again(
    work: Work, reader: Reader, ids: Sequence[int]
) -> tuple[dict[int, Answer], list[Answer]]:
    """Ask for `ids`, each request with a row that is there; return what is gone, with its proof."""
    gone: dict[int, Answer] = {}
    answers: list[Answer] = []
    for part in chunked(ids, 99):
        witness = _witnesses(work, ids)
        if not witness:
            message = (
                f"{_RESOURCE}: no row is left that could witness the absence of {len(ids)} ids; "
                "nothing is deleted"
            )
            raise NoWitness(message)
        returned, answer = _read(reader, [*part, witness[0]])
        if not returned:
            message = (
                f"{_RESOURCE}: id {witness[0]}, which was there before, did not come back beside "
                f"{len(part)} ids asked for a second time; nothing is deleted"
            )
            raise NoWitness(message)
        answers.append(answer)
        gone |= {number: answer for number in part if number not in returned}
    return gone, answers


def _delete(
    work: Work,
    doomed: Sequence[int],
    proof: dict[int, Answer],
    asked: int,
    answers: Sequence[Answer],
) -> None:
    if not work.config.delete_missing:
        log.warning(
            "%d enrolments are gone from the API; delete_missing is false, so they stay",
            len(doomed),
        )
        return
    resource = graph.get(_RESOURCE)
    last = answers[-1]
    seqs = [proof[number].seq for number in doomed]

    def step() -> int:
        work.execute("refresh/lock_deletes", resource=_RESOURCE)
        _guard(work, doomed, asked, last)
        rows = work.fetch(
            "refresh/delete",
            resource=_RESOURCE,
            ids=list(doomed),
            seqs=seqs,
            deleted_at=last.date,
            reason="absent from two complete answers of one run",
        )
        work.counts.changed(_RESOURCE, deleted=len(rows))
        derive_from(work, resource.name, sorted({row[1] for row in rows}), last)
        return len(rows)

    deleted = work.commit(step)
    log.warning("Deleted %d enrolments that the API no longer has; tombstones kept", deleted)


def _guard(work: Work, doomed: Sequence[int], asked: int, last: Answer) -> None:
    """Refuse a mass delete.

    Raises:
        DeleteRefused: with the numbers; a person may set `allow_mass_delete`.
    """
    if work.request.allow_mass_delete:
        return
    config = work.config
    allowed = max(config.max_delete_rows, config.max_delete_share * asked)
    if len(doomed) > allowed:
        message = (
            f"{_RESOURCE}: {len(doomed)} of {asked} rows asked for are gone; at most "
            f"{allowed:.0f} may be deleted in one run (max_delete_rows {config.max_delete_rows}, "
            f"max_delete_share {config.max_delete_share}). Nothing was deleted; look at the API, "
            "then trigger the DAG with allow_mass_delete"
        )
        raise DeleteRefused(message)
    for scope, rows, lately, now in work.fetch(
        "refresh/lately_deleted",
        resource=_RESOURCE,
        ids=list(doomed),
        since=last.date - timedelta(hours=24),
    ):
        allowed = max(config.max_delete_rows, config.max_delete_share * rows)
        if lately + now > allowed:
            message = (
                f"{_RESOURCE}: {now} rows of scope {scope} are gone, after {lately} deleted in the "
                f"last 24 hours; at most {allowed:.0f} of {rows} may go in a day. Nothing was "
                "deleted; look at the API, then trigger the DAG with allow_mass_delete"
            )
            raise DeleteRefused(message)
