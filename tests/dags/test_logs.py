from __future__ import annotations

import logging
import re
from collections import Counter
from typing import Any

import pytest

from dev.simulator import Simulator
from tests.dags.stack import Stack

PAGE = re.compile(r"Page (\d+)/(\d+): (\d+) records, (\d+) KB, (\d+) ms( \(\w+\))?")
CLOSING = re.compile(
    r"(\S+) (success|failed|deferred): "
    r"(?P<records>\d+) records( and (?P<beside>\d+) rows with them)?: "
    r"(?P<inserted>\d+) inserted, (?P<updated>\d+) updated, (?P<unchanged>\d+) unchanged, "
    r"(?P<deleted>\d+) deleted, (?P<parked>\d+) parked"
    r"(, (?P<outside>\d+) out of scope)?(, (?P<seen>\d+) only looked at)?; "
    r"(?P<requests>\d+) requests?; (no window|window from .+ until [^;]+)"
    r"(; written: (?P<written>[^;]+))?(; ongoing rows verified [^;]+)?"
)
# What stands in one line at 1,440 pixels: that much of the line, at least, is its outcome.
IN_SIGHT = 100
PERSONAL = [
    "login",
    "email",
    "first_name",
    "last_name",
    "usual_full_name",
    "usual_first_name",
    "displayname",
    "phone",
]


def secrets_of(sim: Simulator) -> set[str]:
    """Return every text that must be in no log: what the API says of people, and our keys."""
    token = sim.tokens.issue().text
    found = {sim.client_secret, token}
    for user in sim.world.users:
        for name in PERSONAL:
            value = getattr(user, name, None)
            if isinstance(value, str) and len(value) > 2:
                found.add(value)
    return found


def leaks(text: str, secrets: set[str]) -> list[str]:
    """Return the secrets that `text` shows as whole words."""
    words = set(re.findall(r"[\w@.+'-]+", text))
    return sorted(
        secret
        for secret in secrets
        if (secret in words if re.fullmatch(r"[\w@.+'-]+", secret) else secret in text)
    )


def closing_lines(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    found = (CLOSING.fullmatch(record.getMessage()) for record in caplog.records)
    return Counter(match[1] for match in found if match)


def texts(caplog: pytest.LogCaptureFixture) -> str:
    """Return messages and tracebacks as our code made them, not masked by Airflow."""
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join(formatter.format(record) for record in caplog.records)


def test_a_log_has_a_line_for_each_page_and_one_at_the_end_of_each_task(
    loaded: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    loaded.sim.clock.advance(hours=1)
    loaded.sim.world.busy_quarter()
    run = loaded.nightly({"full_refresh": True})
    assert run.state == "success", run.states
    pages = [PAGE.fullmatch(record.getMessage()) for record in caplog.records]
    numbers = [tuple(map(int, match.groups()[:5])) for match in pages if match]
    believed, records = loaded.query(
        "select sum(pages), sum(records) from intra42.sync_runs where run_id = %s", run.run_id
    )[0]
    assert len(numbers) == believed > 10
    assert sum(row[2] for row in numbers) == records
    assert all(1 <= number <= of for number, of, *_ in numbers)
    assert all((kb > 0) == (rows > 0) for _, _, rows, kb, _ in numbers)
    without_process = {"primary.tables_done", "primary.audit_done", "close_run"}
    without_process |= {"further.tables", "further.further_done"}
    assert closing_lines(caplog) == Counter(set(run.tasks) - {"open_run"} - without_process)


def test_the_closing_line_says_what_the_ledger_says(
    loaded: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    loaded.sim.clock.advance(hours=1)
    loaded.sim.world.busy_quarter()
    run = loaded.incremental()
    (line,) = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("primary.projects_users success")
    ]
    row = loaded.query(
        "select requests, records, inserted, updated, unchanged, deleted, parked "
        "from intra42.sync_runs where run_id = %s and resource = 'projects_users'",
        run.run_id,
    )[0]
    told = CLOSING.fullmatch(line)
    assert told
    names = ("requests", "records", "inserted", "updated", "unchanged", "deleted", "parked")
    assert tuple(int(told[name]) for name in names) == row
    assert line.index(" inserted") < IN_SIGHT
    assert line.index(" requests" if row[0] != 1 else " request") < line.index(" window from ")


def test_the_closing_lines_of_a_first_load_add_up(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert stack.nightly().state == "success"
    found = [CLOSING.fullmatch(record.getMessage()) for record in caplog.records]
    lines = {match[1]: match.groupdict("0") for match in found if match}
    assert len(lines) > 10
    for line in lines.values():
        number = {name: int(value) for name, value in line.items() if name != "written"}
        came = number["records"] + number["beside"]
        became = ("inserted", "updated", "unchanged", "parked", "outside", "seen")
        assert came == sum(number[name] for name in became), line
    # Rows of other tables came with these, and are more than what each record has itself.
    for name in ("projects", "achievements", "coalitions"):
        line = lines[f"reference.{name}"]
        written = dict(part.rsplit(" ", 1) for part in line["written"].split(", "))
        total = sum(map(int, written.values()))
        assert int(line["beside"]) == total - int(line["records"]) > 0, line


def test_no_log_shows_a_secret_or_a_person(
    stack: Stack, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = secrets_of(stack.sim)
    login = next(iter(stack.sim.world.users)).login
    assert leaks(f"Key (login)=({login}) already exists", secrets) == [login]
    spoil_answers(stack.sim)
    first = stack.nightly()
    assert first.state == "success", first.states
    assert stack.value("select sum(parked) from intra42.sync_runs") >= 3

    stack.sim.faults.clear()
    stack.sim.clock.advance(hours=5)
    anonymised = stack.sim.world.students(stack.sim.campus_id)[0].id
    stack.sim.world.anonymise(anonymised)
    assert stack.nightly().state == "success"
    stack.sim.faults.add("403", "/v2/projects_users", times=None)
    assert stack.incremental().state == "failed"

    secrets |= secrets_of(stack.sim)
    printed = capfd.readouterr()
    assert "Parked a record of users" in texts(caplog)
    assert "the API answered 403" in printed.out
    assert leaks(texts(caplog), secrets) == []
    assert leaks(printed.out + printed.err, secrets) == []


def spoil_answers(sim: Simulator) -> None:
    """Let the API send records that cannot be merged, with a person's data in the bad places."""

    def in_a_number(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"wallet": record["email"]}

    def in_a_time(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"created_at": record["user"]["login"]}

    def out_of_range(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"final_mark": 10**12}

    sim.faults.add("mutate_record", "/v2/cursus/21/users", record=0, change=in_a_number)
    sim.faults.add("nul", "/v2/cursus/21/users", record=1, field="login")
    sim.faults.add("mutate_record", "/v2/cursus_users", record=0, change=in_a_time)
    sim.faults.add("mutate_record", "/v2/projects_users", record=0, change=out_of_range)
    sim.faults.add("truncated_json", "/v2/projects_users", skip=1)
    sim.faults.add("html_200", "/v2/campus_users")
    sim.faults.add("500", "/v2/cursus_users", skip=1)
    sim.faults.add("mutate_record", "/v2/coalitions_users", record=0, change=extra_field)


def extra_field(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"note": "a field that nobody knows"}
