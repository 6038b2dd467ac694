"""The request plan of docs/requests.md is what runs cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.docs import requests
from dev.docs.readme import with_table
from dev.simulator import Simulator
from intra42.attempt.work import Identity
from intra42.catalog import graph
from intra42.verify import refresh
from tests.harness import INCREMENTAL


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
        rows={
            name: count(f"select count(*) from intra42.{name}")
            for name in (resource.name for resource in graph.children_of_users())
        },
    )


def touch(world, tables, silent=False):
    """Change the given number of rows of each table."""
    for name, ids in tables.items():
        for row_id in ids:
            world.update_row(name, row_id, silent=silent)


def mine(mirror, table, number):
    rows = mirror.query(f"select id from intra42.{table} order by id limit %s", number)
    return [row[0] for row in rows]


def ongoing_of(mirror, attempts):
    """Return how many ongoing enrolments the users of these attempts have."""
    return mirror.value(
        "select count(*) from intra42.cursus_users where cursus_id in (1, 21) "
        "and (end_at is null or end_at > %s) and user_id in "
        "(select user_id from intra42.projects_users where id = any(%s))",
        mirror.sim.clock.now(),
        attempts,
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


def test_a_busy_quarter_hour_costs_what_the_plan_says(mirror):
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    changed = {
        "users": mine(mirror, "users", 220),
        "cursus_users": mine(mirror, "cursus_users", 230),
        "projects_users": mine(mirror, "projects_users", 350),
        "achievements_users": mine(mirror, "achievements_users", 180),
        "campus_users": mine(mirror, "campus_users", 20),
        "coalitions_users": mine(mirror, "coalitions_users", 10),
    }
    touch(mirror.sim.world, changed)
    planned = replace(
        size(mirror),
        urgent=ongoing_of(mirror, changed["projects_users"]),
        changed={name: len(ids) for name, ids in changed.items()},
    )
    assert cost(mirror, mirror.incremental()) == requests.quarter(planned)
    assert mirror.differences() == []


def test_users_with_an_attempt_are_refetched_beyond_the_budget(loaded):
    config = {"nightly_audit_requests": 0, "incremental_request_budget": 1}
    mirror = loaded(campus, campus_ids=[67], **config)
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    attempts = [
        row[0]
        for row in mirror.query("select min(id) from intra42.projects_users group by user_id")
    ]
    touch(mirror.sim.world, {"projects_users": attempts})
    urgent = ongoing_of(mirror, attempts)
    assert urgent > 100
    changed = {"projects_users": len(attempts)}
    planned = replace(size(mirror), budget=1, urgent=urgent, changed=changed)
    assert cost(mirror, mirror.incremental()) == requests.quarter(planned)


@pytest.mark.parametrize(
    ("per_second", "each"),
    [pytest.param(2, 1, id="2/s"), pytest.param(8, 4, id="8/s"), pytest.param(1000, 8, id="any")],
)
def test_a_mapped_refetch_has_more_to_ask_than_it_costs(loaded, per_second, each):
    mirror = loaded(campus, campus_ids=[67], refresh_chunk_size=25)
    mirror.sim.limits.per_second = per_second
    who = Identity(dag_id=INCREMENTAL, run_id="next")
    # Any answer announces what is allowed.
    mirror.task(who, {}, "cursus", lambda work: work.client.get("/v2/cursus", {}))
    groups = mirror.task(who, {}, "cursus_users", refresh.plan_chunks)
    chunks = [chunk for group in groups for chunk in group]
    assert chunks == list(range(1, len(chunks) + 1))
    assert each < len(chunks) <= 12
    assert {len(group) for group in groups[:-1]} == {each}
    assert len(groups[-1]) <= each


def test_the_window_of_a_backfill_costs_what_the_plan_says(mirror):
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    since = mirror.sim.clock.now()
    mirror.sim.clock.advance(minutes=5)
    changed = {
        "users": mine(mirror, "users", 120),
        "projects_users": mine(mirror, "projects_users", 101),
        "coalitions_users": mine(mirror, "coalitions_users", 150),
    }
    touch(mirror.sim.world, changed)
    mirror.sim.clock.advance(minutes=5)
    planned = replace(size(mirror), changed={name: len(ids) for name, ids in changed.items()})
    until = mirror.sim.clock.now()
    run_id = mirror.nightly(updated_from=since.isoformat(), updated_to=until.isoformat())
    assert cost(mirror, run_id) == requests.backfill(planned)


def test_a_quiet_night_costs_what_the_plan_says(mirror):
    mirror.nightly()
    mirror.sim.clock.advance(hours=23)
    # The token has expired: the first request is asked twice.
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    assert cost(mirror, mirror.nightly()) == requests.night(size(mirror))


def test_an_ordinary_night_costs_what_the_plan_says(mirror):
    mirror.nightly()
    mirror.sim.clock.advance(hours=23)
    # The token has expired: the first request is asked twice.
    mirror.incremental()
    mirror.sim.clock.advance(minutes=45)
    world = mirror.sim.world
    changed = {
        "users": mine(mirror, "users", 130),
        "cursus_users": mine(mirror, "cursus_users", 110),
        "projects_users": mine(mirror, "projects_users", 240),
        "achievements_users": mine(mirror, "achievements_users", 150),
    }
    touch(world, changed)
    for row_id in mine(mirror, "coalitions_users", 40):
        world.score_silently(row_id, 7)
    students = [row[0] for row in mirror.query("select id from intra42.users order by id desc")]
    left, erased = students[0], students[1]
    world.transfer(left, 1)
    world.anonymise(erased)
    world.new_student(67)
    [(gone,)] = mirror.query(
        "select max(id) from intra42.cursus_users where cursus_id = 21 and begin_at > %s",
        mirror.sim.clock.now(),
    )
    world.unregister(gone)
    counts = {name: len(ids) for name, ids in changed.items()}
    moves = {"strays": 1, "entering": 1, "leaving": 1, "hidden": 1, "absent": 1}
    planned = requests.night(replace(size(mirror), changed=counts, **moves))
    assert cost(mirror, mirror.nightly()) == planned
    assert mirror.differences() == []


def test_a_first_load_costs_what_the_plan_says(fresh):
    mirror = fresh(campus, campus_ids=[67], nightly_audit_requests=0)
    run_id = mirror.nightly()
    found = cost(mirror, run_id)
    planned = requests.first_load(replace(size(mirror), mentioned={}))
    floor = requests.floor_first_load(size(mirror))
    assert set(found) == {name for name, spent in planned.items() if spent}
    entries = mirror.sim.ledger.requests()
    parents = sum(
        entry.path in {"/v2/campus", "/v2/projects", "/v2/achievements", "/v2/blocs"}
        for entry in entries
    )
    for name, spent in found.items():
        assert spent >= floor[name], name
    # Memberships come with each user who enters.
    assert "campus_users" not in found
    # The plan has the same rows for each hundred users, so that a page more or less is no surprise.
    # Parents that only rows mention are asked for as they turn up.
    groups = requests.chunks(size(mirror).users)
    for name in ("users", "cursus_users", "coalitions_users", "refresh"):
        assert abs(found[name] - planned[name]) <= groups, name
    assert abs(sum(found.values()) - parents - sum(planned.values())) <= 3 * groups
    assert mirror.differences() == []


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
