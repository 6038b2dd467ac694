"""What is never needed again goes; what a promise needs stays."""

from __future__ import annotations

import pytest

KEPT = ("tombstones", "parked_records", "cursus_users_levels", "verifications", "sync_state")


def execute(mirror, text, *values):
    with mirror.connect() as connection:
        connection.execute(text, values or None)


def attempts(mirror, run_id, ago, dag_id="intra42_incremental"):
    """Add a run with one attempt that ended so long ago."""
    execute(
        mirror,
        "insert into intra42.dag_runs (dag_id, run_id, first_seq, opened_at) "
        "values (%s, %s, 1, now() - %s::interval)",
        *(dag_id, run_id, ago),
    )
    execute(
        mirror,
        "with added as (insert into intra42.sync_runs "
        "(dag_id, run_id, task_id, status, started_at, finished_at) "
        "values (%s, %s, 'primary.users', 'failed', now() - %s::interval, now() - %s::interval) "
        "returning id) "
        "insert into intra42.sync_run_tables (sync_run_id, resource, inserted) "
        "select id, 'users', 1 from added",
        *(dag_id, run_id, ago, ago),
    )


def window(mirror, run_id, ago):
    """Add an explicit window that its run left unfinished, and a chunk of users it was reading."""
    execute(
        mirror,
        "with added as (insert into intra42.jobs (dag_id, resource, kind, run_id, created_at, own) "
        "values ('intra42_nightly', 'users', 'explicit', %s, now() - %s::interval, true) "
        "returning id) "
        "insert into intra42.partitions (job_id, number, path) "
        "select id, 1, '/v2/users' from added",
        *(run_id, ago),
    )
    execute(
        mirror,
        "with added as (insert into intra42.jobs (dag_id, resource, kind, run_id, created_at, own) "
        "values ('intra42_nightly', 'projects_users', 'history', %s, now() - %s::interval, true) "
        "returning id) "
        "insert into intra42.partitions (job_id, number, ids) select id, 1, '{101}' from added",
        *(run_id, ago),
    )


def runs_in(mirror, table, column="run_id"):
    return {row[0] for row in mirror.query(f"select distinct {column} from intra42.{table}")}


def test_attempts_and_runs_are_kept_for_400_days(town):
    attempts(town, "old", "401 days")
    attempts(town, "young", "399 days")
    town.nightly()
    for table in ("sync_runs", "dag_runs"):
        assert "old" not in runs_in(town, table)
        assert "young" in runs_in(town, table)
    # What an attempt wrote goes with it.
    orphans = town.query(
        "select 1 from intra42.sync_run_tables as t "
        "where not exists (select 1 from intra42.sync_runs as r where r.id = t.sync_run_id)"
    )
    assert orphans == []


def test_more_than_a_batch_goes_in_several_nights(town):
    execute(
        town,
        "insert into intra42.sync_runs (dag_id, run_id, task_id, started_at) "
        "select 'intra42_nightly', 'old', 'x', now() - interval '500 days' "
        "from generate_series(1, 10010)",
    )
    town.nightly()
    assert town.value("select count(*) from intra42.sync_runs where run_id = 'old'") == 10
    town.nightly()
    assert town.value("select count(*) from intra42.sync_runs where run_id = 'old'") == 0


def test_an_explicit_window_goes_when_its_run_is_long_over(town):
    window(town, "given up", "31 days")
    attempts(town, "given up", "31 days", "intra42_nightly")
    window(town, "goes on", "31 days")
    attempts(town, "goes on", "1 day", "intra42_nightly")
    window(town, "new", "1 day")
    attempts(town, "new", "1 day", "intra42_nightly")
    town.nightly()
    explicit = town.query("select run_id from intra42.jobs where kind = 'explicit' order by 1")
    assert explicit == [("goes on",), ("new",)]
    assert town.value("select count(*) from intra42.partitions where job_id not in "
                      "(select id from intra42.jobs)") == 0  # fmt: skip
    readers = town.query(
        "select run_id from intra42.jobs where kind = 'history' and own order by 1"
    )
    assert readers == [("goes on",), ("new",)]


@pytest.mark.parametrize(
    ("ago", "stays"), [("8 days", False), ("6 days", True), ("-9 days", False)]
)
def test_outsiders_are_remembered_for_7_days(town, ago, stays):
    execute(
        town,
        "insert into intra42.outsiders (user_id, checked_at) values (999, %s::timestamptz "
        "- %s::interval)",
        *(town.sim.clock.now(), ago),
    )
    town.nightly()
    found = town.query("select 1 from intra42.outsiders where user_id = 999")
    assert bool(found) is stays


def test_chunks_of_a_dag_that_is_gone_go_after_a_week(town):
    for run_id, ago in (("old", "8 days"), ("young", "6 days")):
        execute(
            town,
            "insert into intra42.jobs (dag_id, resource, kind, run_id, created_at, own) "
            "values ('gone', 'cursus_users', 'refetch', %s, now() - %s::interval, true)",
            *(run_id, ago),
        )
    town.nightly()
    assert runs_in(town, "jobs") >= {"young"}
    assert "old" not in runs_in(town, "jobs")


def test_what_promises_need_stays_for_ever(town):
    town.sim.world.delete_row("projects_users", 10_500)
    town.sim.world.touch_user(105, wallet=2**63)
    town.nightly()
    for column in ("deleted_at", "first_seen_at", "observed_at", "checked_at", "updated_at"):
        for table in KEPT:
            if town.query(
                "select 1 from information_schema.columns where table_schema = 'intra42' "
                "and table_name = %s and column_name = %s",
                *(table, column),
            ):
                execute(
                    town, f"update intra42.{table} set {column} = {column} - interval '9 years'"
                )
    before = {table: town.value(f"select count(*) from intra42.{table}") for table in KEPT}
    assert all(before.values())
    town.nightly()
    after = {table: town.value(f"select count(*) from intra42.{table}") for table in KEPT}
    assert all(after[table] >= before[table] for table in KEPT), (before, after)


def test_without_an_audit_old_bookkeeping_goes_all_the_same(town):
    attempts(town, "old", "401 days")
    town.config["nightly_audit_requests"] = 0
    town.nightly()
    assert "old" not in runs_in(town, "sync_runs")
