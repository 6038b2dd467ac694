"""Hashed columns: nothing in clear text anywhere, whenever and however the settings change."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import sql

from dev.stack.verify import compare
from intra42.attempt.work import Identity
from intra42.errors import ConfigError, SettingsChanged
from intra42.store import rewriting
from intra42.warehouse import hashing
from tests.harness import INCREMENTAL, NIGHTLY, Mirror
from tests.integration.mirror import worlds

SECRET = "a key of a test that is long enough"
OTHER = "another key, which came after the first one"
PERSONAL = [
    f"users.{name}"
    for name in (
        *("email", "login", "first_name", "last_name", "usual_full_name", "usual_first_name"),
        *("url", "phone", "displayname", "location"),
        *("image_link", "image_large", "image_medium", "image_small", "image_micro"),
    )
]
PAINFUL = [*PERSONAL, "cursus_users.grade", "projects_users.status"]


def digest(column, text, secret=SECRET):
    return hmac.new(secret.encode(), f"{column}:{text}".encode(), hashlib.sha256).hexdigest()


def set_hashing(mirror, columns, secret=SECRET):
    mirror.config |= {"hash_columns": list(columns), "hash_secret": secret}


def differences(mirror):
    """Return how the mirror differs from the truth, whose columns are hashed in the same way."""
    truth = mirror.sim.truth({**mirror.config}, also_users=mirror.once_in)
    for name in mirror.config.get("hash_columns", ()):
        table, column = name.split(".")
        for row in truth["rows"][table].values():
            if row.get(column) is not None:
                row[column] = digest(name, row[column], mirror.config["hash_secret"])
    with closing(psycopg.connect(mirror.database_url)) as connection:
        return compare(connection, truth)


def clear_values(mirror, columns):
    """Return what the simulator knows in clear text of these columns, and may be nowhere."""
    truth = mirror.sim.truth({**mirror.config}, also_users=mirror.once_in)
    found = set()
    for name in columns:
        table, column = name.split(".")
        found |= {row.get(column) for row in truth["rows"][table].values()}
    return found - {None, ""}


def leaves(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value


def stored_texts(mirror):
    """Yield table and text of every value of every table of the schema, JSON taken apart."""
    tables = mirror.query(
        "select table_name from information_schema.tables "
        "where table_schema = 'intra42' and table_name <> 'schema_migrations'"
    )
    with closing(psycopg.connect(mirror.database_url)) as connection:
        for (name,) in tables:
            query = sql.SQL("select to_jsonb(t) from {} as t").format(
                sql.Identifier("intra42", name)
            )
            for (row,) in connection.execute(query).fetchall():
                for key, value in row.items():
                    for text in leaves(value):
                        yield f"{name}.{key}", text


def leaks(mirror, values):
    """Return where one of `values` is stored as it is, or a long one as a part of something."""
    long = [value for value in values if len(value) > 8]
    return sorted(
        {
            where
            for where, text in stored_texts(mirror)
            if text in values or any(value in text for value in long)
        }
    )


def park_some(mirror):
    """Leave records of every kind among the parked ones, whose fields are the users' own."""

    def spoil(record):
        if record["id"] == 101:
            return record | {"wallet": "no number"}
        if record["id"] == 102:
            return record | {"phone": 33_612_345_678, "wallet": 10**30}
        return record

    mirror.sim.world.touch_user(101, phone="+33 6 00 00 01 01")
    mirror.sim.world.touch_user(103, phone="")
    for path in ("/v2/users", "/v2/cursus/21/users"):
        mirror.sim.faults.add("mutate_record", path, times=None, change=spoil)


def bury_some(mirror):
    mirror.sim.world.unregister(1040)
    mirror.sim.world.delete_attempt(10_500)


def versions(mirror):
    """Return the physical version of each row of the mirrored tables."""
    found = {}
    for name in ("users", "cursus_users", "projects_users", "tombstones", "parked_records"):
        query = f"select ctid::text, xmin::text from intra42.{name} order by 1"
        found[name] = mirror.query(query)
    return found


def stored(mirror, column, number=101, table="users"):
    return mirror.value(f"select {column} from intra42.{table} where id = %s", number)


def test_a_first_load_stores_no_clear_text_anywhere(fresh):
    mirror = fresh(worlds.village, campus_ids=[67], hash_columns=PERSONAL, hash_secret=SECRET)
    mirror.nightly()
    mirror.nightly()
    values = clear_values(mirror, PERSONAL)
    assert len(values) > 100
    assert leaks(mirror, values) == []
    assert differences(mirror) == []
    assert SECRET not in {text for _where, text in stored_texts(mirror)}


def test_every_column_that_may_be_hashed_can_be_at_once(fresh):
    everything = hashing.allowed()
    asked = {"campus_ids": [1], "tables": ["all"]}
    mirror = fresh(worlds.town, **asked, hash_columns=everything, hash_secret=SECRET)
    mirror.nightly()
    world = mirror.sim.world
    world.validate_project(101, 12)
    world.new_student(1)
    world.transfer(202, 1)
    mirror.incremental()
    world.anonymise(102)
    world.unregister(1030)
    mirror.nightly()
    assert differences(mirror) == []
    assert mirror.value("select count(*) from intra42.active_students") == 10


def test_null_stays_null_and_an_empty_text_is_hashed(town):
    town.sim.world.touch_user(101, phone=None)
    town.sim.world.touch_user(102, phone="")
    set_hashing(town, ["users.phone"])
    town.nightly()
    assert [stored(town, "phone", number) for number in (101, 102)] == [
        None,
        digest("users.phone", ""),
    ]


def test_an_existing_mirror_is_rewritten_with_its_tombstones_and_parked_records(town):
    park_some(town)
    bury_some(town)
    town.nightly()
    assert town.query("select resource, id from intra42.tombstones order by id") == [
        ("cursus_users", 1040),
        ("projects_users", 10_500),
    ]
    assert town.query("select id from intra42.parked_records order by id") == [(101,), (102,)]
    values = clear_values(town, PERSONAL) | {"33612345678"}
    assert len(leaks(town, values)) > 10
    set_hashing(town, PAINFUL)
    town.nightly()
    assert leaks(town, values) == []
    grave = town.value("select row from intra42.tombstones where id = 10500")
    assert grave["status"] == digest("projects_users.status", "in_progress")
    assert town.value("select row from intra42.tombstones where id = 1040")["grade"] is not None
    payload = town.value("select payload from intra42.parked_records where id = 101")
    assert payload["phone"] == digest("users.phone", "+33 6 00 00 01 01")
    assert payload["wallet"] == "no number"
    assert town.value("select payload ->> 'phone' from intra42.parked_records where id = 102") in {
        digest("users.phone", "33612345678")
    }
    town.sim.faults.clear()
    town.nightly()
    assert town.query("select id from intra42.parked_records") == []
    assert differences(town) == []


def test_rows_are_rewritten_although_the_api_shows_none_of_them(town):
    """Hashing what is there needs no API: a run that fails at its first request has done it."""
    values = clear_values(town, PERSONAL)
    set_hashing(town, PERSONAL)
    town.sim.faults.add("403", "/v2/cursus", times=None)
    with pytest.raises(Exception, match="403"):
        town.nightly()
    assert leaks(town, values) == []


def test_an_unchanged_pass_rewrites_no_tuple(town):
    set_hashing(town, PAINFUL)
    town.nightly()
    before = versions(town)
    town.incremental()
    town.nightly()
    assert versions(town) == before


def test_the_run_in_between_hashes_what_it_writes_and_nothing_is_hashed_twice(town):
    set_hashing(town, ["users.email", "users.login"])
    town.sim.world.touch_user(101, email="changed@example.invalid")
    town.incremental()
    assert stored(town, "email") == digest("users.email", "changed@example.invalid")
    newcomer = town.sim.world.new_student(1)
    town.incremental()
    town.nightly()
    assert differences(town) == []
    assert len(stored(town, "email", newcomer)) == 64


def test_tombstones_of_the_run_in_between_are_hashed_once_whatever_they_copied(town):
    """One row was written by the new settings before it went, the other one by the old."""
    world = town.sim.world
    for row_id in (1040, 1050):
        world.update_row("cursus_users", row_id, grade="Member")
    town.nightly()
    set_hashing(town, ["cursus_users.grade"])
    world.update_row("cursus_users", 1040, grade="Learner")
    town.incremental()
    world.unregister(1040)
    world.unregister(1050)
    town.incremental()
    graves = "select id, row ->> 'grade' from intra42.tombstones order by id"
    assert town.query(graves)[0] == (1040, digest("cursus_users.grade", "Learner"))
    town.nightly()
    assert town.query(graves) == [
        (1040, digest("cursus_users.grade", "Learner")),
        (1050, digest("cursus_users.grade", "Member")),
    ]


def test_a_new_key_replaces_the_old_one_everywhere(town):
    set_hashing(town, PAINFUL)
    park_some(town)
    bury_some(town)
    town.nightly()
    town.sim.world.anonymise(106)
    town.nightly()
    status = "projects_users.status"
    old = {digest(name, value) for name in PAINFUL for value in clear_values(town, [name])}
    old.add(digest(status, "in_progress"))
    set_hashing(town, PAINFUL, OTHER)
    town.nightly()
    assert leaks(town, old) == []
    # What the API no longer gives is hashed once more; all else is as if hashed by the new key.
    grave = town.value("select row from intra42.tombstones where id = 10500")
    assert grave["status"] == digest(status, digest(status, "in_progress"), OTHER)
    town.sim.faults.clear()
    town.nightly()
    assert differences(town) == []


def test_a_column_taken_out_is_in_clear_text_again_and_the_others_are_not(town):
    set_hashing(town, PAINFUL)
    town.nightly()
    hidden = town.sim.world.anonymise(106)
    town.nightly()
    assert stored(town, "login", 106) == digest("users.login", hidden)
    set_hashing(town, ["users.email"])
    town.incremental()
    assert stored(town, "first_name") == digest(
        "users.first_name", town.sim.world.users[101].first_name
    )
    town.nightly()
    assert differences(town) == []
    town.config["hash_columns"] = []
    town.config.pop("hash_secret")
    town.nightly()
    assert town.differences() == []
    assert stored(town, "login", 106) == hidden


def test_the_incremental_run_refuses_to_write_clear_text_beside_hashes(town, caplog):
    set_hashing(town, ["users.email"])
    town.nightly()
    del town.config["hash_columns"], town.config["hash_secret"]
    with pytest.raises(ConfigError, match=r"no hash_secret, but the mirror keeps users\.email"):
        town.incremental()
    town.config["hash_columns"] = []
    town.nightly()
    town.incremental()
    assert town.differences() == []


def test_settings_changed_twice_before_a_nightly_run_end_at_the_truth(town):
    set_hashing(town, PAINFUL)
    town.incremental()
    town.sim.world.touch_user(101, email="a@example.invalid")
    set_hashing(town, PAINFUL, OTHER)
    town.incremental()
    town.nightly()
    assert differences(town) == []
    town.config["hash_columns"] = []
    town.nightly()
    town.config["hash_columns"] = PERSONAL
    town.nightly()
    assert differences(town) == []


@pytest.mark.parametrize("shown", [False, True], ids=["hidden", "shown"])
def test_an_anonymised_account_is_known_by_its_login_before_it_is_hashed(town, shown):
    set_hashing(town, ["users.login", "users.email"])
    town.sim.harsh.show_anonymised = shown
    park_some(town)
    town.nightly()
    name = town.sim.world.users[101].first_name
    login = town.sim.world.anonymise(101)
    town.sim.faults.clear()
    town.nightly()
    assert stored(town, "login") == digest("users.login", login)
    assert stored(town, "first_name") == "3b3"
    assert leaks(town, {name + "!"}) == []
    assert town.query("select user_id from intra42.anonymised_users") == [(101,)]
    assert town.query("select 1 from intra42.parked_records where id = 101") == []
    assert differences(town) == []


def test_who_was_anonymised_before_hashing_stays_known(town):
    town.sim.world.anonymise(101)
    town.nightly()
    set_hashing(town, ["users.login"])
    town.nightly()
    assert town.query("select user_id from intra42.anonymised_users") == [(101,)]
    town.sim.world.touch_user(101, login="back")
    town.sim.harsh.show_anonymised = True
    town.nightly()
    assert town.query("select user_id from intra42.anonymised_users") == []
    assert differences(town) == []


def test_an_account_that_is_gone_is_erased_although_its_login_is_hashed(town):
    set_hashing(town, PERSONAL)
    town.nightly()
    before = {digest("users.email", value) for value in clear_values(town, ["users.email"])}
    assert stored(town, "email", 108) in before
    town.sim.world.delete_user(108)
    town.nightly()
    assert town.query("select 1 from intra42.users where id = 108") == []
    assert differences(town) == []


def test_an_older_observation_does_not_overwrite_a_hashed_row(town):
    set_hashing(town, ["users.email"])
    town.nightly()
    town.sim.world.touch_user(101, email="new@example.invalid")
    town.incremental()
    town.sim.harsh.stale_nested = True
    town.sim.world.validate_project(101, 12)
    town.incremental()
    assert stored(town, "email") == digest("users.email", "new@example.invalid")


def test_a_task_that_began_before_the_change_writes_nothing_more(town):
    """Its settings are the old ones: it would store clear text behind the rewrite's back."""

    def step(work):
        set_hashing(town, ["users.email"])
        town.task(Identity(dag_id=INCREMENTAL, run_id="other"), {}, "users", lambda _work: None)
        work.commit(lambda: work.fetch("scope/all_users"))

    config = dict(town.config)
    with pytest.raises(SettingsChanged, match="its retry goes on"):
        town.task(Identity(dag_id=NIGHTLY, run_id="old"), {}, "users", step)
    assert config != town.config
    town.nightly()
    assert differences(town) == []


def test_a_change_waits_for_transactions_that_write_by_the_old_settings(town):
    began, go_on, order = threading.Event(), threading.Event(), []

    def write(work):
        def slow():
            began.set()
            go_on.wait(60)
            order.append("written")

        work.commit(slow)

    def change():
        task = Identity(dag_id=INCREMENTAL, run_id="change")
        town.task(task, {}, "users", lambda _work: order.append("changed"))

    who = Identity(dag_id=NIGHTLY, run_id="writer")
    writer = threading.Thread(target=town.task, args=[who, {}, "users", write])
    writer.start()
    assert began.wait(60)
    set_hashing(town, ["users.email"])
    changer = threading.Thread(target=change)
    changer.start()
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    while changer.is_alive() and not town.value(waiting):
        changer.join(0.05)
    go_on.set()
    writer.join(60)
    changer.join(60)
    assert order == ["written", "changed"]


def _rewrite_three_at_a_time(database_url, api, config):
    mirror = Mirror(database_url, SimpleNamespace(**api), config)
    request = Identity(dag_id=INCREMENTAL, run_id="declares")
    mirror.task(request, {}, "users", lambda _work: None)

    def step(work):
        work.identity.dag_id = NIGHTLY
        rewriting.rewrite(work, batch=3)

    mirror.task(Identity(dag_id=INCREMENTAL, run_id="killed"), {}, "users", step)


def test_a_rewrite_killed_in_the_middle_goes_on_where_it_stopped(town):
    values = clear_values(town, PERSONAL)
    set_hashing(town, PERSONAL)
    api = {name: getattr(town.sim, name) for name in ("url", "client_id", "client_secret")}
    blocker = psycopg.connect(town.database_url)
    blocker.execute("select 1 from intra42.users where id = 105 for update")
    child = multiprocessing.get_context("spawn").Process(
        target=_rewrite_three_at_a_time, args=(town.database_url, api, town.config)
    )
    child.start()
    progress = "select coalesce(max(rewritten_to), -2) from intra42.hashed_columns"
    deadline = time.monotonic() + 90
    while town.value(progress) < 103 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    blocker.close()
    assert town.value(progress) == 103
    emails = {number: town.sim.world.users[number].email for number in worlds.STUDENTS}
    assert stored(town, "email", 103) == digest("users.email", emails[103])
    assert stored(town, "email", 104) == emails[104]
    town.nightly()
    assert leaks(town, values) == []
    assert differences(town) == []


def test_a_reading_again_that_was_cut_short_is_finished_by_the_next_run(town):
    set_hashing(town, PAINFUL)
    town.nightly()
    set_hashing(town, PAINFUL, OTHER)
    town.sim.faults.add("403", "/v2/projects_users", times=None)
    with pytest.raises(Exception, match="403"):
        town.nightly()
    assert town.value("select count(*) from intra42.hashed_columns where reread") == 1
    town.sim.faults.clear()
    town.nightly()
    assert town.value("select count(*) from intra42.hashed_columns where reread") == 0
    assert differences(town) == []


def test_a_record_without_an_id_is_parked_hashed_and_once(town):
    def mangle(record):
        return "somebody@example.invalid" if record["id"] == 101 else record

    town.sim.faults.add("mutate_record", "/v2/users", times=None, change=mangle)
    town.nightly()
    # Nobody knows whether it is about somebody who is mirrored: no value of it is kept.
    assert leaks(town, {"somebody@example.invalid"}) == []
    set_hashing(town, ["users.email"])
    town.nightly()
    assert leaks(town, {"somebody@example.invalid"}) == []
    assert town.value("select count(*) from intra42.parked_records where id is null") == 1


@pytest.mark.parametrize(
    "column",
    [
        *("users.kind", "users.id", "users.wallet", "users.campus_id", "users.nothing"),
        *("campuses.name", "cursus_users.skills", "nothing.email", "users._run_id"),
        *("sync_runs.run_id", "active_students.email", "cursus_projects.cursus_id"),
    ],
)
def test_a_column_that_cannot_be_hashed_is_refused_with_those_that_can(town, column):
    set_hashing(town, ["users.email", column])
    with pytest.raises(ConfigError) as error:
        town.nightly()
    message = str(error.value)
    assert repr(column) in message
    assert "users.email, users.login" in message
    assert SECRET not in message
    assert town.query("select 1 from intra42.hashed_columns") == []


def test_neither_the_key_nor_a_value_is_logged_or_handed_to_the_database(town, caplog):
    caplog.set_level(logging.DEBUG)
    values = clear_values(town, ["users.email", "users.login"])
    set_hashing(town, PAINFUL)
    park_some(town)
    town.nightly()
    set_hashing(town, PAINFUL, OTHER)
    town.nightly()
    own = [record.getMessage() for record in caplog.records if record.name.startswith("intra42")]
    assert own
    for text in own:
        assert SECRET not in text
        assert OTHER not in text
        assert not any(value in text for value in values)
    assert leaks(town, {SECRET, OTHER}) == []
    statements = town.query("select query from pg_stat_activity")
    assert SECRET not in json.dumps(statements)


def test_a_new_enrolment_of_an_anonymised_account_has_no_history_either(town):
    set_hashing(town, ["users.login"])
    town.nightly()
    town.sim.world.anonymise(101)
    town.nightly()
    town.sim.world.add_cursus_user(user_id=101, cursus_id=1, level=3.0)
    town.incremental()
    assert len(town.query("select 1 from intra42.cursus_users where user_id = 101")) == 2
    assert town.query("select 1 from intra42.cursus_users_levels where user_id = 101") == []


def test_equal_texts_of_two_columns_do_not_join(town):
    town.sim.world.touch_user(101, first_name="Same", last_name="Same")
    set_hashing(town, ["users.first_name", "users.last_name"])
    town.nightly()
    assert stored(town, "first_name") == digest("users.first_name", "Same")
    assert stored(town, "last_name") != stored(town, "first_name")
    assert differences(town) == []


@pytest.mark.parametrize("first", [NIGHTLY, INCREMENTAL])
def test_what_was_hashed_without_its_column_is_hashed_anew(town, first):
    """As by the version before, whose hashes joined across columns."""

    def before(text):
        return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

    set_hashing(town, PAINFUL)
    bury_some(town)
    town.nightly()
    old = {before("in_progress"), before("Learner")}
    with closing(psycopg.connect(town.database_url)) as connection:
        for user in map(town.sim.world.users.get, worlds.STUDENTS):
            values = {"email": before(user.email), "login": before(user.login), "id": user.id}
            statement = "update intra42.users set email = %(email)s, login = %(login)s "
            connection.execute(statement + "where id = %(id)s", values)
            old |= {values["email"], values["login"]}
        connection.execute(
            """update intra42.tombstones set row = row || jsonb_build_object('status', %s::text)
            where resource = 'projects_users'""",
            [before("in_progress")],
        )
        mark = before("intra42: which hash_secret this is")[:16]
        connection.execute("update intra42.hashed_columns set fingerprint = %s", [mark])
        connection.commit()
    assert leaks(town, old)
    town.sim.world.touch_user(101, email="changed@example.invalid")
    town.run(first)
    assert stored(town, "email") == digest("users.email", "changed@example.invalid")
    town.nightly()
    assert leaks(town, old) == []
    assert differences(town) == []
