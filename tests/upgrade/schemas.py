"""The schema before the baseline, and what `pg_dump` says of a schema."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from dev.stack.postgres import bindir

_FOLDER = Path(__file__).parent / "preview"
PREVIEW = sorted(path.stem for path in _FOLDER.glob("*.sql"))


def apply_preview(url: str, *, up_to: str = PREVIEW[-1]) -> None:
    """Make in an empty database what the migrations before the baseline made."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema intra42")
        connection.execute(
            "comment on schema intra42 is 'A mirror of the 42 Intra API, kept by the DAGs "
            "intra42_nightly and intra42_incremental.'"
        )
        connection.execute(
            "create table intra42.schema_migrations "
            "(name text primary key, applied_at timestamptz not null default now())"
        )
        for name in PREVIEW:
            if name <= up_to:
                connection.execute((_FOLDER / f"{name}.sql").read_text())
                connection.execute("insert into intra42.schema_migrations values (%s)", (name,))


def dumped(url: str) -> list[str]:
    """Return the lines of `pg_dump --schema-only`, without those that are never the same twice."""
    command = [str(bindir() / "pg_dump"), "--schema-only", "--no-owner", url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if not line.startswith("\\")]


def rewind(url: str) -> None:
    """Turn a warehouse into one of the last schema before the baseline, with its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter schema intra42 rename to newer")
    apply_preview(url)
    with psycopg.connect(url) as connection:
        connection.execute("delete from newer.jobs where kind in ('history', 'refetch')")
        # Neither foreign keys nor triggers look at what is copied.
        connection.execute("set session_replication_role = replica")
        for (name,) in connection.execute(_SHARED).fetchall():
            columns = sql.SQL(", ").join(
                sql.Identifier(column)
                for (column,) in connection.execute(_SHARED_COLUMNS, {"name": name}).fetchall()
            )
            copied = sql.SQL(
                "insert into intra42.{table} ({columns}) overriding system value "
                "select {columns} from newer.{table} on conflict do nothing"
            )
            connection.execute(copied.format(table=sql.Identifier(name), columns=columns))
        connection.execute(
            "select setval('intra42.request_seq', (select last_value from newer.request_seq))"
        )
        for table, column in connection.execute(_IDENTITIES).fetchall():
            moved = sql.SQL(
                "select setval(pg_get_serial_sequence({name}, {text}), "
                "(select coalesce(max({column}), 0) + 1 from intra42.{table}))"
            )
            connection.execute(
                moved.format(
                    name=sql.Literal(f"intra42.{table}"),
                    text=sql.Literal(column),
                    column=sql.Identifier(column),
                    table=sql.Identifier(table),
                )
            )
        connection.execute("drop schema newer cascade")


_SHARED = """
    select table_name
    from information_schema.tables
    where table_type = 'BASE TABLE' and table_name <> 'schema_migrations'
      and table_schema in ('intra42', 'newer')
    group by table_name
    having count(*) = 2
"""
_SHARED_COLUMNS = """
    select column_name
    from information_schema.columns
    where table_name = %(name)s and table_schema in ('intra42', 'newer')
    group by column_name
    having count(*) = 2
"""
_IDENTITIES = """
    select table_name, column_name
    from information_schema.columns
    where table_schema = 'intra42' and is_identity = 'YES'
"""
