"""The request plan of docs/requests.md is what runs cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev import requests
from dev.readme import with_table
from dev.simulator import Simulator
from intra42.catalog import graph


def campus() -> Simulator:
    """A campus of 240 students."""
    return Simulator("campus", seed=11, students=240)


@pytest.fixture
def mirror(loaded):
    return loaded(campus, campus_ids=[67], nightly_audit_requests=0)


def cost(mirror, run_id):
    """Return the requests of a run by table; those of the last group together."""
    rows = mirror.query(
        "select case when task_id ^@ 'refresh_ongoing.' then 'refresh' else resource end, "
        "sum(requests)::integer from intra42.sync_runs where run_id = %s "
        "and task_id not in ('open_run', 'primary.audit') group by 1",
        run_id,
    )
    return {name: requests for name, requests in rows if requests}


def size(mirror):
    count = mirror.value
    listed = mirror.sim.world
    return requests.Size(
        name="here",
        users=count("select count(*) from intra42.users"),
        strays=count("select count(*) from intra42.users where campus_id is distinct from 67"),
        ongoing=count(
            "select count(*) from intra42.cursus_users "
            "where cursus_id in (1, 21) and (end_at is null or end_at > %s)",
            mirror.sim.clock.now(),
        ),
        reference={
            "cursus": count("select count(*) from intra42.cursus"),
            "campuses": count("select count(*) from intra42.campuses where listed"),
            "projects": count("select count(*) from intra42.projects where listed"),
            "achievements": count(
                "select count(*) from intra42.campus_achievements where campus_id = 67"
            ),
            "coalitions": len(list(listed.blocs)),
        },
        mentioned={
            name: count(f"select count(*) from intra42.{name} where not listed")
            for name in ("campuses", "projects", "achievements")
        },
        memberships=count("select count(*) from intra42.coalitions_users"),
    )


def test_a_quiet_quarter_hour_costs_what_the_plan_says(mirror):
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    assert cost(mirror, mirror.incremental()) == requests.quarter(size(mirror))


@pytest.mark.parametrize("rows", [100, 101, 250])
def test_pages_of_changes_cost_a_request_each(mirror, rows):
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    mine = mirror.query("select id from intra42.projects_users order by id limit %s", rows)
    for (row_id,) in mine:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    planned = replace(size(mirror), changed={"projects_users": rows})
    assert cost(mirror, mirror.incremental()) == requests.quarter(planned)


def test_a_window_of_the_network_is_left_for_our_users_where_they_cost_less(mirror):
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    ids = mirror.sim.world.achievements_users.ids[:900]
    for row_id in ids:
        mirror.sim.world.update_row("achievements_users", row_id, nbr_of_success=3)
    users = mirror.value("select count(*) from intra42.users")
    run_id = mirror.incremental()
    asked = cost(mirror, run_id)["achievements_users"]
    shown = mirror.value("select count(*) from intra42.achievements_users where nbr_of_success = 3")
    # The first page, and then pages of what changed among ours, a hundred users each.
    assert 1 < asked <= 1 + requests.pages(users) + requests.pages(shown)
    assert asked < requests.pages(len(ids))
    assert mirror.differences() == []


def test_a_quiet_night_costs_what_the_plan_says(mirror):
    mirror.nightly()
    mirror.sim.clock.advance(hours=23)
    # The token has expired: the first request is asked twice.
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    assert cost(mirror, mirror.nightly()) == requests.night(size(mirror))


def test_the_plan_knows_every_table():
    tables = {
        resource.name for group in ("reference", "primary") for resource in graph.of_group(group)
    }
    plan = requests.night(requests.SIZES[0])
    assert set(plan) == tables | {"refresh"}
    assert set(requests.quarter(requests.SIZES[0])) == set(plan) - set(requests.SIZES[0].reference)


def test_the_tables_of_the_document_are_fresh():
    text = requests.DOCUMENT.read_text(encoding="utf-8")
    table = requests.tables()
    assert with_table(text, requests.BEGIN, requests.END, table) == text, "run `make docs`"
