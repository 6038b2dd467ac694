"""What every step of a task works with: the connection, the client, the order, the counters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, TypeVar

import tenacity
from psycopg import errors

from intra42.api.client import IntraClient
from intra42.api.pagination import Page
from intra42.attempt.page_log import PageLog
from intra42.settings import Config, Request
from intra42.warehouse.hashing import Hashing
from intra42.warehouse.sessions import Connection, patient
from intra42.warehouse.statements import read

log = logging.getLogger(__name__)

T = TypeVar("T")
# Not the decorator: around a function made for one call it keeps all that function holds, the rows
# of a page, until the garbage collector comes.
_REPEATED = tenacity.Retrying(
    retry=tenacity.retry_if_exception_type(
        (
            errors.DeadlockDetected,
            errors.ForeignKeyViolation,
            errors.SerializationFailure,
            errors.UniqueViolation,
        )
    ),
    stop=tenacity.stop_after_attempt(10),  # one for each other writer of a new row
    wait=tenacity.wait_random(0.05, 0.5),
    reraise=True,
)


class Refused(Exception):
    """The database refused rows of a transaction: it begins again and looks for them."""


def chunked(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


@dataclass(slots=True)
class Counts:
    """Rows of one task so far; `dropped` are rows of users out of scope.

    `tables` has inserted, updated and deleted rows per table: a task also stores parents of its
    rows and users who enter, and rows of other tables follow its own.
    """

    pages: int = 0
    records: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    parked: int = 0
    dropped: int = 0
    tables: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def changed(self, table: str, *, inserted: int = 0, updated: int = 0, deleted: int = 0) -> None:
        """Count rows of `table` that were written."""
        self._write(table, inserted, updated, deleted)
        self.inserted += inserted
        self.updated += updated
        self.deleted += deleted

    def followed(self, table: str, updated: int) -> None:
        """Count rows of `table` with a column that follows other rows, not a record of the API."""
        self._write(table, 0, updated, 0)

    def _write(self, table: str, inserted: int, updated: int, deleted: int) -> None:
        before = self.tables.get(table, (0, 0, 0))
        self.tables[table] = (before[0] + inserted, before[1] + updated, before[2] + deleted)

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.type == "int"}

    def copy(self) -> Counts:
        """Return the same counts, which later ones do not change."""
        return replace(self, tables=dict(self.tables))


@dataclass(kw_only=True, slots=True)
class Identity:
    """Which attempt of which task this is, as Airflow names it."""

    dag_id: str
    run_id: str
    task_id: str = "task"
    map_index: int = -1
    try_number: int = 1


@dataclass(kw_only=True)
class Work:
    """One task attempt.

    `loader` is the DAG whose watermarks prove that a first load was finished; where it is another
    DAG than this one, nothing is loaded from nothing.
    """

    connection: Connection
    client: IntraClient
    identity: Identity
    request: Request
    loader: str
    resource: str = ""
    hashing: Hashing = field(default_factory=Hashing)
    ledger_id: int | None = None
    counts: Counts = field(default_factory=Counts)
    window_from: datetime | None = None
    window_to: datetime | None = None
    remarks: list[str] = field(default_factory=list)  # for the closing line
    left_alone: str = ""  # why the table was not read, where the API refuses to show it
    page_log: PageLog = field(default_factory=PageLog)
    figures: dict[str, int] = field(default_factory=dict)  # more than the counts, for XCom
    requests_before: int = 0  # of this attempt, before it waited for the quota
    staged: set[str] = field(default_factory=set)  # staging tables of this connection
    filled: set[str] = field(default_factory=set)  # those with rows of the open transaction
    toasted: set[str] = field(default_factory=set)  # tables that have rows longer than a page
    present: dict[str, set[int]] = field(default_factory=dict)  # reference rows known to exist
    finds_refused: bool = False  # whether the open transaction looks for rows that are refused

    @property
    def config(self) -> Config:
        """The settings of this run."""
        return self.request.config

    @property
    def requests(self) -> int:
        """Requests of this attempt so far."""
        return self.requests_before + self.client.usage.requests

    @property
    def is_loader(self) -> bool:
        """Tell whether this DAG may load a resource from nothing."""
        return self.identity.dag_id == self.loader

    @property
    def is_nightly(self) -> bool:
        """Tell whether this is a run of the loader that is about everything there is."""
        return self.is_loader and self.request.window is None

    @property
    def names(self) -> dict[str, str]:
        """The parameters that say who writes."""
        return {"dag_id": self.identity.dag_id, "run_id": self.identity.run_id}

    @property
    def clock(self) -> datetime:
        """The API's clock as this task heard it last, or else as any run did."""
        return self.client.last_date or self.latest_clock

    @property
    def latest_clock(self) -> datetime:
        """The API's clock as far as any run has heard it; asks the database each time."""
        latest: datetime = self.fetch("ledger/latest_clock")[0][0]
        return latest

    def fetch(self, name: str, /, **values: Any) -> list[tuple[Any, ...]]:
        """Run the query `name` and return its rows."""
        return self.connection.execute(read(name), {**self.names, **values}).fetchall()

    def execute(self, name: str, /, **values: Any) -> int:
        """Run the statement `name` and return how many rows it touched."""
        return self.connection.execute(read(name), {**self.names, **values}).rowcount

    def wait_for(self, lock: str, **values: Any) -> None:
        """Run the statement `lock`, which waits for other tasks."""
        with patient(self.connection):
            self.fetch(lock, **values)

    def commit(self, step: Callable[[], T]) -> T:
        """Run `step` in one transaction with the ledger; again if the database asks for it.

        Two DAGs write beside each other, so a deadlock is possible, if rare, and so is one new row
        of both: one of the two is undone by the database and simply repeated here. Bad rows are
        rare, so only a transaction that met one begins again with the savepoints that find them.

        Raises:
            SettingsChanged: what is stored hashed has changed since this attempt began.
        """
        result: T
        with suppress(Refused):
            result = _REPEATED(self._attempt, step, finds_refused=False)
            return result
        result = _REPEATED(self._attempt, step, finds_refused=True)
        return result

    def _attempt(self, step: Callable[[], T], *, finds_refused: bool) -> T:
        before = self.counts.copy()
        self.finds_refused = finds_refused
        try:
            with self.connection.transaction():
                self.hashing.hold(self.connection)
                result = step()
                self.save_ledger()
        except BaseException:
            self.counts = before
            # What the rolled back transaction had made or seen is gone.
            self.staged.clear()
            self.present.clear()
            raise
        finally:
            self.filled.clear()
        return result

    def outcome(self) -> dict[str, int]:
        """Return the counts by name, small enough for XCom."""
        return {"requests": self.requests, **self.counts.as_dict(), **self.figures}

    def save_ledger(self) -> None:
        """Write the counters into this attempt's row of `sync_runs`."""
        if self.ledger_id is None:
            return
        tables = sorted(item for item in self.counts.tables.items() if any(item[1]))
        self.execute(
            "ledger/save",
            id=self.ledger_id,
            bytes=self.client.usage.bytes,
            retries_429=self.client.usage.retries_429,
            window_from=self.window_from,
            window_to=self.window_to,
            clock=self.client.last_date,
            agreed=self.client.clock.agreed,
            last_seq=self.client.last_seq,
            tables=[name for name, _counts in tables],
            tables_inserted=[counts[0] for _name, counts in tables],
            tables_updated=[counts[1] for _name, counts in tables],
            tables_deleted=[counts[2] for _name, counts in tables],
            **self.counts.as_dict(),
        )

    def resume_ledger(self) -> None:
        """Go on counting where this attempt stopped to wait for the quota."""
        rows = self.fetch("ledger/resumed", id=self.ledger_id)
        pages, records, unchanged, parked, size, retries, requests, *written = rows[0]
        inserted, updated, deleted, names, by_table = written
        self.counts = Counts(
            pages=pages,
            records=records,
            inserted=inserted,
            updated=updated,
            unchanged=unchanged,
            deleted=deleted,
            parked=parked,
            tables={name: tuple(row) for name, row in zip(names, by_table, strict=True)},
        )
        self.client.usage.bytes, self.client.usage.retries_429 = size, retries
        self.requests_before = requests

    def log_page(self, page: Page) -> None:
        """Say in the log what one page of a listing brought."""
        self.page_log.add(page)
        self.counts.pages += 1
