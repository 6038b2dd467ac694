"""A machine that vanishes without a word holds nobody up for long."""

from __future__ import annotations

from intra42.attempt.work import Identity, Work
from tests.harness import NIGHTLY, Mirror


def test_the_warehouse_lets_go_of_a_vanished_machine_within_a_minute(town: Mirror) -> None:
    found: list[int] = []

    def look(work: Work) -> None:
        for name in ("idle", "interval", "count"):
            [(value,)] = work.connection.execute(
                "select setting::int from pg_settings where name = %s", [f"tcp_keepalives_{name}"]
            )
            found.append(value)

    town.task(Identity(dag_id=NIGHTLY, run_id="one"), {}, "cursus_users", look)
    idle, interval, count = found
    assert 0 < idle + interval * count <= 60
