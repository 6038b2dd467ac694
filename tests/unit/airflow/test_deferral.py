from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from dev.simulator import Simulator
from intra42.operators import Intra42OpenRunOperator, Intra42Operator, Intra42SyncOperator
from intra42.read.listings import WITH_MEMBERSHIPS
from tests.dags.stack import Stack
from tests.unit.airflow.contexts import context

LISTING = "/v2/cursus/21/users"
STATUS = "select status from intra42.sync_runs where resource = 'users' order by id"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A campus with more students than one page shows."""
    with Simulator("campus", seed=3, students=350) as simulator:
        yield simulator


@pytest.fixture
def users(stack: Stack) -> Intra42Operator:
    """The task of the first load of users, in an open run."""
    Intra42OpenRunOperator(task_id="open_run").execute(context(task_id="open_run"))
    return Intra42SyncOperator(task_id="primary.users", resource="users")


def attempt(operator: Intra42Operator, again: bool = False) -> TaskDeferred | None:
    """Run the task, from its start or after a wait; return how it deferred itself, if it did."""
    step: Any = operator.execute_again if again else operator.execute
    try:
        step(context(task_id="primary.users"))
    except TaskDeferred as deferred:
        return deferred
    return None


def an_hour_passes(stack: Stack) -> None:
    """Let the quota be fresh, for the API and for the database, whose clock is the real one."""
    stack.sim.clock.advance(hours=1)
    stack.execute("update intra42.api_limits set paused_until = null, slots = '{}'")
    stack.execute("delete from intra42.api_usage")


def pages_of(sim: Simulator, path: str) -> list[str]:
    """Return where the pages of a listing began that were asked of the API, in order."""
    return [e.query["range[id]"] for e in sim.ledger.requests(path)]


def test_a_spent_hour_defers_the_task_until_it_is_complete(
    stack: Stack, sim: Simulator, users: Intra42Operator
) -> None:
    sim.limits.per_hour = 14
    waits = 0
    deferred = attempt(users)
    while deferred:
        waits += 1
        assert waits < 10, "the task makes no progress"
        assert deferred.method_name == "execute_again"
        assert deferred.trigger.moment > datetime.now(UTC)
        assert stack.query(STATUS) == [("deferred",)]
        an_hour_passes(stack)
        deferred = attempt(users, again=True)
    assert waits >= 1
    assert 429 not in {entry.status for entry in sim.ledger.requests()}
    # The attempt is one, however often it waits.
    assert stack.query(STATUS) == [("success",)]
    sent = stack.value("select requests from intra42.sync_runs where resource = 'users'")
    assert sent == len(sim.ledger.requests())
    wanted = sim.truth(stack.config)["required"]["users"]
    assert {row[0] for row in stack.query("select id from intra42.users")} >= wanted


def test_a_long_pause_that_the_api_asks_for_is_waited_out_without_a_slot(
    stack: Stack, sim: Simulator, users: Intra42Operator
) -> None:
    sim.faults.add("429_second", LISTING, skip=2, retry_after=120)
    before = datetime.now(UTC)
    deferred = attempt(users)
    assert deferred is not None
    assert deferred.method_name == "execute_again"
    moment = deferred.trigger.moment
    assert before + timedelta(seconds=115) < moment < datetime.now(UTC) + timedelta(seconds=125)


def test_a_task_that_goes_on_asks_first_for_the_page_it_did_not_get(
    stack: Stack, sim: Simulator, users: Intra42Operator
) -> None:
    sim.faults.add("429_second", LISTING, skip=2, retry_after=120)
    assert attempt(users)
    stored = stack.value("select count(*) from intra42.users")
    assert stored >= WITH_MEMBERSHIPS  # one page at least
    begun = pages_of(sim, LISTING)
    sim.ledger.clear()

    too_early = attempt(users, again=True)
    assert too_early is not None
    assert sim.ledger.requests() == []

    an_hour_passes(stack)
    assert attempt(users, again=True) is None
    # A page that came while the one before waited for its people is asked for again.
    assert pages_of(sim, LISTING)[0] in begun[-2:]
    assert stack.value("select count(*) from intra42.users") > stored


def test_a_first_load_that_was_interrupted_asks_again_only_for_what_was_under_way(
    stack: Stack, sim: Simulator, users: Intra42Operator
) -> None:
    sim.faults.add("429_second", LISTING, skip=2, retry_after=120)
    assert attempt(users)
    an_hour_passes(stack)
    assert attempt(users, again=True) is None
    asked = [
        (entry.path, *sorted(entry.query.items()))
        for entry in sim.ledger.requests()
        if entry.status == 200
    ]
    # Two listings, a page of each, and where the people of these live.
    assert len(asked) - len(set(asked)) <= 4


def test_a_short_pause_is_slept_through(
    stack: Stack, sim: Simulator, users: Intra42Operator
) -> None:
    sim.faults.add("429_second", LISTING, retry_after=1)
    assert attempt(users) is None
    assert stack.query(STATUS) == [("success",)]
    assert stack.value("select sum(retries_429) from intra42.sync_runs") == 1
