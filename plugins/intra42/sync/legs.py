"""Jobs and their legs: listings that go on where any attempt left them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from intra42.api.pagination import Page, keyset
from intra42.catalog.model import Resource
from intra42.config import Window
from intra42.errors import RangeIgnored
from intra42.sync import window
from intra42.sync.loading import Trust
from intra42.sync.reading import Reader
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

_CHUNK = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Leg:
    """One listing of a job; `after` and `page` are its checkpoint."""

    path: str
    params: dict[str, str]
    scopes: tuple[str, ...]
    number: int = 0
    after: int = 0
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
        """Build a job from a row of `state/unfinished_jobs`."""
        number, kind, scopes, since, until, run_id = row
        span = Window(since=since, until=until) if since else None
        return cls(id=number, kind=kind, scopes=tuple(scopes), span=span, run_id=run_id)

    @property
    def ends_with_legs(self) -> bool:
        """Tell whether nothing is left to do after the last page; others wait for queued users."""
        return self.kind in {"window", "explicit"}

    def finish(self, work: Work, resource: Resource) -> None:
        """Move the watermarks of what was answered, and end the job, in the open transaction."""
        for scopes, watermark in work.fetch("state/job_outcome", job_id=self.id):
            work.execute(
                "state/move_watermark",
                resource=resource.name,
                scopes=scopes,
                watermark=watermark,
                now=work.client.last_date or watermark,
            )
        work.execute("state/finish_job", job_id=self.id)


class FutureWatermark(Exception):  # says what was found, not what failed
    """The window continues from a time later than the API's own clock; it may hide changes."""


def run_job(work: Work, reader: Reader, job: Job) -> None:
    """Read all legs of `job` that are not done; the last page's commit moves the watermark.

    Raises:
        FutureWatermark: the watermark the window continues from was wrong; the job is dropped.
    """
    if job.span:
        work.window_from = min(work.window_from or job.span.since, job.span.since)
        work.window_to = job.span.until
    rows = work.fetch("state/next_leg", job_id=job.id)
    if not rows and job.ends_with_legs:
        work.commit(lambda: job.finish(work, reader.resource))
    while rows:
        number, path, params, scopes, after, page = rows[0]
        leg = Leg(
            path=path, params=params, scopes=tuple(scopes), number=number, after=after, page=page
        )
        _run_leg(work, reader, job, leg)
        rows = work.fetch("state/next_leg", job_id=job.id)


def _run_leg(work: Work, reader: Reader, job: Job, leg: Leg) -> None:
    pages = keyset(
        work.client,
        leg.path,
        leg.params,
        after=leg.after,
        number=leg.page,
        page_size=reader.resource.page_size,
        sortable=reader.resource.sortable,
    )
    lookback = timedelta(minutes=work.config.lookback_minutes)
    first: datetime | None = None
    for page in pages:
        first = first or page.answer.sent_at
        if job.span and job.kind == "window" and job.span.since + lookback > page.answer.date:
            work.commit(lambda: work.execute("state/finish_job", job_id=job.id))
            raise FutureWatermark
        if job.span:
            _refuse_foreign_rows(reader.resource, job.span, page, leg)
        cheaper = page.number == 1 and _chunks_if_cheaper(work, reader.resource, leg, page)
        done = page.done or bool(cheaper)

        def checkpoint(
            page: Page = page, done: bool = done, cheaper: Any = cheaper, clock: Any = first
        ) -> None:
            for params in cheaper or ():
                work.execute(
                    "state/begin_leg",
                    job_id=job.id,
                    path=leg.path,
                    params=Jsonb(params),
                    scopes=list(leg.scopes),
                )
            work.execute(
                "state/move_leg",
                job_id=job.id,
                number=leg.number,
                after=page.last_id,
                page=page.number + 1,
                done=done,
                clock=clock,
                answered=bool(page.records),
            )
            if done and job.ends_with_legs and not work.fetch("state/next_leg", job_id=job.id):
                job.finish(work, reader.resource)

        reader.absorb(page, Trust.LISTING, checkpoint)
        if done:
            return


def _refuse_foreign_rows(resource: Resource, span: Window, page: Page, leg: Leg) -> None:
    """Refuse an endpoint that ignores our range, on its first page instead of its last.

    Raises:
        RangeIgnored: most of the page's rows changed before the window.
    """
    moments = []
    for record in page.records:
        value = record.get("updated_at") if isinstance(record, dict) else None
        try:
            moments.append(datetime.fromisoformat(value) if value else None)
        except (TypeError, ValueError):
            moments.append(None)
    moments = [moment for moment in moments if moment is None or moment.tzinfo]
    foreign = window.outside(span, moments)
    if foreign * 2 > len(page.records):
        message = (
            f"{resource.name}: {leg.path} ignores our range: {foreign} of {len(page.records)} rows "
            f"of page {page.number} changed before {span.since:%Y-%m-%d %H:%M:%S} UTC"
        )
        raise RangeIgnored(message)


def _chunks_if_cheaper(
    work: Work, resource: Resource, leg: Leg, page: Page
) -> list[dict[str, str]] | None:
    """Return questions for the mirrored users where they cost less than the rest of the window."""
    if not resource.users_if_cheaper or page.done or str(resource.user_key) in leg.params:
        return None
    users = [row[0] for row in work.fetch("scope/all_users")]
    chunks = math.ceil(len(users) / _CHUNK)
    rest = math.ceil(page.remaining / page.answer.per_page)
    if chunks >= rest:
        return None
    log.info(
        "%s: the window has %d more pages; asking for our %d users takes %d requests",
        *(resource.name, rest, len(users), chunks),
    )
    return [
        {**leg.params, str(resource.user_key): ",".join(map(str, chunk))}
        for chunk in chunked(users, _CHUNK)
    ]
