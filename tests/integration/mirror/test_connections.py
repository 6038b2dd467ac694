"""Every kind of connection to the warehouse, whatever is preset for it.

A role, a database, the environment, a pooler and an administrator each decide what a session is
like before our first statement.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import dict_row, tuple_row

from dev.stack.postgres import Postgres
from intra42.api.auth import PostgresTokens, Token
from intra42.api.limiter import PostgresLimiter
from intra42.attempt.work import Identity, Work
from intra42.errors import ConfigError
from intra42.run.opening import open_run
from intra42.settings import parse_request
from intra42.ui.warehouse import reading
from intra42.warehouse.statements import read
from tests.harness import INCREMENTAL, NIGHTLY, Mirror
from tests.integration.mirror import worlds
from tests.pooler import pgbouncer, pooler

ROLE = "somebody"

# Each as wrong as it can be, and what it has to be in a session of ours.
PRESETS = {
    "client_encoding": ("LATIN1", "UTF8"),
    "datestyle": ("SQL, DMY", "ISO, MDY"),
    "intervalstyle": ("sql_standard", "postgres"),
    "timezone": ("America/St_Johns", "UTC"),
    "bytea_output": ("escape", "hex"),
    "extra_float_digits": ("-15", "1"),
    "standard_conforming_strings": ("off", "on"),
    "backslash_quote": ("off", "safe_encoding"),
    "array_nulls": ("off", "on"),
    "transform_null_equals": ("on", "off"),
    "quote_all_identifiers": ("on", "off"),
    "plpgsql.extra_errors": ("all", "none"),
    "exit_on_error": ("on", "off"),
    "row_security": ("on", "off"),
    "restrict_nonsystem_relation_kind": ("view", ""),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_deferrable": ("on", "off"),
    "lock_timeout": ("1ms", "0"),
    "idle_session_timeout": ("1s", "0"),
    "idle_in_transaction_session_timeout": ("1s", "0"),
    "transaction_timeout": ("1s", "0"),
}
PATH = "evil, pg_catalog, public"
# Those of a transaction that is over in seconds, or that reads.
PAGE = {"lock_timeout": "5s"}
LIMITER = {"lock_timeout": "30s"}

# Whatever a name means here, it is not what we mean.
EVIL = """
create schema evil;
create function evil.now() returns timestamptz language sql
  as $$ select '1999-01-01'::timestamptz $$;
create function evil.clock_timestamp() returns timestamptz language sql as $$ select evil.now() $$;
create function evil.set_config(text, text, boolean) returns text language sql
  as $$ select ''::text $$;
create function evil.current_setting(text, boolean) returns text language sql
  as $$ select ''::text $$;
create function evil.hashtextextended(text, bigint) returns bigint language sql
  as $$ select 1::bigint $$;
create function evil.same(text, text) returns boolean language sql as $$ select true $$;
create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
grant usage on schema evil to public;
"""


@contextmanager
def administrator(mirror: Mirror) -> Iterator[psycopg.Connection[Any]]:
    with closing(psycopg.connect(mirror.database_url, autocommit=True)) as connection:
        yield connection


@pytest.fixture
def role(postgres: Postgres, database_url: str) -> Iterator[str]:
    """A role with no rights but those everybody has, and the right to create a schema."""
    database, who = sql.Identifier(database_url.rsplit("/", 1)[1]), sql.Identifier(ROLE)
    with closing(psycopg.connect(postgres.url(), autocommit=True)) as connection:
        with suppress(errors.DuplicateObject):
            connection.execute(sql.SQL("create role {} login").format(who))
        connection.execute(sql.SQL("grant create on database {} to {}").format(database, who))
        yield ROLE
        connection.execute(sql.SQL("alter role {} reset all").format(who))


def known(connection: psycopg.Connection[Any]) -> dict[str, tuple[str, str]]:
    """Return the presets that this server has."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        names = {row[0].lower() for row in cursor.execute("select name from pg_settings")}
    names.add("plpgsql.extra_errors")
    return {name: pair for name, pair in PRESETS.items() if name in names}


def as_role(mirror: Mirror, name: str = ROLE) -> Mirror:
    mirror.__dict__["connect"] = lambda: psycopg.connect(
        mirror.database_url.replace("postgres@", f"{name}@")
    )
    return mirror


def preset(mirror: Mirror, way: str) -> None:
    """Turn every setting the wrong way: for a role, for a database, or for both together."""
    with administrator(mirror) as connection:
        database = sql.Identifier(mirror.database_url.rsplit("/", 1)[1])
        targets = {
            "role": sql.SQL("role {}").format(sql.Identifier(ROLE)),
            "database": sql.SQL("database {}").format(database),
            "role in database": sql.SQL("role {} in database {}").format(
                sql.Identifier(ROLE), database
            ),
        }
        for name, (wrong, _right) in known(connection).items():
            connection.execute(
                sql.SQL("alter {} set {} = {}").format(
                    targets[way], sql.SQL(name), sql.Literal(wrong)
                )
            )
        connection.execute(
            sql.SQL("alter {} set search_path = {}").format(targets[way], sql.SQL(PATH))
        )
        if way != "database":
            connection.execute(
                sql.SQL("alter {} set default_transaction_read_only = on").format(targets[way])
            )


class Watched(psycopg.Connection[Any]):
    """A connection that tells at its end what its session was like."""

    seen: ClassVar[list[dict[str, str]]] = []

    def close(self) -> None:
        if not self.closed and not self.broken:
            with psycopg.ClientCursor(self, row_factory=dict_row) as cursor:
                names = [*known(self), "search_path", "default_transaction_read_only"]
                cursor.execute(
                    "select name, current_setting(name, true) as value "
                    "from unnest(%s::text[]) as name",
                    [names],
                )
                self.seen.append({row["name"]: row["value"] for row in cursor})
        super().close()


Kind = Callable[[Mirror, Callable[[], Any]], object]


def task(mirror: Mirror, connect: Callable[[], Any]) -> None:
    mirror.__dict__["connect"] = connect
    seen = Identity(dag_id=NIGHTLY, run_id="one")
    mirror.task(seen, {}, "cursus_users", lambda work: work.client.get("/v2/cursus", {}))


def first_task(mirror: Mirror, connect: Callable[[], Any]) -> None:
    mirror.__dict__["connect"] = connect
    open_run(connect, mirror.api, Identity(dag_id=NIGHTLY, run_id="one"), _order(mirror))


def _order(mirror: Mirror) -> Any:
    return parse_request(mirror.config, {})


def limiter(mirror: Mirror, connect: Callable[[], Any]) -> None:
    with closing(PostgresLimiter(connect, "an application")) as opened:
        opened.wait_turn()
        assert opened.sending() > 0


def token(mirror: Mirror, connect: Callable[[], Any]) -> None:
    def fetch() -> Token:
        time.sleep(1.2)
        return Token(value="fresh", expires_in_s=7200)

    assert PostgresTokens(connect, "an app", "id", "secret", fetch).token() == "fresh"


def page(mirror: Mirror, connect: Callable[[], Any]) -> None:
    with reading(connect) as connection:
        row = connection.execute("select id, now() as at from intra42.users limit 1").fetchone()
    assert row is not None
    assert row["at"].year > 2000


KINDS: dict[str, tuple[Kind, dict[str, str]]] = {
    "task": (task, {}),
    "first task": (first_task, {}),
    "limiter": (limiter, LIMITER),
    "token": (token, {}),
    "page": (page, PAGE),
}


@pytest.mark.parametrize("way", ["role", "database", "role in database", "environment"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_connection_takes_anything_for_granted(
    town: Mirror, role: str, monkeypatch: pytest.MonkeyPatch, kind: str, way: str
) -> None:
    with administrator(town) as connection:
        connection.execute(f"grant usage on schema intra42 to {role}")
        connection.execute(f"grant all on all tables in schema intra42 to {role}")
        connection.execute(f"grant all on all sequences in schema intra42 to {role}")
        settings = known(connection)
        connection.execute(EVIL)
    monkeypatch.setattr(Watched, "seen", [])
    run, different = KINDS[kind]
    url = town.database_url.replace("postgres@", f"{role}@")
    with monkeypatch.context() as environment:
        if way == "environment":
            options = {name: wrong for name, (wrong, _right) in settings.items()}
            options |= {"search_path": PATH, "default_transaction_read_only": "on"}
            shown = [f"-c {name}={text}".replace(", ", r",\ ") for name, text in options.items()]
            environment.setenv("PGOPTIONS", " ".join(shown))
            environment.setenv("PGCLIENTENCODING", "EUC_JP")
            environment.setenv("PGTZ", "Asia/Tokyo")
            environment.setenv("PGDATESTYLE", "German")
        else:
            preset(town, way)
        run(town, lambda: Watched.connect(url, row_factory=dict_row))
    assert Watched.seen
    for session in Watched.seen:
        path = session.pop("search_path").split(", ")
        assert path[:3] == ["pg_catalog", "pg_temp", "evil"]
        # The decision of who owns the database stays.
        assert session.pop("default_transaction_read_only") == "off"
        wanted = {name: right for name, (_wrong, right) in settings.items()}
        allowed = [wanted, wanted | different, wanted | LIMITER]
        assert session in allowed, {
            name: value for name, value in session.items() if value != wanted[name]
        }


def test_whole_runs_are_true_under_a_role_with_everything_preset(
    fresh: Callable[..., Mirror], role: str
) -> None:
    mirror = as_role(fresh(worlds.town, campus_ids=[1]))
    with administrator(mirror) as connection:
        connection.execute(EVIL)
    preset(mirror, "role")
    mirror.sim.world.update_row("users", 101, usual_full_name="Zoë 学生 \N{OWL}")
    mirror.nightly()
    mirror.sim.clock.advance(hours=1)
    mirror.sim.world.validate_project(101, 12)
    mirror.sim.faults.add("429_second", "/v2/projects_users", retry_after="2")
    mirror.incremental()
    assert mirror.differences() == []
    mirror.sim.clock.advance(hours=1)
    mirror.nightly()
    assert mirror.differences() == []


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_two_who_write_the_same_row_do_not_refuse_each_other(town: Mirror, level: str) -> None:
    """What the other one has committed meanwhile is seen, not refused."""
    name = town.database_url.rsplit("/", 1)[1]
    with administrator(town) as connection:
        connection.execute(
            f"alter database \"{name}\" set default_transaction_isolation = '{level}'"
        )

    def step(work: Work) -> None:
        with work.connection.transaction():
            work.connection.execute("select count(*) from intra42.sync_state")
            with administrator(town) as other:
                other.execute("update intra42.sync_state set updated_at = now()")
            work.connection.execute("update intra42.sync_state set updated_at = now()")

    town.task(Identity(dag_id=NIGHTLY, run_id="one"), {}, "cursus_users", step)


# Limits.


def test_a_limit_of_statements_is_kept_but_does_not_end_a_wait_for_another_task(
    town: Mirror, role: str
) -> None:
    name = town.database_url.rsplit("/", 1)[1]
    with administrator(town) as connection:
        connection.execute(f"alter database \"{name}\" set statement_timeout = '700ms'")
    who = Identity(dag_id=NIGHTLY, run_id="one")

    def step(work: Work) -> None:
        for lock, values in (
            ("ledger/lock", {"name": "something"}),
            ("absence/lock", {"resource": "users"}),
            ("hashing/lock_rewriting", {}),
            ("hashing/lock", {}),
        ):
            with _held(town, lock, values):
                began = time.monotonic()
                with work.connection.transaction():
                    work.wait_for(lock, **values)
                    shown = work.connection.execute("show statement_timeout").fetchone()
                assert time.monotonic() - began > 1
                assert shown == ("700ms",)
        with pytest.raises(errors.QueryCanceled):
            work.connection.execute("select pg_sleep(5)")

    town.task(who, {}, "cursus_users", step)


@contextmanager
def _held(mirror: Mirror, lock: str, values: dict[str, Any]) -> Iterator[None]:
    """Let another session hold a lock for a second and a half."""
    taken = threading.Event()

    def hold() -> None:
        with closing(psycopg.connect(mirror.database_url)) as other:
            other.execute("set local statement_timeout = 0")
            other.execute(read(lock), values)
            taken.set()
            time.sleep(1.5)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    yield
    thread.join()


def test_a_statement_ended_by_a_limit_is_told_in_one_sentence(town: Mirror) -> None:
    name = town.database_url.rsplit("/", 1)[1]
    with administrator(town) as connection:
        connection.execute(f"alter database \"{name}\" set statement_timeout = '500ms'")

    def step(work: Work) -> None:
        work.connection.execute("select pg_sleep(5)")

    with pytest.raises(errors.QueryCanceled) as caught:
        town.task(Identity(dag_id=NIGHTLY, run_id="one"), {}, "cursus_users", step)
    message = str(caught.value)
    assert message.startswith("cursus_users, run one: ")
    assert "statement timeout" in message
    assert "raise that of the role" in message
    assert "\n" not in message


# Rights.


def grants(mirror: Mirror, *statements: str) -> None:
    database = mirror.database_url.rsplit("/", 1)[1]
    with administrator(mirror) as connection:
        for statement in statements:
            connection.execute(statement.format(role=ROLE, database=f'"{database}"'))


@pytest.mark.parametrize(
    "made",
    [
        ["create schema intra42 authorization {role}"],
        ["create schema intra42", "grant usage, create on schema intra42 to {role}"],
    ],
    ids=["owner of the schema", "guest in the schema"],
)
def test_a_role_may_do_no_more_than_create_in_a_schema_that_somebody_made(
    fresh: Callable[..., Mirror], role: str, made: list[str]
) -> None:
    mirror = as_role(fresh(worlds.town, campus_ids=[1]))
    grants(mirror, "revoke create on database {database} from {role}", *made)
    mirror.nightly()
    mirror.incremental()
    assert mirror.differences() == []


LACKS = {
    "no schema": ["revoke create on database {database} from {role}"],
    "no use of the schema": ["create schema intra42"],
    "no right to create in it": [
        "create schema intra42",
        "grant usage on schema intra42 to {role}",
    ],
    "no temporary tables": ["revoke temporary on database {database} from public"],
}


@pytest.mark.parametrize("lack", LACKS)
def test_a_right_that_is_missing_is_told_in_one_sentence(
    fresh: Callable[..., Mirror], role: str, lack: str
) -> None:
    mirror = as_role(fresh(worlds.town, campus_ids=[1]))
    grants(mirror, *LACKS[lack])
    with pytest.raises(errors.InsufficientPrivilege) as caught:
        mirror.nightly()
    message = str(caught.value)
    assert "permission denied" in message
    assert "needs usage and create on the schema intra42" in message
    assert "temporary on the database" in message
    assert "\n" not in message


def test_tables_of_somebody_else_are_told_in_one_sentence(town: Mirror, role: str) -> None:
    grants(town, "grant usage, create on schema intra42 to {role}")
    with pytest.raises(errors.InsufficientPrivilege, match="own the tables in it"):
        as_role(town).incremental()


def test_rows_that_a_policy_hides_are_no_rows_that_are_gone(
    fresh: Callable[..., Mirror], role: str
) -> None:
    mirror = as_role(fresh(worlds.town, campus_ids=[1]))
    mirror.nightly()
    grants(
        mirror,
        "alter table intra42.users enable row level security",
        "alter table intra42.users force row level security",
        "create policy few on intra42.users using (id < 102)",
    )
    refused = "would be affected by row-level security"
    with pytest.raises(errors.InsufficientPrivilege, match=refused):
        mirror.nightly()


# What no setting can mend.


def test_a_database_of_another_encoding_is_refused_by_the_first_task(
    fresh: Callable[..., Mirror], postgres: Postgres
) -> None:
    mirror = fresh(worlds.town, campus_ids=[1])
    with closing(psycopg.connect(postgres.url(), autocommit=True)) as connection:
        connection.execute(
            "create database old encoding 'LATIN1' locale 'C' template template0 "
            "locale_provider 'libc'"
        )
    mirror.database_url = postgres.url("old")
    try:
        with pytest.raises(ConfigError, match=r"database old of .* as LATIN1.*encoding UTF8"):
            mirror.nightly()
    finally:
        with closing(psycopg.connect(postgres.url(), autocommit=True)) as connection:
            connection.execute("drop database old with (force)")


def test_triggers_that_do_not_fire_are_made_to_or_told(town: Mirror, role: str) -> None:
    name = town.database_url.rsplit("/", 1)[1]
    grants(town, "alter database {database} set session_replication_role = replica")
    town.incremental()  # as a superuser, who may set it back
    assert name
    with pytest.raises(ConfigError, match="fire no triggers"):
        as_role(town).incremental()


# Poolers.


@pytest.mark.parametrize("newest_first", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_refused_by_the_first_task(
    fresh: Callable[..., Mirror], mode: str, newest_first: bool
) -> None:
    mirror = fresh(worlds.town, campus_ids=[1])
    with pooler(mirror.database_url, mode, newest_first=newest_first) as front:
        # Others are there, too: the pooler has sessions to choose from.
        others = [psycopg.connect(front.url) for _ in range(4)]
        if mode == "transaction":
            for other in others:
                other.execute("select 1")
        for other in others:
            other.rollback()
        mirror.__dict__["connect"] = lambda: psycopg.connect(front.url)
        with pytest.raises(ConfigError, match="pool_mode = session") as caught:
            mirror.nightly()
        for other in others:
            other.close()
    assert "connect directly" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert mirror.sim.ledger.requests() == []
    assert mirror.query("select to_regnamespace('intra42')::text") == [(None,)]


def test_a_pooler_that_gives_each_client_a_session_is_no_trouble(
    fresh: Callable[..., Mirror],
) -> None:
    mirror = fresh(worlds.town, campus_ids=[1])
    with pooler(mirror.database_url, "session") as front:
        mirror.__dict__["connect"] = lambda: psycopg.connect(front.url)
        mirror.nightly()
        mirror.incremental()
    assert mirror.differences() == []


def test_the_page_reads_through_a_pooler_and_leaves_nothing_in_its_sessions(
    town: Mirror,
) -> None:
    with pooler(town.database_url, "transaction") as front:
        for _ in range(3):
            with reading(lambda: psycopg.connect(front.url)) as connection:
                assert connection.execute("select 1 as one").fetchone() == {"one": 1}
        with closing(psycopg.connect(front.url)) as other:
            assert other.execute("show statement_timeout").fetchone() == ("0",)


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="PgBouncer is not installed")
@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_pgbouncer_is_no_trouble_in_session_mode_and_refused_in_others(
    fresh: Callable[..., Mirror], mode: str
) -> None:
    mirror = fresh(worlds.town, campus_ids=[1])
    with pgbouncer(mirror.database_url, mode) as url:
        mirror.__dict__["connect"] = lambda: psycopg.connect(url)
        if mode == "session":
            mirror.nightly()
            mirror.incremental()
            assert mirror.differences() == []
        else:
            with pytest.raises(ConfigError, match="pool_mode = session"):
                mirror.nightly()
            assert mirror.sim.ledger.requests() == []


# What it costs.


def test_a_session_begins_with_one_exchange(town: Mirror) -> None:
    with pooler(town.database_url, "session") as front:
        with closing(PostgresLimiter(lambda: psycopg.connect(front.url), "an app")) as opened:
            opened.wait_turn()
        assert front.exchanges == 2


def test_a_first_task_that_finds_nothing_to_migrate_is_short(town: Mirror) -> None:
    town.incremental()
    with pooler(town.database_url, "session") as front:
        who = Identity(dag_id=INCREMENTAL, run_id="one")
        open_run(lambda: psycopg.connect(front.url), town.api, who, _order(town))
        assert front.exchanges <= 24  # it was more than a hundred
