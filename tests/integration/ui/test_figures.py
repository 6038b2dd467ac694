"""The page's figures, each from known rows of a real PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg
import pytest

from dev.stack.postgres import free_port
from intra42.catalog import graph
from intra42.errors import ConfigError, Unavailable
from intra42.ui import figures
from intra42.ui.warehouse import Connection, reading
from tests.integration.ui.conftest import DAGS, Warehouse

NIGHTLY, INCREMENTAL = DAGS.nightly, DAGS.incremental


def by_table(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {table["table"]: table for table in found["tables"]}


def test_a_new_schema_gives_every_figure_without_a_row(page: Connection) -> None:
    assert {t["state"] for t in figures.freshness(page, DAGS)["tables"]} == {"never"}
    quota = figures.quota(page)
    assert (quota["used"], quota["per_hour"], quota["asked_before"]) == (0, None, False)
    assert len(quota["minutes"]) == 60
    activity = figures.activity(page, DAGS, figures.SPANS["day"])
    assert all(interval["nightly"] == 0 for interval in activity["intervals"])
    assert figures.runs(page, DAGS) == {"runs": []}
    levels = figures.levels(page)
    assert (levels["levels"], levels["found_by"], levels["median_s"]) == (0, [], None)
    assert {t["users"] for t in figures.audit(page)["tables"]} == {0}
    assert figures.parked(page) == {"total": 0, "records": []}
    assert figures.tombstones(page) == {"days": 30, "total": 0, "restored": 0, "tombstones": []}


def test_every_table_of_the_mirror_has_its_promise(page: Connection) -> None:
    tables = by_table(figures.freshness(page, DAGS))
    daily = {t for r in graph.of_group("reference") for t in graph.tables_of(r.name)}
    assert {"projects", "cursus_projects", "project_sessions"} < daily
    quarterly = {r.name for r in graph.of_group("primary")}
    assert {name for name, t in tables.items() if t["promise_s"] == 86_400} == daily
    assert {name for name, t in tables.items() if t["promise_s"] == 900} == quarterly


@pytest.mark.parametrize(
    ("ago", "state"),
    [("14 minutes", "fresh"), ("16 minutes", "due"), ("31 minutes", "late")],
)
def test_a_table_of_the_incremental_is_fresh_for_a_quarter_hour(
    warehouse: Warehouse, ago: str, state: str
) -> None:
    warehouse.attempt(INCREMENTAL, "primary.users", ago)
    with reading(warehouse.connect) as connection:
        assert by_table(figures.freshness(connection, DAGS))["users"]["state"] == state


@pytest.mark.parametrize(
    ("ago", "state"), [("23 hours", "fresh"), ("25 hours", "due"), ("27 hours", "late")]
)
def test_a_reference_table_and_its_links_are_fresh_for_a_day(
    warehouse: Warehouse, ago: str, state: str
) -> None:
    warehouse.attempt(NIGHTLY, "reference.projects", ago)
    with reading(warehouse.connect) as connection:
        tables = by_table(figures.freshness(connection, DAGS))
    links = [link.table for link in graph.get("projects").links]
    assert links
    assert [tables[name]["state"] for name in ["projects", *links]] == [state] * (1 + len(links))


def test_only_attempts_that_read_up_to_now_make_a_table_fresh(warehouse: Warehouse) -> None:
    warehouse.attempt(INCREMENTAL, "primary.users", "50 minutes")
    warehouse.attempt(INCREMENTAL, "primary.users", "5 minutes", status="failed")
    warehouse.attempt(INCREMENTAL, "primary.users", "4 minutes", status="running")
    warehouse.attempt(NIGHTLY, "primary.users", "3 minutes", window_to="2026-01-01T00:00:00Z")
    warehouse.attempt("somebody_elses", "primary.users", "2 minutes")
    with reading(warehouse.connect) as connection:
        users = by_table(figures.freshness(connection, DAGS))["users"]
    assert users["state"] == "late"
    assert users["age_s"] == pytest.approx(3000, abs=60)


def test_the_later_of_both_dags_counts(warehouse: Warehouse) -> None:
    warehouse.attempt(INCREMENTAL, "primary.users", "50 minutes")
    warehouse.attempt(NIGHTLY, "primary.users", "10 minutes")
    with reading(warehouse.connect) as connection:
        users = by_table(figures.freshness(connection, DAGS))["users"]
    assert users["age_s"] == pytest.approx(600, abs=60)


def test_the_hour_counts_the_requests_of_60_minutes_of_the_application_in_use(
    warehouse: Warehouse,
) -> None:
    warehouse.execute(
        "insert into intra42.api_limits (application, next_slot, per_hour) values "
        "('old', now() - interval '2 days', 99), ('new', now(), 1200)"
    )
    warehouse.execute(
        "insert into intra42.api_usage (application, minute, api_minute, bulk, requests) "
        "select a, m, m, b, n from (values "
        "('new', date_trunc('minute', now()) - interval '3 minutes', true, 7), "
        "('new', date_trunc('minute', now()) - interval '3 minutes', false, 2), "
        "('new', date_trunc('minute', now()) - interval '90 minutes', false, 500), "
        "('old', date_trunc('minute', now()) - interval '3 minutes', false, 40)) as x (a, m, b, n)"
    )
    with reading(warehouse.connect) as connection:
        quota = figures.quota(connection)
    assert (quota["used"], quota["per_hour"]) == (9, 1200)
    assert [(m["nightly"], m["others"]) for m in quota["minutes"] if m["nightly"]] == [(7, 2)]
    assert "new" not in repr(quota)


def test_the_activity_sums_attempts_by_interval_and_dag(warehouse: Warehouse) -> None:
    warehouse.attempt(NIGHTLY, "primary.users", "3 hours", requests=5, inserted=3, retries_429=1)
    warehouse.attempt(INCREMENTAL, "primary.users", "3 hours", requests=2, updated=4, deleted=1)
    warehouse.attempt("own", "sync", "3 hours", requests=1)
    warehouse.attempt(NIGHTLY, "primary.users", "26 hours", requests=1000)
    with reading(warehouse.connect) as connection:
        day = figures.activity(connection, DAGS, figures.SPANS["day"])
        own = figures.activity(connection, DAGS, figures.SPANS["day"], INCREMENTAL)
    [busy] = [i for i in day["intervals"] if i["nightly"]]
    assert day["bucket_s"] == 900
    assert 96 <= len(day["intervals"]) <= 98
    assert (busy["nightly"], busy["incremental"], busy["others"]) == (5, 2, 1)
    assert (busy["inserted"], busy["updated"], busy["deleted"], busy["refused"]) == (3, 4, 1, 1)
    assert sum(i["nightly"] + i["others"] for i in own["intervals"]) == 0
    assert sum(i["incremental"] for i in own["intervals"]) == 2


def test_each_run_has_the_sums_of_its_attempts_newest_first(warehouse: Warehouse) -> None:
    warehouse.run(NIGHTLY, "night", "5 hours")
    warehouse.run(INCREMENTAL, "quarter", "1 hour")
    warehouse.run("somebody_elses", "other", "1 minute")
    warehouse.attempt(NIGHTLY, "primary.users", "5 hours", run_id="night", requests=5, inserted=3)
    warehouse.attempt(
        NIGHTLY, "primary.audit", "5 hours", run_id="night", requests=2, status="failed"
    )
    with reading(warehouse.connect) as connection:
        found = figures.runs(connection, DAGS)["runs"]
        own = figures.runs(connection, DAGS, dag_id=NIGHTLY)["runs"]
    assert [run["run_id"] for run in found] == ["quarter", "night"]
    assert (found[1]["requests"], found[1]["inserted"], found[1]["failed_attempts"]) == (7, 3, 1)
    assert (found[0]["requests"], found[0]["running_attempts"]) == (0, 0)
    assert own == found[1:]


def test_silent_levels_are_counted_by_how_long_they_stayed_unseen(warehouse: Warehouse) -> None:
    warehouse.execute(
        "insert into intra42.cursus_users_levels (cursus_user_id, user_id, cursus_id, "
        "previous_level, level, found_by, observed_at, unseen_since) "
        "select 1, 1, 21, 1, 2, f, now() - ago, now() - ago - unseen from (values "
        "('refresh', interval '1 day', interval '10 minutes'), "
        "('refresh', interval '2 days', interval '20 minutes'), "
        "('nightly', interval '2 days', interval '5 hours'), "
        "('nightly', interval '3 days', interval '9 days'), "
        "('nightly', interval '40 days', interval '5 hours'), "
        "('event', interval '1 day', interval '5 hours')) as x (f, ago, unseen)"
    )
    with reading(warehouse.connect) as connection:
        found = figures.levels(connection)
    ways = {way["way"]: way["levels"] for way in found["found_by"]}
    assert ways == {"refresh": [1, 1, 0, 0, 0, 0, 0, 0], "nightly": [0, 0, 0, 0, 1, 0, 0, 1]}
    assert (found["levels"], found["median_s"], found["longest_s"]) == (4, 1200, 9 * 86_400)


def test_the_audit_tells_how_long_ago_users_were_counted(warehouse: Warehouse) -> None:
    warehouse.execute(
        "insert into intra42.users (id, _synced_at, _run_id, _seq) "
        "select n, now(), 'r', 1 from generate_series(1, 4) as n"
    )
    warehouse.execute(
        "insert into intra42.audits (resource, user_id, audited_at, seq) values "
        "('projects_users', 1, now() - interval '2 hours', 1), "
        "('projects_users', 2, now() - interval '3 days', 1), "
        "('projects_users', 3, now() - interval '30 days', 1)"
    )
    with reading(warehouse.connect) as connection:
        tables = {t["name"]: t for t in figures.audit(connection)["tables"]}
    assert tables.keys() == {r.name for r in graph.children_of_users()}
    counted = tables["projects_users"]
    ages = [counted[a] for a in ("within_a_day", "within_a_week", "longer_ago", "never")]
    assert (counted["users"], ages) == (4, [1, 1, 1, 1])
    assert tables["campus_users"]["never"] == 4


def test_what_was_in_a_parked_record_or_a_deleted_row_is_not_shown(warehouse: Warehouse) -> None:
    warehouse.execute(
        "insert into intra42.parked_records (resource, id, fingerprint, payload, reason, run_id, "
        "first_seen_at, last_seen_at, last_run_id) "
        "values ('users', 7, '7', %s, %s, 'run 1', now(), now(), 'run 1')",
        '{"login": "jdoe", "email": "jdoe@student.42.fr"}',
        'invalid input syntax for type bigint: "jdoe"',
    )
    warehouse.execute(
        "insert into intra42.tombstones (resource, id, row, reason, run_id, deleted_at, seq, "
        "restored_at) select 'users', id, %s, 'absent', 'run 2', now() - ago, 1, restored_at "
        "from (values (8, interval '0', now()), (9, interval '50 days', null)) "
        "as t (id, ago, restored_at)",
        '{"login": "jdoe"}',
    )
    with reading(warehouse.connect) as connection:
        parked, tombstones = figures.parked(connection), figures.tombstones(connection)
    assert "jdoe" not in repr((parked, tombstones))
    [record] = parked["records"]
    assert record["reason"] == "invalid input syntax for type bigint: (hidden)"
    assert (parked["total"], record["id"], record["run_id"]) == (1, 7, "run 1")
    assert (tombstones["total"], tombstones["restored"]) == (1, 1)
    assert [t["id"] for t in tombstones["tombstones"]] == [9, 8]


# --- what stands in the way


def test_an_empty_database_is_told_from_a_broken_one(database_url: str) -> None:
    with (
        pytest.raises(Unavailable, match="not there yet") as caught,
        reading(Warehouse(database_url).connect) as connection,
    ):
        figures.quota(connection)
    assert caught.value.problem == "no_schema"


def test_an_older_schema_is_told_from_none(warehouse: Warehouse) -> None:
    warehouse.execute("drop view intra42.levels_recomputed_silently")
    with (
        pytest.raises(Unavailable, match="older than this page") as caught,
        reading(warehouse.connect) as connection,
    ):
        figures.levels(connection)
    assert caught.value.problem == "old_schema"


def test_a_warehouse_out_of_reach_is_said_without_its_address() -> None:
    port = free_port()
    with (
        pytest.raises(Unavailable, match="cannot be reached") as caught,
        reading(lambda: psycopg.connect(f"host=127.0.0.1 port={port} user=secretive")),
    ):
        pass
    assert caught.value.problem == "unreachable"
    assert str(port) not in str(caught.value)
    assert "secretive" not in str(caught.value)


def test_a_missing_connection_is_named() -> None:
    def missing() -> psycopg.Connection[Any]:
        message = "The Airflow connection intra42_db is missing"
        raise ConfigError(message)

    with pytest.raises(Unavailable, match="intra42_db is missing") as caught, reading(missing):
        pass
    assert caught.value.problem == "no_connection"


def test_a_slow_answer_is_given_up(warehouse: Warehouse) -> None:
    with (
        pytest.raises(Unavailable) as caught,
        reading(warehouse.connect, timeout_ms=50) as connection,
    ):
        connection.execute("select pg_sleep(30)")
    assert caught.value.problem == "slow"


def test_a_table_that_somebody_locks_is_given_up(warehouse: Warehouse) -> None:
    with closing(warehouse.connect()) as other:
        other.execute("lock table intra42.parked_records")
        with (
            pytest.raises(Unavailable) as caught,
            reading(warehouse.connect, timeout_ms=50) as connection,
        ):
            figures.parked(connection)
    assert caught.value.problem == "slow"


def test_a_login_that_may_not_read_is_told(warehouse: Warehouse) -> None:
    role = "page_reader"

    def as_reader() -> psycopg.Connection[Any]:
        connection = warehouse.connect()
        connection.execute(f"create role {role}")
        connection.execute(f"grant usage on schema intra42 to {role}")
        connection.execute(f"set role {role}")
        connection.commit()
        return connection

    try:
        with pytest.raises(Unavailable) as caught, reading(as_reader) as connection:
            figures.parked(connection)
        assert caught.value.problem == "forbidden"
    finally:
        warehouse.execute(f"drop owned by {role}")
        warehouse.execute(f"drop role {role}")


def test_the_page_cannot_write_and_leaves_no_connection(warehouse: Warehouse) -> None:
    opened: list[psycopg.Connection[Any]] = []

    def remembered() -> psycopg.Connection[Any]:
        opened.append(warehouse.connect())
        return opened[-1]

    with (
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
        reading(remembered) as connection,
    ):
        connection.execute("delete from intra42.parked_records")
    assert [connection.closed for connection in opened] == [True]


# --- rows, and the edges of classes


def test_every_table_of_the_mirror_is_counted(warehouse: Warehouse) -> None:
    warehouse.execute(
        "insert into intra42.users (id, _synced_at, _run_id, _seq) "
        "select n, now(), 'r', 1 from generate_series(1, 123) as n"
    )
    with reading(warehouse.connect) as connection:
        found = figures.sizes(connection)
        shown = by_table(figures.freshness(connection, DAGS))
    sizes = {size["table"]: (size["rows"], size["exact"]) for size in found["sizes"]}
    assert sizes.keys() == shown.keys()
    assert (sizes["users"], sizes["cursus"], found["rows"]) == ((123, True), (0, True), 123)


def test_a_large_table_has_the_servers_estimate(warehouse: Warehouse) -> None:
    warehouse.execute(
        "insert into intra42.users (id, _synced_at, _run_id, _seq) "
        "select n, now(), 'r', 1 from generate_series(1, 120000) as n"
    )
    warehouse.execute("vacuum analyze intra42.users")
    warehouse.execute(
        "insert into intra42.cursus (id, _synced_at, _run_id, _seq) values (1, now(), 'r', 1)"
    )
    with reading(warehouse.connect) as connection:
        found = figures.sizes(connection)
    sizes = {size["table"]: (size["rows"], size["exact"]) for size in found["sizes"]}
    assert (sizes["users"], sizes["cursus"]) == ((120_000, False), (1, True))
    assert found["rows"] == 120_001


def test_a_table_names_the_run_that_read_it_last(warehouse: Warehouse) -> None:
    warehouse.attempt(NIGHTLY, "primary.users", "50 minutes", run_id="night")
    warehouse.attempt(INCREMENTAL, "primary.users", "10 minutes", run_id="quarter")
    with reading(warehouse.connect) as connection:
        users = by_table(figures.freshness(connection, DAGS))["users"]
    assert (users["dag_id"], users["run_id"]) == (INCREMENTAL, "quarter")


@pytest.mark.parametrize("promise", [900, 1800, 3600, 86_400, 2 * 86_400, 3 * 86_400])
def test_what_a_run_finds_a_little_late_is_in_the_class_of_its_promise(
    warehouse: Warehouse, promise: int
) -> None:
    warehouse.execute(
        "insert into intra42.cursus_users_levels (cursus_user_id, user_id, cursus_id, "
        "previous_level, level, found_by, observed_at, unseen_since) "
        "select n, n, 21, 1, 2, 'refresh', now(), now() - make_interval(secs => s) "
        f"from (values (1, {promise * 0.97}), (2, {promise}), (3, {promise * 1.03})) as x (n, s)"
    )
    with reading(warehouse.connect) as connection:
        [found] = figures.levels(connection)["found_by"]
    assert sorted(found["levels"])[-1] == 3


@pytest.mark.parametrize(("ago", "age"), [("24 hours", 0), ("25 hours", 0), ("168 hours", 1)])
def test_who_was_counted_a_night_or_a_week_ago_is_in_its_class(
    warehouse: Warehouse, ago: str, age: int
) -> None:
    warehouse.execute(
        "insert into intra42.users (id, _synced_at, _run_id, _seq) values (1, now(), 'r', 1)"
    )
    warehouse.execute(
        "insert into intra42.audits (resource, user_id, audited_at, seq) "
        "values ('projects_users', 1, now() - %s::interval, 1)",
        ago,
    )
    with reading(warehouse.connect) as connection:
        tables = {t["name"]: t for t in figures.audit(connection)["tables"]}
    counted = tables["projects_users"]
    ages = [counted[a] for a in ("within_a_day", "within_a_week", "longer_ago", "never")]
    assert [place for place, users in enumerate(ages) if users] == [age]
