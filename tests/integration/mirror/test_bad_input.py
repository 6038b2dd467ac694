"""Bad input: the good rows land, the bad one is parked with its reason, and nothing wedges."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from intra42.errors import Intra42Error, NotAscending, RangeIgnored
from tests.harness import NIGHTLY
from tests.integration.mirror import worlds


def parked(mirror):
    return mirror.query("select resource, id, reason from intra42.parked_records order by id")


def spoil(mirror, path, row_id, times=None, **fields):
    """Make the API give other values in one record; a value of `...` drops the key."""

    def change(record):
        if record["id"] != row_id:
            return record
        changed = record | fields
        return {key: value for key, value in changed.items() if value is not ...}

    return mirror.sim.faults.add("mutate_record", path, times=times, change=change)


def touch_all(mirror):
    """Change every enrolment loudly, so that the next window shows them."""
    for number in worlds.STUDENTS:
        mirror.sim.world.update_row("cursus_users", number * 10, level=2.0)


def at_level_two(mirror):
    return {row[0] for row in mirror.query("select id from intra42.cursus_users where level = 2.0")}


BAD = {
    "level": [
        ("text", "level is text where a number belongs"),
        ([1], "level is a list where a number belongs"),
        (True, "level is a boolean where a number belongs"),
        (10**400, "level is outside the type double precision"),
    ],
    "cursus_id": [
        (2**63, "cursus_id is outside the type bigint"),
        (None, "cursus_id is null"),
        (..., "cursus_id is missing"),
        (21.5, "cursus_id is a number where a whole number belongs"),
    ],
    "user": [
        (None, "user.id is null"),
        (5, "user.id lies in something that is no object"),
        ({"id": "101"}, "user.id is text where a whole number belongs"),
    ],
    "begin_at": [
        ("0000-00-00", "begin_at is not a time with a UTC offset"),
        ("2026-02-31T10:00:00.000Z", "begin_at is not a time with a UTC offset"),
        ("2026-02-01T10:00:00.000", "begin_at is not a time with a UTC offset"),
        (1767225600, "begin_at is a number where a time belongs"),
    ],
    "grade": [(5, "grade is a number where text belongs"), ({}, "grade is an object where")],
    "has_coalition": [("yes", "has_coalition is text where true or false belongs")],
}
CASES = [
    pytest.param(field, value, reason, id=f"{field} {str(value)[:20]}")
    for field, cases in BAD.items()
    for value, reason in cases
]


def test_every_kind_of_bad_value_is_parked_and_the_rest_lands(town):
    """All at once: each enrolment of the town is bad in another way, one stays good."""
    touch_all(town)
    numbers = list(worlds.STUDENTS)
    rounds = [CASES[start : start + 7] for start in range(0, len(CASES), 7)]
    for cases in rounds:
        town.sim.faults.clear()
        for number, case in zip(numbers, cases, strict=False):
            field, value, _reason = case.values
            spoil(town, "/v2/cursus_users", number * 10, **{field: value})
        town.incremental()
        reasons = {row[1]: row[2] for row in parked(town)}
        for number, case in zip(numbers, cases, strict=False):
            assert case.values[2] in reasons[number * 10], case.id
        assert 1080 in at_level_two(town)
    town.sim.faults.clear()
    for _ in range(2):
        town.nightly()
    assert parked(town) == []
    assert town.differences() == []


def noise(size):
    """Return text that cannot be compressed."""
    return random.Random(size).randbytes(size // 2).hex()


def test_text_longer_than_a_page_is_kept(town):
    touch_all(town)
    spoil(town, "/v2/cursus_users", 1010, grade=noise(100_000), skills=[{"name": noise(9_000)}])
    town.incremental()
    [row] = town.query("select grade, skills from intra42.cursus_users where id = 1010")
    assert row == (noise(100_000), [{"name": noise(9_000)}])
    assert at_level_two(town) == {number * 10 for number in worlds.STUDENTS}
    assert parked(town) == []


def test_text_too_long_for_an_index_is_parked(town):
    for number in (101, 102):
        town.sim.world.touch_user(number, wallet=77)
    spoil(town, "/v2/cursus/21/users", 101, login=noise(20_000))
    town.incremental()
    [row] = parked(town)
    assert row[:2] == ("users", 101)
    assert "index row" in row[2]
    assert town.query("select id from intra42.users where wallet = 77") == [(102,)]


def test_what_the_database_refuses_is_told_and_counted_once(town, caplog):
    """Its transaction begins again to find it."""
    for number in (101, 102):
        town.sim.world.touch_user(number, wallet=77)
    spoil(town, "/v2/cursus/21/users", 101, login=noise(20_000))
    run_id = town.incremental()
    assert sum(record.message.startswith("Parked a record") for record in caplog.records) == 1
    assert town.query(
        "select records, updated, parked from intra42.sync_runs "
        "where run_id = %s and resource = 'users'",
        run_id,
    ) == [(2, 1, 1)]


def test_a_bad_record_is_parked_with_the_fields_we_read_and_the_watermark_moves(town):
    touch_all(town)
    spoil(town, "/v2/cursus_users", 1010, level="a lot", extra="not kept")
    run_id = town.incremental()
    [row] = town.query(
        "select resource, id, payload, reason, run_id, first_seen_at, attempts "
        "from intra42.parked_records"
    )
    assert row[0] == "cursus_users"
    assert row[1] == 1010
    assert row[2]["level"] == "a lot"
    assert row[2]["user.id"] == 101
    assert "extra" not in row[2]
    assert row[3] == "level is text where a number belongs"
    assert row[4] == run_id
    assert row[5] == town.sim.clock.now()
    assert at_level_two(town) == {number * 10 for number in range(102, 109)}
    moved = town.value(
        "select watermark from intra42.sync_state "
        "where dag_id = 'intra42_incremental' and resource = 'cursus_users' and scope = '1/21'"
    )
    assert town.sim.clock.now() - moved < timedelta(seconds=3)
    assert town.value("select sum(parked) from intra42.sync_runs where run_id = %s", run_id) >= 1


def test_a_parked_record_is_asked_for_again_and_removed_once_it_is_good(town):
    fault = spoil(town, "/v2/projects_users", 10100, status=5)
    town.sim.world.update_row("projects_users", 10100, final_mark=50)
    town.sim.clock.advance(minutes=1)
    town.config["lookback_minutes"] = 0
    town.incremental()
    assert [row[1] for row in parked(town)] == [10100]
    fault.times = 0
    # No window shows it any more, and it is no ongoing enrolment.
    town.sim.clock.advance(hours=5)
    town.incremental()
    assert parked(town) == []
    assert town.value("select final_mark from intra42.projects_users where id = 10100") == 50


def test_a_record_that_stays_bad_is_asked_for_ever_more_rarely(town):
    spoil(town, "/v2/projects_users", 10100, status=5)
    town.sim.world.update_row("projects_users", 10100, final_mark=50)
    town.sim.clock.advance(minutes=1)
    # Without an overlap, only its turn brings it up again.
    town.config["lookback_minutes"] = 0
    town.incremental()
    asked = []
    for _ in range(8):
        town.sim.clock.advance(hours=1)
        town.sim.ledger.clear()
        town.incremental()
        asked.append(
            sum("filter[id]" in e.query for e in town.sim.ledger.requests("/v2/projects_users"))
        )
    # After 1, 2 and 4 runs.
    assert asked == [1, 0, 1, 0, 0, 0, 1, 0]


def test_a_record_without_an_id_is_parked_once(town):
    touch_all(town)
    for _ in range(2):
        town.sim.faults.add(
            "mutate_record",
            "/v2/cursus_users",
            when=lambda request: "range[updated_at]" in request.query,
            record=2,
            change=lambda record: record | {"id": None},
        )
        town.incremental()
    assert parked(town) == [("cursus_users", None, "id is null")]
    town.nightly()
    assert town.differences() == []


def test_nul_characters_are_removed_and_counted(town, caplog):
    touch_all(town)
    town.sim.faults.add("nul", "/v2/cursus_users", field="grade")
    with caplog.at_level("WARNING"):
        town.incremental()
    assert town.query("select distinct grade from intra42.cursus_users") == [("Learner",)]
    assert "removed 1 NUL characters" in caplog.text
    assert parked(town) == []


def test_an_unknown_enumeration_value_is_kept_as_it_is(town):
    town.sim.world.update_row("projects_users", 10100, status="evaluated_by_aliens")
    town.sim.world.update_row("cursus_users", 1010, grade="Wizard \U0001f9d9")
    town.incremental()
    assert town.differences() == []


def test_null_zero_false_and_empty_stay_apart(town):
    world = town.sim.world
    world.update_row("projects_users", 10100, final_mark=0, validated=False)
    world.update_row("projects_users", 10200, final_mark=None, validated=None)
    world.touch_user(101, location="", usual_first_name=None, wallet=0, pool_year="")
    town.incremental()
    rows = town.query(
        "select final_mark, validated from intra42.projects_users where id in (10100, 10200) "
        "order by id"
    )
    assert rows == [(0, False), (None, None)]
    assert town.query(
        "select location, usual_first_name, pool_year from intra42.users where id = 101"
    ) == [("", None, "")]


def test_a_missing_field_keeps_the_old_value_and_is_reported_once(town, caplog):
    touch_all(town)
    town.sim.faults.add(
        "mutate_record",
        "/v2/cursus_users",
        times=None,
        change=lambda record: {key: value for key, value in record.items() if key != "grade"},
    )
    with caplog.at_level("WARNING"):
        town.incremental()
    assert town.query("select distinct grade, level from intra42.cursus_users") == [
        ("Learner", 2.0)
    ]
    lines = [line for line in caplog.messages if "lack the field grade" in line]
    assert 1 <= len(lines) <= 2  # the window's task and the refetch


def test_an_additional_field_is_reported_once_and_harms_nothing(town, caplog):
    touch_all(town)
    town.sim.faults.add(
        "mutate_record",
        "/v2/cursus_users",
        times=None,
        when=lambda request: "range[updated_at]" in request.query,
        change=lambda record: record | {"aura": {"deep": [1]}},
    )
    with caplog.at_level("WARNING"):
        town.incremental()
    assert [line for line in caplog.messages if "does not know: aura" in line] == [
        "cursus_users: records have a field the catalogue does not know: aura "
        "(first seen in id 1010)"
    ]
    assert len(at_level_two(town)) == 8


def test_a_page_that_is_not_ascending_is_red(town):
    touch_all(town)
    town.sim.faults.add("unsorted", "/v2/cursus_users", times=None)
    with pytest.raises(NotAscending):
        town.nightly()


def test_an_ignored_range_of_ids_is_red_and_not_read_to_its_end(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    for row_id in mirror.sim.world.projects_users.ids[:250]:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.faults.add("ignore_range", "/v2/projects_users", times=None)
    with pytest.raises(RangeIgnored):
        mirror.incremental()
    assert len(mirror.sim.ledger.requests("/v2/projects_users")) <= 5


def test_an_ignored_range_of_times_is_red_on_the_first_page(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    mirror.sim.faults.add(
        "ignore_range",
        "/v2/projects_users",
        times=None,
        when=lambda request: "range[updated_at]" in request.query,
    )
    with pytest.raises(RangeIgnored, match="ignores our range"):
        mirror.nightly()
    # The steps that need no such range have gone on.
    asked = mirror.sim.ledger.requests("/v2/projects_users")
    assert len([entry for entry in asked if "range[updated_at]" in entry.query]) == 1


def test_a_duplicate_in_a_page_is_stored_once(town):
    touch_all(town)
    record = {}

    def twin(found):
        record.setdefault("first", found)
        return record["first"] | {"level": 7.5} if found["id"] == 1020 else found

    town.sim.faults.add(
        "mutate_record",
        "/v2/cursus_users",
        when=lambda request: "range[updated_at]" in request.query,
        change=twin,
    )
    # 1020 appears as a second, different 1010; the refetch by id then tells the truth of both.
    town.nightly()
    assert town.differences() == []


def test_a_number_too_large_for_its_column_is_parked(town):
    town.sim.world.touch_user(101, wallet=2**63)
    town.sim.world.touch_user(102, wallet=2**63 - 1)
    town.nightly()
    assert parked(town) == [("users", 101, "wallet is outside the type bigint")]
    assert town.value("select wallet from intra42.users where id = 102") == 2**63 - 1
    town.sim.world.touch_user(101, wallet=3)
    town.nightly()
    assert parked(town) == []
    assert town.differences() == []


def test_a_bad_page_that_never_becomes_good_is_red_and_leaves_the_watermark(town):
    before = town.query("select * from intra42.sync_state where dag_id = %s order by 2, 3", NIGHTLY)
    touch_all(town)
    town.sim.faults.add("truncated_json", "/v2/cursus_users", times=None)
    with pytest.raises(Intra42Error):
        town.nightly()
    after = town.query("select * from intra42.sync_state where dag_id = %s order by 2, 3", NIGHTLY)
    assert [row for row in after if row[1] == "cursus_users"] == [
        row for row in before if row[1] == "cursus_users"
    ]
