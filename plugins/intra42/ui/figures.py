"""What the page shows, as plain data: one function per picture, each a few statements.

Every function takes a connection of `intra42.ui.warehouse.reading` and returns what JSON can hold,
with times as aware datetimes. Nothing in it names a person: ids, counts, times, masked reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from intra42.catalog import graph
from intra42.catalog.model import Cadence, Resource
from intra42.run.plan import FURTHER_TABLES
from intra42.ui.masking import masked
from intra42.ui.warehouse import Connection
from intra42.warehouse.statements import compose, read, table

QUARTER_HOUR = timedelta(minutes=15)
DAY = timedelta(days=1)

# A run takes its time, and the next one begins when the age is exactly the promise.
_GRACE = {QUARTER_HOUR: timedelta(minutes=15), DAY: timedelta(hours=2)}

_SHOWN = 50

# So many rows are counted in milliseconds; for larger tables the server's own estimate does.
_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Dags:
    """The names of the two DAGs."""

    nightly: str
    incremental: str

    @property
    def both(self) -> list[str]:
        """Both names."""
        return [self.nightly, self.incremental]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time up to now, and the intervals it is cut into."""

    length: timedelta
    bucket: timedelta


SPANS = {
    "day": Span(timedelta(days=1), timedelta(minutes=15)),
    "week": Span(timedelta(days=7), timedelta(hours=1)),
    "month": Span(timedelta(days=30), timedelta(days=1)),
}

# Seconds; the last class is open. No edge lies on a promise: what a run every 15 minutes finds is
# one class, and so is what a run every night finds.
_UNSEEN_EDGES = (0, 1020, 2100, 4200, 12_600, 46_800, 90_000, 270_000)
_UNSEEN_SPAN = timedelta(days=30)


def _rows(connection: Connection, name: str, **values: Any) -> list[dict[str, Any]]:
    return connection.execute(read(f"page/{name}"), values).fetchall()


def freshness(connection: Connection, dags: Dags) -> dict[str, Any]:
    """Return how old each table is, beside its promise, in seconds.

    The age of a table is the time since the last attempt that read it up to now began. `state` is
    fresh (within the promise), due (a run is about to renew it), late, never, or refused: then
    `said` says what the API does not show.
    """
    tables = [
        (table, resource, _task(resource))
        for resource in _mirrored(connection)
        for table in graph.tables_of(resource.name)
    ]
    found = _rows(
        connection,
        "freshness",
        tables=[name for name, _, _ in tables],
        resources=[resource.name for _, resource, _ in tables],
        mapped=[resource.is_optional for _, resource, _ in tables],
        tasks=[task for _, _, task in tables],
        dags=dags.both,
    )
    return {
        "tables": [
            _age(row["name"], graph.get(row["resource"]), row["read_at"], row["asked_at"])
            | {"dag_id": row["dag_id"], "run_id": row["run_id"]}
            | ({"state": "refused", "said": row["said"]} if row["said"] else {})
            for row in found
        ]
    }


def _mirrored(connection: Connection) -> list[Resource]:
    """Return what is read for itself, of the further tables those that the settings ask for."""
    names = {row["name"] for row in _rows(connection, "asked_tables")}
    return [r for r in graph.read_for_themselves() if graph.is_asked(r, names)]


def _task(resource: Resource) -> str:
    """Return the task that reads a table; all further tables share one."""
    return FURTHER_TABLES if resource.is_optional else f"{resource.group}.{resource.name}"


def _age(
    name: str, resource: Resource, read_at: datetime | None, asked_at: datetime
) -> dict[str, Any]:
    promise = QUARTER_HOUR if resource.cadence is Cadence.QUARTER_HOUR else DAY
    age = None if read_at is None else max(asked_at - read_at, timedelta(0))
    if age is None:
        state = "never"
    elif age <= promise:
        state = "fresh"
    else:
        state = "due" if age <= promise + _GRACE[promise] else "late"
    return {
        "table": name,
        "read_at": read_at,
        "age_s": None if age is None else age.total_seconds(),
        "promise_s": promise.total_seconds(),
        "state": state,
    }


def sizes(connection: Connection) -> dict[str, Any]:
    """Return how many rows each table of the mirror has, and all of them.

    Small tables are counted; of others `exact` is false and `rows` is PostgreSQL's estimate.
    """
    names = [t for r in _mirrored(connection) for t in graph.tables_of(r.name)]
    estimates = {row["name"]: row["estimate"] for row in _rows(connection, "sizes", tables=names)}
    small, total = [], 0
    for name in sorted(names, key=estimates.__getitem__):
        total += estimates[name]
        if total <= _COUNTED:
            small.append(name)
    counted = _counted(connection, small) if small else {}
    found = estimates | counted
    return {
        "rows": sum(found.values()),
        "sizes": [{"table": name, "rows": found[name], "exact": name in counted} for name in names],
    }


def _counted(connection: Connection, names: list[str]) -> dict[str, int]:
    each = [compose("page/count", label=sql.Literal(name), table=table(name)) for name in names]
    rows = connection.execute(sql.SQL(" union all ").join(each)).fetchall()
    return {row["name"]: row["rows"] for row in rows}


def quota(connection: Connection) -> dict[str, Any]:
    """Return the requests of the last 60 minutes, and the hour's limit if the API announced one."""
    found = _rows(connection, "quota")
    first = found[0]
    return {
        "used": sum(row["bulk"] + row["others"] for row in found),
        "per_hour": first["per_hour"],
        "paused_until": first["paused_until"],
        "asked_before": first["asked_before"],
        "minutes": [
            {"begins_at": row["minute"], "nightly": row["bulk"], "others": row["others"]}
            for row in found
        ],
    }


def activity(
    connection: Connection, dags: Dags, span: Span, dag_id: str | None = None
) -> dict[str, Any]:
    """Return requests and rows written in each interval of `span`, of one DAG or of all."""
    return {
        "bucket_s": span.bucket.total_seconds(),
        "intervals": _rows(
            connection,
            "activity",
            span=span.length,
            bucket=span.bucket,
            nightly=dags.nightly,
            incremental=dags.incremental,
            dag_id=dag_id,
        ),
    }


def runs(
    connection: Connection, dags: Dags, limit: int = 60, dag_id: str | None = None
) -> dict[str, Any]:
    """Return the last runs, newest first: requests, and rows inserted, updated, deleted, parked."""
    chosen = dags.both if dag_id is None else [dag_id]
    return {"runs": _rows(connection, "runs", dags=chosen, limit=limit)}


def levels(connection: Connection) -> dict[str, Any]:
    """Return the levels recomputed silently in 30 days, by how long that may have stayed unseen."""
    found = _rows(connection, "levels", edges=list(_UNSEEN_EDGES), span=_UNSEEN_SPAN)
    ways = sorted({row["found_by"] for row in found})
    counts = {way: [0] * len(_UNSEEN_EDGES) for way in ways}
    for row in found:
        # What a clock set back made negative belongs to the shortest class.
        counts[row["found_by"]][max(row["bucket"] - 1, 0)] += row["levels"]
    [summary] = _rows(connection, "levels_summary", span=_UNSEEN_SPAN)
    return {
        "days": _UNSEEN_SPAN.days,
        "edges_s": list(_UNSEEN_EDGES),
        "found_by": [{"way": way, "levels": counts[way]} for way in ways],
        **summary,
    }


def audit(connection: Connection) -> dict[str, Any]:
    """Return, by table, how many users had their rows counted against the API, and how long ago."""
    names = [resource.name for resource in graph.children_of_users()]
    return {"tables": _rows(connection, "audit", tables=names)}


def parked(connection: Connection) -> dict[str, Any]:
    """Return the records parked last, without what was in them."""
    found = _rows(connection, "parked", limit=_SHOWN)
    return {
        "total": found[0]["total"] if found else 0,
        "records": [_without_values(row, but="total") for row in found],
    }


def tombstones(connection: Connection) -> dict[str, Any]:
    """Return the rows deleted last, without what was in them."""
    [counts] = _rows(
        connection, "tombstone_count", tables=list(graph.tables()), span=timedelta(days=30)
    )
    found = _rows(connection, "tombstones", limit=_SHOWN)
    return {"days": 30, **counts, "tombstones": [_without_values(row) for row in found]}


def _without_values(row: dict[str, Any], but: str = "") -> dict[str, Any]:
    shown = {key: value for key, value in row.items() if key != but}
    return shown | {"reason": masked(row["reason"]), "run_id": masked(row["run_id"])}
