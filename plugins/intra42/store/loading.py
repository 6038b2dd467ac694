"""Stage rows by COPY and merge them once: the load half of a sync."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from enum import StrEnum
from functools import cache
from typing import Any

from psycopg import errors, sql
from psycopg.types.json import Jsonb

from intra42.api.model import Answer
from intra42.attempt.work import Refused, Work
from intra42.catalog import graph
from intra42.catalog.model import Resource, Source
from intra42.store.decode import Seen
from intra42.store.rows import Row, Unfit, payload
from intra42.warehouse.statements import array, columns, compose, read, table

log = logging.getLogger(__name__)

_ANONYMISED = "3b3-"
# Where a server says that it is at its own limits, with the code of a row beyond them.
_EXHAUSTED = {"GetNewTransactionId", "GetNewMultiXactId"}
_STORAGE_CLAUSE = 160_000  # the first server whose `create table` knows it
# What one row can be the cause of; the others are kept.
_REFUSED = (
    errors.DataError,
    errors.NotNullViolation,
    errors.ForeignKeyViolation,
    errors.ProgramLimitExceeded,
)


class Provenance(StrEnum):
    """How an observation came about, which decides what it may overwrite."""

    LISTING = "listing"  # a page of a window: later updated_at wins
    DIRECT = "direct"  # asked for by id or by user: the later request wins
    EMBEDDED = "embedded"  # nested in another record, perhaps a stale copy


def load(
    work: Work, resource: Resource, rows: Iterable[Row], answer: Answer, provenance: Provenance
) -> list[int]:
    """Merge the rows of one answer; see `load_all`."""
    return load_all(work, resource, [(row, answer) for row in rows], provenance)


def load_all(
    work: Work, resource: Resource, seen: Iterable[Seen], provenance: Provenance
) -> list[int]:
    """Merge rows into the table of `resource` and return the ids that were merged.

    Runs inside `Work.commit`. A row that the database refuses is parked and the others are kept.
    Adds to the work's counts: inserted, updated, unchanged, parked.
    """
    merged: list[int] = []
    best = _deduplicated(list(seen), provenance)
    kinds = {row.absent for row, _answer in best}
    for absent in sorted(kinds, key=sorted):
        alike = best if len(kinds) == 1 else [item for item in best if item[0].absent == absent]
        merged += _load_or_park(work, resource, alike, provenance, absent)
    return merged


def _deduplicated(seen: Sequence[Seen], provenance: Provenance) -> list[Seen]:
    """Keep one row per id, in their order."""
    best = {item[0].id: item for item in seen}
    if len(best) < len(seen):
        best = _best(seen, provenance)
    return [best[number] for number in sorted(best)]


def _best(seen: Sequence[Seen], provenance: Provenance) -> dict[int, Seen]:
    """Return one row per id: of two answers by id the later one, else the latest `updated_at`."""
    best: dict[int, Seen] = {}
    for row, answer in sorted(seen, key=lambda item: item[1].seq):
        other = best.get(row.id)
        if (
            other is None
            or (provenance is Provenance.DIRECT and other[1].seq < answer.seq)
            or other[0].updated_at is None
            or row.updated_at is None
            or row.updated_at >= other[0].updated_at
        ):
            best[row.id] = row, answer
    return best


def _load_or_park(
    work: Work,
    resource: Resource,
    seen: Sequence[Seen],
    provenance: Provenance,
    absent: frozenset[str],
) -> list[int]:
    """Load rows; halve them on a data error until the bad ones stand alone, and park those."""
    try:
        with work.connection.transaction() if work.finds_refused else nullcontext():
            _merge(work, resource, seen, provenance, absent)
    except _REFUSED as error:
        if not work.finds_refused:
            raise Refused from error
        work.staged.clear()
        if error.diag.source_function in _EXHAUSTED:
            raise
        if isinstance(error, errors.ProgramLimitExceeded) and not _is_toasted(work, resource):
            work.toasted.add(resource.name)
            return _load_or_park(work, resource, seen, provenance, absent)
        if len(seen) == 1:
            row, answer = seen[0]
            reason = str(error.diag.message_primary or type(error).__name__)
            park(work, resource, [Unfit(row.id, payload(resource, row.record), reason)], answer)
            return []
        middle = len(seen) // 2
        return [
            *_load_or_park(work, resource, seen[:middle], provenance, absent),
            *_load_or_park(work, resource, seen[middle:], provenance, absent),
        ]
    return [row.id for row, _answer in seen]


def _is_toasted(work: Work, resource: Resource) -> bool:
    """Tell whether the stage of a table has a TOAST table, for rows longer than a page."""
    server = work.connection.info.server_version
    return resource.name in work.toasted or server < _STORAGE_CLAUSE


def _merge(
    work: Work,
    resource: Resource,
    seen: Sequence[Seen],
    provenance: Provenance,
    absent: frozenset[str],
) -> None:
    statements = _statements(resource.name, provenance, absent, _is_toasted(work, resource))
    answers = {answer.seq: answer.date for _row, answer in seen}
    values = {
        **work.names,
        "resource": resource.name,
        "answer_seqs": array(answers),
        "answer_dates": list(answers.values()),
        "all_cursus_ids": list(work.request.mirrored_cursus("all_cursus_ids")),
        "anonymised": _anonymised(resource, seen),
        "reread_seq": work.hashing.reread.get(resource.name),
    }
    stored = work.hashing.storing(resource)
    if resource.name not in work.staged:
        work.connection.execute(statements["stage"])
        work.staged.add(resource.name)
    if resource.name in work.filled:
        work.connection.execute(statements["empty_stage"])
    work.filled.add(resource.name)
    # One answer is the rule, and its place the column's default: nothing to write for each row.
    if len(answers) == 1:
        copy_in, staged = "copy", (stored(row.values) for row, _answer in seen)
    else:
        places = {seq: (number,) for number, seq in enumerate(answers, start=1)}
        copy_in = "copy_of_several"
        staged = (stored(row.values) + places[answer.seq] for row, answer in seen)
    with work.connection.cursor() as cursor, cursor.copy(statements[copy_in]) as copy:
        for values_of_row in staged:
            copy.write_row(values_of_row)
    inserted = work.connection.execute(statements["insert"], values).rowcount
    updated = 0
    # One exchange with the server more; two where the table has some of the rows.
    with work.connection.pipeline():
        if inserted < len(seen):
            merged = work.connection.execute(statements["merge"], values)
            late, updated = merged.fetchone() or (0, 0)
            inserted += late
        if inserted + updated < len(seen):
            work.connection.execute(statements["verify"], values)
        work.connection.execute(statements["shown"], values)
        if "note_anonymised" in statements:
            work.connection.execute(statements["note_anonymised"], values)
    work.counts.changed(resource.name, inserted=inserted, updated=updated)
    work.counts.unchanged += len(seen) - inserted - updated


def _anonymised(resource: Resource, seen: Sequence[Seen]) -> list[int]:
    """Return the users whose login says that the API has anonymised them."""
    if not resource.people:
        return []
    login = resource.column_names.index("login")
    return [row.id for row, _ in seen if (row.values[login] or "").startswith(_ANONYMISED)]


@cache
def _statements(
    name: str, provenance: Provenance, absent: frozenset[str], toasted: bool
) -> dict[str, bytes]:
    """Return the statements that load one table, rendered once per process."""
    resource = graph.get(name)
    bare_name = f"toasted_stage_{name}" if toasted else f"stage_{name}"
    # `create temporary table` takes no schema; reads name pg_temp so that nothing else can match.
    bare, stage = sql.Identifier(bare_name), sql.Identifier("pg_temp", bare_name)
    # A commit empties the stage; of a TOAST table, that alone takes ten times as long as the rest.
    storage = sql.SQL("" if toasted else " storage plain")
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}{}").format(sql.Identifier(column.name), sql.SQL(column.type.value), storage)
        for column in resource.columns
    )
    stored = tuple(column for column in resource.column_names if column not in absent)
    lists: dict[str, sql.Composable] = {
        "mine": columns(stored, "mine"),
        "excluded": columns(stored, "excluded"),
        "fresh": _fresh(resource, stored, stage),
        "as_fresh": columns(stored, "fresh"),
        "columns": columns(stored),
        "assignments": _assignments(stored),
        "guard": _guard(resource, provenance),
        "target": table(name),
        "stage": stage,
        "answer": read("merge/answer"),
    }
    composed: dict[str, sql.Composable] = {
        "stage": compose("merge/stage", stage=bare, definitions=definitions),
        "copy": compose("merge/copy", stage=stage, columns=columns(resource.column_names)),
        "copy_of_several": compose(
            "merge/copy", stage=stage, columns=columns((*resource.column_names, "_answer"))
        ),
        "insert": compose("merge/insert", **lists),
        "merge": compose("merge/merge", **lists),
        "verify": compose("merge/verify", **lists),
        "shown": compose("merge/shown", **lists),
        "empty_stage": compose("merge/empty_stage", **lists),
    }
    if resource.people:
        composed["note_anonymised"] = compose("merge/note_anonymised", **lists)
    return {key: statement.as_bytes() for key, statement in composed.items()}


def _fresh(resource: Resource, names: Sequence[str], stage: sql.Composable) -> sql.Composed:
    """Return the query of the staged columns, with what derived ones are computed from."""
    derived = {column.name for column in resource.columns if column.source is Source.DERIVED}
    values = sql.SQL(", ").join(
        sql.Identifier("derived" if name in derived else "staged", name) for name in names
    )
    source = compose(f"derive/for_{resource.name}", stage=stage) if derived else sql.SQL("")
    answer = read("merge/answer")
    return compose("merge/fresh", values=values, stage=stage, answer=answer, derived=source)


def _assignments(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names if name != "id"
    )


def _guard(resource: Resource, provenance: Provenance) -> sql.Composable:
    later = read("merge/guard_later_request")
    if provenance is Provenance.EMBEDDED:
        return read("merge/guard_embedded")
    if provenance is Provenance.LISTING and "updated_at" in resource.column_names:
        return compose("merge/guard_listing", later_request=later)
    return later


def park(work: Work, resource: Resource, unfit: Iterable[Unfit], answer: Answer) -> None:
    """Put records that cannot be merged aside, with the reason; they are retried later."""
    for item in unfit:
        work.counts.parked += 1
        log.warning(
            "Parked a record of %s in run %s: id %s: %s",
            resource.name,
            work.identity.run_id,
            "unknown" if item.id is None else item.id,
            item.reason,
        )
        kept = work.hashing.payload(resource, item.payload)
        work.execute(
            "parked/park",
            resource=resource.name,
            id=item.id,
            fingerprint=fingerprint(item.id, kept),
            payload=Jsonb(kept),
            reason=item.reason,
            seen_at=answer.date,
            seq=answer.seq,
        )


def fingerprint(number: int | None, kept: Mapping[str, Any]) -> str:
    """Return by what a parked record is known: its id, or a hash of its payload."""
    if number is not None:
        return str(number)
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def existing(work: Work, name: str, ids: Iterable[int]) -> set[int]:
    """Return those of `ids` that the table `name` has.

    Reference rows are never deleted, so one that was found is remembered for the task.
    """
    wanted = set(ids)
    known = work.present.get(name, set()) & wanted
    if wanted <= known:
        return known
    unsure = array(sorted(wanted - known))
    rows = work.connection.execute(_select_existing(name), {"ids": unsure}).fetchall()
    found = {row[0] for row in rows}
    if graph.get(name).group == "reference":
        work.present.setdefault(name, set()).update(found)
    return known | found


@cache
def _select_existing(name: str) -> bytes:
    """Return the statement of `existing` for one table, rendered once per process."""
    return compose("merge/existing", target=table(name)).as_bytes()
