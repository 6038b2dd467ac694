"""C4: days of the past, backfilled in any order beside the runs of the day."""

from __future__ import annotations

import random
import threading
from datetime import timedelta

import pytest

from tests.harness import INCREMENTAL, NIGHTLY, Mirror
from tests.integration.mirror import worlds
from tests.selection import DEEP

DAYS = 6
SEEDS = 100 if DEEP else 2


@pytest.mark.parametrize("dag", [NIGHTLY, INCREMENTAL])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_c4_days_backfilled_in_any_order_beside_runs_of_the_day(loaded, dag, seed):
    mirror = loaded(worlds.village, campus_ids=[67])
    sim, rng = mirror.sim, random.Random(seed)
    begin = sim.clock.now()
    for _ in range(DAYS):
        sim.clock.advance(hours=24)
        sim.world.ordinary_day()
    mirror.incremental()
    past = [
        {"updated_from": begin + timedelta(days=day), "updated_to": begin + timedelta(days=day + 1)}
        for day in range(DAYS)
    ]
    rng.shuffle(past)
    state = "select dag_id, resource, scope, watermark from intra42.sync_state where dag_id = %s"
    before = mirror.query(f"{state} order by 2, 3", NIGHTLY)
    failures: list[BaseException] = []

    def backfill() -> None:
        # Another worker: nothing is shared but the warehouse and the API.
        worker = Mirror(mirror.database_url, sim, mirror.config)
        try:
            for number, window in enumerate(past):
                worker.run(dag, run_id=f"backfill{number}", **window)
        except BaseException as error:  # noqa: BLE001  # judged below
            failures.append(error)

    thread = threading.Thread(target=backfill)
    thread.start()
    live = 0
    while thread.is_alive() or live < 2:
        sim.clock.advance(minutes=15)
        for student in rng.sample(sim.world.students(67), 3):
            sim.world.validate_project(student.id)
        mirror.incremental()
        live += 1
    thread.join()
    assert failures == []
    assert mirror.query(f"{state} order by 2, 3", NIGHTLY) == before
    late = "select * from intra42.tombstones where run_id like 'backfill%%'"
    assert mirror.query(late) == []
    mirror.nightly()
    mirror.nightly()
    assert mirror.differences() == []


def test_c1_both_dags_a_backfill_and_refetches_at_once(loaded):
    mirror = loaded(worlds.village, campus_ids=[67])
    sim = mirror.sim
    begin = sim.clock.now()
    sim.clock.advance(hours=24)
    sim.world.ordinary_day()
    for row in list(sim.world.cursus_users)[:5]:
        sim.world.set_level_silently(row.id, 20.5)
    window = {"updated_from": begin, "updated_to": begin + timedelta(hours=24)}
    failures: list[BaseException] = []

    def play(dag: str, **params: object) -> None:
        worker = Mirror(mirror.database_url, sim, mirror.config)
        try:
            worker.run(dag, run_id=f"{dag} {len(params)}", **params)
        except BaseException as error:  # noqa: BLE001  # judged below
            failures.append(error)

    threads = [
        threading.Thread(target=play, args=(dag,), kwargs=params)
        for dag in (NIGHTLY, INCREMENTAL)
        for params in ({}, window)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    mirror.nightly()
    mirror.nightly()
    assert mirror.differences() == []
