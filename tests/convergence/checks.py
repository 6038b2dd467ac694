"""What must hold after every step of a history, with the simulator as referee.

I1 no row is missing, I2 none is left over, I3 none is stale: after two quiet nights, and what the
nightly run promises at once after each clean one. I4 no row goes back in time. I5 no watermark
passes a change that was not read. I6 the API's limits are kept. I7 every request is in the ledger.
I8 readers see whole merges. I9 repeating changes nothing. I10 a green clean run did not lie.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dev.simulator import Simulator
from dev.simulator.clock import to_ms
from dev.stack.verify import compare
from intra42.catalog import graph
from intra42.read.window import scopes
from intra42.settings import parse_config
from tests.convergence.upstream import CHILDREN, Upstream
from tests.harness import INCREMENTAL, NIGHTLY, Mirror

if TYPE_CHECKING:
    from tests.convergence.story import Outcome, Trouble

TABLES = ("users", *CHILDREN)
_WRITTEN = f"""
with present (resource, rows) as (
  {" union all ".join(f"select '{name}', count(*) from intra42.{name}" for name in TABLES)}
)
select p.resource, p.rows, coalesce(sum(t.inserted - t.deleted), 0)
from present as p
left join intra42.sync_run_tables as t using (resource)
group by p.resource, p.rows
having p.rows <> coalesce(sum(t.inserted - t.deleted), 0)
"""  # one statement, one snapshot


@dataclass(kw_only=True)
class Seen:
    """How things were when a run began."""

    shown: dict[str, set[int]]
    grave: int
    sent: int
    counted: int
    troubles: Sequence[Trouble]
    alone: bool
    hidden: set[tuple[str, int]]
    version: int


class Checks:
    """The referee of one history."""

    def __init__(self, sim: Simulator, upstream: Upstream, reader: Mirror) -> None:
        self._sim = sim
        self._upstream = upstream
        self._reader = reader
        self._query = reader.query
        self._once_in: set[int] = set()
        self._loose_until = sim.clock.now()

    # Around a run.

    @contextmanager
    def around(self, troubles: Sequence[Trouble], *, alone: bool = True) -> Iterator[Seen]:
        yield Seen(
            shown=self._upstream.shown(),
            grave=self._one("select coalesce(max(number), 0) from intra42.tombstones"),
            sent=self._sent(),
            counted=self._counted(),
            troubles=troubles,
            alone=alone,
            hidden=set(self._upstream.obscured),
            version=self._sim.world.version,
        )

    def after_run(
        self, dag: str, outcome: Outcome, trouble: Trouble, params: dict[str, Any], seen: Seen
    ) -> None:
        self.after_runs(seen)
        explicit = "updated_from" in params
        if outcome.green and trouble.kind == "none" and not explicit:
            if dag == NIGHTLY:
                self._nightly_promises()
            else:
                self._incremental_promises(outcome.run_id)
        if explicit:
            assert self._new_graves(seen) == [], "a backfill deleted rows"

    def after_runs(self, seen: Seen) -> None:
        self._deletes(seen)
        self._requests(seen)
        self._forward_only()
        self._whole()
        self._watermarks()
        self._once_in |= {row[0] for row in self._query("select id from intra42.users")}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at the mirror all the while: no reader ever sees half a merge (I8)."""
        over = threading.Event()
        found: list[Any] = []

        def look() -> None:
            while not over.wait(0.01) and not found:
                found.extend(self._query(_WRITTEN))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not found, f"I8: a reader saw half a merge: {found}"

    # Each of them.

    def _new_graves(self, seen: Seen) -> list[tuple[Any, ...]]:
        return self._query(
            "select resource, id, row ->> 'user_id', reason from intra42.tombstones "
            "where number > %s and resource = any(%s)",
            seen.grave,
            list(TABLES),
        )

    def _deletes(self, seen: Seen) -> None:
        """No row is deleted that the API showed from the beginning of the run to its end."""
        now = self._upstream.shown()
        blinked = self._upstream.obscured - seen.hidden
        if any(trouble.name == "missing_row" for trouble in seen.troubles):
            blinked = set()  # one answer without a row proves nothing
        for resource, row_id, user_id, reason in self._new_graves(seen):
            if row_id not in seen.shown[resource] & now[resource]:
                continue
            owner = int(user_id or row_id)
            if owner not in seen.shown["users"] & now["users"]:
                continue
            assert (resource, row_id) in blinked, (
                f"deleted {resource} {row_id}, which the API showed all the time: {reason}"
            )

    def _requests(self, seen: Seen) -> None:
        """I6 and I7."""
        entries = self._sim.ledger.requests()[seen.sent :]
        lost = self._counted() - seen.counted - len(entries)
        cut = [trouble for trouble in seen.troubles if trouble.kind in {"kill", "cut"}]
        assert 0 <= lost <= 2 * len(cut), f"I7: sync_runs and the API's ledger differ by {lost}"
        injected = any(trouble.name.startswith("429") for trouble in seen.troubles)
        if not seen.alone:
            # While one waits for the hour, time jumps under a request of the other.
            self._loose_until = self._sim.clock.now() + timedelta(hours=2)
        if self._sim.clock.now() >= self._loose_until and not injected:
            refused = [entry for entry in entries if entry.status == 429]
            assert not refused, f"I6: {len(refused)} requests beyond the API's limits"

    def _forward_only(self) -> None:
        assert self._query("select * from public.gone_back") == [], "I4: a row went back in time"

    def _whole(self) -> None:
        assert self._query(_WRITTEN) == [], "I8: rows and the ledger were not written together"

    def _watermarks(self) -> None:
        """I5: what changed before a watermark has been read, or is queued or parked."""
        config = parse_config(self._reader.config)
        marks: dict[str, dict[str, datetime]] = {}
        for resource, scope, watermark in self._query(
            "select resource, scope, max(watermark) from intra42.sync_state group by 1, 2"
        ):
            marks.setdefault(resource, {})[scope] = watermark
        people = dict(self._query("select id, campus_id from intra42.users"))
        queued = set(
            self._query("select resource, user_id from intra42.to_read where why = 'history'")
        )
        parked = set(self._query("select resource, id from intra42.parked_records"))
        for name, known in marks.items():
            wanted = {scope.key for scope in scopes(graph.get(name), config)}
            if not wanted <= known.keys():
                continue
            passed = to_ms(min(known[key] for key in wanted)) or 0
            mine = dict(self._query(f"select id, updated_at from intra42.{name}"))
            for row in self._sim.world.tables[name]:
                owner = row.id if name == "users" else row.user_id
                if owner not in people or row.updated_at >= passed:
                    continue
                if not self._readable(name, row, config.all_cursus_ids, config.cursus_ids):
                    continue
                if (name, owner) in queued or (name, row.id) in parked:
                    continue
                if people[owner] != self._sim.world.primary_campus(owner):
                    # He is still looked for at his old campus. His move will have his rows read.
                    continue
                have = to_ms(mine.get(row.id))
                assert (have or 0) >= row.updated_at, (
                    f"I5: the watermark of {name} passed the change of {row.id} by "
                    f"{timedelta(milliseconds=passed - row.updated_at)}"
                )

    def _readable(
        self, name: str, row: Any, all_cursus: tuple[int, ...], cursus: tuple[int, ...]
    ) -> bool:
        """Tell whether the API has shown the row in windows all the time since it changed."""
        if (name, row.id) in self._upstream.obscured:
            return False
        if name == "users":
            enrolments = self._sim.world.cursus_users.of("user_id", row.id)
            enrolled = any(found.cursus_id in all_cursus for found in enrolments)
            return enrolled and not row.anonymised
        if name == "cursus_users":
            return row.cursus_id in all_cursus
        if name == "projects_users":
            return bool(set(row.cursus_ids) & set(cursus))
        return True

    def _nightly_promises(self) -> None:
        """I3: silent changes of people, ongoing levels and scores are in after each clean night."""
        differences = [
            line
            for line in self.differences()
            if (line.startswith("users ") and "exists only" not in line)
            or (line.startswith("coalitions_users ") and ("score" in line or "rank" in line))
            or (
                line.startswith("cursus_users ")
                and "level" in line
                and self._is_ongoing(int(line.split()[1].rstrip(":")))
            )
        ]
        assert not differences, f"I3: stale after a clean night: {differences}"

    def _incremental_promises(self, run_id: str) -> None:
        """I3: whoever has an attempt in the window of this run has a true level."""
        since = self._one(
            "select min(window_from) from intra42.sync_runs "
            "where run_id = %s and task_id = 'primary.projects_users' and dag_id = %s",
            run_id,
            INCREMENTAL,
        )
        if since is None:
            return
        attempts = self._sim.world.projects_users.updated_between(
            int(since.timestamp() * 1000), self._sim.clock.now_ms()
        )
        mine = dict(self._query("select id, level from intra42.cursus_users"))
        parked = {row[0] for row in self._query("select id from intra42.parked_records")}
        # Whose membership vanished without a trace is asked for under a campus that is not his.
        lost = {
            user
            for user, row in self._query("select user_id, id from intra42.campus_users")
            if row not in self._sim.world.campus_users
        }
        for attempt in attempts:
            row = self._sim.world.projects_users[attempt]
            if row.user_id in lost:
                continue
            if 21 not in row.cursus_ids or ("projects_users", attempt) in self._upstream.obscured:
                continue
            for enrolment in self._sim.world.cursus_users.of("user_id", row.user_id):
                if not self._is_ongoing(enrolment.id) or enrolment.id in parked:
                    continue
                have = mine.get(enrolment.id, enrolment.level)
                assert have == enrolment.level, (
                    f"I3: level of {enrolment.id} is {have} after an attempt in the window, "
                    f"the API says {enrolment.level}"
                )

    def _is_ongoing(self, row_id: int) -> bool:
        row = self._sim.world.cursus_users.get(row_id)
        return row is not None and row.cursus_id in {1, 21} and self._sim.world.ongoing(row)

    # The end.

    def at_the_end(self) -> None:
        differences = self.differences()
        assert differences == [], "after two clean nights the mirror differs:\n" + "\n".join(
            differences
        )
        self._erased()

    def tuples(self) -> list[tuple[Any, ...]]:
        """Return a fingerprint of every row of the mirror, our own columns included."""
        links = [link.table for resource in graph.of_group("reference") for link in resource.links]
        names = sorted({*(resource.name for resource in graph.RESOURCES), *links})
        parts = [
            f"select '{name}', count(*), md5(string_agg(t::text, '/' order by t::text)) "
            f"from intra42.{name} as t"
            for name in names
        ]
        return self._query(" union all ".join(parts))

    def differences(self) -> list[str]:
        truth = self._sim.truth(self._reader.config, also_users=self._once_in)
        with self._reader.connect() as connection:
            return compare(connection, truth)

    def _erased(self) -> None:
        """Nothing is left of accounts that were anonymised or deleted."""
        left = {row.id for row in self._sim.world.users if not row.anonymised}
        names = [f'%Number{number}"%' for number in self._once_in - left]
        found = self._query(
            "select 'tombstone', t.resource, t.id from intra42.tombstones as t "
            "where t.row::text like any(%s) union all "
            "select 'parked', p.resource, p.id from intra42.parked_records as p "
            "where p.payload::text like any(%s) union all "
            "select 'row', 'users', u.id from intra42.users as u "
            "where to_jsonb(u)::text like any(%s)",
            names,
            names,
            names,
        )
        assert found == [], f"old names of erased accounts are left: {found}"

    def _one(self, text: str, *values: Any) -> Any:
        return self._query(text, *values)[0][0]

    def _sent(self) -> int:
        return len(self._sim.ledger.requests())

    def _counted(self) -> int:
        return int(self._one("select coalesce(sum(requests), 0) from intra42.sync_runs"))
