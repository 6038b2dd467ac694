"""Checkpoints: whatever kills a task, its next attempt goes on at the next page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from intra42.catalog import graph
from tests.harness import INCREMENTAL
from tests.integration.mirror import worlds

ROOT = Path(__file__).resolve().parents[3]


class Killed(BaseException):
    """What ends the task: nothing catches it."""


def kill_at(mirror, number, path):
    """Make the request `number` to `path` end the task, before it is answered."""
    seen = 0
    plain = mirror.task

    def task(identity, params, resource, step):
        def armed(work):
            get = work.client.get

            def counting(asked, *args, **kwargs):
                nonlocal seen
                seen += asked.startswith(path)
                if asked.startswith(path) and seen == number:
                    raise Killed
                return get(asked, *args, **kwargs)

            work.client.get = counting
            return step(work)

        return plain(identity, params, resource, armed)

    mirror.task = task
    return lambda: setattr(mirror, "task", plain)


def questions(mirror, path):
    """Count how often each page was asked for."""
    return Counter(
        json.dumps(entry.query, sort_keys=True) for entry in mirror.sim.ledger.requests(path)
    )


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/v2/cursus/21/users", 2),
        ("/v2/projects_users", 1),
        ("/v2/projects_users", 3),
        ("/v2/achievements_users", 2),
        ("/v2/cursus/21/projects", 3),
    ],
)
def test_a_killed_first_load_asks_no_page_twice(fresh, path, number):
    mirror = fresh(worlds.village, campus_ids=[67])
    mirror.sim.harsh.page_cap = 15
    heal = kill_at(mirror, number, path)
    with pytest.raises(Killed):
        mirror.nightly(run_id="one")
    heal()
    before = questions(mirror, path)
    name = path.rsplit("/", 1)[1]
    mirror.nightly(run_id="one")
    assert mirror.differences() == []
    if graph.get(name).group == "primary":
        again = [text for text in before if questions(mirror, path)[text] > before[text]]
        assert len(again) <= 1, again


def test_a_killed_window_goes_on_at_its_next_page(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    for row_id in mirror.sim.world.projects_users.ids[:80]:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.harsh.page_cap = 30
    heal = kill_at(mirror, 2, "/v2/projects_users")
    with pytest.raises(Killed):
        mirror.incremental(run_id="one")
    assert mirror.value("select count(*) from intra42.projects_users where final_mark = 7") > 0
    assert (
        mirror.value(
            "select count(*) from intra42.sync_state "
            "where dag_id = %s and resource = 'projects_users'",
            INCREMENTAL,
        )
        == 0
    )
    heal()
    mirror.incremental(run_id="one")
    windows = [
        text for text in questions(mirror, "/v2/projects_users").elements() if "updated" in text
    ]
    assert len(windows) == len(set(windows))
    mirror.nightly()
    assert mirror.differences() == []


def test_an_unfinished_window_is_finished_before_the_next_begins(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    for row_id in mirror.sim.world.projects_users.ids[:80]:
        mirror.sim.world.update_row("projects_users", row_id, final_mark=7)
    mirror.sim.harsh.page_cap = 30
    heal = kill_at(mirror, 3, "/v2/projects_users")
    with pytest.raises(Killed):
        mirror.incremental(run_id="one")
    heal()
    mirror.sim.clock.advance(hours=5)
    mirror.sim.world.validate_project(
        mirror.value("select min(user_id) from intra42.cursus_users where cursus_id = 21")
    )
    mirror.sim.ledger.clear()
    mirror.incremental(run_id="two")
    starts = [
        entry.query["range[updated_at]"]
        for entry in mirror.sim.ledger.requests("/v2/projects_users")
        if "range[updated_at]" in entry.query
    ]
    assert len(set(starts)) == 2
    assert starts == sorted(starts)
    mirror.nightly()
    assert mirror.differences() == []


@pytest.mark.parametrize("statement", ["refresh/request", "jobs/move_partition"])
def test_a_kill_in_the_middle_of_a_transaction_leaves_nothing_behind(town, statement):
    town.sim.world.validate_project(101, 12)
    plain = town.task

    def task(identity, params, resource, step):
        def armed(work):
            execute = work.execute

            def dying(name, **values):
                if name == statement and resource == "projects_users":
                    raise Killed
                return execute(name, **values)

            work.execute = dying
            return step(work)

        return plain(identity, params, resource, armed)

    town.task = task
    with pytest.raises(Killed):
        town.incremental(run_id="one")
    assert town.query("select 1 from intra42.projects_users where project_id = 12") == []
    assert town.query("select after from intra42.partitions where not done") == [(0,)]
    assert (
        town.query(
            "select 1 from intra42.sync_state where dag_id = %s and resource = 'projects_users'",
            INCREMENTAL,
        )
        == []
    )
    town.task = plain
    town.incremental(run_id="one")
    town.nightly()
    assert town.differences() == []


_CHILD = """
import json, os, signal, sys
from dev.simulator.messages import Request
from intra42.catalog import graph
from intra42.settings import parse_request
from intra42.run.primary import sync_primary
from intra42.run.session import ApiSettings, attempt
from intra42.attempt.work import Identity
import psycopg

order = json.loads(sys.argv[1])
api = ApiSettings(**order["api"])
identity = Identity(dag_id="intra42_nightly", run_id="one", task_id="primary.projects_users")
with attempt(
    lambda: psycopg.connect(order["database"]), api, identity, parse_request(order["config"], {}),
    loader="intra42_nightly", resource="projects_users",
) as work:
    left = 3
    get = work.client.get
    def deadly(*args, **kwargs):
        global left
        left -= 1
        answer = get(*args, **kwargs)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    work.client.get = deadly
    sync_primary(work, graph.get("projects_users"))
"""


def test_a_process_killed_for_good_leaves_a_task_that_goes_on(fresh):
    mirror = fresh(worlds.village, campus_ids=[67])
    mirror.sim.harsh.page_cap = 30
    heal = kill_at(mirror, 1, "/v2/projects_users")
    with pytest.raises(Killed):
        mirror.nightly(run_id="one")
    heal()
    order = {
        "database": mirror.database_url,
        "config": mirror.config,
        "api": {
            "base_url": mirror.sim.url,
            "client_id": mirror.sim.client_id,
            "client_secret": mirror.sim.client_secret,
            "requests_per_second": 1000,
            "most_in_flight": 1,  # what is under way at the kill is asked for again
        },
    }
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(order)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        check=False,
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL
    stored = mirror.value("select count(*) from intra42.projects_users")
    assert stored > 0
    before = questions(mirror, "/v2/projects_users")
    mirror.nightly(run_id="one")
    repeated = [
        text for text in before if questions(mirror, "/v2/projects_users")[text] > before[text]
    ]
    assert len(repeated) == 1
    assert mirror.query("select 1 from intra42.sync_runs where status = 'lost'") == [(1,)]
    assert mirror.differences() == []


def test_a_failed_task_repeated_many_times_costs_one_request_each(town):
    town.sim.world.validate_project(101, 12)
    town.sim.faults.add("404", "/v2/projects_users", times=3)
    for _ in range(3):
        with pytest.raises(Exception, match="404"):
            town.incremental(run_id="one")
    town.sim.ledger.clear()
    town.incremental(run_id="one")
    asked = [e for e in town.sim.ledger.requests("/v2/projects_users") if e.status == 200]
    assert len(asked) == 1
