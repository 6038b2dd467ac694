"""What tasks did reaches a statsd daemon under the documented names."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils

from tests.dags.environment import REPOSITORY
from tests.dags.stack import Stack

LINE = re.compile(r"airflow\.(intra42\.\w+)((?:,[^:]+)?):([\d.]+)\|(c|ms)")
ROWS = """
    select coalesce(sum(requests), 0), coalesce(sum(retries_429), 0), coalesce(sum(parked), 0)
    from intra42.sync_runs where run_id = %s
"""
TABLES = """
    select t.resource, sum(t.inserted)::int, sum(t.updated)::int, sum(t.deleted)::int
    from intra42.sync_run_tables as t join intra42.sync_runs as r on r.id = t.sync_run_id
    where r.run_id = %s group by t.resource
"""


class Daemon:
    """A statsd daemon that keeps what it hears."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.5)
        self.port = int(self._socket.getsockname()[1])

    def heard(self) -> Counter[tuple[str, str]]:
        """Return the sum of each of our metrics, by name and tags, since the last call."""
        found: Counter[tuple[str, str]] = Counter()
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except TimeoutError:
                return found
            for match in LINE.finditer(text):
                found[match[1], match[2]] += float(match[3])  # type: ignore[assignment]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon that Airflow's settings name; a task process sets its metrics up in this way."""
    it = Daemon()
    for name, value in {
        "ON": "True",
        "HOST": "127.0.0.1",
        "PORT": str(it.port),
        "INFLUXDB_ENABLED": "True",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", value)
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
    yield it
    monkeypatch.undo()
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
    it.close()


def by_name(heard: Counter[tuple[str, str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for (name, _tags), count in heard.items():
        total[name.removeprefix("intra42.")] += round(count)
    return dict(total)


def test_the_metrics_of_a_run_are_what_its_ledger_says(loaded: Stack, daemon: Daemon) -> None:
    world = loaded.sim.world
    loaded.sim.clock.advance(minutes=15)
    world.validate_project(world.students(loaded.sim.campus_id)[0].id, mark=100)
    world.new_student(loaded.sim.campus_id or 0)
    loaded.sim.faults.add("429_second", "/v2/cursus_users", retry_after=0)
    loaded.sim.faults.add(
        "mutate_record", "/v2/projects_users", change=lambda row: row | {"final_mark": 10**12}
    )
    daemon.heard()
    run = loaded.incremental()
    assert run.state == "success"
    heard = daemon.heard()
    requests, retries, parked = loaded.query(ROWS, run.run_id)[0]
    assert retries == 1
    assert parked >= 1
    names = by_name(heard)
    assert (names["requests"], names["retries_429"], names["rows_parked"]) == (
        requests,
        retries,
        parked,
    )
    for table, *numbers in loaded.query(TABLES, run.run_id):
        for kind, number in zip(("inserted", "updated", "deleted"), numbers, strict=True):
            tagged = sum(
                count
                for (name, tags), count in heard.items()
                if name == f"intra42.rows_{kind}" and f"table={table}" in tags.split(",")
            )
            assert tagged == number, (table, kind)
    assert any("dag_id=intra42_incremental" in tags for _name, tags in heard)


def test_a_wait_for_the_quota_is_a_metric(loaded: Stack, daemon: Daemon) -> None:
    loaded.api(extra={"timeout_s": 5, "requests_per_second": 5})
    loaded.sim.clock.advance(minutes=15)
    assert loaded.incremental().state == "success"
    assert by_name(daemon.heard())["waited"] > 0


def test_every_metric_is_documented_and_no_other_one() -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    code = (REPOSITORY / "plugins" / "intra42" / "operators" / "metrics.py").read_text()
    names = set(re.findall(r'"((?:requests|retries|rows)_?\w*)":', code))
    names |= {"rows_inserted", "rows_updated", "rows_deleted", "rows_found_by_refetching"}
    names |= set(re.findall(r'"intra42\.(\w+)"', code))
    assert names == set(re.findall(r"^\| `intra42\.(\w+)`", page, re.MULTILINE))
