"""No comparison of totals decides alone that nothing is missing, and no item eats the budget."""

from __future__ import annotations

import pytest

from dev.simulator.clock import DAY
from intra42.verify.audit import audit
from tests.harness import NIGHTLY
from tests.integration.mirror import worlds
from tests.integration.mirror.test_asked import task
from tests.integration.mirror.test_audit import graves, ids

BAD = 2**63 + 5
CHILDREN = ("campus_users", "cursus_users", "projects_users", "achievements_users")


def forget(mirror, table, where, *values):
    """Take rows out of the mirror behind its back, as if they had never been seen."""
    with mirror.connect() as connection:
        connection.execute(f"delete from intra42.{table} where {where}", values)


def forget_user(mirror, number):
    """Take a student out of the mirror behind its back."""
    for table in (*CHILDREN, "coalitions_users"):
        forget(mirror, table, "user_id = %s", number)
    forget(mirror, "users", "id = %s", number)
    mirror.once_in.discard(number)


def nights(mirror, count):
    for _ in range(count):
        mirror.sim.clock.advance(hours=24)
        mirror.nightly()


def neighbours():
    """The town with a student of a third campus, of whom nothing has changed lately."""
    sim = worlds.town()
    worlds.person(sim, 305, 3)
    sim.clock.advance(hours=24)
    return sim


def test_a_hidden_account_does_not_make_up_for_a_missing_student(loaded):
    """The campus of the settings is taken out, and comes back with its old watermark."""
    mirror = loaded(neighbours, campus_ids=[1, 2])
    world = mirror.sim.world
    nights(mirror, 1)
    mirror.config["campus_ids"] = [1]
    nights(mirror, 1)
    world.transfer(305, 2)
    nights(mirror, 1)
    world.hide("users", 201)
    mirror.config["campus_ids"] = [1, 2]
    nights(mirror, 2)
    assert 305 in ids(mirror, "users")
    assert mirror.differences() == []


def test_as_many_listed_as_mirrored_is_no_proof(town):
    """Somebody is missing, somebody else is hidden: the number is right."""
    town.sim.world.hide("users", 101)
    forget_user(town, 108)
    nights(town, 1)
    assert 108 in ids(town, "users")
    assert town.differences() == []


@pytest.mark.parametrize("page_cap", [None, 3])
def test_within_one_user_a_gone_row_does_not_make_up_for_a_missing_one(loaded, page_cap):
    """Neither where a page shows all rows, nor where they are only counted."""
    mirror = loaded(worlds.town, campus_ids=[1])
    world = mirror.sim.world
    world.delete_row("achievements_users", 105_000)
    then = world.clock.now_ms() - 300 * DAY
    world.add_achievements_user(105, 14, id=104_999, created_at=then, updated_at=then)
    mirror.sim.harsh.page_cap = page_cap
    nights(mirror, 2)
    assert 104_999 in ids(mirror, "achievements_users")
    assert graves(mirror, "achievements_users") == {105_000}
    assert mirror.differences() == []


def crowd():
    """The town with a student of 300 attempts."""
    sim = worlds.town()
    world = sim.world
    for number in range(300):
        world.add_project(2_000 + number, campus_ids=(1,))
        world.add_projects_user(105, 2_000 + number, id=200_000 + number)
    sim.clock.advance(hours=24)
    return sim


def test_errors_that_cancel_in_one_count_do_not_do_so_each_night(loaded):
    """Only counts may find them: there is no budget for anything else."""
    mirror = loaded(crowd, campus_ids=[1], nightly_audit_requests=60)
    world = mirror.sim.world
    forget(mirror, "projects_users", "id = %s", 200_120)
    world.delete_row("projects_users", 200_280)
    for _ in range(12):
        with mirror.connect() as connection:
            # All rows were just confirmed, so that no refetch comes upon the one that is gone.
            connection.execute(
                "insert into intra42.verifications (resource, id, checked_at, seq) "
                "select 'projects_users', id, now(), 2^40 from intra42.projects_users "
                "on conflict (resource, id) do update set seq = 2^40"
            )
        nights(mirror, 1)
        if 200_120 in ids(mirror, "projects_users"):
            break
    assert 200_120 in ids(mirror, "projects_users")


def test_who_is_counted_together_is_drawn_anew_each_night(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    orders = []
    for _ in range(2):
        mirror.sim.clock.advance(hours=24)
        mirror.sim.ledger.clear()
        mirror.nightly()
        [first, *_] = [
            e.query["filter[user_id]"].split(",")
            for e in mirror.sim.ledger.requests("/v2/projects_users")
            if "filter[user_id]" in e.query and e.query["range[id]"].split(",")[1] != "2147483647"
        ]
        orders.append(first)
    assert set(orders[0]) != set(orders[1])


def spent(mirror, run_id):
    return mirror.value(
        "select sum(requests) from intra42.sync_runs where run_id = %s "
        "and task_id = 'primary.audit'",
        run_id,
    )


def test_a_bad_record_starves_nobody_and_the_listing_goes_on_where_it_stopped(loaded):
    """The listing has more pages than the budget, and one of its students cannot be stored."""
    mirror = loaded(worlds.village, campus_ids=[67], nightly_audit_requests=24)
    world = mirror.sim.world
    bad = world.new_student(67, wallet=BAD)
    students = [row.id for row in world.students(67)]
    missing = students[-2]
    assert missing != bad
    forget_user(mirror, missing)
    mirror.sim.harsh.page_cap = 2
    after = []
    for night in range(1, 9):
        mirror.sim.clock.advance(hours=24)
        run_id = mirror.nightly()
        assert spent(mirror, run_id) <= 24 + 12
        # Whatever the listing takes, there were counts and refetches.
        first = mirror.value(
            "select first_seq from intra42.dag_runs where run_id = %s and dag_id = %s",
            *(run_id, NIGHTLY),
        )
        counted = mirror.value("select count(*) from intra42.audits where seq > %s", first)
        assert counted > 0, night
        after.append(mirror.value("select max(after) from intra42.audit_positions"))
        if missing in ids(mirror, "users"):
            break
    assert missing in ids(mirror, "users")
    assert len(set(after)) > 1
    assert mirror.query("select resource, id from intra42.parked_records") == [("users", bad)]


def test_a_known_bad_student_is_no_news(town):
    bad = town.sim.world.new_student(1, wallet=BAD)
    town.nightly()
    town.sim.clock.advance(hours=24)
    run_id = town.nightly()
    assert town.query("select resource, id from intra42.parked_records") == [("users", bad)]
    before = town.value("select attempts from intra42.parked_records")
    quiet = spent(town, run_id)
    town.sim.clock.advance(hours=24)
    assert spent(town, town.nightly()) == quiet
    assert town.value("select attempts from intra42.parked_records") - before <= 2


def test_each_table_and_each_phase_has_its_share_of_a_small_budget(loaded):
    """Over some nights every table is counted and refetched, however few requests there are."""
    mirror = loaded(worlds.village, campus_ids=[67], nightly_audit_requests=3)
    mirror.sim.harsh.page_cap = 5
    begin = mirror.value("select max(first_seq) from intra42.dag_runs")
    nights(mirror, 12)
    counted = mirror.query(
        "select resource, count(*) from intra42.audits where seq > %s group by 1", begin
    )
    assert {row[0] for row in counted} == {*CHILDREN, "coalitions_users"}


def test_many_differences_of_one_table_leave_the_others_their_turn(loaded):
    mirror = loaded(worlds.village, campus_ids=[67], nightly_audit_requests=40)
    mirror.sim.harsh.page_cap = 3
    # Nearly each student lacks an attempt, and one lacks an achievement. Rows behind the highest id
    # that the mirror has are new ones, which windows show.
    forget(
        mirror,
        "projects_users",
        "id in (select max(id) from intra42.projects_users group by user_id "
        "order by 1 desc offset 1)",
    )
    lost = mirror.value(
        "select id from intra42.achievements_users order by id desc offset 9 limit 1"
    )
    forget(mirror, "achievements_users", "id = %s", lost)
    for _ in range(10):
        mirror.sim.clock.advance(hours=24)
        # Besides the budget: a turn of one difference, and the rows of whoever is cornered.
        assert spent(mirror, mirror.nightly()) <= 40 + 80
        if lost in ids(mirror, "achievements_users"):
            break
    assert lost in ids(mirror, "achievements_users")
    mirror.sim.harsh.page_cap = None
    mirror.config["nightly_audit_requests"] = 120
    nights(mirror, 3)
    assert mirror.differences() == []


def test_the_audit_of_an_attempt_after_a_wait_has_what_the_one_before_left(town):
    """Requests before the wait are spent."""

    def waited(spent):
        def step(reader):
            reader.work.requests_before = spent
            audit(reader.work)
            return reader.work.client.usage.requests

        return step

    town.sim.clock.advance(hours=24)
    # Nothing was audited by this run yet.
    town.config["nightly_audit_requests"] = 0
    run_id = town.nightly()
    town.config["nightly_audit_requests"] = 6
    assert task(town, "users", waited(6), run_id=run_id) == 0
    assert task(town, "users", waited(0), run_id=run_id) > 0
