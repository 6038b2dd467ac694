"""Bring what was stored before under the present `hash_columns` and `hash_secret`.

Whatever is to be hashed is hashed in place at once, in batches that are their own checkpoints. A
value that was hashed before is hashed once more by that, so that the former key opens nothing any
more; its clear text is only in the API, where the nightly run then reads it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.store.loading import fingerprint
from intra42.store.parents import CHUNK
from intra42.warehouse.statements import columns, compose, table

log = logging.getLogger(__name__)

_BATCH = 2000  # rows a transaction


def rewrite(work: Work, batch: int = _BATCH) -> None:
    """Hash what is stored in clear text, or by another key: rows, tombstones, parked records.

    Only a nightly run does. Its tasks may do it at the same time; a kill loses one batch.
    """
    if not work.is_nightly or not work.fetch("hashing/unwritten"):
        return
    rows = 0
    while (found := work.commit(lambda: _rewrite_batch(work, batch))) is not None:
        rows += found
    if rows:
        log.info("Hashed the columns of hash_columns in %d rows stored before", rows)


def _rewrite_batch(work: Work, batch: int) -> int | None:
    """Rewrite the next rows; return how many, or None where nothing is left."""
    work.wait_for("hashing/lock_rewriting")
    groups = work.fetch("hashing/unwritten")
    if not groups:
        return None
    name, from_seq, after, chosen = groups[0]
    resource = graph.get(name)
    span = {"resource": name, "from_seq": from_seq, "after": after}
    parts: dict[str, sql.Composable] = {"target": table(name), "columns": columns(tuple(chosen))}
    found = work.connection.execute(
        compose("hashing/next_rows", **parts), {**span, "limit": batch}
    ).fetchall()
    up_to = found[-1][0] if len(found) == batch else None
    _rewrite_rows(work, resource, chosen, found)
    _rewrite_graves(work, resource, chosen, {**span, "up_to": up_to})
    if up_to is None:
        _rewrite_parked(work, resource, chosen, from_seq)
    work.execute("hashing/progress", resource=name, columns=chosen, up_to=up_to)
    return len(found)


def _rewrite_rows(
    work: Work, resource: Resource, chosen: Sequence[str], found: Sequence[tuple[Any, ...]]
) -> None:
    rows = [
        {"id": number, **_hashed(work, resource, dict(zip(chosen, values, strict=True)))}
        for number, *values in found
        if any(value is not None for value in values)
    ]
    if not rows:
        return
    names = [sql.Identifier(name) for name in chosen]
    parts: dict[str, sql.Composable] = {
        "target": table(resource.name),
        "assignments": sql.SQL(", ").join(
            sql.SQL("{0} = hashed.{0}").format(name) for name in names
        ),
        "definitions": sql.SQL(", ").join(sql.SQL("{} text").format(name) for name in names),
    }
    work.connection.execute(compose("hashing/rewrite_rows", **parts), {"rows": Jsonb(rows)})
    work.counts.changed(resource.name, updated=len(rows))


def _hashed(work: Work, resource: Resource, values: dict[str, str | None]) -> dict[str, str | None]:
    return {
        key: None if value is None else work.hashing.stored(f"{resource.name}.{key}", value)
        for key, value in values.items()
    }


def _rewrite_graves(
    work: Work, resource: Resource, chosen: Sequence[str], span: dict[str, Any]
) -> None:
    rows = [
        {"number": number, "values": hashed}
        for number, row in work.fetch("hashing/next_graves", **span)
        if (
            hashed := _hashed(
                work, resource, {key: row[key] for key in chosen if isinstance(row.get(key), str)}
            )
        )
    ]
    if rows:
        work.execute("hashing/rewrite_graves", rows=Jsonb(rows))


def _rewrite_parked(work: Work, resource: Resource, chosen: Sequence[str], from_seq: int) -> None:
    rows = []
    for number, id_, payload in work.fetch(
        "hashing/parked", resource=resource.name, from_seq=from_seq
    ):
        kept = work.hashing.payload(resource, payload, chosen)
        rows.append({"number": number, "payload": kept, "fingerprint": fingerprint(id_, kept)})
    if rows:
        work.execute("hashing/rewrite_parked", rows=Jsonb(rows))


def reread(work: Work, resource: Resource, read_ids: Callable[[Sequence[int]], Any] | None) -> None:
    """Read rows whose values were hashed by other settings, unless this run has already.

    What the API no longer gives stays as it is: hashed. `read_ids` reads at most 100 rows by id;
    None where all there is was just read.
    """
    if not work.is_nightly:
        return
    pending = work.fetch("hashing/to_reread", resource=resource.name)
    if not pending:
        return
    from_seq, changed = pending[0]
    if read_ids is not None:
        statement = compose(
            "hashing/unread", target=table(resource.name), columns=columns(tuple(changed), "mine")
        )
        values = {"resource": resource.name, "from_seq": from_seq}
        ids = [row[0] for row in work.connection.execute(statement, values).fetchall()]
        log.info("%s: reading %d rows again, whose values were hashed", resource.name, len(ids))
        for chunk in chunked(ids, CHUNK):
            read_ids(chunk)
    work.commit(lambda: work.execute("hashing/end_reread", resource=resource.name))
