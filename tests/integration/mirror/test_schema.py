"""The schema: migrated once whoever comes, equal to the catalogue, every column explained."""

from __future__ import annotations

import threading

import psycopg
import pytest
import sqlalchemy
from psycopg import errors

from dev.simulator.clock import DAY
from intra42.catalog import graph
from intra42.catalog.resources import RESOURCES
from intra42.warehouse.schema import migrate
from intra42.warehouse.statements import FOLDER
from tests.harness import in_order
from tests.upgrade.differences import differences


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


@pytest.fixture
def engine(connection, database_url):
    migrate(connection)
    opened = sqlalchemy.create_engine(
        database_url.replace("postgresql://", "postgresql+psycopg://")
    )
    yield opened
    opened.dispose()


def everything():
    """Return the names of all files that make the schema, in their order."""
    schema = sorted(path.stem for path in (FOLDER / "schema").glob("[0-9]*.sql"))
    functions = sorted(f"functions/{path.stem}" for path in (FOLDER / "functions").glob("*.sql"))
    return [*schema, *functions, "views", "checks", "comments"]


def test_a_second_migration_does_nothing(connection):
    names = everything()
    assert migrate(connection) == names
    assert migrate(connection) == []
    assert connection.execute("select count(*) from intra42.schema_migrations").fetchone() == (
        len(names),
    )


def test_two_migrations_at_once_take_turns(connection, database_url):
    applied, failed = [], []

    def run():
        try:
            with psycopg.connect(database_url, autocommit=True) as own:
                applied.append(migrate(own))
        except psycopg.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert sorted(name for names in applied for name in names) == sorted(everything())


def test_a_migration_that_fails_leaves_the_last_complete_one(connection):
    connection.execute("create schema intra42; create view intra42.users as select 1 as id")
    with pytest.raises(errors.DuplicateTable):
        migrate(connection)
    done = {row[0] for row in connection.execute("select name from intra42.schema_migrations")}
    assert done == {"0001_bookkeeping", "0002_quota"}
    assert connection.execute("select to_regclass('intra42.cursus')").fetchone() == (None,)
    connection.execute("drop view intra42.users")
    migrate(connection)
    assert migrate(connection) == []


def test_the_database_equals_the_catalogue(engine):
    assert differences(engine) == []


def test_a_difference_between_database_and_catalogue_is_noticed(engine, connection):
    connection.execute("alter table intra42.coalitions alter column score type integer")
    connection.execute("alter table intra42.campus_users drop constraint campus_users_user_id_fkey")
    connection.execute("alter table intra42.cursus add column surprise text")
    connection.execute("drop table intra42.coalitions_users cascade")
    found = "\n".join(differences(engine))
    assert "coalitions.score is integer, the catalogue says bigint" in found
    assert "campus_users: foreign key ('user_id', 'users') differs" in found
    assert "cursus.surprise is text, the catalogue says None" in found
    assert "the table coalitions_users is missing" in found


def test_every_table_is_explained(engine, connection):
    rows = connection.execute(
        "select c.relname from pg_class as c where c.relnamespace = 'intra42'::regnamespace "
        "and c.relkind in ('r', 'v', 'S') and c.relname not like '%\\_number\\_seq' "
        "and c.relname not like '%\\_id\\_seq' and obj_description(c.oid) is null"
    ).fetchall()
    assert rows == []


def test_every_foreign_key_is_declared_in_the_order_of_loading(engine, connection):
    keys = connection.execute(
        "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint "
        "where contype = 'f' and connamespace = 'intra42'::regnamespace"
    ).fetchall()
    order = [
        name
        for group in ("reference", "primary")
        for owner in in_order(group)
        for name in (owner, *(inner.name for inner in graph.embedded_in(owner)))
    ]
    # Further tables come after those, and what a record refers to before the record.
    for owner in graph.of_group("further"):
        order += [*(inner.name for inner in graph.embedded_in(owner.name)), owner.name]
    assert sorted(order) == sorted(resource.name for resource in RESOURCES)
    place = {f"intra42.{name}": number for number, name in enumerate(order)}
    checked = 0
    for child, parent in keys:
        if child in place and parent in place:
            assert place[parent] < place[child], (child, parent)
            checked += 1
    assert checked >= 15


def test_edges_hold_every_parent_directly_or_through_another(engine):
    edges = graph.edges()

    def ancestors(name):
        return edges[name].union(*(ancestors(parent) for parent in edges[name]))

    for resource in RESOURCES:
        assert graph.parents(resource) <= ancestors(resource.name) | {resource.name}


def test_active_students_shows_the_ongoing_enrolment_of_each(town):
    world = town.sim.world
    now = world.clock.now_ms()
    # 101: an older ended one and a newer ongoing one; 102: only ended; 103: two ongoing.
    world.update_row("cursus_users", 1010, end_at=now - 10 * DAY, level=9.0)
    world.add_cursus_user(101, 21, level=2.5, grade="Cadet", begin_at=now - DAY)
    world.update_row("cursus_users", 1020, end_at=now - DAY)
    world.add_cursus_user(103, 21, level=4.0, grade="Member", begin_at=now)
    world.alumnise(104)
    world.touch_user(105, kind="admin")
    world.unregister(1060)
    town.nightly()
    rows = town.query("select id, level, grade from intra42.active_students order by id")
    assert rows == [
        (101, 2.5, "Cadet"),
        (102, None, None),
        (103, 4.0, "Member"),
        (106, None, None),
        (107, 1.0, "Learner"),
        (108, 1.0, "Learner"),
    ]
    columns = town.query(
        "select column_name from information_schema.columns "
        "where table_schema = 'intra42' and table_name = %s order by ordinal_position",
        "active_students",
    )
    users = town.query(
        "select column_name from information_schema.columns "
        "where table_schema = 'intra42' and table_name = 'users' and column_name <> '_seq'"
    )
    assert {name for (name,) in users} | {"level", "grade"} == {name for (name,) in columns}


def test_a_reader_never_sees_half_a_page(town):
    """A page's rows, what derives from them and the position after it appear together."""
    for number in range(101, 109):
        town.sim.world.update_row("cursus_users", number * 10, level=2.0)
    plain, seen = town.task, []

    def task(identity, params, resource, step):
        def watched(work):
            commit = work.commit

            def looking(action):
                def looked():
                    result = action()
                    seen.append(
                        town.query("select distinct level from intra42.cursus_users order by 1")
                    )
                    return result

                return commit(looked)

            work.commit = looking
            return step(work)

        return plain(identity, params, resource, watched)

    town.task = task
    town.incremental()
    assert [(1.0,)] in seen
    assert all(levels in ([(1.0,)], [(2.0,)]) for levels in seen)
