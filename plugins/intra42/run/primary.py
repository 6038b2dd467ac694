"""Keep one primary table true: continue from the watermark, or read what a run asks for."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from intra42.attempt.work import Work, chunked
from intra42.catalog.model import Entrants, First, Nightly, Resource
from intra42.errors import NoWitness
from intra42.read import history, jobs, window
from intra42.read.jobs import LISTINGS, Job, Partition
from intra42.read.listings import FutureWatermark, run_job
from intra42.read.watermarks import watermarks
from intra42.read.window import Scope
from intra42.settings import Window
from intra42.store import rewriting
from intra42.store.page import derive_from
from intra42.store.reading import Reader, lock
from intra42.verify import absence, refresh
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_STRAYS = 100  # ids a request
_AT_ONCE = 95  # parked records, beside witnesses


def sync_primary(work: Work, resource: Resource) -> None:
    """Bring `resource` up to date as the run asks: the whole story of one task."""
    lock(work, resource)
    reader = Reader(work, resource)
    try:
        if work.request.window:
            _read_explicit(work, reader, work.request.window)
        else:
            _continue(work, reader)
        history.drain(work, reader)
        _finish_drained(work, reader)
        if work.is_nightly:
            _settle(work, resource)
            if resource.nightly is Nightly.OPEN:
                refresh.verify_open(work, reader)
        rewriting.reread(work, resource, reader.read_ids)
        _retry_parked(work, reader)
    finally:
        reader.report_notes()


def _read_explicit(work: Work, reader: Reader, span: Window) -> None:
    """Read exactly the rows that changed in `span`; no watermark is read or moved."""
    work.window_from, work.window_to = span.since, span.until
    if not _unfinished_of_run(work, reader.resource, "explicit", span):
        wanted = window.scopes(reader.resource, work.config)
        _begin(work, reader.resource, "explicit", span, wanted)
    _run_unfinished(work, reader)


def _continue(work: Work, reader: Reader) -> None:
    """Go on from the watermarks; what has none is loaded whole, by the loader only."""
    try:
        begun_by_this_run = _run_unfinished(work, reader)
    except FutureWatermark:
        begun_by_this_run = False
    if work.request.rereads(reader.resource.name):
        known, missing = watermarks(work, reader.resource)
        if missing and not work.is_loader:
            _begin_first(work, reader, missing)
        wanted = window.scopes(reader.resource, work.config) if work.is_loader else tuple(known)
        if wanted:
            _begin_full(work, reader, wanted)
        return
    if reader.resource.nightly is Nightly.WHOLE and work.is_loader:
        # All of it is read every night anyway, so a window would be asked twice.
        _begin_full(work, reader, window.scopes(reader.resource, work.config))
        return
    known, missing = watermarks(work, reader.resource)
    if missing:
        _begin_first(work, reader, missing)
    if known and not begun_by_this_run:
        _read_windows(work, reader, known)
    _run_unfinished(work, reader)
    if reader.resource.nightly is Nightly.UNSEEN and work.is_loader:
        history.queue_unseen_users(work)


def _settle(work: Work, resource: Resource) -> None:
    """Recompute what derives from this table for all rows: heals what two writers crossed."""
    if resource.followed_by:
        changed = work.commit(lambda: derive_from(work, resource.name, None, None))
        if changed:
            log.info("%s: derived columns of %d rows followed", resource.name, changed)


def _begin_first(work: Work, reader: Reader, missing: Sequence[Scope]) -> None:
    name = reader.resource.name
    keys = ", ".join(scope.key for scope in missing)
    if not work.is_loader:
        log.info(
            "%s of %s: the first load by %s is not finished, so nothing is read for them yet",
            *(name, keys, work.loader),
        )
        return
    if _queued_for(work, reader.resource, missing):
        return
    log.info("%s of %s: no watermark yet, reading everything", name, keys)
    if reader.resource.first is First.LISTING:
        _begin(work, reader.resource, "first", None, missing)
        return
    work.commit(lambda: _queue_everyone(work, reader.resource, "first", missing))


def _queued_for(work: Work, resource: Resource, missing: Sequence[Scope]) -> bool:
    """Tell whether an unfinished first load already covers all of `missing`."""
    covered: set[str] = set()
    for job in _unfinished(work, resource):
        covered.update(() if job.ends_with_partitions else job.scopes)
    return {scope.key for scope in missing} <= covered


def _begin_full(work: Work, reader: Reader, wanted: Sequence[Scope]) -> None:
    """Read everything again; watermarks move at its end. A retry goes on where it stopped."""
    if _unfinished_of_run(work, reader.resource, "full", None):
        return
    if reader.resource.first is First.LISTING:
        _begin(work, reader.resource, "full", None, wanted)
        _run_unfinished(work, reader)
        history.queue_unseen_users(work)
        return
    work.commit(lambda: _queue_everyone(work, reader.resource, "full", wanted))


def _queue_everyone(work: Work, resource: Resource, kind: str, wanted: Sequence[Scope]) -> None:
    scopes = [scope.key for scope in wanted]
    jobs.begin(work, resource, kind, scopes=scopes, moves=_moves(work, resource, kind))
    campuses = sorted({scope.campus_id for scope in wanted if scope.campus_id is not None})
    # Anybody may have rows on a campus that is new.
    everyone = kind == "full" or not campuses or resource.of_campus
    work.execute(
        "jobs/enqueue_all",
        resource=resource.name,
        campuses=None if everyone else campuses,
        strays_of=_campuses_that_lack_a_cursus(work, wanted),
    )
    if kind == "first" and resource.entrants is Entrants.WITH_THEM:
        statement = compose("jobs/leave_out_entered", target=table(resource.name))
        values = {**work.names, "resource": resource.name}
        left_out = work.connection.execute(statement, values).rowcount
        if left_out:
            log.info(
                "%s: read already with %d users who entered in this run",
                *(resource.name, left_out),
            )


def _campuses_that_lack_a_cursus(work: Work, missing: Sequence[Scope]) -> list[int] | None:
    """Return the run's campuses where a cursus is missing at all of them, else None.

    Then it is new to mirrored users who are at home on none of them, too.
    """
    campuses = work.config.campus_ids
    by_cursus = Counter(scope.cursus_id for scope in missing)
    if work.request.restricted or len(campuses) not in by_cursus.values():
        return None
    return list(campuses)


def _read_windows(work: Work, reader: Reader, known: Mapping[Scope, datetime]) -> None:
    """Read what changed since the watermarks.

    A watermark later than the API's own clock is wrong, which its first answer shows at the latest:
    what changed since the watermark before it is read instead, and the last 24 hours at least.
    """
    for _attempt in range(2):
        for group in window.groups(known):
            span = _since(work, reader.resource, group)
            _begin(work, reader.resource, "window", span, group.scopes)
        try:
            _run_unfinished(work, reader)
        except FutureWatermark:
            continue
        return


def _since(work: Work, resource: Resource, group: window.Group) -> Window:
    """Return the window that continues from the watermark of a group of scopes."""
    lookback = timedelta(minutes=work.config.lookback_minutes)
    now = work.clock
    if group.watermark <= now:
        return window.since_watermark(group.watermark, lookback, now)
    scopes = [scope.key for scope in group.scopes]
    before = work.fetch("jobs/watermark_before", resource=resource.name, scopes=scopes)[0][0]
    span = window.since_watermark(group.watermark, lookback, now, before)
    log.warning(
        "%s: the watermark %s is later than the API's clock %s; reading from %s on",
        *(resource.name, group.watermark, now, span.since),
    )
    return span


def _begin(
    work: Work, resource: Resource, kind: str, span: Window | None, wanted: Sequence[Scope]
) -> None:
    """Write a job and its questions, so that any later attempt goes on with the same ones."""
    partitions = plan_partitions(work, resource, span, wanted)
    if kind == "explicit":
        partitions = [replace(partition, scopes=()) for partition in partitions]
    moves = _moves(work, resource, kind)
    # A window's scopes are those of its partitions; an explicit one has none.
    scopes = [scope.key for scope in wanted] if kind in {"first", "full"} else []
    work.commit(
        lambda: jobs.begin(work, resource, kind, partitions, scopes=scopes, span=span, moves=moves)
    )


def _moves(work: Work, resource: Resource, kind: str) -> bool:
    """Tell whether a job may move watermarks at its end.

    A run about some campuses or cursus lets nobody else in, and does not ask for those who left the
    campuses of the settings. Where a watermark speaks of them, too, it stays: their changes would
    be in no later window.
    """
    request = work.request
    if kind == "first" or request.lists_all:
        return True
    if not resource.scope_campus:
        return False
    campuses = list(request.standing.campus_ids)
    return not request.restricted or not work.fetch("scope/strays", campuses=campuses)


def plan_partitions(
    work: Work, resource: Resource, span: Window | None, wanted: Sequence[Scope]
) -> list[Partition]:
    """Return the listings that show all of `wanted` in `span` (all rows where None).

    One listing serves all campuses; a path that names the cursus needs one per cursus. Mirrored
    users whom the campus filter no longer shows are asked for by id.
    """
    by_cursus: Mapping[int | None, list[Scope]] = defaultdict(list)
    split = "{cursus_id}" in resource.endpoint
    for scope in wanted:
        by_cursus[scope.cursus_id if split else None].append(scope)
    partitions = []
    for cursus_id, members in by_cursus.items():
        params = _filters(resource, members)
        if resource.people and not span:
            # Whoever is an alumnus or no student when first seen is not needed.
            params |= {"filter[kind]": "student", "filter[alumni?]": "false"}
        path = resource.endpoint.format(cursus_id=cursus_id)
        scopes = tuple(scope.key for scope in members)
        partitions += [
            Partition(path=path, params=params | ranges, scopes=scopes)
            for ranges in _ranges(work, resource, span)
        ]
    unseen = resource.nightly is Nightly.UNSEEN
    read_by_id = unseen and work.is_loader and work.request.window is None
    if (
        span
        and resource.campus_filter
        and not resource.of_campus
        and work.config.campus_ids
        and not work.request.restricted
        # The nightly run reads all users by id after the window.
        and not read_by_id
    ):
        partitions += _of_strays(work, resource, span, wanted)
    return partitions


def _ranges(work: Work, resource: Resource, span: Window | None) -> list[dict[str, str]]:
    """Return the ranges of a window, one question for each; none for all rows."""
    if span is None:
        return [{}]
    lookback = timedelta(minutes=work.config.lookback_minutes)
    return [
        {
            window.range_of(cursor.field): window.as_range(
                replace(span, since=span.since + lookback - max(lookback, cursor.lookback))
            )
        }
        for cursor in resource.cursors
    ]


def _filters(resource: Resource, members: Sequence[Scope]) -> dict[str, str]:
    params = {}
    campuses = sorted({scope.campus_id for scope in members if scope.campus_id is not None})
    cursus = sorted({scope.cursus_id for scope in members if scope.cursus_id is not None})
    if resource.campus_filter and campuses:
        params[resource.campus_filter] = ",".join(map(str, campuses))
    if resource.cursus_filter and cursus:
        params[resource.cursus_filter] = ",".join(map(str, cursus))
    return params


def _of_strays(
    work: Work, resource: Resource, span: Window, wanted: Sequence[Scope]
) -> list[Partition]:
    rows = work.fetch("scope/strays", campuses=list(work.config.campus_ids))
    common = {window.range_of(str(resource.cursor_field)): window.as_range(span)}
    if resource.cursus_filter:
        cursus = sorted({scope.cursus_id for scope in wanted if scope.cursus_id is not None})
        common[resource.cursus_filter] = ",".join(map(str, cursus))
    path = resource.by_id or resource.endpoint
    return [
        Partition(
            path=path,
            params={str(resource.user_key): ",".join(str(row[0]) for row in chunk), **common},
            scopes=(),
        )
        for chunk in chunked(rows, _STRAYS)
    ]


def _unfinished_of_run(work: Work, resource: Resource, kind: str, span: Window | None) -> bool:
    """Tell whether this run has such a job to go on with; one that is done is read anew."""
    wanted = (kind, work.identity.run_id, span)
    return any((job.kind, job.run_id, job.span) == wanted for job in _unfinished(work, resource))


def _unfinished(work: Work, resource: Resource) -> list[Job]:
    return jobs.unfinished(work, resource, *LISTINGS)


def _run_unfinished(work: Work, reader: Reader) -> bool:
    """Run the jobs that are not finished; tell whether one of this run was a window."""
    begun = False
    for job in _unfinished(work, reader.resource):
        begun = begun or (job.kind == "window" and job.run_id == work.identity.run_id)
        run_job(work, reader, job)
    return begun


def _finish_drained(work: Work, reader: Reader) -> None:
    """End the jobs that only waited for queued users, now that nobody is queued any more."""
    for job in _unfinished(work, reader.resource):
        if not job.ends_with_partitions:
            work.commit(lambda job=job: job.finish(work, reader.resource))  # type: ignore[misc]


def _retry_parked(work: Work, reader: Reader) -> None:
    """Ask again for parked records whose turn it is."""
    if work.client.last_date is None:
        return
    now = work.client.last_date
    due = work.commit(
        lambda: work.fetch(
            "parked/due",
            resource=reader.resource.name,
            now=now,
            week_ago=now - timedelta(days=7),
        )
    )
    place = absence.Rows(reader)
    for chunk in chunked([row[0] for row in due], _AT_ONCE):
        log.info("%s: trying %d parked records again", reader.resource.name, len(chunk))
        try:
            gone = absence.prove(work, place, chunk)
        except NoWitness as error:
            log.warning("%s; the parked records stay", error)
            continue
        if gone:
            log.info("%d parked records are gone from the API and forgotten", len(gone))
            work.commit(
                lambda gone=gone: work.execute(  # type: ignore[misc]
                    "parked/forget",
                    resource=reader.resource.name,
                    ids=list(gone),
                    first_seqs=list(gone.values()),
                )
            )
