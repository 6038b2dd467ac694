"""Sessions come with their projects: no request of their own, and each list is the latest word."""

from __future__ import annotations

from dev.simulator.clock import DAY, to_datetime
from intra42.attempt.work import Identity
from intra42.catalog import graph
from intra42.store.decode import cut_all, cut_inner, inner_cutters
from intra42.store.lists import store_lists
from intra42.store.parents import fetch_by_id
from intra42.store.rows import Cutter
from tests.harness import NIGHTLY
from tests.integration.mirror import worlds

PROJECTS = graph.get("projects")


def sessions(mirror, project_id=11, columns="id, listed"):
    return mirror.query(
        f"select {columns} from intra42.project_sessions where project_id = %s order by id",
        project_id,
    )


def asked(mirror):
    return [(entry.path, entry.query) for entry in mirror.sim.ledger.requests()]


def test_sessions_have_what_the_api_says_of_them(town):
    world = town.sim.world
    world.update_row("projects", 11, session_campus_ids=(None, 1, 2))
    town.nightly()
    columns = "id, campus_id, cursus_id, solo, begin_at, estimate_time, duration_days, max_people"
    begin = to_datetime(world.projects[11].created_at + 30 * DAY)
    assert sessions(town, columns=columns) == [
        (1100, None, 21, True, None, "7 days", None, None),
        (1101, 1, 21, None, None, None, 365, None),
        # The API mixes texts and numbers.
        (1102, 2, 21, False, begin, "604800", None, 42),
    ]
    assert town.differences() == []


def test_sessions_cost_no_request(town):
    before = len(asked(town))
    town.nightly()
    without = len(asked(town)) - before
    for number in range(11, 18):
        town.sim.world.update_row("projects", number, silent=True, session_campus_ids=(None, 1, 2))
    before = len(asked(town))
    town.nightly()
    assert len(asked(town)) - before == without
    assert town.value("select count(*) from intra42.project_sessions where listed") == 21


def test_a_session_that_is_gone_stays_and_says_so_until_it_is_back(town):
    world = town.sim.world
    world.update_row("projects", 11, session_campus_ids=(None, 1, 2))
    town.nightly()
    assert sessions(town) == [(1100, True), (1101, True), (1102, True)]
    world.update_row("projects", 11, session_campus_ids=(None, 1))
    town.nightly()
    assert sessions(town) == [(1100, True), (1101, True), (1102, False)]
    assert town.differences() == []
    assert town.query("select 1 from intra42.tombstones") == []
    world.update_row("projects", 11, session_campus_ids=(None, 1, 3))
    town.nightly()
    assert sessions(town, columns="campus_id, listed") == [(None, True), (1, True), (3, True)]
    assert town.differences() == []


def test_an_empty_list_unlists_the_sessions_of_its_project_only(town):
    town.sim.world.update_row("projects", 11, session_campus_ids=())
    town.nightly()
    assert sessions(town) == [(1100, False)]
    assert sessions(town, 12) == [(1200, True)]


def test_a_session_of_an_unlisted_campus_and_an_unlisted_cursus_is_kept(town):
    world = town.sim.world
    world.add_campus(96, listed=False)
    world.update_row("projects", 12, session_campus_ids=(None, 96), session_cursus_id=77)
    town.nightly()
    assert sessions(town, 12, "campus_id, cursus_id") == [(None, 77), (96, 77)]
    assert town.query("select name, listed from intra42.campuses where id = 96") == [(None, False)]
    assert town.query("select name from intra42.cursus where id = 77") == [(None,)]
    assert town.differences() == []


def test_a_project_found_by_id_brings_its_sessions(town):
    world = town.sim.world
    world.add_project(99, campus_ids=(1,), session_campus_ids=(None, 2))
    world.add_projects_user(101, 99, id=7)
    town.incremental()
    assert sessions(town, 99) == [(9900, True), (9901, True)]


def test_a_session_that_does_not_fit_is_parked_and_its_project_is_kept(town):
    world = town.sim.world
    world.update_row("projects", 12, session_campus_ids=(None, 2**70))
    town.nightly()
    assert sessions(town, 12) == [(1200, True)]
    [(resource, row_id, reason)] = town.query(
        "select resource, id, reason from intra42.parked_records"
    )
    assert (resource, row_id) == ("project_sessions", 1201)
    assert reason == "campus_id is outside the type bigint"
    world.update_row("projects", 12, session_campus_ids=(None, 2))
    town.nightly()
    assert sessions(town, 12) == [(1200, True), (1201, True)]
    assert town.query("select 1 from intra42.parked_records") == []
    assert town.differences() == []


def test_the_first_load_of_a_village_has_its_sessions(fresh):
    mirror = fresh(worlds.village, campus_ids=[67])
    mirror.nightly()
    assert mirror.value("select count(*) from intra42.project_sessions") > 100
    foreign = (
        "select count(*) from intra42.project_sessions as s join intra42.campuses as c "
        "on c.id = s.campus_id where not c.listed"
    )
    assert mirror.value(foreign) > 0
    assert mirror.differences() == []


def test_an_older_answer_changes_no_session(town):
    """A page of projects that was asked for before another one, and is stored after it."""

    def step(work):
        older = work.client.get("/v2/projects", {"filter[id]": "11"})
        town.sim.world.update_row("projects", 11, session_campus_ids=(None, 1))
        fetch_by_id(work, PROJECTS, [11])
        rows, _unfit = cut_all(Cutter(PROJECTS), older.records)
        inner = cut_inner(inner_cutters(PROJECTS), rows)
        assert len(inner[0].rows) == 1
        work.commit(lambda: store_lists(work, PROJECTS, rows, inner, older))

    town.task(Identity(dag_id=NIGHTLY, run_id="late"), {}, "projects", step)
    assert sessions(town) == [(1100, True), (1101, True)]


def test_a_record_that_lacks_the_list_says_nothing():
    records = [{"id": 11}, {"id": 12, "project_sessions": None}, {"id": 13, "project_sessions": []}]
    rows, _unfit = cut_all(Cutter(PROJECTS), records)
    assert [item.owner for item in cut_inner(inner_cutters(PROJECTS), rows)] == [13]


def test_a_changed_mark_counts_as_an_update_and_that_of_a_new_row_does_not(town):
    town.sim.world.update_row("projects", 11, session_campus_ids=(None, 1, 2))
    town.nightly(run_id="more")
    town.sim.world.update_row("projects", 11, session_campus_ids=(None, 1))
    town.nightly(run_id="fewer")
    written = (
        "select t.inserted, t.updated from intra42.sync_run_tables as t "
        "join intra42.sync_runs as r on r.id = t.sync_run_id "
        "where r.run_id = %s and t.resource = 'project_sessions'"
    )
    assert town.query(written, "more") == [(2, 0)]
    assert town.query(written, "fewer") == [(0, 1)]
