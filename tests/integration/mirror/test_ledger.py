"""The run ledger tells the truth, and a quiet day costs few requests."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from dev.simulator import Simulator
from intra42.verify import refresh
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds

COUNTS = "pages, records, inserted, updated, unchanged, deleted, parked"


def requests_of(mirror, run_id):
    return mirror.value(
        "select coalesce(sum(requests), 0) from intra42.sync_runs where run_id = %s", run_id
    )


def test_the_ledger_of_each_run_counts_what_the_api_counted(town):
    world = town.sim.world
    world.validate_project(101, 12)
    world.unregister(1020)
    town.sim.faults.add("502", "/v2/projects_users", times=2)
    town.sim.faults.add("429_second", "/v2/cursus_users", retry_after=0)
    town.sim.faults.add("401", "/v2/campus_users")
    for dag_id in (INCREMENTAL, NIGHTLY):
        town.sim.ledger.clear()
        run_id = town.run(dag_id)
        assert requests_of(town, run_id) == len(town.sim.ledger.requests("/v2"))
    assert town.value("select sum(retries_429) from intra42.sync_runs") == 1


def test_bytes_pages_and_records_add_up(town):
    town.sim.ledger.clear()
    run_id = town.nightly()
    good = [entry for entry in town.sim.ledger.requests("/v2") if entry.status == 200]
    [(size, pages)] = town.query(
        "select sum(bytes), sum(pages) from intra42.sync_runs where run_id = %s", run_id
    )
    assert size == sum(entry.bytes for entry in good)
    # A question for a number of rows is no page of a listing.
    assert 0 < pages <= len(good)


def test_the_first_load_inserts_every_row_once(town):
    inserted = dict(
        town.query(
            "select resource, sum(inserted) from intra42.sync_runs where run_id = 'first' "
            "and task_id ^@ 'primary.' group by resource"
        )
    )
    for table in (
        "campus_users",
        "cursus_users",
        "projects_users",
        "achievements_users",
        "coalitions_users",
    ):
        # Memberships are read with each user who enters, so that their own task has none to insert.
        assert inserted.get(table, 0) <= town.value(f"select count(*) from intra42.{table}")
    everything = town.value("select sum(inserted) from intra42.sync_runs where run_id = 'first'")
    tables = (
        "cursus campuses projects achievements coalitions users campus_users cursus_users "
        "projects_users achievements_users coalitions_users cursus_projects campus_projects "
        "campus_achievements project_sessions"
    )
    rows = {name: town.value(f"select count(*) from intra42.{name}") for name in tables.split()}
    stubs = town.value("select count(*) from intra42.campuses where name is null")
    assert everything == sum(rows.values()) - stubs


def test_each_row_of_the_ledger_is_consistent(town):
    world = town.sim.world
    for number in (101, 102, 103):
        world.validate_project(number, 12)
    world.unregister(1080)
    run_id = town.nightly()
    rows = town.query(
        f"select task_id, status, started_at, finished_at, requests, {COUNTS} "
        "from intra42.sync_runs where run_id = %s order by id",
        run_id,
    )
    by_task = {row[0]: row for row in rows}
    assert len(by_task) == len(rows)
    for task_id, status, started, finished, requests, pages, records, *changes in rows:
        inserted, updated, unchanged, _deleted, parked = changes
        assert status == "success", task_id
        assert started <= finished
        assert pages <= requests
        # One record of a bloc holds several coalitions, and links are rows of no record.
        if task_id.startswith("primary."):
            assert inserted + updated + unchanged + parked <= records, task_id
        assert parked == 0
    assert by_task["primary.projects_users"][7] == 3
    assert sum(row[10] for row in rows) == 1
    since, until = town.query(
        "select window_from, window_to from intra42.sync_runs "
        "where run_id = %s and task_id = 'primary.projects_users'",
        run_id,
    )[0]
    assert since < town.sim.clock.now()
    assert until is None


def campus() -> Simulator:
    """A campus of 600 students."""
    return Simulator("campus", seed=5, students=600)


def test_what_a_campus_of_600_costs_on_a_quiet_tick_and_on_an_ordinary_night(loaded):
    mirror = loaded(campus, campus_ids=[67], nightly_audit_requests=0)
    mirror.incremental()
    mirror.sim.clock.advance(minutes=15)
    mirror.sim.world.quiet_quarter()
    mirror.sim.ledger.clear()
    mirror.incremental()
    quiet = Counter(entry.path for entry in mirror.sim.ledger.requests())
    assert sum(quiet.values()) <= 14, quiet

    mirror.sim.clock.advance(hours=20)
    mirror.sim.world.ordinary_day()
    mirror.sim.clock.advance(hours=1)
    mirror.sim.ledger.clear()
    mirror.nightly()
    night = Counter(entry.path for entry in mirror.sim.ledger.requests())
    assert sum(night.values()) <= 60, night


def test_the_closing_line_says_how_long_ago_ongoing_rows_were_verified(loaded, caplog):
    """Eight of them, of which a budget of one request for two rows verifies two."""
    mirror = loaded(worlds.town, campus_ids=[1], refresh_chunk_size=2, incremental_request_budget=1)
    mirror.sim.clock.advance(hours=1)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        mirror.incremental()
    (line,) = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("refresh_ongoing.delete_missing success")
    ]
    assert line.endswith("; ongoing rows verified 2.0 h ago (median), 2.0 h ago (95 %)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 min"), (29, "0 min"), (5399, "90 min"), (5400, "1.5 h"), (3600 * 48, "2.0 d")],
)
def test_a_span_reads_as_a_person_would_say_it(seconds, text):
    assert refresh.span(seconds) == text
