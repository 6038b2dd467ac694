"""A setting that is missing widens nothing: what the last run used is known."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from intra42.attempt.work import Identity
from intra42.errors import ConfigError
from intra42.run.opening import open_run
from intra42.run.session import attempt
from intra42.settings import parse_request
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds
from tests.upgrade.schemas import rewind

DAGS = [NIGHTLY, INCREMENTAL]
SECRET = "a key of a test that is long enough"
HASHED = {"hash_columns": ["users.email"], "hash_secret": SECRET}
# What narrows, and what has to be written to have the default.
NARROW = [
    ({"campus_ids": [1]}, '"campus_ids": []'),
    ({"cursus_ids": [9]}, '"cursus_ids": [21]'),
    ({"refresh_cursus_ids": [21]}, '"refresh_cursus_ids": [1, 21]'),
    ({"delete_missing": False}, '"delete_missing": true'),
    ({"max_delete_share": 0.01}, '"max_delete_share": 0.05'),
    ({"max_delete_rows": 3}, '"max_delete_rows": 20'),
    (HASHED, '"hash_columns": []'),
]
KEYS = [next(iter(narrow)) for narrow, _written in NARROW]


def remembered(mirror, variable="intra42_config"):
    return mirror.value("select used from intra42.settings where variable = %s", variable)


def users(mirror):
    return {row[0] for row in mirror.query("select id from intra42.users")}


def request_of(mirror, variable="intra42_config", **params):
    """What an operator makes of the variable: None where there is none."""
    return parse_request(mirror.config, params, variable=variable)


def one_task(mirror, request, dag_id=NIGHTLY):
    """Begin one task of a run that was opened before."""
    who = Identity(dag_id=dag_id, run_id="first")
    with attempt(
        mirror.connect, mirror.api, who, request, loader=NIGHTLY, resource="users"
    ) as work:
        work.fetch("scope/all_users")


@pytest.mark.parametrize("dag_id", DAGS)
@pytest.mark.parametrize(("narrow", "written"), NARROW, ids=KEYS)
def test_a_missing_key_that_narrowed_stops_the_run_until_it_is_written(
    loaded, dag_id, narrow, written
):
    base = {} if "campus_ids" in narrow else {"campus_ids": [1]}
    mirror = loaded(worlds.town, **base, **narrow)
    there = users(mirror)
    # Null is a value of this key only, and says as little as none.
    for missing in (base, {"campus_ids": None}) if not base else (base,):
        mirror.config = missing
        mirror.sim.ledger.clear()
        with pytest.raises(ConfigError, match=re.escape(written)) as error:
            mirror.run(dag_id)
        assert next(iter(narrow)) in str(error.value)
        assert SECRET not in str(error.value)
        assert mirror.sim.ledger.requests("/") == []
        assert users(mirror) == there
    mirror.config = {**base, **narrow}
    mirror.run(dag_id)
    assert users(mirror) == there


@pytest.mark.parametrize("dag_id", DAGS)
@pytest.mark.parametrize(("narrow", "written"), NARROW, ids=KEYS)
def test_it_holds_in_every_task_for_a_secrets_backend_may_fail_for_one(
    loaded, dag_id, narrow, written
):
    base = {} if "campus_ids" in narrow else {"campus_ids": [1]}
    mirror = loaded(worlds.town, **base, **narrow)
    for values in (None, {}):
        mirror.config = values
        mirror.sim.ledger.clear()
        with pytest.raises(ConfigError, match=re.escape(written)):
            one_task(mirror, request_of(mirror), dag_id)
        assert mirror.sim.ledger.requests("/") == []


def test_without_the_variable_one_sentence_names_all_that_is_missing(fresh):
    narrow = {"campus_ids": [1], "cursus_ids": [21, 9], "delete_missing": False}
    mirror = fresh(worlds.town, **narrow, **HASHED)
    mirror.nightly()
    mirror.config = None
    with pytest.raises(ConfigError) as error:
        mirror.run(NIGHTLY)
    assert str(error.value) == (
        "There is no Airflow variable intra42_config, but the last run here used "
        '"campus_ids": [1], "cursus_ids": [21, 9], "delete_missing": false: write that to go on '
        'as before, or "campus_ids": [], "cursus_ids": [21], "delete_missing": true to confirm '
        "what the defaults do; intra42_config has no hash_columns and no hash_secret, but the "
        "mirror keeps users.email hashed: write hash_columns and hash_secret as before to go on, "
        'or "hash_columns": [] to have clear text again'
    )


def test_what_was_written_to_widen_may_be_left_out_afterwards(fresh):
    mirror = fresh(worlds.town, campus_ids=[1], delete_missing=False, max_delete_rows=2, **HASHED)
    mirror.nightly()
    mirror.config = {"campus_ids": [], "delete_missing": True, "max_delete_rows": 20}
    mirror.config["hash_columns"] = []
    mirror.nightly()
    assert {201, 202} <= users(mirror)
    for values in ({}, None, {"campus_ids": None}):
        mirror.config = values
        mirror.run(NIGHTLY)
        mirror.run(INCREMENTAL)
    mirror.config = {}
    assert mirror.differences() == []


def test_a_new_warehouse_without_the_variable_mirrors_the_whole_network(fresh):
    mirror = fresh(worlds.town, lookback_minutes=30)
    mirror.config = None
    mirror.nightly()
    mirror.incremental()
    assert {101, 201, 202} <= users(mirror)
    mirror.config = {}
    assert mirror.differences() == []


def test_a_default_that_does_less_needs_no_word(fresh):
    mirror = fresh(worlds.town, campus_ids=[1], cursus_ids=[21, 9], max_delete_rows=500)
    mirror.nightly()
    mirror.config = {"campus_ids": [1]}
    mirror.nightly()
    assert remembered(mirror)["cursus_ids"] == [21]


def test_a_setting_of_one_campus_more_is_no_word_for_all(town):
    town.config = {"campus_ids": [1, 2]}
    town.nightly()
    town.config = {}
    with pytest.raises(ConfigError, match=r'"campus_ids": \[1, 2\]'):
        town.nightly()


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_run_about_campuses_of_its_own_changes_nothing_remembered(town, dag_id):
    before = town.query("select * from intra42.settings")
    town.run(dag_id, campus_ids="2")
    assert town.query("select * from intra42.settings") == before
    town.config = {}
    with pytest.raises(ConfigError, match=r'"campus_ids": \[\]'):
        town.run(dag_id, campus_ids="1")
    assert town.query("select * from intra42.settings") == before


def test_an_explicit_window_is_measured_like_any_run_and_remembers(fresh):
    mirror = fresh(worlds.town, campus_ids=[1])
    mirror.nightly(updated_from="2026-01-01T00:00:00Z")
    assert remembered(mirror)["campus_ids"] == [1]
    mirror.config = {}
    with pytest.raises(ConfigError, match="campus_ids"):
        mirror.nightly(updated_from="2026-01-01T00:00:00Z")
    assert remembered(mirror)["campus_ids"] == [1]


def test_a_run_that_could_not_begin_has_used_nothing(town):
    town.config = {"campus_ids": []}
    secret, town.api = town.api, replace(town.api, client_secret="wrong")
    with town.connect() as connection:
        connection.execute("delete from intra42.api_tokens")
    with pytest.raises(Exception, match="401"):
        town.nightly()
    town.api, town.config = secret, {}
    with pytest.raises(ConfigError, match="campus_ids"):
        town.nightly()


def test_variables_of_other_dags_have_a_memory_of_their_own(town):
    """A new one is measured against what is there, then the two do not quarrel."""
    town.config = {}
    other = request_of(town, "other_config")
    opened = (town.connect, town.api, Identity(dag_id="own", run_id="1"))
    with pytest.raises(ConfigError, match="other_config does not name campus_ids"):
        open_run(*opened, other)
    town.config = {"campus_ids": []}
    open_run(*opened, request_of(town, "other_config"))
    town.config = {}
    for _again in range(2):
        open_run(*opened, other)
        one_task(town, other, "own")
        with pytest.raises(ConfigError, match="intra42_config does not name campus_ids"):
            town.nightly()
    town.config = {"campus_ids": [1]}
    town.nightly()
    assert remembered(town)["campus_ids"] == [1]
    assert remembered(town, "other_config")["campus_ids"] == []


def test_another_variable_does_not_bring_clear_text_back_either(loaded):
    mirror = loaded(worlds.town, campus_ids=[1], **HASHED)
    mirror.config = {"campus_ids": [1]}
    with pytest.raises(ConfigError, match="other_config has no hash_columns"):
        one_task(mirror, request_of(mirror, "other_config"))


@pytest.mark.parametrize(
    "missing", [["hash_columns"], ["hash_secret"], ["hash_columns", "hash_secret"]]
)
@pytest.mark.parametrize("dag_id", DAGS)
def test_no_half_of_the_settings_of_hashing_may_vanish(loaded, dag_id, missing):
    mirror = loaded(worlds.town, campus_ids=[1], **HASHED)
    hashed = mirror.query("select id, email from intra42.users order by id")
    for key in missing:
        del mirror.config[key]
    with pytest.raises(ConfigError, match=missing[0]):
        mirror.run(dag_id)
    with pytest.raises(ConfigError, match=missing[0]):
        one_task(mirror, request_of(mirror), dag_id)
    assert mirror.query("select id, email from intra42.users order by id") == hashed


def _as_before(mirror):
    """Take away what a warehouse of the version before does not have."""
    rewind(mirror.database_url)


@pytest.mark.parametrize("dag_id", DAGS)
@pytest.mark.parametrize(
    ("narrow", "written"), [NARROW[0], NARROW[1], NARROW[-1]], ids=["campus", "cursus", "hashing"]
)
def test_a_warehouse_from_before_tells_what_it_was_used_for(loaded, dag_id, narrow, written):
    base = {} if "campus_ids" in narrow else {"campus_ids": [1]}
    mirror = loaded(worlds.pool, **{**base, **narrow})
    _as_before(mirror)
    mirror.config = base
    with pytest.raises(ConfigError, match=re.escape(written)):
        mirror.run(dag_id)
    mirror.config = {**base, **narrow}
    mirror.run(dag_id)
    mirror.nightly()


@pytest.mark.parametrize("config", [{"lookback_minutes": 30}, {"campus_ids": [1]}])
def test_an_upgrade_needs_no_word_where_nothing_changed(loaded, config):
    mirror = loaded(worlds.town, **config)
    _as_before(mirror)
    mirror.nightly()
    mirror.incremental()
    assert mirror.differences() == []


def test_narrowed_since_it_was_the_whole_network_is_narrow(loaded):
    mirror = loaded(worlds.town, lookback_minutes=30)
    mirror.config = {"campus_ids": [1]}
    mirror.nightly()
    with mirror.connect() as connection:  # the version before forgot nothing
        connection.execute(
            """insert into intra42.sync_state (dag_id, resource, scope, watermark, updated_at)
            values (%s, 'users', 'all/21', now(), now() - interval '1 day')""",
            [NIGHTLY],
        )
    _as_before(mirror)
    mirror.config = {}
    with pytest.raises(ConfigError, match="campus_ids"):
        mirror.nightly()


def test_who_was_outside_is_looked_up_again_by_wider_settings(town):
    """He shows only in an attempt, and was looked up a moment ago, in vain."""
    world = town.sim.world
    town.nightly()
    world.validate_project(201, 12)
    with town.connect() as connection:
        connection.execute("insert into intra42.outsiders values (201, now()), (999, now())")
    town.config = {"campus_ids": [1, 2]}
    town.nightly()
    assert town.query("select user_id from intra42.outsiders where user_id = 999") == []
    assert 201 in users(town)
