"""What a task did, through Airflow's own metrics: statsd or OpenTelemetry, whichever is set up.

Where Airflow adds tags to its metrics, ours have dag_id, task_id and, for rows, the table.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk.observability import stats

from intra42.attempt.work import Work

_KINDS = ("inserted", "updated", "deleted")


class Meter:
    """Sends what an attempt does from now on: what it had done before it waited was sent then."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._counts = work.counts.copy()
        self._retries_429 = work.client.usage.retries_429

    def send(self) -> None:
        """Send it; zeros are left out."""
        work, usage = self._work, self._work.client.usage
        tags = {"dag_id": work.identity.dag_id, "task_id": work.identity.task_id}
        for name, count in {
            "requests": usage.requests,
            "retries_429": usage.retries_429 - self._retries_429,
            "rows_parked": work.counts.parked - self._counts.parked,
        }.items():
            _count(name, count, tags)
        for table, numbers in sorted(work.counts.tables.items()):
            before = self._counts.tables.get(table, (0, 0, 0))
            for kind, now, then in zip(_KINDS, numbers, before, strict=True):
                _count(f"rows_{kind}", now - then, {**tags, "table": table})
        if usage.waited_s:
            stats.timing("intra42.waited", timedelta(seconds=usage.waited_s), tags=tags)


def refetched(work: Work) -> None:
    """Count rows that changed without a sign: only asking for them by id showed it."""
    tags = {"dag_id": work.identity.dag_id, "task_id": work.identity.task_id}
    _count("rows_found_by_refetching", work.counts.updated, tags)


def quota_wait(seconds: float, dag_id: str, task_id: str) -> None:
    """Note how long a task gives its slot away, because the hour's requests are used up."""
    tags = {"dag_id": dag_id, "task_id": task_id}
    stats.timing("intra42.quota_wait", timedelta(seconds=seconds), tags=tags)


def _count(name: str, count: int, tags: dict[str, str]) -> None:
    if count:
        stats.incr(f"intra42.{name}", count, tags=tags)
