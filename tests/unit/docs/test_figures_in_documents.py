"""The figures that the documents give are those of the code, or of what can be measured here."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from dev.docs.readme import handbook
from dev.simulator import Simulator
from dev.stack.settings import ROOT
from intra42.catalog.graph import edges, of_group
from tests.harness import Mirror

README = handbook()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
NEAR = 0.15  # a figure that says "about" or is measured may be off by as much


def number(text: str) -> int:
    return int(text.replace(",", ""))


def demo() -> Simulator:
    """The campus of `make demo`."""
    return Simulator("campus")


def rows(sim: Simulator) -> dict[str, dict[Any, dict[str, Any]]]:
    """Return the rows that a mirror of the demo's campus must have."""
    truth = sim.truth({"campus_ids": [sim.campus_id]})
    required = truth["required"]
    return {
        name: {key: row for key, row in table.items() if key in required[name]}
        for name, table in truth["rows"].items()
    }


@pytest.fixture(scope="module")
def campus() -> dict[str, dict[Any, dict[str, Any]]]:
    with demo() as sim:
        return rows(sim)


def levels(campus: dict[str, dict[Any, dict[str, Any]]]) -> dict[int, float]:
    """Return the level of each student with an ongoing enrolment in cursus 21."""
    return {
        row["user_id"]: row["level"]
        for row in campus["cursus_users"].values()
        if row["cursus_id"] == 21 and row["end_at"] is None
    }


def test_the_simulated_campus_is_as_large_as_they_say(
    campus: dict[str, dict[Any, dict[str, Any]]],
) -> None:
    told = re.search(
        r"simulated campus \((\S+) students, (\S+) attempts, (\S+)\s+achievements\)", README
    )
    assert told
    assert number(told[1]) == len(campus["users"])
    for text, table in ((told[2], "projects_users"), (told[3], "achievements_users")):
        assert number(text) == round(len(campus[table]), -2)
    about = re.search(r"one campus of about (\d+) students", README)
    assert about
    assert abs(len(campus["users"]) - int(about[1])) < NEAR * int(about[1])


def test_the_answers_of_the_tutorial_are_those_of_the_demo(
    campus: dict[str, dict[Any, dict[str, Any]]],
) -> None:
    found = levels(campus)
    answer = re.search(r"^ +(\d+) \| +([\d.]+)$", TUTORIAL, re.MULTILINE)
    assert answer
    assert int(answer[1]) == len(campus["users"])
    assert float(answer[2]) == round(sum(found.values()) / len(found), 2)
    cohorts = defaultdict(list)
    for user_id, level in found.items():
        user = campus["users"][user_id]
        if user["pool_year"] and user["pool_month"]:
            month = datetime.strptime(user["pool_month"], "%B").month  # noqa: DTZ007
            cohorts[f"{user['pool_year']}-{month:02}"].append(level)
    latest = [len(cohorts[name]) for name in sorted(cohorts)[-12:]]
    assert f"\n{sum(latest)} students in {len(latest)} cohorts\n" in TUTORIAL


def test_the_requests_of_the_readme_are_those_of_the_demos_campus(
    fresh: Callable[..., Mirror],
) -> None:
    told = {
        name: [number(figure) for figure in re.findall(r"[\d,]*\d", figures)]
        for name, figures in re.findall(r"^\| (.+?) \| (\d.*) \|$", README, re.MULTILINE)
    }
    with demo() as sim:
        campus_id = sim.campus_id
    mirror = fresh(demo, campus_ids=[campus_id], nightly_audit_requests=0)

    def cost(run: Callable[[], str]) -> int:
        mirror.sim.clock.advance(hours=1)
        return int(
            mirror.value("select sum(requests) from intra42.sync_runs where run_id = %s", run())
        )

    measured = {
        "first load": cost(mirror.nightly),
        "nightly, nothing changed": cost(mirror.nightly),
        "incremental, nothing changed": cost(mirror.incremental),
    }
    for name, requests in measured.items():
        assert abs(told[name][0] - requests) <= max(2, NEAR * requests), (name, requests)
    quarter, night = told["incremental, nothing changed"], told["nightly, nothing changed"]
    day = re.search(
        r"uses (\d+) quarter hours \S (\d+) \+ (\d+), about ([\d,]+) of\s+([\d,]+)", README
    )
    assert day
    assert [int(day[1]), int(day[2]), int(day[3])] == [96, quarter[0], sum(night)]
    assert abs(96 * quarter[0] + sum(night) - number(day[4])) < 50
    assert number(day[5]) == 24 * 1200


def test_the_widest_level_of_the_nightly_is_as_wide_as_they_say() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    told = re.search(r"the nightly's widest level has (\w+) tasks", " ".join(text.split()))
    assert told
    widths = []
    for group in ("reference", "primary"):
        depth: dict[str, int] = {}
        todo = dict(edges(of_group(group)))
        while todo:
            ready = [name for name, parents in todo.items() if parents <= depth.keys()]
            for name in ready:
                depth[name] = 1 + max((depth[parent] for parent in todo.pop(name)), default=0)
        widths += [list(depth.values()).count(level) for level in set(depth.values())]
    assert words.index(told[1]) + 1 >= max(widths)


def test_the_memory_of_a_task_is_what_the_benchmark_measured() -> None:
    results = json.loads((ROOT / "bench" / "results" / "latest.json").read_text(encoding="utf-8"))
    found = [results["region"]["task_rss_mb"], results["campus"]["first_load"]["task_rss_mb"]]
    least = math.floor(min(memory["smallest"] for memory in found) / 10) * 10
    most = math.ceil(max(memory["largest"] for memory in found) / 10) * 10
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert re.findall(r"A task uses (\d+) to (\d+) MB", text) == [(str(least), str(most))] * 2


def test_what_is_only_found_by_the_audit_is_as_much_as_they_say(
    campus: dict[str, dict[Any, dict[str, Any]]],
) -> None:
    told = re.search(r"about (\S+) of (\S+) rows of the simulated campus", README)
    assert told
    tables = [resource.name for resource in of_group("primary")]
    rows = sum(len(campus[table]) for table in tables)
    read_nightly = len(campus["users"]) + len(campus["coalitions_users"]) + len(levels(campus))
    assert abs(number(told[1]) - (rows - read_nightly)) <= 100
    assert number(told[2]) == round(rows, -2)


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_the_versions_of_python_are_those_that_are_supported(name: str) -> None:
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    bounds = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project)
    assert bounds
    first, after = int(bounds[1]), int(bounds[2])
    assert f"Python 3.{first} to 3.{after - 1} with its `venv` module" in text
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"(3, {first}) <= sys.version_info < (3, {after})" in makefile
    assert f"needs Python 3.{first} to 3.{after - 1} " in makefile
    assert all(re.search(rf"\bpython3\.{minor}\b", makefile) for minor in range(first, after))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert f"for Python 3.{first} to 3.{after - 1}." in lock.splitlines()[0]
