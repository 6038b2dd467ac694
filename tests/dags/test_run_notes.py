"""What a person sees of a run without opening a log: its note, and the labels of mapped tasks."""

from __future__ import annotations

import re

from airflow.models import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from sqlalchemy import select

from intra42.plugin.run_notes import Outcome, note_of
from tests.dags.stack import INCREMENTAL, FirstNight, Stack

COUNTS = re.compile(
    r"(\d+) requests?: (\d+) inserted, (\d+) updated, (\d+) deleted, (\d+) parked\."
)
LEDGER = """
    select sum(requests), sum(inserted), sum(updated), sum(deleted), sum(parked)
    from intra42.sync_runs where run_id = %s
"""


def test_a_run_that_read_nothing_has_a_note_that_says_so(stack: Stack) -> None:
    run = stack.incremental()
    assert run.note == "0 requests: 0 inserted, 0 updated, 0 deleted, 0 parked."


def test_the_note_of_a_run_says_what_its_ledger_says(loaded: Stack) -> None:
    world = loaded.sim.world
    loaded.sim.clock.advance(minutes=15)
    world.validate_project(world.students(loaded.sim.campus_id)[0].id, mark=100)
    row = next(
        row
        for row in world.cursus_users
        if row.cursus_id == 21
        and world.ongoing(row)
        and loaded.query("select 1 from intra42.cursus_users where id = %s", row.id)
    )
    world.set_level_silently(row.id, row.level + 1)
    run = loaded.incremental()
    assert run.state == "success"
    found = COUNTS.match(run.note or "")
    assert found, run.note
    assert tuple(map(int, found.groups())) == loaded.query(LEDGER, run.run_id)[0]
    assert "Found only by refetching: " in str(run.note)
    assert "Ongoing rows verified 0 min ago (median), " in str(run.note)
    (label,) = {item.rendered_map_index for item in run.tasks["refresh_ongoing.refetch"]}
    refetched = run.xcoms["refresh_ongoing.refetch", 0]["updated"]
    assert label == f"chunk 1: {refetched} changed"
    assert refetched >= 1


def test_the_note_of_a_failed_run_names_the_task_that_failed_and_why(loaded: Stack) -> None:
    loaded.sim.clock.advance(minutes=15)
    loaded.sim.faults.add("403", "/v2/projects_users", times=None)
    run = loaded.incremental()
    assert run.state == "failed"
    why, said = str(run.note).split("\n\n")
    assert re.fullmatch(
        r"primary\.projects_users failed: GET /v2/projects_users\?.+: the API answered 403 .+", why
    )
    assert COUNTS.match(said)


def test_of_many_chunks_that_failed_one_reason_is_told() -> None:
    failed = [
        Outcome(task_id="refetch", task_type="Intra42RefetchOperator", failed=True, reason=reason)
        for reason in ("", "the API answered 403", "the API answered 404")
    ]
    done = Outcome(
        task_id="refetch", task_type="Intra42RefetchOperator", failed=False, counts={"requests": 1}
    )
    assert note_of([done, *failed]) == (
        "refetch failed: the API answered 403\n\n"
        "1 request: 0 inserted, 0 updated, 0 deleted, 0 parked."
    )


def test_the_first_night_has_a_note(first_night: FirstNight) -> None:
    assert COUNTS.match(first_night.run.note or "")


def test_a_note_that_a_person_wrote_stays(loaded: Stack) -> None:
    loaded.sim.clock.advance(minutes=15)
    run = loaded.incremental()
    dag = SerializedDagModel.get_dag(INCREMENTAL)
    ours = select(DagRun).where(DagRun.run_id == run.run_id)
    for author, note in (("somebody", "looked at it, fine"), (None, run.note)):
        with create_session() as session:
            stored = session.scalars(ours).one()
            stored.dag = dag
            stored.dag_run_note.content = "looked at it, fine"
            stored.dag_run_note.user_id = author
            stored.notify_dagrun_state_changed(msg="success")
        with create_session() as session:
            assert session.scalars(ours).one().note == note


def test_a_note_fits_into_airflows_column() -> None:
    outcomes = [
        Outcome(task_id=f"task_{number}", task_type="Intra42SyncOperator", failed=True)
        for number in range(500)
    ]
    note = note_of(outcomes)
    assert len(note) == 1000
    assert note.startswith("task_0 failed\n\ntask_1 failed\n\n")
    assert note.endswith("\n\n0 requests: 0 inserted, 0 updated, 0 deleted, 0 parked.")
