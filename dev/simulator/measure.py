"""Measure how fast a world is built and how fast it answers: `python -m dev.simulator.measure`."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from datetime import timedelta

import requests

from dev.simulator.simulator import Simulator

_REPEATS = 7


def _paths(simulator: Simulator) -> list[str]:
    world = simulator.world
    users = ",".join(str(number) for number in world.users.ids[1000:1100])
    enrolments = ",".join(str(number) for number in world.cursus_users.ids[500:600])
    attempts = world.projects_users.ids
    middle = attempts[len(attempts) // 2]
    since = (simulator.clock.now() - timedelta(minutes=45)).isoformat()[:19] + "Z"
    keyset = "page[size]=100&sort=id"
    return [
        f"/v2/projects_users?{keyset}&range[id]={middle},2147483647",
        f"/v2/projects_users?{keyset}&range[id]={middle},2147483647&filter[cursus]=21",
        f"/v2/projects_users?{keyset}&filter[user_id]={users}&range[id]=1,{attempts[-1]}",
        f"/v2/projects_users?{keyset}&range[updated_at]={since},9999-12-31T23:59:59Z",
        f"/v2/cursus_users?{keyset}&filter[id]={enrolments}",
        f"/v2/cursus_users?{keyset}&filter[cursus_id]=21&range[id]=1,2147483647",
        f"/v2/users?{keyset}&filter[id]={users}",
        f"/v2/cursus/21/users?{keyset}&filter[kind]=student&range[id]=1,2147483647",
        f"/v2/achievements_users?{keyset}&range[updated_at]={since},9999-12-31T23:59:59Z",
        f"/v2/coalitions_users?{keyset}&filter[user_id]={users}",
        f"/v2/campus_users?{keyset}&range[id]=1,2147483647",
        "/v2/cursus/21/projects?page[size]=30",
        "/v2/achievements?page[size]=100",
        "/v2/blocs?page[size]=100",
    ]


def main() -> None:
    """Build the world named on the command line (the network if none is) and time it."""
    name = sys.argv[1] if len(sys.argv) > 1 else "network"
    started = time.monotonic()
    simulator = Simulator(name)
    print(f"{name}: built in {time.monotonic() - started:.2f} s")
    for table in simulator.world.tables.values():
        print(f"  {table.name:20} {len(table):>9,}")
    print(f"  memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    fields = {"client_id": simulator.client_id, "client_secret": simulator.client_secret}
    with simulator, requests.Session() as session:
        fields["grant_type"] = "client_credentials"
        answer = session.post(f"{simulator.url}/oauth/token", data=fields, timeout=60)
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        print("first / median of the next, in ms")
        for path in _paths(simulator):
            times = []
            for _ in range(_REPEATS):
                started = time.monotonic()
                reply = session.get(simulator.url + path, timeout=60)
                times.append((time.monotonic() - started) * 1000)
            total = reply.headers["X-Total"]
            print(f"  {times[0]:8.1f} {statistics.median(times[1:]):7.1f}  {total:>9}  {path[:90]}")


if __name__ == "__main__":
    main()
