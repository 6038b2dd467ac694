"""A quiet quarter of an hour on the whole network: requests of the mirror, and of a campus loop."""

from __future__ import annotations

from datetime import datetime, timedelta

from bench.context import Context
from bench.outcome import Outcome
from bench.sections.core import core_process
from dev.simulator.worlds import WORLDS
from dev.stack.demo import INCREMENTAL, NIGHTLY

_STUDENTS = 540
_DATABASE = "bench_campus_loop"
_QUARTER_S = 900


def section(context: Context) -> Outcome:
    outcome, upstream = Outcome(), context.upstream
    campuses = WORLDS["network"].campus_ids
    context.say(f"campus loop: a network of {_STUDENTS} students on {len(campuses)} campuses")
    upstream.start("network", students=_STUDENTS)
    url = context.fresh_database(_DATABASE)
    core_process(context, url, NIGHTLY)
    upstream.advance(_QUARTER_S)
    core_process(context, url, INCREMENTAL)
    upstream.mutate("quiet_quarter")
    now = upstream.advance(_QUARTER_S)
    asked = len(upstream.ledger())
    core_process(context, url, INCREMENTAL)
    ours = len(upstream.ledger()) - asked
    loop = context.child(
        "campus_loop",
        *("--url", upstream.url, "--token", upstream.token()),
        *("--campuses", str(list(campuses)), "--window", _window(now)),
    )
    upstream.stop()
    context.drop_database(_DATABASE)
    theirs = int(loop["requests"])
    outcome.facts = {
        "campuses": len(campuses),
        "requests": ours,
        "requests_of_the_campus_loop": theirs,
        "ratio": round(theirs / ours, 1),
    }
    outcome.add(f"quiet quarter of an hour, {len(campuses)} campuses", f"{ours} requests")
    outcome.add("  a loop over campuses and 4 tables", f"{theirs} requests, {theirs / ours:.1f}x")
    return outcome


def _window(now: datetime) -> str:
    since = now - timedelta(seconds=_QUARTER_S)
    return ",".join(moment.isoformat().replace("+00:00", "Z") for moment in (since, now))
