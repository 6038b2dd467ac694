"""Histories that once ended badly, shortened to what mattered."""

from __future__ import annotations

from tests.harness import INCREMENTAL, NIGHTLY


def test_a_night_that_is_cleared_looks_at_everybody_again(story):
    story.run(NIGHTLY)
    story.sim.world.touch_user(103, silent=True, active=False)
    story.again()
    assert story.checks.differences() == []


def test_the_witness_of_an_erasure_may_have_been_anonymised(story):
    """106 is seen last of all, in his enrolments, and no listing of accounts shows him."""
    story.run(NIGHTLY)
    story.sim.world.anonymise(106)
    story.wait(60)
    story.run(NIGHTLY)
    story.sim.world.delete_user(104)
    story.two_nights()


def test_somebody_anonymised_without_an_enrolment_is_found_in_his_attempts(story):
    story.run(NIGHTLY)
    story.sim.world.unregister(1030)
    story.sim.world.anonymise(103)
    story.wait(60)
    story.run(NIGHTLY)
    assert story.checks.differences() == []


def test_somebody_without_a_campus_any_more_keeps_his_new_enrolment(story):
    """The filter by campus never shows it, and no watermark waits for it."""
    story.run(NIGHTLY)
    [home] = story.sim.world.campus_users.where("user_id", 102)
    story.wait(60)
    story.sim.world.delete_row("campus_users", home)
    story.sim.world.reregister(1020)
    story.sim.world.update_row("cursus_users", 1030, grade="Member")
    story.two_nights()


def test_a_window_that_shows_a_move_also_reads_what_moved_along(story):
    story.run(NIGHTLY)
    story.wait(60)
    story.sim.world.transfer(103, 2)
    story.sim.world.touch_user(103, wallet=50)
    story.window_twice(INCREMENTAL, 30, 60)


def test_somebody_who_was_erased_comes_back_though_he_would_not_be_let_in(story):
    """He has no campus and no enrolment any more; but he was in the mirror before he was hidden."""
    world = story.sim.world
    story.run(NIGHTLY)
    for row in [row.id for row in world.campus_users if row.user_id == 102]:
        world.update_row("campus_users", row, is_primary=False)
    for name in ("cursus_users", "projects_users"):
        for row in [row.id for row in world.tables[name] if row.user_id == 102]:
            world.delete_row(name, row)
    story.wait(60)
    story.run(NIGHTLY)
    world.hide("users", 102)
    for _ in range(2):
        story.wait(1500)
        story.run(NIGHTLY)
    assert story.reader().query("select 1 from intra42.users where id = 102") == []
    world.unhide("users", 102)
    story.two_nights()
    assert story.reader().query("select id from intra42.users where id = 102") == [(102,)]
