"""Windows and watermarks: nothing is skipped, nothing is believed twice."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from intra42.errors import Intra42Error
from intra42.settings import parse_request
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds


def watermarks(mirror, dag_id=None, resource="projects_users"):
    return dict(
        mirror.query(
            "select scope, watermark from intra42.sync_state "
            "where resource = %s and (%s::text is null or dag_id = %s)",
            resource,
            dag_id,
            dag_id,
        )
    )


def all_watermarks(mirror):
    return sorted(mirror.query("select dag_id, resource, scope, watermark from intra42.sync_state"))


def ranges(mirror, path):
    """Return the lower ends of the windows that were asked for."""
    return [
        entry.query["range[updated_at]"].split(",")
        for entry in mirror.sim.ledger.requests(path)
        if "range[updated_at]" in entry.query
    ]


def validated(mirror):
    return {
        row[0]
        for row in mirror.query("select id from intra42.projects_users where validated order by id")
    }


def test_a_watermark_is_the_clock_of_the_first_answer_that_held_rows(town):
    before = watermarks(town, NIGHTLY)
    town.sim.clock.advance(hours=2)
    town.sim.world.validate_project(101, 11)
    now = town.sim.clock.now()
    town.nightly()
    after = watermarks(town, NIGHTLY)
    assert set(before) == set(after) == {"1/21"}
    assert timedelta(0) <= now - after["1/21"] <= timedelta(seconds=2)


def test_a_long_listing_has_the_watermark_of_its_first_page(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    for row_id in mirror.sim.world.projects_users.ids[:80]:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.harsh.page_cap = 30
    began = []
    plain = mirror.task

    def task(identity, params, resource, step):
        def slow(work):
            get = work.client.get

            def waiting(path, asked, **options):
                if path == "/v2/projects_users" and "range[updated_at]" in asked:
                    began.append(mirror.sim.clock.now())
                    # Less than what makes a `Date` odd.
                    mirror.sim.clock.advance(minutes=8 * (len(began) > 1))
                return get(path, asked, **options)

            work.client.get = waiting
            return step(work)

        return plain(identity, params, resource, slow)

    mirror.task = task
    mirror.incremental()
    assert len(began) > 2
    [moved] = watermarks(mirror, INCREMENTAL).values()
    assert moved - began[0] <= timedelta(seconds=2)


def test_each_dag_has_its_own_watermarks(town):
    before = watermarks(town, NIGHTLY)
    town.sim.world.validate_project(101, 11)
    town.incremental()
    assert watermarks(town, NIGHTLY) == before
    assert watermarks(town, INCREMENTAL)["1/21"] > before["1/21"]


def test_an_empty_answer_moves_no_watermark(town):
    town.sim.world.validate_project(101, 11)
    town.sim.clock.advance(hours=1)
    town.incremental()
    before = watermarks(town, INCREMENTAL)
    town.sim.clock.advance(hours=3)
    town.incremental()
    assert watermarks(town, INCREMENTAL) == before


def test_a_failure_moves_no_watermark_and_loses_nothing(town):
    before = watermarks(town)
    town.sim.world.validate_project(101, 11)
    town.sim.faults.add("500", "/v2/projects_users", times=None)
    with pytest.raises(Intra42Error):
        town.nightly()
    assert watermarks(town) == before
    town.sim.faults.clear()
    town.sim.clock.advance(hours=30)
    town.nightly()
    assert 10100 in validated(town)
    assert town.differences() == []


def test_each_window_overlaps_the_one_before_by_the_lookback(town):
    town.sim.world.validate_project(101, 11)
    town.incremental()
    mark = watermarks(town, INCREMENTAL)["1/21"]
    town.sim.ledger.clear()
    town.config["lookback_minutes"] = 45
    town.incremental()
    [[since, until]] = ranges(town, "/v2/projects_users")
    wanted = mark - timedelta(minutes=45)
    assert since == wanted.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert until.startswith("9999")


def test_a_row_that_was_committed_late_is_found_by_the_lookback(town):
    town.sim.world.validate_project(101, 11)
    town.incremental()
    late = town.sim.clock.now() - timedelta(minutes=20)
    town.sim.world.update_row("projects_users", 10200, updated_at=late, validated=True)
    town.incremental()
    assert 10200 in validated(town)


@pytest.mark.parametrize("dag", ["nightly", "incremental"])
def test_an_outage_of_days_is_caught_up_by_the_next_run(town, dag):
    for number in range(101, 107):
        town.sim.world.validate_project(number, 11)
        town.sim.clock.advance(hours=20)
    getattr(town, dag)()
    assert len(validated(town)) == 6
    assert town.differences() == []


def test_a_watermark_in_the_future_is_reported_and_healed(town, caplog):
    with town.connect() as connection:
        connection.execute("update intra42.sync_state set watermark = '2999-01-01'")
    town.sim.world.validate_project(101, 11)
    with caplog.at_level("WARNING"):
        town.nightly()
    assert "later than the API's clock" in caplog.text
    assert 10100 in validated(town)
    assert watermarks(town)["1/21"] <= town.sim.clock.now()
    assert town.differences() == []


@pytest.mark.parametrize("resource", ["users", "projects_users"])
def test_a_lost_watermark_row_costs_a_new_first_load_and_nothing_else(town, resource):
    town.sim.world.validate_project(101, 11)
    town.sim.clock.advance(hours=24 * 12)
    with town.connect() as connection:
        connection.execute("delete from intra42.sync_state where resource = %s", [resource])
    town.incremental()
    town.nightly()
    assert watermarks(town, NIGHTLY, resource)
    assert town.differences() == []


def span(clock, before, after):
    """Return the params of a window in hours before now."""
    return {
        "updated_from": (clock.now() - timedelta(hours=before)).isoformat(),
        "updated_to": (clock.now() - timedelta(hours=after)).isoformat(),
    }


def history(mirror):
    """Validate one attempt in each of six hours; return the attempts by hours ago."""
    attempts = []
    for number in range(101, 107):
        attempts.append(mirror.sim.world.validate_project(number, 11))
        mirror.sim.clock.advance(hours=1)
    # The last attempt is an hour old, the first one six.
    return dict(zip(range(6, 0, -1), attempts, strict=True))


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
def test_an_explicit_window_reads_exactly_its_rows(town, dag):
    attempts = history(town)
    state = all_watermarks(town)
    town.sim.ledger.clear()
    town.run(dag, **span(town.sim.clock, 4.5, 2.5))
    assert validated(town) == {attempts[4], attempts[3]}
    assert all_watermarks(town) == state
    for table in ("users", "campus_users", "cursus_users", "projects_users"):
        assert all(not end.startswith("9999") for _start, end in ranges(town, f"/v2/{table}"))
    assert not town.sim.ledger.requests("/v2/blocs")


def test_updated_from_alone_means_up_to_now(town):
    attempts = history(town)
    start = town.sim.clock.now() - timedelta(hours=2.5)
    town.incremental(updated_from=start.isoformat())
    assert validated(town) == {attempts[2], attempts[1]}


def test_an_explicit_window_deletes_nothing(town):
    town.sim.world.unregister(1010)
    town.run(NIGHTLY, **span(town.sim.clock, 30, 0))
    assert town.query("select 1 from intra42.cursus_users where id = 1010") == [(1,)]
    assert town.query("select 1 from intra42.tombstones") == []


def test_backfills_in_any_order_leave_the_mirror_true(town):
    world = town.sim.world
    history(town)
    world.validate_project(101, 12)
    spans = [span(town.sim.clock, hours + 1, hours) for hours in range(8)]
    random.Random(1).shuffle(spans)
    for window in spans:
        town.run(NIGHTLY, **window)
    assert len(validated(town)) == 7
    assert [line for line in town.differences() if ": level is" not in line] == []
    town.nightly()
    assert town.differences() == []


@pytest.mark.parametrize("params", [{}, {"updated_from": "2026-01-01T00:00:00Z"}])
def test_the_incremental_run_loads_nothing_from_nothing(fresh, params, caplog):
    mirror = fresh()
    with caplog.at_level("INFO"):
        mirror.incremental()
    assert "the first load by intra42_nightly is not finished" in caplog.text
    assert mirror.sim.ledger.requests() == []
    assert mirror.value("select count(*) from intra42.users") == 0


def test_a_run_can_be_restricted_to_a_campus_and_the_others_go_on_later(loaded):
    mirror = loaded(campus_ids=[1, 2])
    mirror.sim.world.validate_project(101, 11)
    mirror.sim.world.validate_project(201, 11)
    mirror.nightly(campus_ids=[2])
    state = watermarks(mirror, NIGHTLY)
    assert state["2/21"] > state["1/21"]
    assert parse_request(mirror.config, {"campus_ids": [2]}).config.campus_ids == (2,)
    mirror.sim.clock.advance(hours=48)
    mirror.nightly()
    assert validated(mirror) == {10100, 20100}


def test_a_full_refresh_ignores_watermarks_and_moves_them_at_its_end(town):
    world = town.sim.world
    # Older than any window, so that only reading everything finds it, or the audit in its turn.
    town.config["nightly_audit_requests"] = 0
    world.update_row("projects_users", 10100, silent=True, final_mark=66)
    world.clock.advance(hours=24 * 15)
    town.nightly()
    assert town.value("select final_mark from intra42.projects_users where id = 10100") is None
    world.clock.advance(hours=1)
    town.nightly(full_refresh=True)
    assert town.value("select final_mark from intra42.projects_users where id = 10100") == 66
    assert world.clock.now() - watermarks(town, NIGHTLY)["1/21"] < timedelta(seconds=3)


LATEST = "select resource, max(watermark) from intra42.sync_state where dag_id = %s group by 1"


def test_a_full_refresh_of_one_table_leaves_the_others_to_their_watermarks(town):
    world = town.sim.world
    town.config["nightly_audit_requests"] = 0
    achievement = town.value("select min(id) from intra42.achievements_users")
    world.update_row("projects_users", 10100, silent=True, final_mark=66)
    world.update_row("achievements_users", achievement, silent=True, nbr_of_success=55)
    world.clock.advance(hours=24 * 15)
    run_id = town.nightly(full_refresh=True, tables=["achievements_users"])
    found = "select nbr_of_success from intra42.achievements_users where id = %s"
    assert town.value(found, achievement) == 55
    assert town.value("select final_mark from intra42.projects_users where id = 10100") is None
    kinds = town.query("select resource, kind from intra42.jobs where run_id = %s", run_id)
    assert [name for name, kind in kinds if kind == "full"] == [
        "coalitions_users",  # as in any night
        "achievements_users",
    ]
    # Nothing changed that anybody was told of, so no other watermark moved.
    latest = dict(town.query(LATEST, NIGHTLY))
    now = world.clock.now()
    assert {name for name, mark in latest.items() if now - mark < timedelta(seconds=3)} == {
        "coalitions_users",
        "achievements_users",
    }
