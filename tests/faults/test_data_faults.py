"""Bad data on the first, a middle and the last page of a hundred rows.

Every other row lands, the bad one is parked with its reason, the run is green with a warning, the
next one goes on asking, and once the record is good the mirror equals the truth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from intra42.errors import IncompleteListing
from tests.faults.pages import EVERYBODY, PLACES, hundred, read_windows
from tests.harness import INCREMENTAL, Mirror

GONE = object()  # the key is left out

# Where a window of the table is read, what makes every row of it change, and what it becomes.
TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "users": ("/v2/cursus/21/users", "/v2(/cursus/[0-9]+)?/users", {"wallet": 7}),
    "cursus_users": ("/v2/cursus_users", "/v2/cursus_users", {"level": 2.0}),
    "projects_users": ("/v2/projects_users", "/v2/projects_users", {"occurrence": 3}),
}
TIMES = {"users": 1, "cursus_users": 10, "projects_users": 100}  # a student's number to a row's id

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
LONG = "long " * (1 << 18)
PICTURE = {"link": "a\0b", "versions": dict.fromkeys(("large", "medium", "small", "micro"), "\0")}


class Raw(str):
    """What stands in the JSON text as it is, for what Python's `json` never writes."""


# A row each, from the first one of the page on: what the record has instead, and then why it is
# parked, or what is stored.
CASES: dict[str, tuple[str, list[tuple[Any, str | dict[str, Any]]]]] = {
    "D1 NUL in texts, keys and what is nested": (
        "users",
        [
            ({"displayname": "A\0da\0"}, {"displayname": "Ada"}),
            ({"login": "\0"}, {"login": ""}),
            ({"image": PICTURE}, {"image_link": "ab", "image_micro": ""}),
            ({"wal\0let": "\0", "\0": 1}, {"wallet": 7}),
            ({"wallet": "\0", "login": "\0ada"}, "wallet is text where a whole number belongs"),
        ],
    ),
    "D1 NUL in nested lists": (
        "cursus_users",
        [
            (
                {"skills": [{"id": 1, "name": "C\0\0", "\0level": 1.5}]},
                {"skills": [{"id": 1, "name": "C", "level": 1.5}]},
            ),
            ({"user": {"displayname": "\0"}}, {"level": 2.0}),
            ({"level": "\0", "grade": "\0"}, "level is text where a number belongs"),
        ],
    ),
    "D2 text that is rare": (
        "cursus_users",
        [
            ({"grade": Raw(r"A\ud83dB")}, {"grade": "A\ufffdB"}),
            ({"skills": [{"name": Raw(r"\udc69")}]}, {"skills": [{"name": "\ufffd"}]}),
            ({"grade": FAMILY}, {"grade": FAMILY}),
            (
                {"grade": "\u202e\u05e9\u05dc\u05d5\u05dd"},
                {"grade": "\u202e\u05e9\u05dc\u05d5\u05dd"},
            ),
            ({"grade": LONG}, {"grade": LONG}),
            ({"grade": LONG, "level": LONG}, "level is text where a number belongs"),
            ({"level": Raw(r"\ud83d")}, "level is text where a number belongs"),
        ],
    ),
    "D3 numbers at the edge of their types": (
        "projects_users",
        [
            ({"current_team_id": 2**31}, {"current_team_id": 2**31}),
            ({"current_team_id": 2**53 + 1}, {"current_team_id": 2**53 + 1}),
            ({"current_team_id": 2**63 - 1, "final_mark": -1}, {"final_mark": -1}),
            ({"current_team_id": 2**63}, "current_team_id is outside the type bigint"),
            ({"final_mark": 2**31}, "final_mark is outside the type integer"),
            ({"final_mark": Raw("1e400")}, "final_mark is a number where a whole number belongs"),
            ({"final_mark": "NaN"}, "final_mark is text where a whole number belongs"),
            ({"project": {"id": 2**63}}, "project.id is outside the type bigint"),
        ],
    ),
    "D3 numbers that are no numbers": (
        "cursus_users",
        [
            ({"level": Raw("1e400")}, "level is outside the type double precision"),
            ({"level": "NaN"}, "level is text where a number belongs"),
            ({"level": 10**400}, "level is outside the type double precision"),
            ({"skills": [{"level": Raw("-1e400")}]}, "skills holds a number outside the type"),
            ({"level": -1}, {"level": -1.0}),
        ],
    ),
    "D4 whole numbers become something else": (
        "projects_users",
        [
            ({"current_team_id": "5"}, "current_team_id is text where a whole number belongs"),
            ({"current_team_id": 5.0}, {"current_team_id": 5}),
            ({"current_team_id": 5.5}, "current_team_id is a number where a whole number belongs"),
            ({"current_team_id": {"id": 5}}, "current_team_id is an object where a whole number"),
            ({"current_team_id": [5]}, "current_team_id is a list where a whole number belongs"),
            (
                {"current_team_id": True},
                "current_team_id is a boolean where a whole number belongs",
            ),
            ({"current_team_id": None}, {"current_team_id": None}),
            ({"cursus_ids": 21}, "cursus_ids is missing or not a list"),
        ],
    ),
    "D5 fields come and go": (
        "cursus_users",
        [
            ({"aura": {"deep": [{}]}}, {"level": 2.0}),
            ({"grade": GONE, "skills": GONE}, {"grade": "Learner", "skills": [], "level": 2.0}),
            ({"updated_at": GONE, "created_at": GONE}, {"level": 2.0}),
            ({"cursus": GONE}, {"level": 2.0}),
            ({"cursus_id": GONE}, "cursus_id is missing"),
            ({"user": GONE}, "user.id is missing"),
        ],
    ),
    "D6 an id that is none": (
        "cursus_users",
        [
            ({"id": None}, "id is null"),
            ({"id": GONE}, "id is missing"),
            ({"id": "1010"}, "id is text where a whole number belongs"),
        ],
    ),
    "D7 the nested user is null": (
        "cursus_users",
        [
            ({"user": None}, "user.id is null"),
            ({"user": {}}, "user.id is missing"),
            ({"user": []}, "user.id lies in something that is no object"),
            ({"user": {"id": None}}, "user.id is null"),
        ],
    ),
    "D7 nested objects of an attempt are null": (
        "projects_users",
        [
            ({"user": None}, "user.id is null"),
            ({"project": None}, "project.id is null"),
            ({"user": "ada"}, "user.id lies in something that is no object"),
            ({"cursus_ids": None}, "cursus_ids is missing or not a list"),
            ({"teams": None}, {"occurrence": 3}),
        ],
    ),
    "D8 marks that are nought, false, null and empty": (
        "projects_users",
        [
            ({"final_mark": 0, "validated?": False}, {"final_mark": 0, "validated": False}),
            ({"final_mark": None, "validated?": None}, {"final_mark": None, "validated": None}),
            ({"final_mark": False}, "final_mark is a boolean where a whole number belongs"),
            ({"final_mark": ""}, "final_mark is text where a whole number belongs"),
            ({"validated?": 0}, "validated? is a number where true or false belongs"),
            ({"validated?": ""}, "validated? is text where true or false belongs"),
            ({"status": ""}, {"status": ""}),
            ({"status": None}, {"status": None}),
        ],
    ),
    "D9 days that never were": (
        "projects_users",
        [
            ({"marked_at": "0000-00-00"}, "marked_at is not a time with a UTC offset"),
            ({"marked_at": "0000-00-00 00:00:00"}, "marked_at is not a time with a UTC offset"),
            ({"marked_at": "2026-02-31T10:00:00.000Z"}, "marked_at is not a time with a UTC"),
            ({"updated_at": "0000-00-00"}, "updated_at is not a time with a UTC offset"),
            ({"updated_at": "2026-02-31T10:00:00.000Z"}, "updated_at is not a time with a UTC"),
            ({"marked_at": ""}, "marked_at is not a time with a UTC offset"),
            ({"marked_at": "2024-02-29T23:59:60.000Z"}, "marked_at is not a time with a UTC"),
        ],
    ),
    "D10 names with and without a question mark": (
        "projects_users",
        [
            ({"validated?": True, "validated": False}, {"validated": True}),
            ({"validated?": GONE, "validated": True}, {"validated": None, "occurrence": 3}),
            ({"validated?": {}, "validated": True}, "validated? is an object where true or false"),
        ],
    ),
    "D10 question marks of accounts": (
        "users",
        [
            ({"active?": False, "active": True}, {"active": False}),
            ({"active?": GONE, "active": False}, {"active": True, "wallet": 7}),
            ({"staff?": True, "staff": None}, {"staff": True}),
            ({"staff?": "no"}, "staff? is text where true or false belongs"),
        ],
    ),
}


@pytest.fixture
def mirror(loaded: Callable[..., Mirror]) -> Iterator[Mirror]:
    mirror: Mirror = loaded(hundred, campus_ids=[1])
    write_raw(mirror)
    mirror.sim.clock.advance(hours=2)
    return mirror


def write_raw(mirror: Mirror) -> None:
    """Let the simulator write what stands between marks as it is."""
    app = mirror.sim.app
    plain = app.handle

    def handle(request: Any) -> Any:
        answer = plain(request)
        if b"<raw>" in answer.body:
            # Half a surrogate pair is part of a text, a number is not.
            answer.body = re.sub(rb'"<raw>(-?1e400)</raw>"', rb"\1", answer.body)
            answer.body = re.sub(rb"<raw>(.*?)</raw>", rb"\1", answer.body).replace(
                b"\\\\u", b"\\u"
            )
        return answer

    app.handle = handle  # type: ignore[method-assign]


def marked(value: Any) -> Any:
    """Return `value` with marks around what is to be written as it is."""
    if isinstance(value, Raw):
        return f"<raw>{value}</raw>"
    if isinstance(value, list):
        return [marked(element) for element in value]
    return {key: marked(v) for key, v in value.items()} if isinstance(value, dict) else value


def spoil(mirror: Mirror, path: str, bad: Mapping[int, Mapping[str, Any]]) -> Any:
    """Make the API give other values in some records, by id, whoever asks."""

    def change(record: dict[str, Any]) -> dict[str, Any]:
        fields = dict(bad.get(record["id"], {}))
        if isinstance(nested := fields.get("user"), dict) and "displayname" in nested:
            fields["user"] = record["user"] | nested
        changed = record | marked(fields)
        return {key: value for key, value in changed.items() if value is not GONE}

    return mirror.sim.faults.add("mutate_record", path, times=None, change=change)


def change_all(mirror: Mirror, table: str) -> None:
    for number in EVERYBODY:
        mirror.sim.world.update_row(table, number * TIMES[table], **TABLES[table][2])


def changed(mirror: Mirror, table: str) -> set[int]:
    """Return the students of whose row the change was stored."""
    [(column, value)] = TABLES[table][2].items()
    rows = mirror.query(f"select id from intra42.{table} where {column} = %s", value)
    return {row[0] // TIMES[table] for row in rows}


def parked(mirror: Mirror) -> set[tuple[int | None, str]]:
    return set(mirror.query("select id, reason from intra42.parked_records"))


def watermark(mirror: Mirror, table: str) -> Any:
    return mirror.value(
        "select min(watermark) from intra42.sync_state "
        "where dag_id = %s and resource = %s and scope = '1/21'",
        INCREMENTAL,
        table,
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CASES)
def test_bad_records_are_parked_and_every_other_row_lands(mirror, caplog, case, place):
    table, kinds = CASES[case]
    path, paths, _change = TABLES[table]
    students = list(PLACES[place])[: len(kinds)]
    change_all(mirror, table)
    fault = spoil(
        mirror,
        paths,
        {
            number * TIMES[table]: fields
            for number, (fields, _outcome) in zip(students, kinds, strict=True)
        },
    )
    with caplog.at_level("WARNING"):
        run_id = mirror.incremental()
    assert read_windows(mirror, path) == [len(PLACES)]

    unstored = {
        number
        for number, (_fields, outcome) in zip(students, kinds, strict=True)
        if isinstance(outcome, str)
    }
    assert set(EVERYBODY) - set(students) <= changed(mirror, table) <= set(EVERYBODY) - unstored
    reasons = parked(mirror)
    assert len(reasons) == len(unstored)
    for number, (fields, outcome) in zip(students, kinds, strict=True):
        row_id = number * TIMES[table]
        if isinstance(outcome, str):
            known_id = None if "id" in fields else row_id
            assert [r for i, r in reasons if i == known_id and r.startswith(outcome)], fields
            continue
        columns = ", ".join(outcome)
        [row] = mirror.query(f"select {columns} from intra42.{table} where id = %s", row_id)
        assert row == tuple(outcome.values()), fields
    assert mirror.query("select 1 from intra42.sync_runs where status <> 'success'") == []
    if unstored:
        assert mirror.value("select sum(parked) from intra42.sync_runs where run_id = %s", run_id)
        assert "Parked a record" in caplog.text
        assert "\\u0000" not in json.dumps(
            mirror.query("select payload from intra42.parked_records")
        )
    assert mirror.sim.clock.now() - watermark(mirror, table) < timedelta(seconds=3)
    assert mirror.query("select 1 from intra42.tombstones") == []

    fault.times = 0
    mirror.sim.clock.advance(minutes=15)
    mirror.sim.ledger.clear()
    mirror.incremental()
    assert read_windows(mirror, path) == [len(PLACES)]
    # What had no id cannot be recognised.
    assert {row_id for row_id, _reason in parked(mirror)} <= {None}
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"D1 NUL on the {place}")
def test_removed_nul_characters_are_counted(mirror, caplog, place):
    number = PLACES[place][1]
    mirror.sim.world.touch_user(number, wallet=7)
    mirror.sim.world.touch_user(number + 1, displayname="A\0\0da")
    spoil(mirror, "/v2/cursus/21/users", {number: {"phone": "\0", "image": PICTURE}})
    with caplog.at_level("WARNING"):
        mirror.incremental()
    assert "users: removed 8 NUL characters, replaced invalid Unicode in 0 texts" in caplog.text


def twins(mirror: Mirror, place: str, **options: Any) -> None:
    """Show the second enrolment of a page as the first one with another level."""
    first, second = (number * 10 for number in PLACES[place][:2])
    shown: dict[int, dict[str, Any]] = {}

    def change(record: dict[str, Any]) -> dict[str, Any]:
        shown[record["id"]] = record
        return shown[first] | {"level": 7.5} if record["id"] == second else record

    mirror.sim.faults.add(
        "mutate_record",
        "/v2/cursus_users",
        when=lambda request: "range[updated_at]" in request.query,
        change=change,
        **options,
    )


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"D6 one id twice on the {place}")
def test_an_id_that_comes_once_with_two_values_costs_one_more_request(mirror, place):
    change_all(mirror, "cursus_users")
    twins(mirror, place, times=1, skip=list(PLACES).index(place))
    mirror.incremental()
    assert sum(read_windows(mirror, "/v2/cursus_users")) == len(PLACES) + 1
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"D6 one id twice on the {place}")
def test_an_id_that_always_comes_with_two_values_is_red_until_it_is_good(mirror, place):
    """It stands where another row should be, so nobody knows what is missing."""
    change_all(mirror, "cursus_users")
    twins(mirror, place, times=None)
    before = watermark(mirror, "cursus_users")
    with pytest.raises(IncompleteListing, match="different rows"):
        mirror.incremental(run_id="one")
    # The refresh of ongoing enrolments goes on, and asks for all of them by id.
    assert changed(mirror, "cursus_users") == set(range(101, 201))
    assert watermark(mirror, "cursus_users") == before
    mirror.sim.faults.clear()
    mirror.incremental(run_id="one")
    assert mirror.differences() == []


@pytest.mark.parametrize("row_id", [11, 14, 17], ids=PLACES)
@pytest.mark.parametrize(
    ("table", "path", "good", "bad", "reason"),
    [
        pytest.param(
            *("projects", "/v2/cursus/21/projects", {"difficulty": 5}, {"difficulty": 2**63}),
            "difficulty is outside the type bigint",
            id="D3 a number in a project",
        ),
        pytest.param(
            *("achievements", "/v2/campus/1/achievements", {"tier": "hard"}, {"tier": 5}),
            "tier is a number where text belongs",
            id="D4 text in an achievement",
        ),
    ],
)
def test_a_bad_reference_row_is_parked_and_stays_listed(
    town, table, path, good, bad, reason, row_id
):
    town.sim.harsh.page_cap = 3
    for number in range(11, 18):
        town.sim.world.update_row(table, number, **good)
    fault = spoil(town, path, {row_id: bad})
    town.nightly()
    assert parked(town) == {(row_id, reason)}
    [(column, value)] = good.items()
    stored = town.query(f"select id from intra42.{table} where {column} = %s", value)
    assert {row[0] for row in stored} == set(range(11, 18)) - {row_id}
    assert town.query(f"select 1 from intra42.{table} where not listed") == []
    fault.times = 0
    town.nightly()
    assert parked(town) == set()
    assert town.differences() == []


@pytest.mark.parametrize(
    ("table", "row_id", "change"),
    [
        ("projects_users", 10100, {"cursus_ids": (9,), "final_mark": 3}),
        ("cursus_users", 1010, {"cursus_id": 9, "level": 3.5}),
    ],
)
def test_a_row_whose_cursus_is_no_longer_configured_stays_true(town, table, row_id, change):
    town.sim.world.update_row(table, row_id, silent=True, **change)
    town.nightly()
    value = next(name for name in change if not name.startswith("cursus"))
    mine = town.query(f"select {value}, cursus_id from intra42.{table} where id = %s", row_id)
    assert mine == [(change[value], None if table == "projects_users" else 9)]
    assert town.query("select 1 from intra42.tombstones") == []
