"""Further tables in Airflow: one mapped task each, named after its table."""

from __future__ import annotations

from tests.dags.stack import Stack

FURTHER = "further.tables"


def outcomes(run) -> dict[str, str]:
    """Return the state of each mapped task by its label."""
    return {item.rendered_map_index: item.state for item in run.tasks[FURTHER]}


def test_each_table_that_is_asked_for_is_a_mapped_task_named_after_it(loaded: Stack) -> None:
    loaded.configure(campus_ids=[loaded.sim.campus_id], tables=["all"])
    night = loaded.nightly()
    assert night.state == "success"
    assert outcomes(night) == dict.fromkeys(
        ["skills", "quests_users", "locations", "scores"], "success"
    )
    assert loaded.differences() == []
    loaded.sim.clock.advance(minutes=15)
    quarter = loaded.incremental()
    assert sorted(outcomes(quarter)) == ["locations", "quests_users", "scores"]
    told = {name for name in night.events if night.events[name]}
    assert {"intra42.locations", "intra42.quests"} <= told


def test_a_table_that_may_not_be_read_is_skipped_and_the_run_stays_green(loaded: Stack) -> None:
    loaded.configure(campus_ids=[loaded.sim.campus_id], tables=["locations", "skills"])
    loaded.sim.faults.add("403", "/v2/locations", times=None)
    night = loaded.nightly()
    assert night.state == "success"
    assert outcomes(night) == {"skills": "success", "locations": "skipped"}


def test_trouble_of_a_further_table_makes_the_run_red_and_stops_no_level(loaded: Stack) -> None:
    loaded.configure(campus_ids=[loaded.sim.campus_id], tables=["skills"])
    loaded.sim.faults.add("wrong_total", "/v2/skills", times=None)
    night = loaded.nightly()
    assert night.state == "failed"
    assert night.states["refresh_ongoing.delete_missing"] == "success"
