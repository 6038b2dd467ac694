from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest

from dev.stack.postgres import Postgres
from intra42.warehouse.schema import migrate
from tests.convergence.lines import Pool
from tests.convergence.story import Story

# The rule that only a test can keep watch over: an update never brings an older version (I4).
_WATCH = """
create table public.gone_back (resource text, id bigint, was text, became text);
create function public.note_gone_back() returns trigger language plpgsql as $$
begin
  insert into public.gone_back values (tg_table_name, old.id, old::text, new::text);
  return new;
end
$$;
"""
_SILENT = {"cursus_users": "level", "coalitions_users": "score", "users": "wallet"}
_CHILDREN = ("campus_users", "projects_users", "achievements_users")


def prepare(connection: psycopg.Connection[object]) -> None:
    """Make an empty mirror that notes rows that go back in time."""
    migrate(connection)
    connection.execute(_WATCH)
    for name in (*_SILENT, *_CHILDREN):
        column = _SILENT.get(name)
        silent = f"or new.updated_at = old.updated_at and new.{column} < old.{column}"
        connection.execute(
            f"create trigger gone_back before update on intra42.{name} for each row "
            f"when (new.updated_at < old.updated_at {silent if column else ''}) "
            "execute function public.note_gone_back()"
        )


@pytest.fixture(scope="session")
def pool(postgres: Postgres) -> Iterator[Pool]:
    """A migrated database of our own, emptied for each history."""
    postgres.ensure_database("convergence")
    url = postgres.url("convergence")
    with psycopg.connect(url, autocommit=True) as connection:
        prepare(connection)
        connection.execute("alter database convergence set deadlock_timeout = '50ms'")
    pool = Pool(url)
    yield pool
    pool.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the limiter connect again at once after a cut."""
    monkeypatch.setattr(
        "intra42.api.limiter.time", SimpleNamespace(sleep=lambda _s: None, monotonic=time.monotonic)
    )


@pytest.fixture
def story(pool: Pool) -> Iterator[Story]:
    """A history of a school whose first campus is mirrored, every row looked at nightly."""
    told = Story(pool, {"campus_ids": [1], "nightly_audit_requests": 500})
    yield told
    told.close()
