"""Histories that once ended badly, shortened to what mattered."""

from __future__ import annotations

from tests.harness import NIGHTLY


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
