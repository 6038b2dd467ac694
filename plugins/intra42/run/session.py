"""Everything one task attempt needs, opened together and closed together."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

from intra42.api.auth import PostgresTokens, fetch_token
from intra42.api.client import IntraClient
from intra42.api.limiter import PostgresLimiter
from intra42.api.transport import refuse_clear_text
from intra42.attempt.work import Counts, Identity, Work
from intra42.catalog import graph
from intra42.errors import QuotaSpent
from intra42.run import remembered
from intra42.settings import Request, Window
from intra42.store import rewriting
from intra42.warehouse import sessions
from intra42.warehouse.sessions import Connect, Connection
from intra42.warehouse.statements import read

log = logging.getLogger(__name__)

# A page is some two thousand objects, none of which hold each other in a circle. By default Python
# looks for circles at every 700 new ones, which takes a tenth of a load's time.
_OBJECTS_BETWEEN_COLLECTIONS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiSettings:
    """The connection `intra42_api`: where the API is, who we are, how fast we may ask."""

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = "public"
    requests_per_second: float = 2
    requests_per_hour: int = 1200
    timeout_s: float = 60
    most_in_flight: int = 32  # of one task: enough for 8 requests a second that take 3 seconds

    def __post_init__(self) -> None:
        refuse_clear_text(self.base_url)

    def tokens(self, connect: Connect) -> PostgresTokens:
        """Return the token that all workers share through the warehouse."""
        fetch = partial(
            fetch_token,
            None,
            self.base_url,
            self.client_id,
            self.client_secret,
            self.scope,
            self.timeout_s,
        )
        return PostgresTokens(connect, self.client_id, self.client_id, self.client_secret, fetch)


@contextmanager
def attempt(
    connect: Connect,
    api: ApiSettings,
    identity: Identity,
    request: Request,
    *,
    loader: str,
    resource: str,
) -> Iterator[Work]:
    """Yield the work of one task attempt; keep its row in `sync_runs` whatever happens.

    Meanwhile the garbage collector of the whole process comes less often.
    """
    with _session(connect, identity, resource, loads=identity.dag_id == loader) as connection:
        ledger_id = _begin_ledger(connection, identity, resource)
        limiter = PostgresLimiter(
            connect,
            api.client_id,
            per_second=api.requests_per_second,
            per_hour=api.requests_per_hour,
            bulk=identity.dag_id == loader,
            run_id=ledger_id,
        )
        limiter.recall(connection)
        tokens = api.tokens(connect)
        tokens.recall(connection)
        client = IntraClient(
            api.base_url,
            tokens,
            limiter,
            timeout_s=api.timeout_s,
            most_in_flight=api.most_in_flight,
        )
        _recall_clock(connection, client, identity)
        work = Work(
            connection=connection,
            client=client,
            identity=identity,
            request=request,
            loader=loader,
            resource=resource,
            ledger_id=ledger_id,
        )
        work.resume_ledger()
        try:
            yield from _recorded(work)
        finally:
            client.close()
            limiter.close()


@contextmanager
def _session(
    connect: Connect, identity: Identity, resource: str, *, loads: bool
) -> Iterator[Connection]:
    """Yield the connection of a task, and say in words what the warehouse refuses meanwhile."""
    collected = gc.get_threshold()
    with (
        sessions.in_words(f"{resource or identity.task_id}, run {identity.run_id}"),
        closing(
            sessions.opened(connect, "ledger/introduce", dag_id=identity.dag_id, loads=loads)
        ) as connection,
    ):
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *collected[1:])
        try:
            yield connection
        finally:
            gc.set_threshold(*collected)


def _recall_clock(connection: Connection, client: IntraClient, identity: Identity) -> None:
    names = {"dag_id": identity.dag_id, "run_id": identity.run_id}
    row = connection.execute(read("ledger/heard"), names).fetchone()
    if row is not None:
        client.clock.recall(row[0], agreed=row[1])


def _recorded(work: Work) -> Iterator[Work]:
    status = "failed"
    try:
        work.hashing = remembered.agree(
            work.connection, work.names, work.request, may_restore=work.is_nightly
        )
        rewriting.rewrite(work)
        yield work
        status = "skipped" if work.left_alone else "success"
    except QuotaSpent:
        status = "deferred"
        raise
    finally:
        if not work.connection.broken:
            with work.connection.transaction():
                work.save_ledger()
                work.execute("ledger/end", id=work.ledger_id, status=status)
                work.execute("ledger/drop_idle", id=work.ledger_id)
        _log_closing_line(work, status)


def _log_closing_line(work: Work, status: str) -> None:
    work.page_log.end()
    counts = work.counts
    requests = work.requests
    beside = _rows_beside(counts)
    tables = ", ".join(
        f"{name} {sum(written)}" for name, written in sorted(counts.tables.items()) if any(written)
    )
    notes = [
        f"; {work.left_alone}" if work.left_alone else "",
        f"; written: {tables}" if len(counts.tables) > 1 and tables else "",
        *(f"; {remark}" for remark in work.remarks),
    ]
    log.info(
        "%s %s: %d records%s: %d inserted, %d updated, %d unchanged, %d deleted, %d parked%s%s; "
        "%d %s; %s%s",
        _task(work),
        status,
        counts.records,
        f" and {beside} rows with them" if beside > 0 else "",
        counts.inserted,
        counts.updated,
        counts.unchanged,
        counts.deleted,
        counts.parked,
        f", {counts.dropped} out of scope" if counts.dropped else "",
        f", {-beside} only looked at" if beside < 0 else "",
        requests,
        "request" if requests == 1 else "requests",
        _window_text(work),
        "".join(notes),
    )


def _task(work: Work) -> str:
    """Return the task by its name; where it is mapped over tables, with its table."""
    name = work.identity.task_id
    mapped = graph.has(work.resource) and graph.get(work.resource).is_optional
    return f"{name} [{work.resource}]" if mapped else name


def _rows_beside(counts: Counts) -> int:
    """Return how many rows were stored beside the records, such as parents of theirs.

    Negative where records were only looked at, or came twice.
    """
    stored = counts.inserted + counts.updated + counts.unchanged
    return stored + counts.parked + counts.dropped - counts.records


def _window_text(work: Work) -> str:
    if work.window_from is None:
        return "no window"
    return f"window from {Window(since=work.window_from, until=work.window_to)}"


def _begin_ledger(connection: Connection, identity: Identity, resource: str) -> int:
    row = connection.execute(
        read("ledger/begin"),
        {
            "dag_id": identity.dag_id,
            "run_id": identity.run_id,
            "task_id": identity.task_id,
            "map_index": identity.map_index,
            "try_number": identity.try_number,
            "resource": resource,
        },
    ).fetchone()
    assert row is not None  # noqa: S101  # `insert ... returning` gives one row
    return int(row[0])
