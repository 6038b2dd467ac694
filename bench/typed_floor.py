"""The floor of the load half: COPY of typed rows and one merge a transaction, nothing else.

The table has the columns, key and indexes of the mirror's, and its foreign keys if they are asked
for. The rows are the tuples that the package is given, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from dev.stack.report import SCHEMA
from intra42.attempt.work import chunked
from intra42.catalog import graph
from intra42.store.rows import Row

FLOOR = "floor"


class TypedFloor:
    """Loads rows into a table like that of the mirror, `batch` of them in a transaction."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        name: str,
        rows: Sequence[Row],
        derived: Mapping[int, Any],
        batch: int,
        *,
        foreign_keys: bool,
    ) -> None:
        self._connection = connection
        self._resource = graph.get(name)
        self._names = self._resource.column_names
        self._stage = sql.Identifier(f"floor_stage_{name}")
        self._rows = [self._with(row, derived) for row in rows]
        self._batch = batch
        self._target = sql.Identifier(FLOOR, name if foreign_keys else f"bare_{name}")
        self._source = sql.Identifier(SCHEMA, name)
        self._keys = self._foreign_keys(name) if foreign_keys else []

    def _with(self, row: Row, derived: Mapping[int, Any]) -> tuple[Any, ...]:
        """Return the values with the column that the mirror's own statements fill."""
        if not derived:
            return row.values
        place = self._names.index("campus_id")
        return (*row.values[:place], derived.get(row.id), *row.values[place + 1 :])

    def _foreign_keys(self, name: str) -> list[str]:
        found = self._connection.execute(
            "select pg_get_constraintdef(oid) from pg_constraint"
            " where conrelid = %s::regclass and contype = 'f'",
            (f"{SCHEMA}.{name}",),
        ).fetchall()
        return [row[0] for row in found]

    def forget(self) -> None:
        """Begin with an empty table."""
        execute = self._connection.execute
        execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(FLOOR)))
        names = {"target": self._target, "source": self._source}
        execute(sql.SQL("drop table if exists {target}").format(**names))
        execute(sql.SQL("create table {target} (like {source} including all)").format(**names))
        for key in self._keys:
            execute(sql.SQL("alter table {} add ").format(self._target) + sql.SQL(key))

    def _make_stage(self) -> sql.Composed:
        # As cheap as the package's own: made once, and emptied by a commit without TOAST.
        definitions = sql.SQL(", ").join(
            sql.SQL("{} {} storage plain").format(
                sql.Identifier(column.name), sql.SQL(column.type.value)
            )
            for column in self._resource.columns
        )
        return sql.SQL("create temporary table if not exists {} ({}) on commit delete rows").format(
            self._stage, definitions
        )

    def load(self) -> Iterator[Callable[[], None]]:
        """Yield the steps of a pass, a transaction each."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self._names))
        names = {
            "target": self._target,
            "stage": self._stage,
            "columns": columns,
            "assignments": sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
                for name in (*self._names[1:], "_synced_at", "_run_id", "_seq")
            ),
            "mine": sql.SQL(", ").join(sql.Identifier("mine", name) for name in self._names),
            "excluded": sql.SQL(", ").join(
                sql.Identifier("excluded", name) for name in self._names
            ),
        }
        copy_in = sql.SQL("copy {stage} ({columns}) from stdin").format(**names)
        merge = sql.SQL(
            "insert into {target} as mine ({columns}, _synced_at, _run_id, _seq)"
            " select {columns}, now(), 'floor', 1 from {stage} on conflict (id)"
            " do update set {assignments} where ({mine}) is distinct from ({excluded})"
        ).format(**names)
        self._connection.execute(self._make_stage())
        for rows in chunked(self._rows, self._batch):
            yield lambda rows=rows: self._store(rows, copy_in, merge)  # type: ignore[misc]

    def _store(
        self, rows: Sequence[tuple[Any, ...]], copy_in: sql.Composed, merge: sql.Composed
    ) -> None:
        with self._connection.transaction():
            with self._connection.cursor() as cursor, cursor.copy(copy_in) as copy:
                for values in rows:
                    copy.write_row(values)
            self._connection.execute(merge)
