"""The floors: the same pages by HTTP alone, and the same rows by COPY and merge alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import requests
from psycopg import sql

from bench.outcome import spread
from bench.upstream import Upstream
from dev.stack.report import SCHEMA, TABLES

FLOOR = "floor"
RUNS = 3


def http_s(upstream: Upstream, pages: Sequence[dict[str, Any]]) -> float:
    """Return the seconds to get `pages` again, one after another, bodies read and not parsed."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {upstream.token()}"
        began = time.monotonic()
        for page in pages:
            answer = session.get(upstream.url + page["path"], params=page["query"], timeout=60)
            answer.raise_for_status()
        return time.monotonic() - began


@dataclass(frozen=True)
class Floors:
    """The two floors of a first load, measured right after it on the same machine."""

    rows: int
    pages: int
    http_s: float
    loads_s: list[float]

    @property
    def load_s(self) -> float:
        return statistics.median(self.loads_s)

    @property
    def seconds(self) -> float:
        return self.http_s + self.load_s

    def as_dict(self) -> dict[str, Any]:
        return {
            "http_s": round(self.http_s, 2),
            "http_pages_per_s": round(self.pages / self.http_s),
            "load_s": spread(self.loads_s),
            "load_rows_per_s": round(self.rows / self.load_s),
            "http_then_load_rows_per_s": round(self.rows / self.seconds),
        }


def measure(
    upstream: Upstream, pages: Sequence[dict[str, Any]], database_url: str, rows: int
) -> Floors:
    """Return what the pages and the rows of a first load that was just done take by themselves."""
    http = http_s(upstream, pages)
    floor = LoadFloor(database_url)
    try:
        return Floors(rows, len(pages), http, [floor.load_s() for _ in range(RUNS)])
    finally:
        floor.close()


class LoadFloor:
    """Loads the rows of a mirror into empty copies of its tables: indexes, but no foreign keys."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)
        self._rows = {table: self._read(table) for table in TABLES}

    def close(self) -> None:
        self._connection.execute(f"drop schema if exists {FLOOR} cascade")
        self._connection.close()

    def _read(self, table: str) -> list[bytes]:
        query = sql.SQL("copy {} to stdout").format(sql.Identifier(SCHEMA, table))
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            return [bytes(block) for block in copy]

    def load_s(self) -> float:
        """Return the seconds of one COPY and one merge per table."""
        connection = self._connection
        connection.execute(f"drop schema if exists {FLOOR} cascade")
        connection.execute(f"create schema {FLOOR}")
        merges = {}
        for table in TABLES:
            names = {
                "source": sql.Identifier(SCHEMA, table),
                "target": sql.Identifier(FLOOR, table),
                "stage": sql.Identifier(f"stage_{table}"),
            }
            connection.execute(
                sql.SQL("create table {target} (like {source} including all)").format(**names)
            )
            merges[table] = self._statements(table, names)
        began = time.monotonic()
        for table, (stage, copy_in, merge) in merges.items():
            with connection.transaction():
                connection.execute(stage)
                with connection.cursor() as cursor, cursor.copy(copy_in) as copy:
                    for block in self._rows[table]:
                        copy.write(block)
                connection.execute(merge)
        return time.monotonic() - began

    def _statements(
        self, table: str, names: dict[str, sql.Identifier]
    ) -> tuple[sql.Composed, sql.Composed, sql.Composed]:
        found = self._connection.execute(
            "select a.attname, a.attnum = any(i.indkey) from pg_attribute a"
            " join pg_index i on i.indrelid = a.attrelid and i.indisprimary"
            " where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped",
            (f"{SCHEMA}.{table}",),
        ).fetchall()
        key = [sql.Identifier(name) for name, is_key in found if is_key]
        data = [name for name, is_key in found if not is_key]
        comma = sql.SQL(", ")
        assignments = comma.join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in data
        )
        seen = [name for name in data if not name.startswith("_")] or data
        mine = comma.join(sql.Identifier("mine", name) for name in seen)
        excluded = comma.join(sql.Identifier("excluded", name) for name in seen)
        return (
            sql.SQL("create temporary table {stage} (like {source}) on commit drop").format(
                **names
            ),
            sql.SQL("copy {stage} from stdin").format(**names),
            sql.SQL(
                "insert into {target} as mine select * from {stage} on conflict ({key})"
                " do update set {assignments} where ({mine}) is distinct from ({excluded})"
            ).format(
                **names,
                key=comma.join(key),
                assignments=assignments,
                mine=mine,
                excluded=excluded,
            ),
        )
