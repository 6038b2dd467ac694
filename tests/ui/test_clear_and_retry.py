"""Clear a failed chunk: docs/how-to.md, "Clear a red task"."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from dev.simulator.messages import Request
from tests.ui.browser import TriggerForm, clear_task, open_run, open_task, task_row
from tests.ui.school import CHUNK, NIGHTLY, School, name_of

REFETCH = "refresh_ongoing.refetch"
DELETE = "refresh_ongoing.delete_missing"


def test_a_chunk_that_failed_is_cleared_alone_and_the_run_becomes_green(
    school: School, page: Page
) -> None:
    refused = school.ongoing()[-1]
    school.sim.clock.advance(hours=2)
    school.sim.world.set_level_silently(refused.id, refused.level + 1)
    school.sim.faults.add("403", "/v2/cursus_users", times=None, when=chunk_with(refused.id))
    form = TriggerForm(page, NIGHTLY)
    with school.new_run(NIGHTLY) as started:
        form.submit()
    (run_id,) = started

    assert school.outcome(NIGHTLY, run_id) == "failed"
    (red,) = (name for name, state in school.states(NIGHTLY, run_id).items() if state == "failed")
    index = int(red.removeprefix(REFETCH).strip("[]"))
    # At the rate of the school, eight chunks share a task; the last one has what is left.
    count = school.value(
        "select max(p.number) from intra42.partitions as p "
        "join intra42.jobs as j on j.id = p.job_id where j.kind = 'refetch' and j.run_id = %s",
        run_id,
    )
    label = f"chunks {8 * index + 1} to {min(8 * index + 8, count)}"
    open_run(page, NIGHTLY, run_id)
    expect(task_row(page, REFETCH, label)).to_contain_text("Failed")
    expect(task_row(page, DELETE)).to_contain_text("Upstream Failed")
    # The note of the run says why, before any log is opened.
    expect(page.get_by_text(f"{REFETCH} failed: GET /v2/cursus_users")).to_contain_text("403")
    log = open_task(page, REFETCH, label)
    expect(log).to_contain_text("the API answered 403")

    school.sim.faults.clear()
    page.go_back()
    clear_task(page, REFETCH, label)
    expect(task_row(page, DELETE)).to_contain_text("Success")
    expect(task_row(page, REFETCH, label)).to_contain_text("Success")
    assert school.outcome(NIGHTLY, run_id) == "success"
    tries = {
        name_of(item): item["try_number"]
        for item in school.api.task_instances(NIGHTLY, run_id)
        if item["task_id"] == REFETCH
    }
    assert len(tries) > 1
    assert tries == {name: 2 if name == red else 1 for name in tries}
    assert school.differences() == []


def chunk_with(enrolment: int) -> Callable[[Request], bool]:
    """Return the condition that a request is for the chunk of this enrolment.

    The audit asks by id, too, but for a hundred at a time.
    """

    def asks(request: Request) -> bool:
        ids = request.query.get("filter[id]", "").split(",")
        return str(enrolment) in ids and len(ids) <= CHUNK

    return asks
