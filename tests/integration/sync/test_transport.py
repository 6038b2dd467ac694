"""Transport faults during whole runs: passing ones change nothing, lasting ones are red."""

from __future__ import annotations

from dataclasses import replace

import pytest

from intra42.errors import Intra42Error, QuotaSpent
from tests.integration.sync import worlds

PASSING = {
    "the server is in trouble": {"500": {}, "502": {}, "503": {}, "504": {}},
    "answers are cut": {"cut": {}, "short_body": {}, "truncated_json": {}},
    "answers are something else": {
        "wrong_content_type": {},
        "html_200": {},
        "error_object_200": {},
        "redirect_to_login": {},
    },
    "pages disagree with their totals": {
        "empty_page": {},
        "short_page": {},
        "missing_total": {},
        "wrong_total": {"delta": 1},
    },
    "access is refused": {"401": {}, "429_second": {"retry_after": 0}},
    "nothing comes": {"timeout": {"seconds": 3}},
}
PATHS = [
    "/v2/campus",
    "/v2/cursus/21/projects",
    "/v2/blocs",
    "/v2/cursus/21/users",
    "/v2/campus_users",
    "/v2/cursus_users",
    "/v2/projects_users",
    "/v2/achievements_users",
    "/v2/coalitions_users",
]


def trouble(mirror, kinds):
    """Plan each fault for the first and for a later request of every listing, never twice in a row.

    A token that is refused twice is a wrong one, not one that expired.
    """
    return [
        mirror.sim.faults.add(kind, path, skip=2 * number + skip, **options)
        for number, (kind, options) in enumerate(kinds.items())
        for path in PATHS
        for skip in (0, 2 * len(kinds))
    ]


@pytest.mark.parametrize("trial", PASSING)
def test_a_fault_that_passes_changes_nothing(town, trial):
    if "timeout" in PASSING[trial]:
        town.api = replace(town.api, timeout_s=0.3)
    world = town.sim.world
    for number in worlds.STUDENTS:
        world.validate_project(number, 12)
    world.unregister(1010)
    world.transfer(201, 1)
    town.sim.harsh.page_cap = 4
    planned = trouble(town, PASSING[trial])
    town.nightly()
    struck = {fault.kind for fault in planned if fault.hits}
    assert struck == set(PASSING[trial])
    assert sum(fault.hits for fault in planned) > len(PATHS)
    assert town.differences() == []


@pytest.mark.parametrize("kind", ["502", "short_page", "403"])
def test_a_fault_that_lasts_is_red_and_moves_no_watermark(town, kind):
    town.sim.world.validate_project(101, 12)
    town.sim.faults.add(kind, "/v2/projects_users", times=None)
    before = town.query("select * from intra42.sync_state where resource = 'projects_users'")
    town.sim.ledger.clear()
    for dag in (town.nightly, town.incremental):
        with pytest.raises(Intra42Error):
            dag()
    after = town.query("select * from intra42.sync_state where resource = 'projects_users'")
    assert after == before
    assert len(town.sim.ledger.requests("/v2/projects_users")) <= 10
    assert town.value("select count(*) from intra42.sync_runs where status = 'failed'") == 2
    town.sim.faults.clear()
    town.incremental()
    assert town.differences() == []


def test_an_hour_that_is_spent_gives_the_slot_back_and_the_next_attempt_goes_on(town):
    town.sim.world.validate_project(101, 12)
    town.sim.faults.add("429_hour", "/v2/projects_users")
    with pytest.raises(QuotaSpent) as spent:
        town.incremental(run_id="one")
    assert 0 < spent.value.wait_s <= 3600
    assert town.value("select status from intra42.sync_runs order by id desc limit 1") == "deferred"
    with town.connect() as connection:
        connection.execute("update intra42.api_limits set paused_until = null, next_slot = null")
    town.incremental(run_id="one")
    assert town.differences() == []


@pytest.mark.parametrize(
    "harsh",
    [
        {"page_cap": 30, "late_date": 40},
        {"stale_nested": True, "gzip": True},
        {"ignore_cursus_filter": True, "hidden_projects": True, "hidden_achievements": True},
    ],
    ids=lambda harsh: " ".join(harsh),
)
def test_a_harsh_api_is_mirrored_truly(fresh, harsh):
    mirror = fresh(worlds.village, campus_ids=[67])
    for name, value in harsh.items():
        setattr(mirror.sim.harsh, name, value)
    mirror.nightly()
    mirror.sim.clock.advance(hours=20)
    mirror.sim.world.ordinary_day()
    mirror.incremental()
    mirror.sim.clock.advance(hours=4)
    mirror.nightly()
    mirror.nightly()
    assert mirror.differences() == []


def test_a_clock_later_than_the_data_loses_nothing(town):
    town.sim.harsh.late_date = 600
    town.sim.world.validate_project(101, 12)
    town.incremental()
    # Less than the lookback after the watermark the API's own clock was ahead.
    town.sim.clock.advance(minutes=2)
    town.sim.world.validate_project(102, 12)
    town.incremental()
    assert town.value("select count(*) from intra42.projects_users where project_id = 12") == 2


def test_rows_that_come_and_go_between_pages_shift_nothing(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    world = mirror.sim.world
    mirror.sim.harsh.page_cap = 20
    for row_id in world.projects_users.ids[:200]:
        world.update_row("projects_users", row_id, final_mark=7)
    victims = iter(row.id for row in list(world.projects_users)[:150:10] if row.updated_at < 10**15)

    def stir(store):
        store.delete_attempt(next(victims))
        store.clock.advance(seconds=1)
        student = store.students(67)[0].id
        store.validate_project(student)

    mirror.sim.faults.add("between_pages", "/v2/projects_users", times=8, hook=stir)
    mirror.incremental()
    mirror.sim.faults.clear()
    mirror.nightly()
    mirror.nightly()
    assert mirror.differences() == []
