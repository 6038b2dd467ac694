from __future__ import annotations

import pytest

from tests.dags.stack import INCREMENTAL, NIGHTLY, Stack


def test_with_a_bad_setting_only_the_first_task_runs_and_only_once(
    stack: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    stack.configure(campus_ids="Paris")
    run = stack.run(INCREMENTAL)
    assert run.state == "failed"
    assert run.states.pop("open_run") == "failed"
    others = {name: state for name, state in run.states.items() if name != "open_run"}
    assert set(others.values()) == {"upstream_failed"}
    assert run.tasks["open_run"][0].try_number == 1
    assert stack.sim.ledger.requests("/") == []
    assert not stack.has_schema()
    said = capfd.readouterr().out
    assert "intra42_config: campus_ids is 'Paris', but must be a list of ids" in said


def test_without_the_variable_the_defaults_hold(stack: Stack) -> None:
    stack.monkeypatch.delenv("AIRFLOW_VAR_INTRA42_CONFIG")
    run = stack.run(INCREMENTAL, {"updated_from": "2026-03-02T09:00:00Z"})
    assert run.state == "success", run.states
    asked = [e for e in stack.sim.ledger.requests("/v2/cursus_users") if e.query]
    assert asked
    assert all("filter[campus_id]" not in entry.query for entry in asked)


def test_a_variable_that_vanishes_stops_both_dags_at_their_first_task(
    stack: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    """As where a secrets backend fails for one night."""
    assert stack.run(INCREMENTAL, {"updated_from": "2026-03-02T09:00:00Z"}).state == "success"
    stack.monkeypatch.delenv("AIRFLOW_VAR_INTRA42_CONFIG")
    before = len(stack.sim.ledger.requests("/v2"))
    for dag_id in (INCREMENTAL, NIGHTLY):
        run = stack.run(dag_id)
        assert run.state == "failed"
        assert run.states["open_run"] == "failed"
        assert run.tasks["open_run"][0].try_number == 1
        assert set(run.states.values()) == {"failed", "upstream_failed"}
    assert len(stack.sim.ledger.requests("/v2")) == before
    said = capfd.readouterr().out
    assert "There is no Airflow variable intra42_config" in said
    assert '"campus_ids": [] to confirm' in said
