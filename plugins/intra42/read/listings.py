"""Read the listings of a job: windows, first loads and full refreshes, in their partitions."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from intra42.api.concurrent import Series
from intra42.api.pagination import Page
from intra42.attempt.work import Work, chunked
from intra42.catalog.model import Resource
from intra42.errors import NotFound, RangeIgnored
from intra42.read import jobs, window
from intra42.read.jobs import Job, Partition
from intra42.read.partitions import PartitionSeries
from intra42.store.loading import Provenance
from intra42.store.parents import CHUNK
from intra42.store.reading import Reader

log = logging.getLogger(__name__)

WITH_MEMBERSHIPS = 86  # users a page, so that the memberships of a page's users fill one, too


class FutureWatermark(Exception):  # says what was found, not what failed
    """The window continues from a time later than the API's own clock; it may hide changes."""


def run_job(work: Work, reader: Reader, job: Job) -> None:
    """Read all partitions of `job` that are not done; the last page's commit moves the watermark.

    Raises:
        FutureWatermark: the watermark the window continues from was wrong; the job is dropped.
        NotFound: the API has no such listing, and the settings ask for it.
    """
    if job.span:
        work.window_from = min(work.window_from or job.span.since, job.span.since)
        work.window_to = job.span.until
    if job.ends_with_partitions and not jobs.next_partition(work, job):
        work.commit(lambda: job.finish(work, reader.resource))
    being_read: set[int] = set()

    def more() -> Series | None:
        partition = jobs.next_partition(work, job, being_read)
        if partition is None:
            return None
        being_read.add(partition.number)
        return _Listing(work, reader, job, partition)

    try:
        reader.read(more, Provenance.LISTING)
    except NotFound:
        if not _drop_unwanted(work, reader.resource, job):
            raise
        run_job(work, reader, job)


def _drop_unwanted(work: Work, resource: Resource, job: Job) -> bool:
    """Drop listings that the settings no longer ask for; tell whether there were any.

    Such as those of a cursus that the API does not have, named by mistake: nobody could ever read
    them, and the job would never end.
    """
    wanted = [scope.key for scope in window.scopes(resource, work.config)]
    dropped = work.commit(
        lambda: work.execute("jobs/drop_partitions", job_id=job.id, wanted=wanted)
    )
    if dropped:
        log.warning("%s: listings that nobody asks for any more are dropped", resource.name)
    return bool(dropped)


class _Listing(PartitionSeries):
    """A listing; one that ignores our window is refused on its first page."""

    def page_size(self) -> int:
        """Return the rows a page: fewer where other rows of the same people come with them."""
        resource = self.reader.resource
        if resource.people and self.job.kind == "first" and self.work.config.campus_ids:
            return min(resource.page_size, WITH_MEMBERSHIPS)
        return resource.page_size

    def highest_known(self) -> int:
        """Return the highest id of the mirror; a first load has stored nothing that could say."""
        return 0 if self.job.kind == "first" else self.reader.highest_stored()

    def arrived(self, page: Page, spare: int) -> bool:
        """Refuse a page that shows that the window is wrong; decide how to go on after it."""
        job, resource = self.job, self.reader.resource
        lookback = timedelta(minutes=self.work.config.lookback_minutes)
        if job.span and job.kind == "window" and job.span.since + lookback > page.answer.date:
            self.work.commit(lambda: self.work.execute("jobs/finish_job", job_id=job.id))
            raise FutureWatermark
        if job.span:
            _refuse_foreign_rows(resource, page, self.partition)
        if page.number == 1 and not page.after:
            self.further = _by_users_if_cheaper(self.work, resource, self.partition, page)
        return super().arrived(page, spare)

    def end(self, page: Page) -> None:
        """End the job with its last partition."""
        del page
        job = self.job
        if job.ends_with_partitions and jobs.next_partition(self.work, job) is None:
            job.finish(self.work, self.reader.resource)


def _refuse_foreign_rows(resource: Resource, page: Page, partition: Partition) -> None:
    """Refuse an endpoint that ignores our range, on its first page instead of its last.

    Raises:
        RangeIgnored: most of the page's rows changed before the window, or after its end.
    """
    asked = {c.field: partition.params.get(window.range_of(c.field)) for c in resource.cursors}
    [(field, text)] = [(name, text) for name, text in asked.items() if text]
    span = window.from_range(text)
    moments = []
    for record in page.records:
        value = record.get(field) if isinstance(record, dict) else None
        try:
            moments.append(datetime.fromisoformat(value) if value else None)
        except (TypeError, ValueError):
            moments.append(None)
    moments = [moment for moment in moments if moment is None or moment.tzinfo]
    foreign = window.outside(span, moments)
    if foreign * 2 > len(page.records):
        message = (
            f"{resource.name}: {partition.path} ignores our range: {foreign} of "
            f"{len(page.records)} rows of page {page.number} did not change from {span}"
        )
        raise RangeIgnored(message)


def _by_users_if_cheaper(
    work: Work, resource: Resource, partition: Partition, page: Page
) -> list[Partition]:
    """Return questions for the mirrored users where they cost less than the rest of the window."""
    key = str(resource.user_key)
    if not resource.users_if_cheaper or page.done or key in partition.params:
        return []
    users = [row[0] for row in work.fetch("scope/all_users")]
    requests = math.ceil(len(users) / CHUNK)
    rest = math.ceil(page.remaining / page.answer.per_page)
    if requests >= rest:
        return []
    log.info(
        "%s: the window has %d more pages; asking for our %d users takes %d requests",
        *(resource.name, rest, len(users), requests),
    )
    return [
        replace(partition, number=0, params={**partition.params, key: ids})
        for ids in map(_comma_list, chunked(users, CHUNK))
    ]


def _comma_list(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
