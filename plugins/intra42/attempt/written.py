"""Which tables a task has changed, for those who wait for that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from intra42.attempt.work import Work

Numbers = tuple[int, int, int]  # rows inserted, updated, deleted


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The rows a task wrote, by table; tables without any are left out."""

    tables: Mapping[str, Numbers]
    requests: int
    dag_id: str
    run_id: str
    window_from: datetime | None
    window_to: datetime | None

    def about(self, table: str) -> dict[str, int | str | None]:
        """Return what happened to `table`, small and without anybody's data."""
        inserted, updated, deleted = self.tables[table]
        return {
            "inserted": inserted,
            "updated": updated,
            "deleted": deleted,
            "requests": self.requests,
            "window_from": self.window_from.isoformat() if self.window_from else None,
            "window_to": self.window_to.isoformat() if self.window_to else None,
            "dag_id": self.dag_id,
            "run_id": self.run_id,
        }


def written(work: Work, *, also: Collection[str] = ()) -> Written:
    """Return what this attempt wrote, and what failed attempts before it did and nobody told.

    Args:
        work: a task attempt that is about to succeed.
        also: ids of tasks that leave it to this one to tell what they wrote.
    """
    identity = work.identity
    tables = {name: numbers for name, numbers in work.counts.tables.items() if any(numbers)}
    requests = 0
    untold = work.fetch(
        "ledger/untold",
        id=work.ledger_id,
        task_id=identity.task_id,
        map_index=identity.map_index,
        also=sorted(also),
    )
    for name, inserted, updated, deleted, asked in untold:
        if name is None:
            requests = asked
            continue
        mine = tables.get(name, (0, 0, 0))
        tables[name] = (mine[0] + inserted, mine[1] + updated, mine[2] + deleted)
    return Written(
        tables=tables,
        requests=requests,
        dag_id=identity.dag_id,
        run_id=identity.run_id,
        window_from=work.window_from,
        window_to=work.window_to,
    )
