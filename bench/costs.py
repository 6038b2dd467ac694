"""What a load cost: who asked what, what was asked twice, and the least it could have taken."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from bench.night import Night
from dev.simulator.messages import LedgerEntry
from dev.virtual.records import INCREMENTAL, NIGHTLY, Run, Sent
from intra42.catalog.graph import of_group

_ALIASES = {"campus": "campuses", "blocs": "coalitions"}
_HOUR = timedelta(hours=1)
_PAGE = 100
ONGOING = "refresh of ongoing enrolments"
AUDIT = "audit"


@dataclass
class Table:
    """What one table's requests brought, and what it needed at least."""

    kept: int = 0
    page: int = _PAGE
    requests: int = 0
    failed: int = 0
    twice: int = 0
    empty: int = 0
    rows: int = 0

    @property
    def minimum(self) -> int:
        return max(1, math.ceil(self.kept / self.page))

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers, and where the rest of the requests went, in requests."""
        pages = self.requests - self.failed - self.twice - self.empty
        return {
            "rows_at_the_end": self.kept,
            "rows_read": self.rows,
            "minimum": self.minimum,
            "requests": self.requests,
            "share_of_minimum": round(self.minimum / self.requests, 3) if self.requests else None,
            "spent_on": {
                "failed_or_refused": self.failed,
                "asked_twice": self.twice,
                "answered_with_nothing": self.empty,
                "rows_read_again_or_not_kept": round((self.rows - self.kept) / self.page, 1),
                "pages_that_were_not_full": round(pages - self.rows / self.page, 1),
            },
        }


def table_of(sent: Sent) -> str:
    """Return whose rows a request asked for."""
    if sent.task.name.startswith("refresh_ongoing.refetch"):
        return ONGOING
    if sent.task.name == "primary.audit":
        return AUDIT
    name = next(part for part in reversed(sent.path.split("/")) if not part.isdecimal())
    return _ALIASES.get(name, name)


def kind_of(sent: Sent) -> str:
    """Return how it asked."""
    if "range[updated_at]" in sent.params:
        return "window"
    if "filter[user_id]" in sent.params:
        return "by user"
    return "by id" if re.search(r"/\d+$", sent.path) or "filter[id]" in sent.params else "listing"


def pairs(night: Night) -> list[tuple[Sent, LedgerEntry]]:
    """Return who sent what the simulator wrote down; both lists are in the order of the time."""
    entries = night.sim.ledger.requests()
    sent = night.foreman.sent
    same = [
        one.moment == entry.virtual_time and (one.path, one.params) == (entry.path, entry.query)
        for one, entry in zip(sent, entries, strict=True)
    ]
    assert all(same), "the foreman and the simulator do not agree on what was asked"
    return list(zip(sent, entries, strict=True))


def twice(pairs_of_run: Sequence[tuple[Sent, LedgerEntry]]) -> list[tuple[Sent, Sent]]:
    """Return (first, again) of requests that were answered with 200 and then sent again."""
    answered: dict[tuple[Any, ...], Sent] = {}
    found = []
    for sent, entry in pairs_of_run:
        question = (entry.path, *sorted(entry.query.items()))
        if question in answered:
            found.append((answered[question], sent))
        elif entry.status == 200:
            answered[question] = sent
    return found


def tables(night: Night, sent: Iterable[Sent], again: Iterable[Sent]) -> dict[str, Table]:
    """Return the costs by table; the audit has no minimum, it reads nothing new."""
    repeated = set(again)
    found = {AUDIT: Table()}
    with psycopg.connect(night.database_url) as connection:
        for resource in (*of_group("reference"), *of_group("primary")):
            # Coalitions come with their blocs, which are what a page has a hundred of.
            what = "count(distinct bloc_id)" if resource.name == "coalitions" else "count(*)"
            kept = _count(connection, f"select {what} from {resource.name}")
            found[resource.name] = Table(kept, resource.page_size)
        found[ONGOING] = Table()
        found[ONGOING].kept = _count(
            connection,
            "select count(*) from cursus_users where end_at is null or end_at > %s",
            max(one.moment for one in night.foreman.sent),
        )
    for one in sent:
        table = found.setdefault(table_of(one), Table())
        table.requests += 1
        if one.status != 200:
            table.failed += 1
        elif one in repeated:
            table.twice += 1
        elif not one.rows:
            table.empty += 1
        else:
            table.rows += one.rows
    return found


def _count(connection: psycopg.Connection[Any], query: str, *values: Any) -> int:
    connection.execute("set search_path to intra42")
    row = connection.execute(query, values).fetchone()
    return int(row[0]) if row else 0


def questions(sent: Iterable[Sent]) -> dict[str, dict[str, int]]:
    """Return requests and rows by task, table and kind of question."""
    requests: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for one in sent:
        key = f"{one.task.name}: {table_of(one)} {kind_of(one)}"
        requests[key] += 1
        rows[key] += one.rows
    return {key: {"requests": n, "rows": rows[key]} for key, n in requests.most_common()}


def hours(pairs_of_load: Iterable[tuple[Sent, LedgerEntry]], run: Run) -> list[dict[str, Any]]:
    """Return what each clock hour saw; the first and the last may not be whole ones."""
    found: dict[datetime, Counter[str]] = defaultdict(Counter)
    for sent, entry in pairs_of_load:
        hour = entry.virtual_time.replace(minute=0, second=0, microsecond=0)
        found[hour][sent.run.dag] += 1
        found[hour]["refused"] += entry.status == 429
    assert run.end is not None
    return [
        {
            "hour": hour.isoformat(),
            "whole": run.due <= hour and hour + _HOUR <= run.end,
            "nightly": counts[NIGHTLY],
            "incremental": counts[INCREMENTAL],
            "refused": counts["refused"],
        }
        for hour, counts in sorted(found.items())
    ]


def quarters(night: Night) -> dict[str, Any]:
    """Return how the incremental runs were served, in simulated seconds."""
    runs = [run for run in night.foreman.runs if run.dag == INCREMENTAL]
    lasted = [(run.end - run.due).total_seconds() for run in runs if run.end]
    first = [(run.first_answer - run.due).total_seconds() for run in runs if run.first_answer]
    counts = Counter(sent.run.id for sent in night.foreman.sent if sent.run.dag == INCREMENTAL)
    return {
        "served": len(lasted),
        "skipped_because_one_still_ran": night.skipped,
        "lasted_s": spread(lasted),
        "first_answer_s": spread(first),
        "requests": spread(list(counts.values())),
        "deferrals": sum(run.deferrals for run in runs),
    }


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return median, 95 % and the most."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "95%": round(ordered[math.ceil(len(ordered) * 0.95) - 1], 1),
        "most": round(ordered[-1], 1),
    }
