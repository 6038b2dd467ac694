"""Jobs and their legs: listings that go on where any attempt left them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from intra42.api.flight import Series, middle_of_rest
from intra42.api.pagination import LAST_ID, Page, keyset
from intra42.attempt.work import Work, chunked
from intra42.catalog.model import Resource
from intra42.errors import NotFound, RangeIgnored
from intra42.read import window
from intra42.settings import Window
from intra42.store.loading import Trust
from intra42.store.parents import CHUNK
from intra42.store.reading import Reader

log = logging.getLogger(__name__)

WITH_MEMBERSHIPS = 86  # users a page, so that the memberships of a page's users fill one, too


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """One listing of a job: ids over `after`, up to `highest`; `after` and `page` move with it."""

    path: str
    params: dict[str, str]
    scopes: tuple[str, ...]
    number: int = 0
    after: int = 0
    highest: int = LAST_ID
    page: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A reading of one resource that ends in a watermark."""

    id: int
    kind: str
    scopes: tuple[str, ...]
    span: Window | None
    run_id: str

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Job:
        """Build a job from a row of `jobs/unfinished_jobs`."""
        number, kind, scopes, since, until, run_id = row
        span = Window(since=since, until=until) if since else None
        return cls(id=number, kind=kind, scopes=tuple(scopes), span=span, run_id=run_id)

    @property
    def ends_with_legs(self) -> bool:
        """Tell whether nothing is left to do after the last page; others wait for queued users."""
        return self.kind in {"window", "explicit"}

    def finish(self, work: Work, resource: Resource) -> None:
        """Move the watermarks of what was answered, and end the job, in the open transaction."""
        for scopes, watermark in work.fetch("jobs/job_outcome", job_id=self.id):
            work.execute(
                "jobs/move_watermark",
                resource=resource.name,
                scopes=scopes,
                watermark=watermark,
                now=work.client.last_date or watermark,
            )
        work.execute("jobs/finish_job", job_id=self.id)


class FutureWatermark(Exception):  # says what was found, not what failed
    """The window continues from a time later than the API's own clock; it may hide changes."""


def run_job(work: Work, reader: Reader, job: Job) -> None:
    """Read all legs of `job` that are not done; the last page's commit moves the watermark.

    Raises:
        FutureWatermark: the watermark the window continues from was wrong; the job is dropped.
        NotFound: the API has no such listing, and the settings ask for it.
    """
    if job.span:
        work.window_from = min(work.window_from or job.span.since, job.span.since)
        work.window_to = job.span.until
    if job.ends_with_legs and not _next_leg(work, job, ()):
        work.commit(lambda: job.finish(work, reader.resource))
    being_read: set[int] = set()

    def more() -> Series | None:
        leg = _next_leg(work, job, being_read)
        if leg is None:
            return None
        being_read.add(leg.number)
        return _LegSeries(work, reader, job, leg)

    try:
        reader.read(more, Trust.LISTING)
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
    dropped = work.commit(lambda: work.execute("jobs/drop_legs", job_id=job.id, wanted=wanted))
    if dropped:
        log.warning("%s: listings that nobody asks for any more are dropped", resource.name)
    return bool(dropped)


def _next_leg(work: Work, job: Job, being_read: Iterable[int]) -> Leg | None:
    rows = work.fetch("jobs/next_leg", job_id=job.id, being_read=list(being_read))
    if not rows:
        return None
    number, path, params, scopes, after, highest, page = rows[0]
    return Leg(
        path=path,
        params=params,
        scopes=tuple(scopes),
        number=number,
        after=after,
        highest=highest,
        page=page,
    )


def begin_leg(work: Work, job_id: int, leg: Leg, scopes: Iterable[str]) -> None:
    """Write down a listing to read for a job."""
    work.execute(
        "jobs/begin_leg",
        job_id=job_id,
        path=leg.path,
        params=Jsonb(leg.params),
        scopes=list(scopes),
        after=leg.after,
        highest=leg.highest,
    )


class _LegSeries(Series):
    """The pages of a leg from its checkpoint on; a long one is split while there is room."""

    def __init__(self, work: Work, reader: Reader, job: Job, leg: Leg) -> None:
        self._work = work
        self._reader = reader
        self._job = job
        self._leg = leg
        super().__init__(self._pages())
        self._clock: datetime | None = None
        self._further: list[Leg] = []  # other listings that read what this one does not
        self._ends = False

    def _pages(self, *, expected: int | None = None) -> Iterator[Page]:
        work, resource, leg = self._work, self._reader.resource, self._leg
        page_size = resource.page_size
        if resource.people and self._job.kind == "first" and work.config.campus_ids:
            page_size = min(page_size, WITH_MEMBERSHIPS)
        return keyset(
            work.client,
            leg.path,
            leg.params,
            after=leg.after,
            number=leg.page,
            page_size=page_size,
            sortable=resource.sortable,
            highest=leg.highest,
            expected=expected,
            # The part of a split listing that nobody has seen yet: it should have rows.
            doubt_empty=expected == 0 or (leg.after > 0 and leg.page == 1),
        )

    def arrived(self, page: Page, spare: int) -> bool:
        """Refuse a page that shows that the window is wrong; decide how to go on after it."""
        job, resource = self._job, self._reader.resource
        self._clock = self._clock or page.answer.sent_at
        lookback = timedelta(minutes=self._work.config.lookback_minutes)
        if job.span and job.kind == "window" and job.span.since + lookback > page.answer.date:
            self._work.commit(lambda: self._work.execute("jobs/finish_job", job_id=job.id))
            raise FutureWatermark
        if job.span:
            _refuse_foreign_rows(resource, job.span, page, self._leg)
        if page.number == 1 and not page.after:
            self._further = _chunks_if_cheaper(self._work, resource, self._leg, page)
        self._ends = page.done or bool(self._further)
        if spare > 0 and not self._ends:
            self._split(page)
        return not self._ends

    def _split(self, page: Page) -> None:
        """Leave the upper half of the ids to another leg, if what remains is worth it."""
        # A first load has stored nothing yet that could say how far the ids go.
        known = 0 if self._job.kind == "first" else self._reader.highest_stored()
        middle = middle_of_rest(page, self._leg.highest, known)
        if middle is None:
            return
        self._further = [replace(self._leg, after=middle, page=1)]
        self._leg = replace(self._leg, after=page.last_id, highest=middle, page=page.number + 1)
        self.pages = self._pages(expected=0)

    def checkpoint(self, page: Page) -> None:
        """Write the position after the page; the last page of the last leg ends the job."""
        work, job = self._work, self._job
        for leg in self._further:
            begin_leg(work, job.id, leg, leg.scopes)
        work.execute(
            "jobs/move_leg",
            job_id=job.id,
            number=self._leg.number,
            after=page.last_id,
            highest=self._leg.highest,
            page=page.number + 1,
            done=self._ends,
            clock=self._clock,
            answered=bool(page.records),
        )
        if self._ends and job.ends_with_legs and _next_leg(work, job, ()) is None:
            job.finish(work, self._reader.resource)

    def stored(self, page: Page) -> None:
        """Forget what was written with the page."""
        del page
        self._further = []


def _refuse_foreign_rows(resource: Resource, span: Window, page: Page, leg: Leg) -> None:
    """Refuse an endpoint that ignores our range, on its first page instead of its last.

    Raises:
        RangeIgnored: most of the page's rows changed before the window, or after its end.
    """
    moments = []
    for record in page.records:
        value = record.get(resource.cursor_field) if isinstance(record, dict) else None
        try:
            moments.append(datetime.fromisoformat(value) if value else None)
        except (TypeError, ValueError):
            moments.append(None)
    moments = [moment for moment in moments if moment is None or moment.tzinfo]
    foreign = window.outside(span, moments)
    if foreign * 2 > len(page.records):
        message = (
            f"{resource.name}: {leg.path} ignores our range: {foreign} of {len(page.records)} rows "
            f"of page {page.number} did not change from {span}"
        )
        raise RangeIgnored(message)


def _chunks_if_cheaper(work: Work, resource: Resource, leg: Leg, page: Page) -> list[Leg]:
    """Return questions for the mirrored users where they cost less than the rest of the window."""
    if not resource.users_if_cheaper or page.done or str(resource.user_key) in leg.params:
        return []
    users = [row[0] for row in work.fetch("scope/all_users")]
    chunks = math.ceil(len(users) / CHUNK)
    rest = math.ceil(page.remaining / page.answer.per_page)
    if chunks >= rest:
        return []
    log.info(
        "%s: the window has %d more pages; asking for our %d users takes %d requests",
        *(resource.name, rest, len(users), chunks),
    )
    return [
        replace(
            leg,
            params={**leg.params, str(resource.user_key): ",".join(map(str, chunk))},
        )
        for chunk in chunked(users, CHUNK)
    ]
