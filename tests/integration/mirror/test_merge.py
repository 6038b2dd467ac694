"""Merge order: an older observation never overwrites a newer one, whoever brings it and when."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from intra42.api.model import Answer
from intra42.attempt.work import Identity
from intra42.catalog import graph
from intra42.store.loading import Provenance
from intra42.store.page import store_all
from intra42.store.reading import lock
from intra42.store.rows import Cutter
from intra42.verify import absence
from tests.harness import INCREMENTAL, NIGHTLY

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


def seen(seq, records=()):
    """Return the answer to the request number `seq`."""
    return Answer(
        records=list(records),
        total=1,
        per_page=100,
        more=False,
        date=NOON,
        sent_at=NOON,
        seq=seq,
        elapsed_ms=1,
        size=1,
    )


def store(work, resource, rows, answer, provenance):
    """Merge the rows of one answer."""
    store_all(work, resource, [(row, answer) for row in rows], provenance)


def enrolment(level, *, minutes=0, row_id=1010):
    moment = NOON - timedelta(hours=20) + timedelta(minutes=minutes)
    return {
        "id": row_id,
        "user": {"id": row_id // 10},
        "cursus_id": 21,
        "grade": "Learner",
        "level": level,
        "skills": [],
        "begin_at": None,
        "end_at": None,
        "blackholed_at": None,
        "has_coalition": True,
        "created_at": NOON.isoformat(),
        "updated_at": moment.isoformat(),
    }


def merge(mirror, observations, dag_id=NIGHTLY, name="cursus_users"):
    """Store (request number, provenance, record) one after the other."""
    resource = graph.get(name)

    def step(work):
        for seq, provenance, record in observations:
            rows = [Cutter(resource, work.config.cursus_ids).cut(record)]
            work.commit(
                lambda seq=seq, rows=rows, provenance=provenance: store(
                    work, resource, rows, seen(seq), provenance
                )
            )

    mirror.task(Identity(dag_id=dag_id, run_id="merge"), {}, name, step)


def merge_at_once(mirror, observations):
    """Store half of them as the nightly and half as the incremental, side by side."""
    errors = []

    def write(dag_id, part):
        try:
            merge(mirror, part, dag_id)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    halves = [(NIGHTLY, observations[::2]), (INCREMENTAL, observations[1::2])]
    threads = [threading.Thread(target=write, args=half) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def level(mirror, row_id=1010):
    return mirror.value("select level from intra42.cursus_users where id = %s", row_id)


# The town's own row was merged by requests with numbers far below 1000, long before.
LISTING, DIRECT = Provenance.LISTING, Provenance.DIRECT


@pytest.mark.parametrize(
    ("observations", "wins"),
    [
        pytest.param(
            [(1001, LISTING, (5.0, 10)), (1002, LISTING, (4.0, 5))], 5.0, id="later updated_at"
        ),
        pytest.param(
            [(1002, LISTING, (5.0, 10)), (1001, LISTING, (4.0, 10))], 5.0, id="later request"
        ),
        pytest.param(
            [(1001, LISTING, (5.0, 10)), (1002, LISTING, (4.0, 10))], 4.0, id="news at equal times"
        ),
        pytest.param(
            [(1001, LISTING, (5.0, 10)), (1002, DIRECT, (4.0, 5))], 4.0, id="refetched later"
        ),
        pytest.param(
            [(1002, LISTING, (5.0, 10)), (1001, DIRECT, (4.0, 5))], 5.0, id="refetched before"
        ),
        pytest.param(
            [(1002, DIRECT, (5.0, 10)), (1001, DIRECT, (4.0, 10))], 5.0, id="late refetch"
        ),
        pytest.param(
            # 1002 sees what is there already; 1001 is older and must not undo that check.
            [(1000, DIRECT, (5.0, 10)), (1002, DIRECT, (5.0, 10)), (1001, DIRECT, (4.0, 10))],
            5.0,
            id="verified in between",
        ),
        pytest.param(
            [(1001, LISTING, (5.0, 10**6)), (1002, LISTING, (4.0, 10))], 4.0, id="future updated_at"
        ),
    ],
)
def test_the_newest_observation_stays(town, observations, wins):
    merge(
        town,
        [
            (seq, provenance, enrolment(value, minutes=minutes))
            for seq, provenance, (value, minutes) in observations
        ],
    )
    assert level(town) == wins


def test_pages_of_the_past_replayed_in_any_order_end_the_same(town):
    """Windows and refetches whose answers arrive late, twice and shuffled, as retries make them."""
    rng = random.Random(4)
    truth, value, minutes = {}, 1.0, 0
    observations = []
    for seq in range(1001, 1041):
        row_id = rng.choice([1010, 1020, 1030])
        # The row's past: sometimes a loud change, sometimes a silent one, sometimes none.
        kind = rng.choice(["loud", "silent", "none"])
        value, minutes = truth.get(row_id, (1.0, minutes))
        if kind == "loud":
            value, minutes = float(seq), minutes + 1
        elif kind == "silent":
            value = float(seq)
        truth[row_id] = (value, minutes)
        provenance = rng.choice([LISTING, DIRECT])
        observations.append((seq, provenance, enrolment(value, minutes=minutes, row_id=row_id)))
    for seed in range(5):
        mixed = observations + random.Random(seed).sample(observations, 20)
        random.Random(seed).shuffle(mixed)
        merge(town, mixed)
        assert {row_id: level(town, row_id) for row_id in truth} == {
            row_id: value for row_id, (value, _minutes) in truth.items()
        }


def test_two_writers_at_once_converge(town):
    rng = random.Random(7)
    past = [
        (
            seq,
            rng.choice([LISTING, DIRECT]),
            enrolment(float(seq), minutes=seq - 1000, row_id=row),
        )
        for seq in range(1001, 1061)
        for row in (1010, 1020, 1030)
    ]
    rng.shuffle(past)
    merge_at_once(town, past)
    assert {level(town, row_id) for row_id in (1010, 1020, 1030)} == {1060.0}


@pytest.mark.parametrize(
    ("seq", "minutes", "expected"),
    [pytest.param(2002, 6, 2.0, id="newer"), pytest.param(2000, 4, 1.0, id="older")],
)
def test_the_later_writer_of_a_new_row_merges_with_the_first(town, seq, minutes, expected):
    resource, new = graph.get("cursus_users"), 1015
    stored, go_on = threading.Event(), threading.Event()

    def first(work):
        row = Cutter(resource, work.config.cursus_ids).cut(enrolment(1.0, minutes=5, row_id=new))

        def step():
            store(work, resource, [row], seen(2001), LISTING)
            stored.set()
            go_on.wait(60)

        work.commit(step)

    who = Identity(dag_id=INCREMENTAL, run_id="first")
    later = [(seq, LISTING, enrolment(2.0, minutes=minutes, row_id=new))]
    threads = [
        threading.Thread(target=town.task, args=(who, {}, "cursus_users", first)),
        threading.Thread(target=merge, args=(town, later)),
    ]
    threads[0].start()
    assert stored.wait(60)
    threads[1].start()
    waiting = "select count(*) from pg_locks where locktype = 'transactionid' and not granted"
    while threads[1].is_alive() and not town.value(waiting):
        threads[1].join(0.05)
    assert threads[1].is_alive(), "it did not wait for the first"
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert level(town, new) == expected


def test_two_tasks_of_one_dag_and_table_do_not_read_at_once(town):
    began, go_on, order = threading.Event(), threading.Event(), []

    def first(work):
        lock(work, graph.get("cursus_users"))
        began.set()
        go_on.wait(60)
        order.append("first ended")

    def second(work):
        order.append("second asked")
        lock(work, graph.get("cursus_users"))
        order.append("second began")

    def run(step, task_id):
        who = Identity(dag_id=NIGHTLY, run_id="lock", task_id=task_id)
        town.task(who, {}, "cursus_users", step)

    threads = [
        threading.Thread(target=run, args=[first, "one"]),
        threading.Thread(target=run, args=[second, "two"]),
    ]
    threads[0].start()
    assert began.wait(60)
    threads[1].start()
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    while threads[1].is_alive() and not town.value(waiting):
        threads[1].join(0.05)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert order == ["second asked", "first ended", "second began"]


@pytest.mark.parametrize("holder", ["run of the day", "backfill"])
def test_a_backfill_and_a_run_of_the_same_dag_do_not_wait_for_each_other(town, holder):
    town.sim.world.validate_project(101, 12)
    now = town.sim.clock.now()
    window = {"updated_from": now - timedelta(hours=1), "updated_to": now + timedelta(hours=1)}
    held, other = ({}, window) if holder == "run of the day" else (window, {})

    def step(work):
        lock(work, graph.get("projects_users"))
        town.incremental(run_id="other", **other)

    who = Identity(dag_id=INCREMENTAL, run_id="holder", task_id="one")
    town.task(who, held, "projects_users", step)
    assert town.query("select user_id from intra42.projects_users where project_id = 12") == [
        (101,)
    ]


def test_both_dags_at_once_end_at_the_truth(town):
    world = town.sim.world
    for number in range(101, 107):
        world.validate_project(number, 12)
        world.touch_user(number, wallet=number)
    world.unregister(1070)
    newcomer = world.new_student(1)
    errors = []

    def run(dag_id):
        try:
            town.run(dag_id, run_id=f"{dag_id} at once")
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=[dag_id]) for dag_id in (NIGHTLY, INCREMENTAL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert town.query("select 1 from intra42.users where id = %s", newcomer) == [(1,)]
    assert town.differences() == []


def test_a_row_found_gone_is_not_brought_back_by_an_older_page(town):
    town.sim.world.unregister(1010)
    town.nightly()
    grave = town.value("select seq from intra42.tombstones where id = 1010")
    merge(town, [(grave - 1, LISTING, enrolment(9.0, minutes=60))])
    assert town.query("select 1 from intra42.cursus_users where id = 1010") == []
    merge(town, [(grave + 1, LISTING, enrolment(9.0, minutes=60))])
    assert level(town) == 9.0


@pytest.mark.parametrize("later", [5.0, 6.0], ids=["unchanged", "changed"])
def test_a_row_seen_after_the_proof_is_not_deleted(town, later):
    """The quarter hour sees a row while the nightly run is about to delete it."""
    resource, proof = graph.get("cursus_users"), 2000
    merge(town, [(proof - 1, DIRECT, enrolment(5.0)), (proof + 1, DIRECT, enrolment(later))])

    def step(work):
        return absence.delete(work, resource, {1010: seen(proof), 1020: seen(proof)}, asked=8)

    who = Identity(dag_id=NIGHTLY, run_id="delete")
    assert town.task(who, {}, resource.name, step) == 1
    assert level(town) == later
    assert town.query("select id from intra42.tombstones") == [(1020,)]


def test_nested_copies_of_users_never_downgrade_a_row(town):
    world = town.sim.world
    town.sim.harsh.stale_nested = True
    for number in range(101, 107):
        world.touch_user(number, wallet=500)
        world.validate_project(number, 12)
        world.update_row("cursus_users", number * 10, grade="Cadet")
    town.incremental()
    town.nightly()
    wallets = town.query("select distinct wallet from intra42.users where id < 107")
    assert wallets == [(500,)]
    assert town.differences() == []


def test_an_embedded_user_changes_a_row_only_where_it_is_clearly_newer(town):
    record = town.sim.world.users[101]
    base = {
        "id": 101,
        "login": record.login,
        "updated_at": town.value("select updated_at from intra42.users where id = 101").isoformat(),
        "wallet": 5,
    }
    merge(town, [(1001, Provenance.EMBEDDED, base)], name="users")
    assert town.value("select wallet from intra42.users where id = 101") == 0
    older = base | {"updated_at": "2020-01-01T00:00:00Z", "login": "3b3-cafe"}
    merge(town, [(1002, Provenance.EMBEDDED, older)], name="users")
    assert town.value("select login from intra42.users where id = 101") == "3b3-cafe"
    newer = base | {"updated_at": NOON.isoformat(), "wallet": 6}
    merge(town, [(1003, Provenance.EMBEDDED, newer)], name="users")
    assert town.value("select wallet from intra42.users where id = 101") == 6


def test_of_one_page_only_what_it_did_not_write_is_noted_as_verified(town):
    resource = graph.get("cursus_users")
    merge(
        town,
        [
            (1001, Provenance.DIRECT, enrolment(7.5)),
            (1002, Provenance.DIRECT, enrolment(8.5, row_id=1020)),
        ],
    )

    def step(work):
        cutter = Cutter(resource, work.config.cursus_ids)
        rows = [cutter.cut(enrolment(7.5)), cutter.cut(enrolment(9.5, row_id=1020))]
        work.commit(lambda: store(work, resource, rows, seen(1003), Provenance.DIRECT))

    town.task(Identity(dag_id=NIGHTLY, run_id="verified"), {}, "cursus_users", step)
    noted = "select array_agg(id) from intra42.verifications where seq = 1003"
    assert town.value(noted) == [1010]
    written = "select array_agg(id) from intra42.cursus_users where _seq = 1003"
    assert town.value(written) == [1020]


@pytest.mark.parametrize(
    ("page", "inserted"),
    [
        pytest.param([1011, 1019], 2, id="a gap between rows"),
        pytest.param([1081, 1089], 2, id="beyond the last row"),
        pytest.param([1011, 1029], 2, id="around a row"),
        pytest.param([1010, 1019], 1, id="begins at a row"),
        pytest.param([1011, 1020], 1, id="ends at a row"),
        pytest.param([1010], 0, id="a row alone"),
    ],
)
def test_a_page_is_stored_whatever_the_table_has_of_its_range(town, page, inserted):
    def step(work):
        cutter = Cutter(graph.get("cursus_users"), work.config.cursus_ids)
        rows = [cutter.cut(enrolment(7.5, row_id=number)) for number in page]
        work.commit(lambda: store(work, cutter.resource, rows, seen(1001), DIRECT))
        return work.counts.inserted, work.counts.updated

    identity = Identity(dag_id=NIGHTLY, run_id="range")
    counts = town.task(identity, {}, "cursus_users", step)
    assert counts == (inserted, len(page) - inserted)
    assert [level(town, number) for number in page] == [7.5] * len(page)
    entries = town.query(
        "select cursus_user_id from intra42.cursus_users_levels "
        "where level = 7.5 order by cursus_user_id"
    )
    assert [entry[0] for entry in entries] == page


def test_of_two_versions_in_one_page_the_later_one_is_stored(town):
    resource = graph.get("cursus_users")

    def step(work):
        cutter = Cutter(resource, work.config.cursus_ids)
        records = [enrolment(3.0, minutes=2), enrolment(2.0, minutes=1)]
        rows = [cutter.cut(record) for record in records]
        work.commit(lambda: store(work, resource, rows, replace(seen(1001), total=2), LISTING))

    town.task(Identity(dag_id=NIGHTLY, run_id="merge"), {}, "cursus_users", step)
    assert level(town) == 3.0
