"""Rows that nobody asked for are noticed on the first page, for filters as for ranges."""

from __future__ import annotations

import pytest

from intra42.attempt.work import Identity
from intra42.catalog import graph
from intra42.errors import FilterIgnored, RangeIgnored
from intra42.store.reading import Reader
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds

HERE = 14  # a campus of the region


def region(loaded, **config):
    """Return a mirror of one campus of six: most rows of the API are not ours."""
    return loaded(worlds.region, campus_ids=[HERE], **config)


def state(mirror):
    return mirror.query(
        "select dag_id, resource, scope, watermark from intra42.sync_state order by 1, 2, 3"
    )


def task(mirror, name, step, run_id="first"):
    """Run `step` with a reader of the table `name`, as a task of a nightly run."""
    who = Identity(dag_id=NIGHTLY, run_id=run_id, task_id=f"primary.{name}")
    return mirror.task(who, {}, name, lambda work: step(Reader(work, graph.get(name))))


BY_ID = ("users", *(resource.name for resource in graph.children_of_users()))
# Of rows on our campuses most are ours, whoever is asked for.
BY_USER = tuple(r.name for r in graph.children_of_users() if not r.of_campus)


def refused(mirror, name, filter_name, step):
    """Let one filter be ignored; see that a read is refused at once and stores nothing."""
    path = f"/v2/{name}"
    before = counts(mirror)
    fault = mirror.sim.faults.add("ignore_filter", path, times=None, filter=filter_name)
    mirror.sim.ledger.clear()
    expected = rf"{path}\?.*ignores filter\[{filter_name}\]: \d+ of \d+ rows were not asked for"
    with pytest.raises(FilterIgnored, match=expected):
        task(mirror, name, step)
    assert len(mirror.sim.ledger.requests(path)) == 2
    assert counts(mirror) == before
    mirror.sim.faults.clear()
    fault.times = 0


def test_each_filter_that_is_ignored_is_red_on_the_first_page(loaded):
    mirror = region(loaded, tables=["all"])
    users = [row[0] for row in mirror.query("select id from intra42.users order by id")]
    for name in BY_ID:
        ids = [row[0] for row in mirror.query(f"select id from intra42.{name} order by 1 desc")]
        refused(mirror, name, "id", lambda reader, ids=ids: reader.read_ids(ids[:20]))
    for name in BY_USER:
        refused(
            mirror,
            name,
            "user_id",
            lambda reader: reader.read_by(reader.users_filters(users), lambda page: None),
        )


def test_a_night_with_a_filter_that_is_ignored_costs_no_more_and_moves_nothing(loaded):
    mirror = region(loaded)
    usual = asked(mirror, mirror.nightly())
    mirror.sim.clock.advance(hours=24)
    before, tables = state(mirror), counts(mirror)
    mirror.sim.faults.add("ignore_filter", "/v2/coalitions_users", times=None, filter="user_id")
    with pytest.raises(FilterIgnored):
        mirror.nightly(run_id="ignored")
    # Each of the others has its turn by itself after the trouble.
    assert asked(mirror, "ignored") <= usual + 10
    assert counts(mirror) == tables
    assert "coalitions_users" not in {row[1] for row in set(state(mirror)) - set(before)}
    mirror.sim.faults.clear()
    mirror.nightly()
    mirror.nightly()
    assert mirror.differences() == []


def asked(mirror, run_id):
    return mirror.value("select sum(requests) from intra42.sync_runs where run_id = %s", run_id)


def counts(mirror):
    return {
        name: mirror.value(f"select count(*) from intra42.{name}")
        for name in ("users", "campus_users", "cursus_users", "projects_users", "coalitions_users")
    }


@pytest.mark.parametrize(("name", "kind"), [("kind", "staff"), ("alumni?", "student")])
def test_a_filter_of_the_first_load_that_is_ignored_is_red(fresh, name, kind):
    mirror = fresh(worlds.town, campus_ids=[1])
    world = mirror.sim.world
    for number in range(11, 31):
        world.add_user(number, campus_id=1, kind=kind, alumni=name == "alumni?")
        world.add_cursus_user(number, 21)
    mirror.sim.faults.add("ignore_filter", "/v2/cursus/21/users", times=None, filter=name)
    with pytest.raises(FilterIgnored, match=r"/v2/cursus/21/users.*20 of 28 rows"):
        mirror.nightly()
    assert mirror.value("select count(*) from intra42.users") == 0
    assert state(mirror) == []
    mirror.sim.faults.clear()
    mirror.nightly()
    assert mirror.differences() == []


def test_the_cursus_of_enrolments_is_looked_at(loaded):
    mirror = loaded(worlds.town, campus_ids=[1])
    world = mirror.sim.world
    for number in worlds.STUDENTS:
        for cursus_id in (9, 9, 9):
            world.add_cursus_user(number, cursus_id)
    mirror.sim.faults.add("ignore_filter", "/v2/cursus_users", times=None, filter="cursus_id")
    with pytest.raises(FilterIgnored, match=r"filter\[cursus_id\]: 24 of 24 rows"):
        mirror.incremental()


def test_the_campus_of_accounts_is_looked_at_where_they_live(fresh):
    """A record of an account has no campus; its memberships have, which decide about it anyway."""
    mirror = fresh(worlds.region, campus_ids=[HERE])
    mirror.sim.faults.add(
        "ignore_filter", "/v2/cursus/21/users", times=None, filter="primary_campus_id"
    )
    with pytest.raises(FilterIgnored, match=r"filter\[primary_campus_id\]"):
        mirror.nightly()
    assert len(mirror.sim.ledger.requests("/v2/cursus/21/users")) <= 2
    assert mirror.value("select count(*) from intra42.users") == 0
    mirror.sim.faults.clear()
    mirror.nightly()
    assert mirror.differences() == []


def test_a_few_rows_that_nobody_asked_for_are_dropped(town):
    """The eight students of campus 1 have eight of ten memberships."""
    town.sim.faults.add("ignore_filter", "/v2/coalitions_users", times=None, filter="user_id")
    town.nightly()
    assert town.differences() == []
    assert town.value("select count(*) from intra42.coalitions_users") == 8


def test_more_rows_than_ids_are_noticed_where_most_were_asked_for(town):
    town.sim.faults.add("ignore_filter", "/v2/coalitions_users", times=None, filter="id")
    ids = [number * 10_000 for number in worlds.STUDENTS]
    with pytest.raises(FilterIgnored, match="10 rows for 8 values"):
        task(town, "coalitions_users", lambda reader: reader.read_ids(ids))


def test_a_page_of_another_question_that_comes_once_is_asked_for_again(town):
    town.sim.faults.add("ignore_filter", "/v2/cursus_users", filter="cursus_id")
    for number in worlds.STUDENTS:
        town.sim.world.add_cursus_user(number, 9)
    town.sim.world.update_row("cursus_users", 1010, level=2.0)
    town.incremental()
    assert town.differences() == []


def test_rows_from_after_an_explicit_window_are_noticed_too(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    for row_id in mirror.sim.world.projects_users.ids:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.faults.add(
        "ignore_range",
        "/v2/projects_users",
        times=None,
        when=lambda request: "range[updated_at]" in request.query,
    )
    with pytest.raises(RangeIgnored, match="ignores our range"):
        mirror.run(
            INCREMENTAL,
            updated_from="2015-01-01T00:00:00Z",
            updated_to="2015-01-02T00:00:00Z",
        )
    assert len(mirror.sim.ledger.requests("/v2/projects_users")) == 1
