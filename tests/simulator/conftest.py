from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from dev.simulator import Simulator


class Client:
    """A client with a token, for asking the simulator over real HTTP."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.session = requests.Session()
        self.renew()

    def token(self, **fields: str) -> requests.Response:
        values = {
            "grant_type": "client_credentials",
            "client_id": self.sim.client_id,
            "client_secret": self.sim.client_secret,
        }
        return self.session.post(f"{self.sim.url}/oauth/token", data=values | fields, timeout=10)

    def renew(self) -> None:
        self.session.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"

    def get(self, path: str, headers: dict[str, Any] | None = None, **params: Any) -> Any:
        url = f"{self.sim.url}{path}"
        return self.session.get(
            url, params=params, headers=headers, timeout=10, allow_redirects=False
        )

    def ids(self, path: str, **params: Any) -> list[int]:
        return [record["id"] for record in self.get(path, **params).json()]


@pytest.fixture(scope="session")
def shared() -> Iterator[Client]:
    """A campus nobody may change."""
    with Simulator("campus", seed=7, students=200) as sim:
        yield Client(sim)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A tiny world: one campus, one project, three students."""
    simulator = Simulator("empty")
    world = simulator.world
    world.add_campus(1)
    world.add_campus(2)
    world.add_cursus(21)
    world.add_cursus(1)
    world.add_project(10, campus_ids=(1,))
    for number in (101, 102, 103):
        world.add_user(number, campus_id=1)
        world.add_cursus_user(number, 21, id=number * 10)
    with simulator:
        yield simulator


@pytest.fixture
def client(sim: Simulator) -> Client:
    return Client(sim)
