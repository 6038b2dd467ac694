"""`python -m intra42.run`: the steps of a DAG in one process, by its rules, without Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dev.stack.settings import ROOT
from intra42.errors import ConfigError, DataError
from intra42.run.connections import from_environment, open_database, settings_of
from intra42.run.plan import DAGS, INCREMENTAL, NIGHTLY, Does
from intra42.run.runner import State, run
from intra42.settings import parse_request
from tests.integration.mirror import worlds


def environment(mirror, **other):
    given = {
        "AIRFLOW_CONN_INTRA42_API": json.dumps(
            {
                "conn_type": "intra42",
                "host": mirror.sim.url,
                "login": mirror.sim.client_id,
                "password": mirror.sim.client_secret,
                "extra": {"requests_per_second": 1000, "requests_per_hour": 1_000_000},
            }
        ),
        "AIRFLOW_CONN_INTRA42_DB": mirror.database_url,
        "AIRFLOW_VAR_INTRA42_CONFIG": json.dumps(mirror.config),
        "PYTHONPATH": str(ROOT / "plugins"),
        "PATH": os.environ["PATH"],
    }
    return {name: text for name, text in (given | other).items() if text}


def alone(mirror, *arguments, **other):
    return subprocess.run(
        [sys.executable, "-m", "intra42.run", *arguments],
        env=environment(mirror, **other),
        cwd=ROOT / "tests",
        check=False,
        capture_output=True,
        text=True,
    )


def test_both_dags_run_in_one_process_and_the_mirror_equals_the_truth(fresh):
    mirror = fresh(worlds.town, campus_ids=[1])
    night = alone(mirror, NIGHTLY)
    assert night.returncode == 0, night.stdout + night.stderr
    mirror.once_in |= {row[0] for row in mirror.query("select id from intra42.users")}
    assert mirror.differences() == []
    mirror.sim.clock.advance(hours=1)
    mirror.sim.world.set_level_silently(1010, 7.5)
    mirror.sim.world.update_row("projects_users", 10100, final_mark=7)
    quarter = alone(mirror, INCREMENTAL, "--at", "2026-03-03T11:15:00Z")
    assert quarter.returncode == 0, quarter.stdout + quarter.stderr
    assert mirror.differences() == []
    assert "manual__2026-03-03T11:15:00+00:00 is green" in quarter.stdout
    assert "primary.projects_users success: " in quarter.stdout
    runs = mirror.query("select dag_id, run_id from intra42.dag_runs order by opened_at")
    assert [dag_id for dag_id, _run_id in runs] == [NIGHTLY, INCREMENTAL]


def test_a_table_that_fails_stops_only_what_needs_it_and_the_run_is_red(loaded):
    mirror = loaded(worlds.town, campus_ids=[1])
    mirror.sim.faults.add("403", "/v2/cursus_users", times=None)
    mirror.sim.world.update_row("projects_users", 10100, final_mark=7)
    done = alone(mirror, INCREMENTAL)
    assert done.returncode == 1
    assert "primary.cursus_users failed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert mirror.value("select final_mark from intra42.projects_users where id = 10100") == 7


def test_an_explicit_window_reads_the_primary_tables_and_no_more(loaded):
    mirror = loaded(worlds.town, campus_ids=[1])
    mirror.sim.ledger.clear()
    conf = json.dumps(
        {"updated_from": "2026-03-01T00:00:00Z", "updated_to": "2026-03-02T00:00:00Z"}
    )
    done = alone(mirror, NIGHTLY, "--conf", conf)
    assert done.returncode == 0, done.stdout + done.stderr
    assert mirror.sim.ledger.requests("/v2/campus_users")
    assert not mirror.sim.ledger.requests("/v2/blocs")


@pytest.mark.parametrize(
    ("other", "arguments", "said"),
    [
        ({"AIRFLOW_CONN_INTRA42_API": ""}, (), "AIRFLOW_CONN_INTRA42_API is not set"),
        ({"AIRFLOW_CONN_INTRA42_DB": "{"}, (), "AIRFLOW_CONN_INTRA42_DB cannot be read"),
        ({"AIRFLOW_VAR_INTRA42_CONFIG": "{"}, (), "is not valid JSON"),
        ({}, ("--conf", "[]"), "--conf must be a JSON object"),
        ({}, ("--conf", '{"tables": ["shoes"], "full_refresh": true}'), "shoes"),
        ({}, ("--conf", '{"campus_id": [1]}'), "unknown key 'campus_id'; allowed are allow_mass"),
        ({}, ("--at", "noon"), "noon"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(fresh, other, arguments, said):
    done = alone(fresh(worlds.town, campus_ids=[1]), INCREMENTAL, *arguments, **other)
    assert done.returncode == 1
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_warehouse_that_cannot_be_reached_is_one_sentence(fresh):
    nobody = "postgresql://postgres@127.0.0.1:9/nothing"
    mirror = fresh(worlds.town, campus_ids=[1])
    done = alone(mirror, INCREMENTAL, "--retry-delay", "0", AIRFLOW_CONN_INTRA42_DB=nobody)
    assert done.returncode == 1
    assert "The warehouse cannot be reached: check host, port" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_airflow_is_not_imported():
    code = (
        "import sys, intra42.run.__main__\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'airflow'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "text",
    [
        "http://id:p%40ss@127.0.0.1:8042/?requests_per_second=8",
        '{"conn_type": "http", "host": "127.0.0.1", "port": 8042, "login": "id", '
        '"password": "p@ss", "extra": {"requests_per_second": 8}}',
        "generic://id:p%40ss@http%3A%2F%2F127.0.0.1:8042?__extra__=%7B%22requests_per_second%22%3A8%7D",
    ],
    ids=["uri", "json", "uri with a scheme in the host"],
)
def test_a_connection_is_read_as_airflow_reads_it(text):
    settings = settings_of(from_environment("intra42_api", {"AIRFLOW_CONN_INTRA42_API": text}))
    assert settings.base_url == "http://127.0.0.1:8042"
    assert (settings.client_id, settings.client_secret) == ("id", "p@ss")
    assert settings.requests_per_second == 8


def test_an_extra_that_the_driver_does_not_take_is_told(database_url):
    known = from_environment("intra42_db", {"AIRFLOW_CONN_INTRA42_DB": f"{database_url}?shoes=1"})
    with pytest.raises(ConfigError, match="its extra has what psycopg does not take"):
        open_database(known)


@pytest.mark.parametrize("dag_id", [NIGHTLY, INCREMENTAL])
@pytest.mark.parametrize("broken", ["open_run", "primary.users", "primary.projects_users"])
def test_what_fails_stops_those_behind_it_but_never_the_refresh(dag_id, broken):
    plan = DAGS[dag_id]
    taken = []

    def perform(step, number, _chunks):
        taken.append((step.name, number))
        if step.name == broken:
            message = f"{broken} cannot be done"
            raise DataError(message)
        return [[1], [2, 3]] if step.does is Does.PLAN else None

    outcome = run(plan, parse_request({}, {}), perform, (DataError,))
    assert not outcome.is_green
    assert outcome.states[broken] is State.FAILED
    assert outcome.states["close_run"] is State.UPSTREAM_FAILED
    if broken == "open_run":
        assert taken == [("open_run", -1)]
        return
    stopped = {step.name for step in plan if broken in step.after and not step.settles}
    assert all(outcome.states[name] is State.UPSTREAM_FAILED for name in stopped - {"close_run"})
    assert taken[-1] == ("refresh_ongoing.delete_missing", -1)
    refetched = [number for name, number in taken if name == "refresh_ongoing.refetch"]
    assert refetched == [0, 1]
