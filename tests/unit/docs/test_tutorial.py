"""docs/tutorial.md, word by word: its files are saved, its commands run, its answers appear."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest

from dev.simulator import Simulator
from dev.stack.airflow import WAREHOUSE_DATABASE, AirflowStack
from dev.stack.postgres import Postgres
from dev.stack.settings import ROOT
from tests.harness import Mirror

TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


def fences() -> list[tuple[str, str, str]]:
    """Return the code blocks: language, content, and the paragraph above each."""
    found = re.finditer(r"([^\n]*\n)\n```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    return [(match[2], match[3], match[1]) for match in found]


class Reader:
    """Somebody at a terminal in a fresh checkout, who types what the page says."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        # The interpreter of this session stands for the .venv that `make` would have installed.
        typed = re.sub(r"^make ", "make --old-file .venv/.intra42-installed ", command)
        # Below a `make test`, make would name its folder in what it prints.
        inherited = {name for name in os.environ if name.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            ["bash", "-c", typed],
            cwd=self.checkout,
            env={name: value for name, value in os.environ.items() if name not in inherited},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def does(self, command: str) -> str:
        done = self.types(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def saves(self) -> list[str]:
        """Save the files that the page says to save; return their names."""
        saved = []
        for _language, content, above in fences():
            if name := re.search(r"Save this as `([^`]+)`", above):
                (self.checkout / name[1]).write_text(content, encoding="utf-8")
                saved.append(name[1])
        return saved


def check_out() -> Path:
    """Return a new checkout of what the demo needs, whose .venv is this session's."""
    folder = Path(tempfile.mkdtemp(prefix="intra42-checkout-"))
    folder.chmod(0o755)  # so that PostgreSQL's user can enter, where we are root
    for name in ("dev", "plugins", "include", "dags"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def empty_checkout() -> Iterator[Path]:
    """A checkout where no demo ever ran."""
    folder = check_out()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """The reader after `make demo`: its PostgreSQL runs, with a campus in the warehouse."""
    checkout = check_out()
    state = checkout / ".local"
    with (
        AirflowStack(state=state, say=lambda _: None) as stack,
        Simulator("campus", seed=3, students=60) as sim,
    ):
        Mirror(stack.warehouse_url, sim, {"campus_ids": [sim.campus_id]}).nightly()
        yield Reader(checkout)
    shutil.rmtree(checkout, ignore_errors=True)


def commands() -> list[str]:
    return [
        line for language, block, _ in fences() if language == "sh" for line in block.splitlines()
    ]


def test_the_page_begins_with_the_demo_and_has_no_step_nobody_tried() -> None:
    assert commands()[0] == "make demo"
    assert len(commands()) == 4
    assert {language for language, _, _ in fences()} == {"sh", "text", "sql", "python"}


def test_the_last_lines_that_it_waits_for_are_those_of_the_demo() -> None:
    printed = next(block for language, block, _ in fences() if language == "text").splitlines()
    source = (ROOT / "dev" / "stack" / "demo.py").read_text(encoding="utf-8")
    assert printed[-1].startswith("Ctrl-C")
    assert all(f'"{line}"' in source for line in printed[-2:])


def test_every_step_after_the_demo_works_as_written(reader: Reader) -> None:
    assert reader.saves() == [".local/cohorts.sql", ".local/chart.py"]
    answers = [reader.does(command) for command in commands()[1:]]

    count = re.search(r"^ +(\d+) \| +[\d.]+$", answers[0], re.MULTILINE)
    assert count
    assert answers[0].split("\n")[0].rstrip() in TEXT
    rows = (reader.checkout / ".local" / "cohorts.csv").read_text().splitlines()
    assert rows[0] == "cohort,level"
    assert all(re.fullmatch(r"20\d\d-(0[1-9]|1[0-2]),[\d.]+", row) for row in rows[1:])
    levels = Counter(row.split(",")[0] for row in rows[1:])
    assert 12 < len(levels) < levels.total() <= int(count[1])

    latest = sorted(levels)[-12:]
    students = sum(levels[cohort] for cohort in latest)
    assert answers[-1] == f"{students} students in 12 cohorts\n"
    picture = ElementTree.parse(reader.checkout / ".local" / "levels.svg").getroot()
    assert len(picture.findall(f"{SVG}circle")) == students
    labels = [text.text for text in picture.findall(f"{SVG}text")][-12:]
    assert labels == [f"{cohort} ({levels[cohort]})" for cohort in latest]


def test_the_commands_in_passing_work_too(reader: Reader) -> None:
    reader.saves()
    assert "One row per student" in reader.does(r"make psql SQL='\dv+'")
    assert " projects_users " in reader.does(r"make psql SQL='\d'")
    assert "3b3-" in reader.does(r"make psql SQL='\d+ users'")


def test_a_wrong_statement_has_a_wrong_status(reader: Reader) -> None:
    done = reader.types('make psql SQL="select nothing from nowhere"')
    assert done.returncode != 0
    assert 'relation "nowhere" does not exist' in done.stderr


def test_psql_starts_the_server_of_a_demo_that_was_stopped(empty_checkout: Path) -> None:
    folder = empty_checkout
    reader = Reader(folder)
    missing = reader.types("make psql SQL='select 1'")
    assert missing.returncode != 0
    assert "run `make demo` first" in missing.stderr

    with AirflowStack(state=folder / ".local", say=lambda _: None) as stack:
        url = stack.postgres.url(WAREHOUSE_DATABASE)
        with psycopg.connect(url) as connection:
            connection.execute("create table kept as select 42 as answer")
    assert Postgres(folder / ".local" / "postgres").listening_port() is None
    assert "42" in reader.does("make psql SQL='select answer from kept'")
    assert Postgres(folder / ".local" / "postgres").listening_port() is None


def test_the_picture_of_the_page_is_what_the_script_draws() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "images" / "levels.svg").getroot()
    titles = [text.text for text in picture.findall(f"{SVG}text")]
    script = next(block for language, block, _ in fences() if language == "python")
    assert titles[0]
    assert titles[0] in script
    assert len(picture.findall(f"{SVG}circle")) > 50
