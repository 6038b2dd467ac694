"""Remove people, or rows of theirs, so that tombstones keep nothing but ids.

Whoever calls runs in a transaction and has said why they may: `erasure` because the API no longer
shows the account, `purge` because the settings no longer ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.warehouse.statements import compose, table


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """What the tombstones say of why and when.

    Attributes:
        reason: for people to read.
        purged: whether the API may still have what goes.
        seq: the number of the request that proved it, or one that no request has.
        deleted_at: when, by the API's clock.
    """

    reason: str
    purged: bool
    seq: int
    deleted_at: datetime


def hold(work: Work, resource: Resource, key: str, ids: Sequence[int]) -> None:
    """Wait for whoever is just showing the rows whose `key` is one of `ids`."""
    statement = compose("erasure/hold_rows", target=table(resource.name), key=sql.Identifier(key))
    work.connection.execute(statement, {"resource": resource.name, "ids": list(ids)})


def remove_users(work: Work, users: Sequence[int], why: Removal) -> None:
    """Remove accounts with all their rows, and all that is known of them elsewhere."""
    for resource in reversed(graph.children_of_users()):
        remove_rows(work, resource, "user_id", users, why)
    deleted = work.execute("erasure/remove_users", **_values(work, users, why))
    work.counts.changed(graph.people().name, deleted=deleted)


def remove_rows(work: Work, resource: Resource, key: str, ids: Sequence[int], why: Removal) -> None:
    """Remove the rows whose `key` is one of `ids`."""
    statement = compose("erasure/remove_rows", target=table(resource.name), key=sql.Identifier(key))
    values = {**_values(work, ids, why), "resource": resource.name}
    deleted = work.connection.execute(statement, values).rowcount
    work.counts.changed(resource.name, deleted=deleted)


def _values(work: Work, ids: Sequence[int], why: Removal) -> dict[str, object]:
    return {
        **work.names,
        "ids": list(ids),
        "reason": why.reason,
        "purged": why.purged,
        "seq": why.seq,
        "deleted_at": why.deleted_at,
    }
