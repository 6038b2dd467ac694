"""What a page brought is let go of when it is stored, without the garbage collector."""

from __future__ import annotations

import gc

from intra42.store.rows import Row


def rows_alive():
    # Not isinstance: it wakes the proxies that other packages leave behind.
    return [thing for thing in gc.get_objects() if type(thing) is Row]


def test_no_row_outlives_its_transaction(town):
    for row_id in town.sim.world.projects_users.ids:
        town.sim.world.update_row("projects_users", row_id, final_mark=7)
    gc.collect()
    kept = {id(row): row for row in rows_alive()}  # of other tests
    gc.disable()
    try:
        town.incremental()
        left = [row for row in rows_alive() if id(row) not in kept]
    finally:
        gc.enable()
    assert town.value("select min(final_mark) from intra42.projects_users") == 7
    assert left == []


def test_a_task_leaves_the_collector_as_it_was(town):
    before = gc.get_threshold()
    town.incremental()
    assert gc.get_threshold() == before
