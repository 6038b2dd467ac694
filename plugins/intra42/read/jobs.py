"""Jobs and partitions: what is to be read, and how far it has been, whichever attempt reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.types.json import Jsonb

from intra42.api.pagination import LAST_ID
from intra42.attempt.work import Work
from intra42.catalog.model import Resource
from intra42.settings import Window

LISTINGS = ("window", "explicit", "first", "full")
HISTORY = "history"
REFETCH = "refetch"


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """One question of a job: rows of ids over `after`, up to `highest`; `page` counts its answers.

    It asks for what `path` and `params` select, or by its `ids`: users whose rows are read, or the
    rows themselves. The `number` is 0 as long as it is not written down.
    """

    path: str = ""
    params: dict[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    number: int = 0
    after: int = 0
    highest: int = LAST_ID
    page: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One reading of one resource; listings end in a watermark."""

    id: int
    kind: str
    scopes: tuple[str, ...] = ()
    span: Window | None = None
    run_id: str = ""

    @property
    def ends_with_partitions(self) -> bool:
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


def begin(
    work: Work,
    resource: Resource,
    kind: str,
    partitions: Iterable[Partition] = (),
    *,
    scopes: Sequence[str] = (),
    span: Window | None = None,
    moves: bool = False,
) -> Job:
    """Write down a job and its questions, in the open transaction; `moves` watermarks at its end.

    So any later attempt goes on with the same questions.
    """
    [[number]] = work.fetch(
        "jobs/begin_job",
        resource=resource.name,
        kind=kind,
        scopes=list(scopes),
        window_from=span.since if span else None,
        window_to=span.until if span else None,
        moves=moves,
        own=_belongs_to_run(work, kind),
    )
    job = Job(id=number, kind=kind, scopes=tuple(scopes), span=span, run_id=work.identity.run_id)
    for partition in partitions:
        begin_partition(work, job, partition)
    return job


def unfinished(work: Work, resource: Resource, *kinds: str) -> list[Job]:
    """Return the jobs of these kinds to go on with; an explicit window has only its own."""
    rows = work.fetch(
        "jobs/unfinished_jobs",
        resource=resource.name,
        kinds=list(kinds),
        own=_belongs_to_run(work, kinds[0]),
    )
    return [_job(*row) for row in rows]


def _job(number: int, kind: str, scopes: list[str], *rest: Any) -> Job:
    since, until, run_id = rest
    span = Window(since=since, until=until) if since else None
    return Job(id=number, kind=kind, scopes=tuple(scopes), span=span, run_id=run_id)


def _belongs_to_run(work: Work, kind: str) -> bool:
    """Tell whether no other run goes on with a job of this kind."""
    return kind == REFETCH or work.request.window is not None


def begin_partition(work: Work, job: Job, partition: Partition) -> int:
    """Write down a question of a job, in the open transaction; return its number."""
    [[number]] = work.fetch(
        "jobs/begin_partition",
        job_id=job.id,
        path=partition.path,
        params=Jsonb(partition.params),
        scopes=list(partition.scopes),
        ids=list(partition.ids),
        after=partition.after,
        highest=partition.highest,
        page=partition.page,
    )
    return int(number)


def next_partition(
    work: Work, job: Job, being_read: Iterable[int] = (), numbers: Sequence[int] | None = None
) -> Partition | None:
    """Return the next question that is not done: of `numbers`, and none of those `being_read`."""
    rows = work.fetch(
        "jobs/next_partition",
        job_id=job.id,
        being_read=list(being_read),
        numbers=None if numbers is None else list(numbers),
    )
    return _partition(*rows[0]) if rows else None


def _partition(number: int, path: str, params: dict[str, str], *rest: Any) -> Partition:
    scopes, ids, after, highest, page = rest
    return Partition(
        path=path,
        params=params,
        scopes=tuple(scopes),
        ids=tuple(ids),
        number=number,
        after=after,
        highest=highest,
        page=page,
    )
