"""OpenLineage hears of the API's listing and of our tables, where its provider is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.listener import get_listener_manager

from intra42.catalog import graph
from intra42.operators import Intra42SyncOperator
from tests.dags.environment import REPOSITORY
from tests.dags.stack import Stack

_PROVIDER = find_spec("airflow.providers.openlineage")
with_provider = pytest.mark.skipif(_PROVIDER is None, reason="its provider is not installed")
without_provider = pytest.mark.skipif(_PROVIDER is not None, reason="its provider is installed")


@without_provider
def test_without_the_provider_nothing_of_it_is_imported() -> None:
    code = "import sys, intra42_plugin; print([m for m in sys.modules if 'openlineage' in m])"
    path = os.pathsep.join([str(REPOSITORY / "plugins"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_task_that_did_nothing_has_no_facets() -> None:
    task = Intra42SyncOperator(task_id="sync", resource="users")
    assert task.get_openlineage_facets_on_complete(None) is None


@with_provider
def test_a_run_tells_which_listing_became_which_table(
    loaded: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.openlineage.plugins.listener import get_openlineage_listener

    events = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(transport))
    manager = get_listener_manager()
    listener = get_openlineage_listener()
    if not manager.pm.is_registered(listener):
        manager.add_listener(listener)
    loaded.sim.clock.advance(minutes=15)
    loaded.sim.world.new_student(loaded.sim.campus_id or 0)
    run = loaded.incremental()
    assert run.state == "success"
    jobs: dict[str, Any] = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE" and event["outputs"]:
            jobs[event["job"]["name"]] = event
    event = jobs["intra42_incremental.primary.users"]
    (listing,) = event["inputs"]
    assert (listing["namespace"], listing["name"]) == (
        loaded.sim.url,
        "/v2/cursus/{cursus_id}/users",
    )
    outputs = {item["name"].rpartition(".")[2]: item for item in event["outputs"]}
    fields = [field["name"] for field in outputs["users"]["facets"]["schema"]["fields"]]
    assert fields == list(graph.get("users").column_names)
    assert outputs["users"]["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert outputs["users"]["name"].endswith(".intra42.users")
