"""Cutting a record into a row: what no database can hold never gets there."""

from __future__ import annotations

import json

import pytest

from intra42.catalog import graph
from intra42.store.rows import Cutter, Row, Unfit

CURSUS_USER = {
    "id": 5,
    "user": {"id": 7, "login": "ada"},
    "cursus_id": 21,
    "grade": "Cadet",
    "level": 2.309999999999999,
    "skills": [{"id": 1, "name": "Rigor", "level": 3.5}],
    "begin_at": "2026-01-01T00:00:00.000Z",
    "end_at": None,
    "blackholed_at": None,
    "has_coalition": False,
    "created_at": "2026-01-01T00:00:00.000+02:00",
    "updated_at": "2026-01-01T00:00:00.123456Z",
}


def cut(name, record, cursus_ids=(21,)):
    cutter = Cutter(graph.get(name), cursus_ids)
    return cutter.cut(record), cutter


def value(row, name, resource="cursus_users"):
    return row.values[graph.get(resource).column_names.index(name)]


def test_a_record_becomes_a_row_verbatim():
    row, cutter = cut("cursus_users", CURSUS_USER)
    assert isinstance(row, Row)
    assert row.id == 5
    assert value(row, "user_id") == 7
    assert value(row, "level") == 2.309999999999999
    assert json.loads(value(row, "skills")) == CURSUS_USER["skills"]
    assert value(row, "has_coalition") is False
    assert value(row, "end_at") is None
    assert row.updated_at.isoformat() == "2026-01-01T00:00:00.123456+00:00"
    assert not cutter.notes.additional
    assert not cutter.notes.missing


@pytest.mark.parametrize(
    ("shown", "stored"),
    [
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"),
        # PostgreSQL reads none of these, or reads it otherwise.
        ("2026-W01-4T00:00:00.000Z", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01x00:00:00.000Z", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01T00:00:00,000Z", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01T000000.0000Z", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_a_time_is_stored_in_a_form_that_postgresql_reads(shown, stored):
    row, _ = cut("cursus_users", CURSUS_USER | {"begin_at": shown})
    assert value(row, "begin_at") == stored


def test_halves_of_surrogate_pairs_are_replaced_and_whole_ones_kept():
    record = CURSUS_USER | {
        "grade": "a\ud800b\U0001f9d9",
        "skills": [{"name": "\udfff\U0001f9d9\x00"}],
    }
    row, cutter = cut("cursus_users", record)
    assert value(row, "grade") == "a\ufffdb\U0001f9d9"
    assert json.loads(value(row, "skills")) == [{"name": "\ufffd\U0001f9d9"}]
    assert cutter.notes.bad_unicode == 2
    assert cutter.notes.nul_characters == 1


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("level", float("inf")),
        ("level", float("nan")),
        ("level", 10**400),
        ("level", "NaN"),
        ("cursus_id", 2**63),
        ("cursus_id", -(2**63) - 1),
        ("cursus_id", 1e400),
        ("id", "5"),
        ("id", True),
        ("id", 5.5),
        ("skills", [float("inf")]),
        ("updated_at", "0000-00-00"),
        ("updated_at", "2026-13-01T00:00:00Z"),
        ("updated_at", ""),
        ("updated_at", "infinity"),
    ],
)
def test_a_value_outside_its_type_makes_the_record_unfit(field, bad):
    unfit, _cutter = cut("cursus_users", CURSUS_USER | {field: bad})
    assert isinstance(unfit, Unfit)
    assert unfit.reason.startswith(field)
    # What is parked can be written as JSON that PostgreSQL takes.
    text = json.dumps(unfit.payload, allow_nan=False)
    assert "\\u0000" not in text


@pytest.mark.parametrize("record", [None, 5, "x", [1], [], True])
def test_what_is_no_object_is_unfit(record):
    unfit, _cutter = cut("cursus_users", record)
    assert isinstance(unfit, Unfit)
    assert unfit.id is None


@pytest.mark.parametrize(
    ("given", "stored"),
    [(0, 0), (-42, -42), (None, None), (125, 125), (100.0, 100)],
)
def test_marks_stay_what_they_are(given, stored):
    record = {
        "id": 1,
        "user": {"id": 2},
        "project": {"id": 3},
        "cursus_ids": [9, 21],
        "final_mark": given,
    }
    row, _cutter = cut("projects_users", record)
    assert value(row, "final_mark", "projects_users") == stored


@pytest.mark.parametrize(
    ("ids", "configured", "expected"),
    [([9, 21], (21, 9), 21), ([9], (21, 9), 9), ([1], (21, 9), None), ([], (21,), None)],
)
def test_the_cursus_of_an_attempt_is_the_first_configured_one(ids, configured, expected):
    record = {"id": 1, "user": {"id": 2}, "project": {"id": 3}, "cursus_ids": ids}
    row, _cutter = cut("projects_users", record, configured)
    assert value(row, "cursus_id", "projects_users") == expected


def test_a_question_mark_is_part_of_the_key_and_not_of_the_column():
    row, _cutter = cut("users", {"id": 1, "alumni?": False, "staff?": None, "active?": True})
    assert value(row, "alumni", "users") is False
    assert value(row, "staff", "users") is None
    assert value(row, "active", "users") is True
    assert "staff" not in row.absent
    assert "login" in row.absent


def test_an_image_without_versions_is_null_and_not_an_error():
    for image in (None, {"link": None, "versions": None}):
        row, _cutter = cut("users", {"id": 1, "image": image})
        assert isinstance(row, Row)
        assert value(row, "image_large", "users") is None


def test_fields_are_reported_once_however_many_records_lack_them():
    cutter = Cutter(graph.get("cursus_users"))
    for number in range(1, 50):
        record = {k: v for k, v in CURSUS_USER.items() if k != "grade"}
        cutter.cut(record | {"id": number, "aura": number})
    assert cutter.notes.additional == {"aura": 1}
    assert cutter.notes.missing == {"grade": 1}


def test_the_payload_of_a_parked_record_holds_only_what_we_read():
    unfit, _cutter = cut("cursus_users", CURSUS_USER | {"level": "x", "secret": "s"})
    assert isinstance(unfit, Unfit)
    assert unfit.id == 5
    assert unfit.payload["user.id"] == 7
    assert "secret" not in unfit.payload
    assert "ada" not in json.dumps(unfit.payload)


@pytest.mark.parametrize(
    ("given", "stored"),
    [("7 days", "7 days"), (604_800, "604800"), (1.5, "1.5"), (None, None), (True, "unfit")],
)
def test_what_the_api_shows_as_text_or_number_is_stored_as_text(given, stored):
    record = {"..": {"id": 11}, "id": 1100, "estimate_time": given}
    row, _cutter = cut("project_sessions", record)
    if stored == "unfit":
        assert row.reason == "estimate_time is a boolean where text belongs"
    else:
        assert value(row, "estimate_time", "project_sessions") == stored
