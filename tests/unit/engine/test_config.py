"""The settings: every bad value names the key and what is allowed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import asdict, fields

from intra42.errors import ConfigError
from intra42.settings import Config, Window, parse_config, parse_request


def test_an_absent_variable_means_the_defaults():
    assert parse_config(None) == parse_config({}) == Config()
    assert asdict(Config()) == {
        "campus_ids": (),
        "cursus_ids": (21,),
        "refresh_cursus_ids": (1, 21),
        "lookback_minutes": 30,
        "refresh_chunk_size": 100,
        "incremental_request_budget": 20,
        "nightly_audit_requests": 120,
        "delete_missing": True,
        "max_delete_share": 0.05,
        "max_delete_rows": 20,
        "tables": (),
        "hash_columns": (),
        "hash_secret": "",
    }


def test_every_key_can_be_set():
    values = {
        "campus_ids": [67, 1],
        "cursus_ids": [21, 9],
        "refresh_cursus_ids": [],
        "lookback_minutes": 0,
        "refresh_chunk_size": 1,
        "incremental_request_budget": 0,
        "nightly_audit_requests": 0,
        "delete_missing": False,
        "max_delete_share": 1,
        "max_delete_rows": 0,
        "hash_columns": ["users.email", "users.login"],
        "hash_secret": "s" * 32,
    }
    config = parse_config(values)
    assert {key: getattr(config, key) for key in values} == {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }


def test_no_campus_is_the_whole_network():
    assert parse_config({"campus_ids": None}).campus_ids == ()
    assert parse_config({"campus_ids": []}).campus_ids == ()


def test_ids_given_twice_count_once_and_keep_their_order():
    config = parse_config({"cursus_ids": [9, 21, 9], "refresh_cursus_ids": [1, 21]})
    assert config.cursus_ids == (9, 21)
    assert config.all_cursus_ids == (9, 21, 1)


@pytest.mark.parametrize(
    ("key", "values", "allowed"),
    [
        ("campus_ids", ["67", 67, {}, [0], [-1], ["67"], [1.0], [True], [2**31]], "a list of ids"),
        ("cursus_ids", [[], None, 21, [None]], "a list of ids, whole numbers from 1, at least one"),
        ("refresh_cursus_ids", [None, 21, ["a"]], "a list of ids"),
        ("lookback_minutes", [-1, 10_081, "30", 1.5, None, True], "minutes from 0 to 10080"),
        ("refresh_chunk_size", [0, 101, "100", None], "ids from 1 to 100"),
        ("incremental_request_budget", [-1, 10**6, 2.0], "requests from 0 to 100000"),
        ("nightly_audit_requests", [-1, [], "x"], "requests from 0 to 100000"),
        ("delete_missing", ["true", 1, 0, None], "true or false"),
        ("max_delete_share", [-0.1, 1.1, "5%", True, None, float("nan")], "a fraction from 0 to 1"),
        ("max_delete_rows", [-1, 10**8, 1.0], "rows from 0 to 10000000"),
        ("hash_columns", ["users.email", ["email"], [1], [None], None, ["a.b.c"]], "a list of col"),
    ],
)
def test_a_bad_value_names_the_key_and_what_is_allowed(key, values, allowed):
    for value in values:
        with pytest.raises(ConfigError) as error:
            parse_config({key: value})
        message = str(error.value)
        assert message.startswith(f"intra42_config: {key} is {value!r}, but must be")
        assert allowed in message


@pytest.mark.parametrize("value", ["", "short", "s" * 31, "*" * 64, 5, None, ["s" * 32]])
def test_a_bad_key_is_refused_and_not_shown(value):
    with pytest.raises(ConfigError) as error:
        parse_config({"hash_columns": ["users.email"], "hash_secret": value})
    assert "hash_secret" in str(error.value)
    assert "at least 32 characters" in str(error.value)
    assert not value or repr(value) not in str(error.value)


def test_hashed_columns_need_a_key_and_a_key_may_wait_for_columns():
    with pytest.raises(ConfigError, match="hash_columns needs hash_secret"):
        parse_config({"hash_columns": ["users.email"]})
    config = parse_config({"hash_secret": "s" * 32})
    assert config.hash_columns == ()
    assert "sss" not in repr(config)


def test_an_unknown_key_is_named_beside_those_that_are_allowed():
    with pytest.raises(ConfigError) as error:
        parse_config({"campus_id": [1]})
    message = str(error.value)
    assert "unknown key 'campus_id'" in message
    for field in fields(Config):
        assert field.name in message


@pytest.mark.parametrize("value", [[], "x", 5, True, ""])
def test_a_variable_that_is_no_object_is_refused(value):
    with pytest.raises(ConfigError, match="must be a JSON object"):
        parse_config(value)


def test_params_override_the_variable_and_empty_ones_do_not():
    values = {"campus_ids": [67], "cursus_ids": [21]}
    request = parse_request(values, {"campus_ids": [1], "cursus_ids": [], "full_refresh": True})
    assert request.config.campus_ids == (1,)
    assert request.config.cursus_ids == (21,)
    assert request.full_refresh
    assert not request.allow_mass_delete


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"campus_ids": ["x"]}, "campus_ids"),
        ({"cursus_ids": 21}, "cursus_ids"),
        ({"campus_ids": "1, Lyon"}, "campus_ids"),
        ({"full_refresh": "yes"}, "full_refresh"),
        ({"allow_mass_delete": 1}, "allow_mass_delete"),
        ({"updated_from": "yesterday-ish"}, "updated_from"),
        ({"updated_from": 5}, "updated_from"),
        ({"updated_to": "2026-01-01T00:00:00Z"}, "updated_to needs updated_from"),
        (
            {"updated_from": "2026-01-02T00:00:00Z", "updated_to": "2026-01-01T00:00:00Z"},
            "must be later than updated_from",
        ),
        (
            {"updated_from": "2026-01-02T00:00:00Z", "updated_to": "2026-01-02T00:00:00Z"},
            "must be later than updated_from",
        ),
        ({"updated_from": "2026-01-02T00:00:00Z", "full_refresh": True}, "exclude each other"),
        ({"tables": ["users"]}, "tables names .* so set full_refresh"),
        ({"tables": "users", "full_refresh": True}, "tables is 'users', but must be a list"),
        ({"tables": [7], "full_refresh": True}, r"tables is \[7\], but must be a list"),
    ],
)
def test_a_bad_param_names_itself(params, said):
    with pytest.raises(ConfigError, match=said):
        parse_request(None, params)


@pytest.mark.parametrize(
    ("text", "ids"),
    [("67", (67,)), (" 1, 67 ", (1, 67)), ("1,67,", (1, 67)), ("", (5,)), (" ", (5,))],
)
def test_ids_may_be_written_as_in_the_trigger_form(text, ids):
    request = parse_request({"campus_ids": [5]}, {"campus_ids": text})
    assert request.config.campus_ids == ids
    assert request.restricted == (ids != (5,))


@pytest.mark.parametrize(
    ("params", "reread"),
    [
        ({}, []),
        ({"tables": []}, []),
        ({"full_refresh": True}, ["users", "projects_users"]),
        ({"full_refresh": True, "tables": []}, ["users", "projects_users"]),
        ({"full_refresh": True, "tables": None}, ["users", "projects_users"]),
        ({"full_refresh": True, "tables": ["users"]}, ["users"]),
    ],
)
def test_a_full_refresh_is_of_the_tables_named_or_of_all(params, reread):
    request = parse_request(None, params)
    assert [name for name in ("users", "projects_users") if request.rereads(name)] == reread


@pytest.mark.parametrize(
    "text", ["2026-01-02T10:00:00Z", "2026-01-02T12:00:00+02:00", "2026-01-02T10:00:00"]
)
def test_windows_are_utc_whatever_offset_they_are_written_in(text):
    request = parse_request(None, {"updated_from": text, "updated_to": None})
    assert request.window == Window(since=datetime(2026, 1, 2, 10, tzinfo=UTC))
    assert str(request.window).startswith("2026-01-02 10:00:00")
    assert "now" in str(request.window)


def test_a_window_of_a_night_in_which_clocks_change_is_exact():
    request = parse_request(
        None,
        {"updated_from": "2026-03-29T01:30:00+01:00", "updated_to": "2026-03-29T03:30:00+02:00"},
    )
    assert request.window is not None
    assert request.window.until is not None
    assert (request.window.until - request.window.since).total_seconds() == 3600


@pytest.mark.parametrize("key", ["campus_ids", "cursus_ids"])
@pytest.mark.parametrize("value", [0, False, {}, ",", " , ", "0", [0], [""], [None]])
def test_a_param_that_means_nothing_is_an_error_and_not_everything(key, value):
    with pytest.raises(ConfigError, match=f"the run's params: {key} is"):
        parse_request({"campus_ids": [67]}, {key: value})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (None, None),
        ({}, set()),
        ({"campus_ids": None}, set()),
        ({"campus_ids": []}, {"campus_ids"}),
        ({"campus_ids": [1], "hash_columns": []}, {"campus_ids", "hash_columns"}),
    ],
)
def test_a_request_knows_what_the_variable_names_itself(values, named):
    assert parse_request(values, {}).named == named


def test_a_wrong_setting_of_another_variable_is_said_to_be_of_that_one():
    with pytest.raises(ConfigError, match=r"^other_config: campus_ids is 5"):
        parse_request({"campus_ids": 5}, {}, variable="other_config")


@pytest.mark.parametrize(
    ("params", "standing"),
    [
        ({}, True),
        ({"campus_ids": [67]}, False),
        ({"campus_ids": "1"}, False),
        ({"cursus_ids": [9]}, False),
        ({"full_refresh": True}, True),
    ],
)
def test_a_run_with_a_scope_of_its_own_is_not_about_the_settings(params, standing):
    assert parse_request({"campus_ids": [67]}, params).is_standing is standing
