"""How often each statement of `include/sql` runs, and with what, in a network of 40,000 students.

A statement that is not here fails the test: whoever adds one says how often it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.read import history
from intra42.ui import figures
from intra42.verify import absence
from intra42.warehouse.statements import columns, compose, read, table


class Often(Enum):
    """How often a statement runs, and how long it may take then, in milliseconds."""

    TASK = 100  # once or more in a task or a request of the page: in each page, in each transaction
    NIGHT = 1000  # once a night and table, or when a person changes the settings


@dataclass(frozen=True)
class Sample:
    """One way to run a statement."""

    often: Often
    statement: sql.Composable
    values: Mapping[str, Any]
    label: str = ""


NIGHTLY, TONIGHT = "intra42_nightly", "tonight"
INCREMENTAL, QUARTER = "intra42_incremental", "this quarter hour"
TONIGHT_SEQ = 10_541_000
NOW = datetime.now(UTC)
USERS = [60_000 + 4 * n for n in range(1, 40_000, 401)]
BARE_USERS = list(range(50_001, 50_021))  # without rows, as removal/rows leaves them
ROWS = list(range(1, 40_000, 401))  # ids that every table of users' rows has
CURSUS = [21, 1]
CAMPUSES = [1, 12, 14]

_COMMON: dict[str, Any] = {
    "dag_id": NIGHTLY,
    "run_id": TONIGHT,
    "id": 600_000,
    "task_id": "primary.users",
    "map_index": -1,
    "try_number": 1,
    "resource": "users",
    "status": "success",
    "first_seq": TONIGHT_SEQ,
    "seq": TONIGHT_SEQ + 500,
    "from_seq": TONIGHT_SEQ - 100_000,
    "now": NOW,
    "since": NOW - timedelta(days=30),
    "week_ago": NOW - timedelta(days=7),
    "clock": NOW,
    "checked_at": NOW,
    "audited_at": NOW,
    "deleted_at": NOW,
    "synced_at": NOW,
    "seen_at": NOW,
    "watermark": NOW,
    "window_from": NOW - timedelta(minutes=45),
    "window_to": None,
    "users": USERS,
    "ids": ROWS,
    "seqs": [TONIGHT_SEQ + 500] * len(ROWS),
    "asked": [],
    "being_counted": [],
    "witnesses": 5,
    "highest": 2_147_483_647,
    "cursus": CURSUS,
    "cursus_id": 21,
    "campuses": CAMPUSES,
    "all_cursus_ids": CURSUS,
    "listed_by_campus": list(graph.listed_by_campus(["all"])),
    "parent": 11,
    "reason": "absent from two complete answers of one run",
    "limit": 4000,  # rows the audit refetches of one table in a night
}


def of_page(resource: str) -> dict[str, Any]:
    """Return the values that store one page of a table."""
    own = {"resource": resource, "answer_seqs": "{10542001}", "answer_dates": [NOW]}
    return _COMMON | own | {"anonymised": [], "reread_seq": None}


def plain(often: Often, **values: Any) -> Callable[[str], Iterator[Sample]]:
    """Return the sample of a statement without parts."""

    def samples(name: str) -> Iterator[Sample]:
        yield Sample(often, read(name), _COMMON | values)

    return samples


def each(
    often: Often,
    resources: Sequence[Resource] | None = None,
    parts: Callable[[Resource], Mapping[str, sql.Composable]] = lambda r: {"target": table(r.name)},
    **values: Any,
) -> Callable[[str], Iterator[Sample]]:
    """Return the samples of a statement that is composed for each of some tables."""

    def samples(name: str) -> Iterator[Sample]:
        for resource in graph.children_of_users() if resources is None else resources:
            statement = compose(name, **parts(resource))
            own = {"resource": resource.name, "target": f"intra42.{resource.name}"}
            yield Sample(often, statement, _COMMON | own | values, resource.name)

    return samples


def of_tables(often: Often, *names: str, **values: Any) -> Callable[[str], Iterator[Sample]]:
    """Return the samples of a statement that is told the table as a value."""

    def samples(name: str) -> Iterator[Sample]:
        for resource in names or [r.name for r in graph.children_of_users()]:
            yield Sample(often, read(name), _COMMON | values | {"resource": resource}, resource)

    return samples


def both(*several: Callable[[str], Iterator[Sample]]) -> Callable[[str], Iterator[Sample]]:
    """Return the samples of all of these."""

    def samples(name: str) -> Iterator[Sample]:
        for one in several:
            yield from one(name)

    return samples


def mirrored(resource: Resource) -> Mapping[str, sql.Composable]:
    cursus = "cursus_id" in resource.column_names
    column = sql.Identifier("mine", "cursus_id") if cursus else sql.NULL
    return {"target": table(resource.name), "column": column}


def hashed(prefix: str | None = None) -> Callable[[Resource], Mapping[str, sql.Composable]]:
    return lambda r: {"target": table(r.name), "columns": columns(("email", "phone"), prefix)}


def doomed(resource: Resource) -> Mapping[str, sql.Composable]:
    """Return the parts of the statements that delete, and count what may be deleted."""
    cursus = "cursus_id" if resource.scope_cursus is not None else None
    return {
        **absence._places(resource),
        "cursus": absence._cursus(resource),
        "cursus_id": sql.SQL(f"e.{cursus}" if cursus else "null::bigint"),
        "of_cursus": sql.SQL(
            "and e.cursus_id is not distinct from %(cursus_id)s" if cursus else ""
        ),
    }


def owned(owner: str) -> Callable[[Resource], Mapping[str, sql.Composable]]:
    return lambda r: {
        "target": table(r.name),
        "owner": sql.Identifier(owner),
        "shown": sql.SQL(""),
    }


def keyed(key: str) -> Callable[[Resource], Mapping[str, sql.Composable]]:
    return lambda r: {"target": table(r.name), "key": sql.Identifier(key)}


def of_campuses(resource: Resource) -> Mapping[str, sql.Composable]:
    link = resource.links[0]
    return {
        "target": table(resource.name),
        "pairs": table(link.table),
        "own": sql.Identifier(link.own),
        "other": sql.Identifier(link.other),
    }


def ledgers(resource: Resource) -> Mapping[str, sql.Composable]:
    return {"target": table(resource.name), "owner": sql.Identifier(resource.owner_column)}


def open_rows(resource: Resource) -> Mapping[str, sql.Composable]:
    return {"target": table(resource.name), "until": sql.Identifier(str(resource.open_until))}


ALL_USERS = graph.get("users")
LINKS = {
    "target": table("campus_projects"),
    "own": sql.Identifier("project_id"),
    "other": sql.Identifier("campus_id"),
}
TASK, NIGHT = Often.TASK, Often.NIGHT

# Parts of others, which are rendered into them.
PARTS = {
    "absence/at_home",
    "absence/homeless",
    "merge/answer",
    "merge/fresh",
    "merge/guard_embedded",
    "merge/guard_later_request",
    "merge/guard_listing",
    "derive/for_achievements_users",
    "derive/for_coalitions_users",
    "derive/for_projects_users",
    "derive/for_users",
}
# Rendered by the functions that load a page, and run against a stage with rows in it.
STAGED = {
    "merge/insert",
    "merge/merge",
    "merge/verify",
    "merge/shown",
    "merge/empty_stage",
    "merge/note_anonymised",
}
# Nothing to explain: no plan is made for them.
UTILITIES = {
    "quota/notice_lost_client",
    "merge/copy",
    "merge/stage",
    "migrations/checks",
    "migrations/create_schema",
    "migrations/describe_column",
    "migrations/describe_table",
    "migrations/shown",
    "warehouse/in_utc",
    "migrations/lock_timeout",
    "warehouse/encoding",
    "warehouse/listen",
}
# What a connection begins with, several statements at once, and reads no table for.
UTILITIES |= {"warehouse/resume", "warehouse/session", "warehouse/settings"}

_queue = {"all_dags": True, "only_run": None}
_span = {"after": 0, "up_to": 100_000, "columns": ["email", "phone"]}
_api = {
    "application": "application",
    "per_second": 8,
    "per_hour": 1200,
    "bulk": True,
    "max_wait_s": 60,
    "run_id": 600_000,
    "now": None,
    "api_now": NOW,
    "seconds": 1.0,
    "sent_at": NOW,
    "late_s": 0.2,
    "token": b"token",
}
_guard = {"day": NOW - timedelta(days=1), "week": NOW - timedelta(days=7)}
_seen = {"first_seqs": [TONIGHT_SEQ + 500] * len(ROWS)}
_why = {"reason": "gone", "purged": True, "seq": TONIGHT_SEQ}
_settings = {
    "resources": ["users", "projects_users"],
    "scopes": ["all/21", "all/21"],
    "variable": "intra42_config",
    "used": Jsonb({"campus_ids": [1]}),
    "scope_changed": False,
}
_page = {
    "nightly": NIGHTLY,
    "incremental": INCREMENTAL,
    "dags": [NIGHTLY, INCREMENTAL],
    "span": figures.SPANS["month"].length,
    "bucket": figures.SPANS["month"].bucket,
    "dag_id": None,
    "limit": 200,
    "edges": [0, 60, 3600],
    "timeout_ms": "10000",
    "tables": list(graph.tables()),
    "resources": list(graph.tables()),
    "mapped": [False] * len(list(graph.tables())),
    "tasks": [f"primary.{name}" for name in graph.tables()],
}

SAMPLES: dict[str, Callable[[str], Iterator[Sample]]] = {
    "absence/buried": of_tables(TASK),
    "absence/delete": each(TASK, parts=doomed),
    "absence/lately_deleted": each(TASK, parts=doomed, **_guard),
    "absence/lock": plain(TASK),
    "absence/rows_of_scope": each(TASK, parts=doomed, campus_id=1, enough=2_000),
    "absence/seen_since": both(
        each(TASK, parts=owned("id"), **_seen), each(TASK, parts=owned("user_id"), **_seen)
    ),
    "absence/witness": both(
        each(TASK, parts=owned("id")),
        each(TASK, parts=owned("user_id")),
        each(TASK, [ALL_USERS], owned("id")),
    ),
    **{
        f"quota/{name}": plain(TASK, **_api)
        for name in (
            "announced",
            "learn",
            "limits",
            "pause",
            "reserve",
            "send",
            "sent_late",
            "token_forget",
            "token_lock",
            "token_patience",
            "token_read",
            "token_write",
        )
    },
    "audit/expected_students": both(plain(NIGHT, after=0), plain(NIGHT, campuses=None, after=0)),
    "audit/just_listed": plain(TASK),
    "audit/mark": of_tables(TASK),
    "audit/mark_read": each(TASK),
    "audit/mirrored": each(TASK, parts=mirrored, after=0, ours=CURSUS),
    "audit/move_position": plain(TASK, listing="/v2/cursus/21/users", after=1, moved_at=NOW),
    "audit/next_users": of_tables(NIGHT, most=8_000),
    "audit/oldest_checks": each(NIGHT, turn=3),
    "parked/of_users": of_tables(TASK, users=list(map(str, USERS)), after=0),
    "parked/users": plain(TASK, ids=list(map(str, USERS))),
    "audit/position": plain(TASK, listing="/v2/cursus/21/users"),
    "audit/progress": of_tables(NIGHT),
    "parked/purge": plain(NIGHT, tables=[r.name for r in graph.children_of_users()]),
    "derive/from_campus_users": both(plain(TASK, ids=USERS), plain(NIGHT, ids=None)),
    "derive/from_coalitions": both(plain(TASK, ids=ROWS[:5]), plain(NIGHT, ids=None)),
    "derive/from_cursus_users": both(plain(TASK, ids=USERS), plain(NIGHT, ids=None)),
    "erasure/forget_vanished": plain(NIGHT),
    "erasure/hold_users": plain(TASK, users=USERS[:20]),
    "erasure/knows_any": each(TASK),
    "erasure/lately_erased": plain(NIGHT, **_guard),
    "erasure/note_vanished": plain(NIGHT),
    "erasure/scrub_anonymised": plain(NIGHT),
    "erasure/vanished": plain(NIGHT),
    "hashing/declare": plain(NIGHT, fingerprint="f", resources=["users"], columns=["email"]),
    "hashing/declared": plain(TASK),
    "hashing/end_reread": plain(NIGHT),
    "hashing/hold": plain(TASK),
    "hashing/lock": plain(TASK),
    "hashing/lock_rewriting": plain(NIGHT),
    "hashing/next_graves": plain(NIGHT, **_span),
    "hashing/next_rows": each(NIGHT, [ALL_USERS], hashed(), **_span),
    "hashing/parked": plain(NIGHT),
    "hashing/progress": plain(NIGHT, **_span),
    "hashing/rewrite_graves": plain(
        NIGHT, rows=Jsonb([{"number": n, "values": {"email": "x"}} for n in ROWS])
    ),
    "hashing/rewrite_parked": plain(
        NIGHT, rows=Jsonb([{"number": n, "payload": {}, "fingerprint": str(n)} for n in ROWS])
    ),
    "hashing/rewrite_rows": each(
        NIGHT,
        [ALL_USERS],
        lambda r: {
            "target": table(r.name),
            "assignments": sql.SQL("email = hashed.email"),
            "definitions": sql.SQL("email text"),
        },
        rows=Jsonb([{"id": n, "email": "x"} for n in USERS]),
    ),
    "hashing/to_reread": plain(TASK),
    "hashing/unread": each(NIGHT, [ALL_USERS], hashed("mine")),
    "hashing/unwritten": plain(TASK),
    "links/counts": each(TASK, [graph.get("achievements")], of_campuses, others=CAMPUSES),
    "links/counts_of": each(TASK, [graph.get("achievements")], of_campuses, others=CAMPUSES),
    "links/add": each(
        TASK,
        [ALL_USERS],
        lambda r: LINKS,
        own_ids=ROWS[:5] * 2,
        other_ids=list(range(1, 11)),
        other="campus_id",
    ),
    "merge/existing": each(TASK, graph.RESOURCES),
    "parked/forget": of_tables(TASK, "users", ids=[3_000_001], first_seqs=[TONIGHT_SEQ]),
    "merge/highest": each(TASK, graph.RESOURCES),
    "links/lacking": each(
        TASK, [ALL_USERS], lambda r: LINKS, owners=ROWS[:5], own_ids=ROWS[:5], other_ids=ROWS[:5]
    ),
    "merge/mark_embedded": each(
        TASK,
        [graph.get("project_sessions")],
        lambda r: {"target": table(r.name), "owner": sql.Identifier(str(r.owner))},
        seen=ROWS,
        owners=ROWS[:5],
    ),
    "merge/mark_listed": each(
        NIGHT, [graph.get(n) for n in ("projects", "achievements")], seen=ROWS, partial=False
    ),
    "parked/park": plain(
        TASK, fingerprint="3000001", payload=Jsonb({"id": 3_000_001}), id=3_000_001
    ),
    "parked/due": of_tables(TASK),
    "links/remove": each(
        TASK, [ALL_USERS], lambda r: LINKS, owners=ROWS[:5], own_ids=ROWS[:5], other_ids=ROWS[:5]
    ),
    "merge/seen_by": of_tables(TASK, *(r.name for r in graph.RESOURCES)),
    "merge/stubs": each(TASK, [graph.get("projects")], ids=[1, 2, 9_000_000]),
    "parked/unpark": of_tables(TASK, ids=[3_000_001]),
    "merge/unlisted": each(NIGHT, [graph.get("projects")], seen=ROWS),
    **{
        f"page/{name}": plain(TASK, **_page)
        for name in (
            "activity",
            "asked_tables",
            "audit",
            "freshness",
            "has_schema",
            "levels",
            "levels_summary",
            "limits",
            "parked",
            "quota",
            "runs",
            "sizes",
            "tombstone_count",
            "tombstones",
        )
    },
    # A table of a network is estimated instead.
    "page/count": each(
        TASK,
        [graph.get(name) for name in ("users", "campus_users")],
        lambda r: {"table": table(r.name), "label": sql.Literal(r.name)},
    ),
    "erasure/rows_outside": each(
        NIGHT, [graph.get(name) for name in ("cursus_users", "projects_users")], users=BARE_USERS
    ),
    "erasure/unfinished_loads": plain(NIGHT),
    "erasure/users_outside": plain(NIGHT),
    "jobs/remember_listing_total": plain(TASK, path="/v2/achievements", total=1),
    "jobs/listing_total": plain(TASK, path="/v2/achievements"),
    "erasure/draw": plain(NIGHT),
    "erasure/hold_rows": both(
        each(TASK, parts=keyed("id")), each(TASK, parts=keyed("user_id"), ids=USERS[:20])
    ),
    "erasure/remove_rows": both(
        each(NIGHT, parts=keyed("id"), **_why),
        each(NIGHT, parts=keyed("user_id"), ids=USERS[:20], **_why),
    ),
    "erasure/remove_users": plain(NIGHT, ids=BARE_USERS, **_why),
    "refresh/end_partition": plain(TASK, job_id=1, number=1, absent=[1], absent_seqs=[1]),
    "refresh/end_requests": plain(TASK, resource="cursus_users"),
    "refresh/forget_plans": plain(TASK, resource="cursus_users"),
    "refresh/ongoing": each(TASK, [graph.refetched()], open_rows, since=NOW, dag_id=INCREMENTAL),
    "refresh/outcome": plain(TASK, job_id=20_000),
    "tail/ids_at": each(TASK, [graph.get("scores")], ledgers, skipped=100_000, limit=200),
    "tail/parents": each(
        TASK,
        [graph.get("scores")],
        lambda r: {"parents": table(str(r.tail_of))},
        of_campuses=CAMPUSES,
    ),
    "tail/parked": plain(NIGHT, owner="coalition_id", parent="11"),
    "tail/stored": each(TASK, [graph.get("scores")], ledgers),
    "refresh/planned": plain(TASK, resource="cursus_users"),
    "refresh/unseen_open": each(NIGHT, [graph.get("locations")], open_rows),
    "jobs/refused": plain(TASK),
    "jobs/note_refusal": plain(NIGHT, path="/v2/skills", said="x", asked_at=NOW),
    "jobs/forget_refusal": plain(NIGHT),
    "refresh/plan_requests": plain(TASK, resource="cursus_users"),
    "refresh/request": plain(TASK, resource="cursus_users"),
    "refresh/staleness": each(TASK, [graph.refetched()], open_rows),
    "scope/all_users": plain(TASK),
    "scope/campus_names": plain(TASK),
    "scope/outsiders": plain(TASK, ids=list(range(300_001, 300_101))),
    "scope/queue_unseen_users": plain(NIGHT),
    "scope/remember_outsiders": plain(TASK, ids=list(range(300_001, 300_101))),
    "scope/strays": plain(NIGHT),
    **{
        f"settings/{name}": plain(TASK, **_settings)
        for name in (
            "forget_jobs",
            "forget_partitions",
            "forget_watermarks",
            "found",
            "narrow_jobs",
            "narrow_partitions",
            "remember",
        )
    },
    "migrations/adopt": plain(NIGHT, names=["0001_bookkeeping"]),
    "ledger/advance_sequences": both(plain(TASK, whole=False), plain(NIGHT, whole=True)),
    "jobs/begin_job": plain(TASK, kind="window", scopes=["all/21"], moves=True, own=False),
    "ledger/begin": plain(TASK),
    "jobs/begin_partition": plain(
        TASK, job_id=1, path="/v2/users", params=Jsonb({}), scopes=["all/21"], after=0, page=1
    ),
    "jobs/ends_users": plain(TASK, job_id=1, number=1),
    "migrations/begin": plain(TASK, name="x", checksum=None),
    "ledger/drop_idle": plain(TASK),
    "jobs/drop_partitions": plain(TASK, job_id=1, wanted=["all/21"]),
    "ledger/end": plain(TASK),
    "jobs/enqueue": plain(TASK, resources=["projects_users"]),
    "jobs/enqueue_all": of_tables(NIGHT, strays_of=CAMPUSES),
    "jobs/finish_job": plain(TASK, job_id=1),
    "ledger/heard": plain(TASK),
    "ledger/introduce": plain(TASK, loads=True),
    "jobs/job_outcome": plain(TASK, job_id=1),
    "ledger/latest_clock": plain(TASK),
    "jobs/leave_out_entered": each(NIGHT, [graph.get("campus_users")]),
    "ledger/lock": plain(TASK, name="x"),
    "migrations/lock": plain(TASK),
    "jobs/move_partition": plain(
        TASK, job_id=1, number=1, after=1, page=1, done=False, answered=True
    ),
    "jobs/move_waiting_jobs": of_tables(TASK, answered=True),
    "jobs/move_watermark": of_tables(TASK, scopes=["1/21", "2/21"]),
    "jobs/next_partition": plain(TASK, job_id=1, being_read=[], numbers=None),
    "jobs/next_users": each(
        TASK,
        [ALL_USERS, *graph.children_of_users()],
        lambda r: {"target": table(r.name), "owner": history._owner(r)},
        **_queue,
        behind=0,
        being_read=[],
    ),
    "ledger/open_run": plain(TASK),
    "ledger/opened_lately": plain(TASK),
    "ledger/prune": plain(NIGHT, batch=10_000),
    "jobs/queued": of_tables(TASK, **_queue),
    "ledger/resumed": plain(TASK),
    "ledger/run_start": plain(TASK),
    "ledger/save": plain(
        TASK,
        agreed=True,
        last_seq=TONIGHT_SEQ,
        bytes=1,
        retries_429=0,
        tables=["users"],
        tables_inserted=[1],
        tables_updated=[1],
        tables_deleted=[1],
        pages=1,
        records=1,
        inserted=1,
        updated=1,
        unchanged=1,
        deleted=1,
        parked=1,
    ),
    "ledger/try_lock": plain(TASK, name="x"),
    "jobs/users_are_read": of_tables(TASK, **_queue),
    "jobs/unfinished_jobs": of_tables(TASK, kinds=["window", "first"], own=False),
    "ledger/untold": both(
        plain(TASK, also=[], dag_id=INCREMENTAL, run_id=QUARTER),
        plain(
            TASK,
            also=["refresh_ongoing.refetch", "refresh_ongoing.plan"],
            dag_id=INCREMENTAL,
            run_id=QUARTER,
            task_id="refresh_ongoing.delete_missing",
        ),
    ),
    "migrations/applied": plain(TASK),
    "jobs/watermark_before": of_tables(TASK, scopes=["1/21"]),
    "jobs/watermarks": of_tables(TASK, scopes=["1/21"], dags=[NIGHTLY]),
    "warehouse/notify": plain(TASK, channel="x"),
    "warehouse/patience": plain(TASK),
    "warehouse/whose": plain(TASK),
}
