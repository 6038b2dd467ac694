"""Remove what the settings no longer ask for: the one exception to "who is in stays in".

Students who moved away stay in the mirror and are kept true, and so does whoever arrived by a
setting that was wrong for a day. Only a run with the param `purge_out_of_scope` removes them. The
API may still have what is purged: it is not asked for it again, tombstones keep nothing but ids,
and if the settings ask for it once more it is loaded as new.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from intra42.attempt.work import Work, chunked
from intra42.catalog import graph
from intra42.errors import ConfigError, DataError, DeleteRefused
from intra42.verify.removal import Removal, remove_rows, remove_users
from intra42.warehouse.statements import compose, table

log = logging.getLogger(__name__)

_BATCH = 500  # users, or rows, a transaction


@dataclass(slots=True)
class _Outside:
    """What is in the mirror and not in the scope of the settings."""

    users: list[int]
    all_users: int
    rows: dict[str, list[int]] = field(default_factory=dict)  # of cursus, of users who stay
    all_rows: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.users) or any(self.rows.values())


def purge(work: Work) -> None:
    """Remove users of other campuses and cursus with all they have, and rows of other cursus.

    Does nothing unless the run asks for it.

    Raises:
        ConfigError: everything is in scope, because the settings name no campus.
        DataError: the mirror does not know yet who is in scope.
        DeleteRefused: more would go than the guard of deletes allows; nothing was removed.
    """
    if not work.request.purge_out_of_scope:
        return
    unfinished = [row[0] for row in work.fetch("erasure/unfinished_loads")]
    if unfinished:
        message = (
            f"Nothing was purged: {', '.join(unfinished)} are not read to their end yet, so who is "
            "in scope is not known; trigger the purge again after a nightly run that is green"
        )
        raise DataError(message)
    outside = _outside(work)
    if not outside:
        _say_nothing_to_do(work)
        return
    _guard(work, outside)
    for name, rows in outside.rows.items():
        for chunk in chunked(rows, _BATCH):
            _remove(work, partial(remove_rows, work, graph.get(name), "id", chunk))
    for chunk in chunked(outside.users, _BATCH):
        _remove(work, partial(remove_users, work, chunk))
    log.warning(
        "Purged %d users whom the settings no longer ask for, and of others %d rows of cursus that "
        "they no longer ask for; tombstones keep the ids",
        *(len(outside.users), sum(map(len, outside.rows.values()))),
    )


def _say_nothing_to_do(work: Work) -> None:
    if not work.request.standing.campus_ids:
        message = (
            f"Nothing was purged: {work.request.variable} names no campus, so the whole network is "
            'in scope; name those to keep, such as "campus_ids": [1], and trigger the purge again'
        )
        raise ConfigError(message)
    log.info("Everything in the mirror is in scope: there is nothing to purge")


def _outside(work: Work) -> _Outside:
    standing = work.request.standing
    users, total = work.fetch(
        "erasure/users_outside",
        campuses=list(standing.campus_ids) or None,
        cursus=list(standing.all_cursus_ids),
    )[0]
    found = _Outside(users, total)
    for resource in graph.children_of_users():
        if resource.scope_cursus is None:
            continue
        statement = compose("erasure/rows_outside", target=table(resource.name))
        values = {"cursus": list(getattr(standing, resource.scope_cursus)), "users": users}
        rows = work.connection.execute(statement, values).fetchall()
        found.rows[resource.name], found.all_rows[resource.name] = rows[0]
    return found


def _guard(work: Work, outside: _Outside) -> None:
    """Refuse to remove more than the guard of deletes allows in a run."""
    if work.request.allow_mass_delete:
        return
    config = work.request.standing
    for what, doomed, total in (
        (graph.people().name, len(outside.users), outside.all_users),
        *((f"rows of {n}", len(ids), outside.all_rows[n]) for n, ids in outside.rows.items()),
    ):
        allowed = max(config.max_delete_rows, config.max_delete_share * total)
        if doomed > allowed:
            message = (
                f"{doomed} of {total} {what} are out of scope; at most {allowed:.0f} may be purged "
                f"at once (max_delete_rows {config.max_delete_rows}, max_delete_share "
                f"{config.max_delete_share}). Nothing was purged; look at campus_ids and "
                "cursus_ids, then trigger the DAG with purge_out_of_scope and allow_mass_delete"
            )
            raise DeleteRefused(message)


def _remove(work: Work, remove: Callable[[Removal], None]) -> None:
    def step() -> None:
        remove(
            Removal(
                reason="the settings no longer ask for it",
                purged=True,
                seq=work.fetch("erasure/draw")[0][0],
                deleted_at=work.clock,
            )
        )

    work.commit(step)
