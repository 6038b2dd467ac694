"""Whole runs against an API that is harsh: hours that are spent, odd clocks, rows that move."""

from __future__ import annotations

import pytest

from intra42.errors import QuotaSpent
from tests.integration.mirror import worlds


def test_an_hour_that_is_spent_gives_the_slot_back_and_the_next_attempt_goes_on(town):
    town.sim.world.validate_project(101, 12)
    town.sim.faults.add("429_hour", "/v2/projects_users")
    with pytest.raises(QuotaSpent) as spent:
        town.incremental(run_id="one")
    assert 0 < spent.value.wait_s <= 3600
    assert town.value("select status from intra42.sync_runs order by id desc limit 1") == "deferred"
    with town.connect() as connection:
        connection.execute("update intra42.api_limits set paused_until = null, slots = '{}'")
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
