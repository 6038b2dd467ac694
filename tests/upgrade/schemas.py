"""The schema before the baseline, and what `pg_dump` says of a schema."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg

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
