"""docs/privacy.md: its table is fresh, its commands work, its roles may do what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from airflow.sdk import Connection
from psycopg import errors, sql

from dev.docs import privacy
from dev.docs.readme import with_table
from dev.simulator import Simulator
from dev.stack.postgres import Postgres
from intra42.hooks import Intra42Hook
from intra42.settings import parse_config
from intra42.warehouse import hashing
from intra42.warehouse.hashing import Hashing
from tests.harness import Mirror
from tests.integration.mirror import worlds
from tests.integration.mirror.test_hashing import PERSONAL
from tests.unit.docs.test_readme import blocks

TEXT = privacy.DOCUMENT.read_text(encoding="utf-8")
ROLES = ("intra42_writer", "intra42_reader", "intra42_analyst")
NOT_TELLING = {"kind", "pool_month", "pool_year"}


def statements(role: str) -> str:
    return next(block for block in blocks("sql", TEXT) if block.startswith(f"-- {role}\n"))


def test_the_table_of_what_is_stored_is_fresh() -> None:
    fresh = with_table(TEXT, privacy.BEGIN, privacy.END, privacy.table())
    assert fresh == TEXT, "run `make docs`"


def test_the_settings_shown_are_accepted() -> None:
    settings, columns = (json.loads(block) for block in blocks("json", TEXT))
    config = parse_config(settings | {"hash_secret": "0" * 64})
    assert hashing.chosen(config)
    assert columns == PERSONAL


def test_the_columns_shown_are_all_that_tell_who_somebody_is() -> None:
    own = {name.split(".")[1] for name in hashing.allowed() if name.startswith("users.")}
    assert own - NOT_TELLING == {name.split(".")[1] for name in PERSONAL}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_command_hashes_as_the_mirror_does() -> None:
    command = next(block for block in blocks("sh", TEXT) if "openssl" in block)
    text = re.findall(r"'(.+?)'", command)[0]
    secret = "a key for this test, which is long enough"
    answer = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"HASH_SECRET": secret, "PATH": str(Path(str(shutil.which("openssl"))).parent)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert answer.stdout.split()[-1] == Hashing(secret=secret).value(text)


def administer(block: str, database_url: str) -> None:
    """Run a block of the administrator's, whose database has another name here."""
    name = database_url.rpartition("/")[2]
    text = statements(block)
    assert "database warehouse" in text
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(text.replace("database warehouse", f'database "{name}"'))


@pytest.fixture
def administered(postgres: Postgres, database_url: str) -> Iterator[str]:
    """The URL of a database whose administrator has made the roles."""
    administer("administrator", database_url)
    password = psycopg.conninfo.conninfo_to_dict(database_url).get("password")
    with psycopg.connect(database_url, autocommit=True) as connection:
        for role in ROLES:
            change = sql.SQL("alter role {} password {}")
            connection.execute(change.format(sql.Identifier(role), sql.Literal(password)))
    yield database_url
    with psycopg.connect(database_url, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(role)))
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def url_of(role: str, database_url: str) -> str:
    changed = re.sub(r"//\w+(?=[:@])", f"//{role}", database_url)
    assert changed != database_url
    return changed


@pytest.fixture
def town() -> Iterator[Simulator]:
    with worlds.town() as sim:
        yield sim


@pytest.fixture
def mirror(administered: str, town: Simulator) -> Mirror:
    """A mirror that the writer has filled, with the grants that he then made."""
    mirror = Mirror(url_of("intra42_writer", administered), town, {"campus_ids": [1]})
    mirror.nightly()
    administer("administrator, after the first run", administered)
    with psycopg.connect(mirror.database_url, autocommit=True) as connection:
        connection.execute(statements("intra42_writer"))
    return mirror


def connect(role: str, mirror: Mirror) -> psycopg.Connection[tuple[object, ...]]:
    url = mirror.database_url.replace("intra42_writer", role)
    return psycopg.connect(url, autocommit=True)


def test_the_writer_can_run_both_dags_and_do_nothing_else(mirror: Mirror) -> None:
    mirror.sim.world.unregister(1010)
    mirror.sim.world.anonymise(102)
    mirror.config |= {"hash_columns": ["cursus_users.grade"], "hash_secret": "s" * 32}
    mirror.nightly()
    mirror.config["hash_columns"] = []
    mirror.incremental()
    mirror.nightly()
    assert mirror.differences() == []
    with connect("intra42_writer", mirror) as connection:
        for text in ("create schema other", "create table public.t ()", "create role somebody"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(text)


def test_the_writer_can_do_the_housekeeping(mirror: Mirror) -> None:
    found = [block for block in blocks("sql", TEXT) if not block.startswith("-- ")]
    assert len(found) == 2
    with connect("intra42_writer", mirror) as connection:
        for block in found:
            connection.execute(block)


def test_the_reader_reads_everything_but_the_token_and_writes_nothing(mirror: Mirror) -> None:
    names = [
        row[0]
        for row in mirror.query(
            "select table_name from information_schema.tables where table_schema = 'intra42'"
        )
    ]
    assert {"users", "tombstones", "active_students", "checks", "api_tokens"} <= set(names)
    with connect("intra42_reader", mirror) as connection:
        for name in names:
            query = sql.SQL("select * from {}").format(sql.Identifier("intra42", name))
            if name == "api_tokens":
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(query)
            else:
                connection.execute(query)
        for text in (
            "insert into intra42.cursus (id, _synced_at, _seq) values (99, now(), 1)",
            "update intra42.users set login = 'x'",
            "delete from intra42.tombstones",
            "truncate intra42.parked_records",
            "drop view intra42.active_students",
            "create table intra42.t ()",
            "create temporary table t ()",
            "select nextval('intra42.request_seq')",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(text)


def test_the_analyst_works_with_levels_and_sees_nobodys_name(mirror: Mirror) -> None:
    with connect("intra42_analyst", mirror) as connection:
        rows = connection.execute(statements("intra42_analyst")).fetchall()
        assert [(row[0], row[2], row[3]) for row in rows] == [(1, 8, 1.0)]
        joined = connection.execute(
            "select count(*) from intra42.users as u join intra42.projects_users as p "
            "on p.user_id = u.id where u.active and p.status is not null"
        ).fetchone()
        assert joined == (8,)
        for text in (
            "select email from intra42.users",
            "select * from intra42.users",
            "select u from intra42.users as u",
            "select to_jsonb(u) from intra42.users as u",
            "select id from intra42.users where login = 'x'",
            "select email from intra42.active_students",
            "select * from intra42.active_students",
            "select row from intra42.tombstones",
            "select payload from intra42.parked_records",
            "select token from intra42.api_tokens",
            "delete from intra42.cursus_users",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(text)


def test_no_text_about_a_person_is_open_to_the_analyst(mirror: Mirror) -> None:
    """Not even where a later version of the mirror keeps it."""
    open_to_him = mirror.query(
        "select c.relname, a.attname from pg_class as c "
        "join pg_attribute as a on a.attrelid = c.oid "
        "where c.relnamespace = 'intra42'::regnamespace and c.relkind in ('r', 'v', 'm', 'p') "
        "and a.attnum > 0 and not a.attisdropped "
        "and has_column_privilege('intra42_analyst', c.oid, a.attnum, 'select')"
    )
    assert ("users", "wallet") in open_to_him
    telling = {name.split(".")[1] for name in PERSONAL}
    about_people = {"users", "active_students"}
    assert [
        (table, column)
        for table, column in open_to_him
        if (table in about_people and column in telling)
        or column in {"row", "payload", "token", "email", "login", "anonymize_date"}
    ] == []


def test_tls_is_asked_for_by_the_extra_of_the_connection(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = next(block for block in blocks("sh", TEXT) if "connections add" in block)
    extra = json.loads(re.findall(r"--conn-extra '(.+?)'", command)[0])
    assert extra["sslmode"] == "verify-full"
    address = psycopg.conninfo.conninfo_to_dict(database_url)
    connection = Connection(
        conn_id="intra42_db",
        conn_type="postgres",
        host=str(address["host"]),
        login="postgres",
        port=int(str(address["port"])),
        schema=str(address["dbname"]),
        extra=json.dumps(extra | {"sslrootcert": "system"}),
    )
    monkeypatch.setenv("AIRFLOW_CONN_INTRA42_DB", connection.get_uri())
    # This server speaks no TLS, and is therefore refused.
    with pytest.raises(psycopg.OperationalError, match=r"SSL"):
        Intra42Hook().connect()
