"""Refetch ongoing enrolments by id: finds levels recomputed silently, and rows that vanished.

Intra recomputes `cursus_users.level` without touching `updated_at`, and removes the row of an
applicant who unregisters without a trace (both measured by public clients). Only asking by id shows
either. A row is deleted after two complete answers of one run, each with a witness.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from psycopg import sql

from intra42.api.concurrent import Series
from intra42.api.pagination import Page
from intra42.attempt.troubles import Troubles
from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.read import history, jobs
from intra42.read.jobs import REFETCH, Job, Partition
from intra42.read.watermarks import watermarks
from intra42.store.loading import Provenance
from intra42.store.reading import IdsSeries, Reader, lock, lock_task
from intra42.verify import absence
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

# As measured by the benchmark: what a mapped task costs beside its requests, and what it takes to
# store what one of them brings, where no quota binds.
_TASK_S, _PAGE_S = 0.4, 0.05
_MAX_TASKS = 12  # more of them would only be tedious to look through


def drain_leftovers(work: Work) -> None:
    """Read the history of users who entered after the task of some table had already run.

    A table that fails stops neither the others nor the refresh of levels: `delete_missing` tries it
    again, and is red if it fails once more. A run of an explicit window has no such task.

    Raises:
        Intra42Error: the troubles of all tables, where the run is about an explicit window.
    """
    troubles = Troubles()
    _drain(work, troubles)
    if work.request.window:
        troubles.tell()


def _drain(work: Work, troubles: Troubles) -> None:
    for resource in (graph.people(), *history.tables(work)):
        with troubles.kept():
            if history.waiting(work, resource):
                lock(work, resource)
                reader = Reader(work, resource)
                history.drain(work, reader)
                reader.report_notes()


def plan_chunks(work: Work) -> list[list[int]]:
    """Write a job with the ids to refetch, a request each; return the numbers of each task.

    The loader refetches all ongoing rows. The other DAG refetches those of users with an attempt in
    its window, always, and fills its request budget with the rows verified longest ago.
    """
    loaded, _missing = watermarks(work, graph.refetched())
    if not work.is_loader and not loaded:
        log.info(
            "%s: the first load by %s is not finished, so nothing is refetched yet",
            *(graph.refetched().name, work.loader),
        )
        work.commit(lambda: _refetched(work, "refresh/forget_plans"))
        return []
    size = work.config.refresh_chunk_size
    budget = None if work.is_loader else work.config.incremental_request_budget * size
    now = work.latest_clock
    # A day of slack: asking for a row that has just ended costs nothing.
    rows = _of_open_rows(work, "refresh/ongoing", since=now - timedelta(days=1))
    urgent = [row[0] for row in rows if row[1]]
    rest = [row[0] for row in rows if not row[1]]
    chosen = urgent + (rest if budget is None else rest[: max(0, budget - len(urgent))])
    chunks = list(chunked(sorted(chosen), size))

    def step() -> None:
        _refetched(work, "refresh/forget_plans")
        _refetched(work, "refresh/plan_requests")
        partitions = [Partition(ids=tuple(ids)) for ids in chunks]
        jobs.begin(work, graph.refetched(), REFETCH, partitions)

    work.commit(step)
    log.info(
        "%d enrolments ongoing or ended since yesterday%s: refetching %d in %d requests",
        len(rows),
        "" if work.is_loader else f", {len(urgent)} of users with a new attempt",
        *(len(chosen), len(chunks)),
    )
    return [
        list(group) for group in chunked(range(1, len(chunks) + 1), _chunks_a_task(work, chunks))
    ]


def _refetched(work: Work, statement: str) -> None:
    """Run a statement about the table whose open rows are refetched."""
    work.execute(statement, resource=graph.refetched().name)


def _planned(work: Work) -> Job | None:
    """Return what this run has planned to refetch, even if that is done."""
    found = work.fetch("refresh/planned", resource=graph.refetched().name)
    return Job(id=found[0][0], kind=REFETCH) if found else None


def _of_open_rows(work: Work, name: str, **values: object) -> list[tuple[Any, ...]]:
    resource = graph.refetched()
    until = sql.Identifier(str(resource.open_until))
    statement = compose(name, target=table(resource.name), until=until)
    cursus = list(work.config.refresh_cursus_ids)
    values |= {**work.names, "resource": resource.name, "cursus": cursus}
    return work.connection.execute(statement, values).fetchall()


def _chunks_a_task(work: Work, chunks: Sequence[object]) -> int:
    """Return how many chunks each mapped task refetches: its requests take longer than it costs.

    That is one at 2 requests a second, and four at 8.
    """
    worth = math.ceil(_TASK_S / max(_PAGE_S, 1 / work.client.per_second))
    return max(worth, math.ceil(len(chunks) / _MAX_TASKS))


def refetch(work: Work, chunks: Sequence[int]) -> int:
    """Refetch the ids of `chunks`, note which of them the API does not return, and how many.

    Raises:
        NoWitness: an answer held none of the ids asked for, not even one seen a moment ago; the
            other chunks are refetched.
    """
    lock_task(work)
    reader = Reader(work, graph.refetched())
    job = _planned(work)
    begun: list[_ChunkSeries] = []
    troubles = Troubles()

    def more() -> Series | None:
        being_read = [series.partition.number for series in begun]
        partition = job and jobs.next_partition(work, job, being_read, chunks)
        if not job or not partition:
            return None
        begun.append(_ChunkSeries(work, reader, job, partition, troubles))
        return begun[-1]

    try:
        reader.read(more, Provenance.DIRECT)
    finally:
        reader.report_notes()
    troubles.tell()
    return sum(series.absent for series in begun)


class _ChunkSeries(IdsSeries):
    """The ids of one chunk, and at its end the note of which did not come back."""

    def __init__(
        self, work: Work, reader: Reader, job: Job, partition: Partition, troubles: Troubles
    ) -> None:
        super().__init__(reader, partition.ids)
        self.partition = partition
        self.absent = 0
        self._work = work
        self._job = job
        self._troubles = troubles
        self._first_seq = 0

    def stored(self, page: Page) -> None:
        """End the chunk, unless the answer proves nothing."""
        self._first_seq = self._first_seq or page.answer.seq
        if page.done:
            with self._troubles.kept():
                self._end()

    def _end(self) -> None:
        work = self._work
        absent = absence.lacking(work, self.reader, self.ids, self.returned, self._first_seq)
        self.absent = len(absent)
        work.commit(
            lambda: work.execute(
                "refresh/end_partition",
                job_id=self._job.id,
                number=self.partition.number,
                absent=list(absent),
                absent_seqs=list(absent.values()),
            )
        )
        if absent:
            log.info(
                "Chunk %d: %d of %d ids did not come back",
                *(self.partition.number, len(absent), len(self.ids)),
            )


def verify_open(work: Work, reader: Reader) -> None:
    """Ask by id for open rows that this run has not been shown; delete what is proven gone.

    Raises:
        DeleteRefused: more rows are gone than the guard allows; not one is deleted.
        NoWitness: an answer proves nothing.
    """
    resource = reader.resource
    until = sql.Identifier(str(resource.open_until))
    statement = compose("refresh/unseen_open", target=table(resource.name), until=until)
    values = {**work.names, "resource": resource.name, "now": work.clock}
    ids = [row[0] for row in work.connection.execute(statement, values).fetchall()]
    if not ids:
        return
    log.info("%s: asking for %d open rows by id", resource.name, len(ids))
    absence.resolve(work, reader, ids, [], len(ids))


def delete_missing(work: Work) -> None:
    """Ask a second time for what did not come back, and delete what is gone twice.

    Raises:
        NoWitness: the second answer proves nothing.
        DeleteRefused: more rows would go than the guard allows; not one is deleted.
        Intra42Error: users who entered late could not be read; the enrolments were dealt with.
    """
    lock_task(work)
    reader = Reader(work, graph.refetched())
    troubles = Troubles()
    try:
        with troubles.kept():
            _delete_missing(work, reader)
    finally:
        reader.report_notes()
    _remark_staleness(work)
    _drain(work, troubles)
    troubles.tell()


def _delete_missing(work: Work, reader: Reader) -> None:
    job = _planned(work)
    work.commit(lambda: _refetched(work, "refresh/end_requests"))
    asked, absent, seqs = work.fetch("refresh/outcome", job_id=job.id)[0] if job else (0, [], [])
    first = dict(zip(absent or (), seqs or (), strict=True))
    buried = absence.lately_buried(work, reader.resource) if work.is_loader else []
    if not first and not buried:
        log.info("All %d enrolments asked for came back: nothing to delete", asked)
        return
    absence.settle(work, reader, first, buried, asked)


def _remark_staleness(work: Work) -> None:
    """Say how long ago ongoing rows were seen to be as the mirror has them."""
    now = work.latest_clock
    found = _of_open_rows(work, "refresh/staleness", now=now)
    if found[0][0]:
        median_s, most_s = found[0][0]
        work.figures |= {"verified_median_s": round(median_s), "verified_most_s": round(most_s)}
        half, most = span(median_s), span(most_s)
        work.remarks.append(f"ongoing rows verified {half} ago (median), {most} ago (95 %)")


def span(seconds: float) -> str:
    """Return a time span as a person would say it: `0 min`, `14 min`, `3.2 h`, `2.5 d`."""
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"
