"""What the mirror knows that makes an absence credible, or refutes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psycopg import sql

from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.warehouse.statements import compose, table

WITNESSES = 5  # any one of them will do: another may have gone too


def witnesses(work: Work, name: str, ids: Iterable[int], owner: str = "id") -> list[int]:
    """Return what the API has lately shown in the table `name`: rows, or whose they are."""
    anonymised = sql.SQL(
        "and not exists (select 1 from intra42.anonymised_users as a where a.user_id = s.owner)"
    )
    statement = compose(
        "absence/witness",
        target=table(name),
        owner=sql.Identifier(owner),
        # /v2/users lists no anonymised account.
        shown=anonymised if graph.get(name).people else sql.SQL(""),
    )
    values = {"resource": name, "ids": sorted(ids), "witnesses": WITNESSES}
    return [row[0] for row in work.connection.execute(statement, values).fetchall()]


def seen_since(work: Work, name: str, first: Mapping[int, int], owner: str = "id") -> set[int]:
    """Return which ids have a row in the table `name` that was shown after their first absence.

    Those stay, whatever the second answer said. `owner` is the column that has the ids.
    """
    statement = compose("absence/seen_since", target=table(name), owner=sql.Identifier(owner))
    values = {"resource": name, "ids": list(first), "first_seqs": list(first.values())}
    return {row[0] for row in work.connection.execute(statement, values).fetchall()}
