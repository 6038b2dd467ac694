from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import requests

from dev.simulator.truth import decode, encode
from dev.stack.verify import compare, compare_url

CONFIG = {"campus_ids": [1], "cursus_ids": [21]}


def test_users_in_scope_are_required_with_all_their_rows(sim):
    world = sim.world
    attempt = world.validate_project(101, 10)
    world.add_user(201, campus_id=2)
    world.add_cursus_user(201, 21, id=2010)
    world.add_user(202, campus_id=1, kind="external")
    world.add_cursus_user(202, 21, id=2020)
    world.add_user(203, campus_id=1)
    world.alumnise(102)
    world.anonymise(103)
    truth = sim.truth(CONFIG)
    required = truth["required"]
    assert required["users"] == {101}
    assert required["cursus_users"] == {1010}
    assert required["projects_users"] == {attempt}
    assert required["projects"] == {10}
    assert required["campuses"] == {1}
    assert {102, 103, 201, 202, 203} <= truth["rows"]["users"].keys()
    assert sim.truth(CONFIG, also_users={102})["required"]["users"] == {101, 102}
    assert sim.truth({})["required"]["users"] == {101, 201}


def test_an_anonymised_account_nobody_embeds_is_not_shown(sim):
    sim.world.anonymise(103)
    assert sim.truth(CONFIG)["rows"]["users"][103]["login"].startswith("3b3-")
    sim.world.unregister(1030)
    assert 103 not in sim.truth(CONFIG)["rows"]["users"]


def test_derived_columns(sim):
    world = sim.world
    attempt = world.add_projects_user(101, 10, cursus_ids=[9, 21, 1]).id
    feat = world.add_achievements_user(101, world.add_achievement(5).id).id
    member = world.add_coalitions_user(101, world.add_coalition(world.add_bloc(2).id).id).id

    def column(table, key, name, **config):
        return sim.truth(CONFIG | config)["rows"][table][key][name]

    assert column("projects_users", attempt, "cursus_id") == 21
    assert column("projects_users", attempt, "cursus_id", cursus_ids=[1, 21]) == 1
    assert column("projects_users", attempt, "campus_id") == 1
    world.transfer(101, 2)
    assert column("projects_users", attempt, "campus_id") == 2
    assert column("users", 101, "campus_id") == 2
    assert column("achievements_users", feat, "cursus_id") == 21
    world.unregister(1010)
    assert column("achievements_users", feat, "cursus_id") is None
    world.add_cursus_user(101, 1)
    assert column("achievements_users", feat, "cursus_id") == 1
    assert column("coalitions_users", member, "campus_id") == 2


def test_listed_and_stubs(sim):
    world = sim.world
    world.add_project(11, cursus_ids=[1])
    world.add_project(12, listed=False)
    world.add_projects_user(101, 12)
    world.add_campus_user(101, 54, is_primary=False)
    truth = sim.truth(CONFIG)
    projects = truth["rows"]["projects"]
    assert projects[10]["listed"] is True
    assert "listed" not in projects[11]
    assert projects[12]["listed"] is False
    assert 12 in truth["required"]["projects"]
    assert {11, 12} <= truth["stubs"]["projects"]
    assert truth["rows"]["campuses"][54] == {"id": 54, "listed": False}
    assert 54 in truth["required"]["campuses"]


def test_values_are_as_a_database_gives_them(sim):
    sim.world.update_row("users", 101, displayname="A\0da", wallet=-3)
    row = sim.truth(CONFIG)["rows"]["users"][101]
    assert (row["displayname"], row["wallet"]) == ("Ada", -3)
    assert row["created_at"] == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert row["anonymize_date"] == datetime(2029, 7, 18, 22, tzinfo=UTC)
    sim.world.update_row("users", 101, wallet=2**63)
    assert 101 not in sim.truth(CONFIG)["required"]["users"]


def test_the_truth_equals_what_the_api_shows(shared):
    truth = shared.sim.truth({"campus_ids": [67]})["rows"]
    for table in ("campus_users", "coalitions_users", "achievements_users"):
        for record in shared.get(f"/v2/{table}", per_page=100).json():
            row = truth[table][record["id"]]
            same = {name: value for name, value in record.items() if name in row}
            assert len(same) >= 6
            for name, value in same.items():
                is_time = name.endswith("_at")
                assert row[name] == (datetime.fromisoformat(value) if is_time else value)
    for record in shared.get("/v2/cursus_users", per_page=100).json():
        row = truth["cursus_users"][record["id"]]
        assert row["user_id"] == record["user"]["id"]
        assert (row["level"], row["skills"]) == (record["level"], record["skills"])
        user = truth["users"][record["user"]["id"]]
        assert user["image_small"] == record["user"]["image"]["versions"]["small"]
        assert (user["staff"], user["login"]) == (record["user"]["staff?"], record["user"]["login"])


def test_the_truth_survives_json(shared):
    truth = shared.sim.truth({"campus_ids": [67]})
    assert decode(json.loads(json.dumps(encode(truth)))) == truth


# The comparison.


def mirror(connection: psycopg.Connection[Any], truth: dict[str, dict[str, Any]]) -> None:
    """Store the required rows as they should be, in tables of texts, numbers and times."""
    connection.execute("create schema intra42")
    for table, rows in truth["rows"].items():
        columns = sorted({column for row in rows.values() for column in row} or {"id"})
        kinds = {
            c: next((k for r in rows.values() if (k := kind(r.get(c)))), "text") for c in columns
        }
        declared = ", ".join(f'"{column}" {kinds[column]}' for column in columns)
        connection.execute(f"create table intra42.{table} ({declared}, _run_id text)")
        for key in truth["required"][table]:
            values = [rows[key].get(column) for column in columns]
            values = [json.dumps(v) if isinstance(v, list) else v for v in values]
            marks = ", ".join(["%s"] * len(columns))
            names = ", ".join(f'"{column}"' for column in columns)
            connection.execute(f"insert into intra42.{table} ({names}) values ({marks})", values)


def kind(value: object) -> str | None:
    kinds = {bool: "boolean", int: "bigint", float: "double precision", list: "jsonb"}
    return kinds.get(type(value)) or ("timestamptz" if isinstance(value, datetime) else None)


@pytest.fixture
def connection(database_url, sim):
    sim.world.validate_project(101, 10)
    sim.world.add_projects_user(102, 10, cursus_ids=[1])
    with psycopg.connect(database_url, autocommit=True) as opened:
        mirror(opened, sim.truth(CONFIG))
        yield opened


def test_a_true_mirror_has_no_differences(connection, sim, database_url):
    assert compare(connection, sim.truth(CONFIG)) == []
    assert compare_url(database_url, sim.url, CONFIG) == []


def test_each_kind_of_difference_is_one_line(connection, sim):
    connection.execute("update intra42.users set wallet = 7, phone = null where id = 101")
    connection.execute("delete from intra42.cursus_users where id = 1020")
    connection.execute("insert into intra42.campus_users (id) values (999)")
    connection.execute("update intra42.projects set listed = false where id = 10")
    connection.execute("update intra42.users set _run_id = 'ignored'")
    assert compare(connection, sim.truth(CONFIG)) == [
        "users 101: phone is None, the API says 'hidden'",
        "users 101: wallet is 7, the API says 0",
        "campus_users 999: exists only in the mirror",
        "cursus_users 1020: missing",
        "projects 10: listed is False, the API says True",
    ]


def test_silent_changes_and_deletes_upstream_are_differences(connection, sim):
    sim.world.set_level_silently(1020, 5.5)
    sim.world.unregister(1030)
    lines = compare(connection, sim.truth(CONFIG))
    assert "cursus_users 1020: level is 0.0, the API says 5.5" in lines
    assert "cursus_users 1030: exists only in the mirror" in lines


def test_unlisted_rows_may_keep_old_values_or_be_null(connection, sim):
    sim.world.unlist_project(10)
    connection.execute("delete from intra42.cursus_projects")
    connection.execute("update intra42.projects set listed = false, slug = null where id = 10")
    assert compare(connection, sim.truth(CONFIG)) == []
    connection.execute("update intra42.projects set slug = 'wrong' where id = 10")
    assert len(compare(connection, sim.truth(CONFIG))) == 1


def test_many_differences_are_counted(connection, sim):
    connection.execute("insert into intra42.users (id) select generate_series(1, 60)")
    lines = compare(connection, sim.truth(CONFIG))
    assert len(lines) == 51
    assert lines[-1] == "... and 10 more differences"


def test_the_process_says_where_it_is_and_stops_on_request():
    command = [sys.executable, "-m", "dev.simulator", "--students", "20", "--seed", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts.keys() == {"url", "client_id", "client_secret", "campus_id"}
        assert facts["campus_id"] == 67
        truth = requests.get(f"{facts['url']}/_sim/truth", timeout=10).json()
        assert len(truth["required"]["users"]) >= 18
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        process.kill()
