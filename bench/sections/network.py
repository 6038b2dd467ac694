"""The first load of the whole network in virtual time, interrupted, with quarter hours served."""

from __future__ import annotations

from bench import network
from bench.context import Context
from bench.outcome import Outcome

_SERVED_S = 300  # five minutes: longer, and the next quarter hour is near


def section(context: Context) -> Outcome:
    students = context.sizes.network_students
    result = network.measure(students=students, say=context.say)
    load, kills, quarters = (result[k] for k in ("first_load", "interruptions", "incremental"))
    outcome = Outcome()
    outcome.facts = result
    outcome.add(
        f"first load of a network of {students:,} students, simulated hours",
        f"{load['simulated_hours']}",
    )
    outcome.add("  requests", f"{load['requests']:,}")
    outcome.add("  of them the theoretical minimum", f"{load['share_of_minimum']:.1%}")
    twice = load["asked_twice"]["by_the_heir_of_a_killed_task"]
    outcome.add(
        f"  {kills['number']} interruptions with {kills['requests_in_flight']} requests in flight",
        f"{twice} asked again",
        "at most those in flight",
        twice <= kills["requests_in_flight"],
    )
    lasted = quarters["lasted_s"] or {"median": 0, "95%": 0}
    outcome.add(
        f"  {quarters['served']} incremental runs meanwhile, median and 95 %",
        f"{lasted['median']:.0f} s, {lasted['95%']:.0f} s",
        "below 5 min",
        lasted["95%"] <= _SERVED_S,
    )
    outcome.add(
        "  differences from the truth after a second night",
        f"{result['differences_from_the_truth']}",
        "none",
        not result["differences_from_the_truth"],
    )
    return outcome
