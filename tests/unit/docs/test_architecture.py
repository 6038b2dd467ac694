"""docs/architecture.md draws the arrows there are and names every module and table."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise

import psycopg

from dev.docs.architecture import (
    ARROWS,
    DOCUMENT,
    MODULES,
    PLUGINS,
    arrows,
    diagram,
    module_table,
    promises,
)
from dev.docs.readme import with_table
from dev.docs.tables import relations
from dev.stack.settings import ROOT
from intra42.catalog import graph
from intra42.warehouse.schema import migrate

TEXT = DOCUMENT.read_text(encoding="utf-8")


def layers() -> list[list[str]]:
    """Return the contract's layers of whole packages, the highest first; `ui` has several."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in contracts["contracts"] if each["type"] == "layers")
    return [re.findall(r"intra42\.(\w+)(?![.\w])", layer) for layer in contract["layers"]]


def drawn() -> set[tuple[str, str]]:
    """Return the arrows of the document's own diagram."""
    part = TEXT.split(ARROWS[0])[1].split(ARROWS[1])[0]
    return {(a, b) for a, b in re.findall(r"^  (\w+) --> (\w+)$", part, re.MULTILINE)}


def imported_by(file: str) -> set[str]:
    """Return what a file imports of intra42, read as text: a second opinion on the graph."""
    text = (PLUGINS / file).read_text(encoding="utf-8")
    found = re.findall(r"^\s*(?:from|import) intra42(?:\.| import )(\w+)", text, re.MULTILINE)
    return set(found)


def test_the_diagram_and_the_list_of_modules_are_fresh() -> None:
    assert with_table(TEXT, *ARROWS, diagram(arrows())) == TEXT, "run `make docs`"
    assert with_table(TEXT, *MODULES, module_table()) == TEXT, "run `make docs`"


def test_the_graph_of_a_run_has_the_edges_of_the_catalogue() -> None:
    part = TEXT.split("## A run")[1].split("```")[1]
    chains = re.findall(r"^    (\w+(?: --> \w+)+)$", part, re.MULTILINE)
    shown = {pair for chain in chains for pair in pairwise(chain.split(" --> "))}
    groups = [graph.edges(graph.of_group(name)) for name in ("reference", "primary")]
    edges = {(parent, name) for group in groups for name, over in group.items() for parent in over}
    assert shown == edges


def test_every_import_between_packages_is_drawn_and_no_other() -> None:
    imports = set()
    for file in promises():
        parts = file.removesuffix(".py").split("/")
        if parts[0] == "intra42" and len(parts) > 1 and parts[1] != "__init__":
            imports |= {(parts[1], top) for top in imported_by(file) if top != parts[1]}
    assert len(imports) >= 15
    assert drawn() == imports


def test_every_arrow_points_down_in_the_contract() -> None:
    height = {name: -number for number, layer in enumerate(layers()) for name in layer}
    checked = [(a, b) for a, b in drawn() if a in height and b in height]
    assert len(checked) >= 15
    for importer, imported in checked:
        assert height[importer] > height[imported], (importer, imported)


def test_every_layer_of_the_contract_is_in_the_diagram() -> None:
    part = TEXT.split(ARROWS[0])[1].split(ARROWS[1])[0]
    boxes = set(re.findall(r"^    (\w+)$", part, re.MULTILINE))
    assert {name for layer in layers() for name in layer} <= boxes


def test_what_knows_airflow_stands_apart() -> None:
    part = TEXT.split('subgraph outer["for Airflow"]')[1]
    outer = set(re.findall(r"^    (\w+)$", part.split("  end")[0], re.MULTILINE))
    assert {"dag_factory", "operators", "hooks"} <= outer
    assert not outer & {"sync", "api", "catalog", "statements", "config", "errors"}


def test_every_module_is_named_with_its_promise() -> None:
    files = sorted(path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py"))
    part = TEXT.split(MODULES[0])[1].split(MODULES[1])[0]
    linked = re.findall(r"\]\(\.\./plugins/([\w./]+)\) ?\|?", part)
    assert sorted(linked) == sorted(file.removesuffix("/__init__.py") for file in files)


def test_every_table_that_is_named_exists(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        migrate(connection)
    found = relations(database_url)
    rows = TEXT.split("| Question | Table |")[1].split("\n\n")[0].split("\n")[2:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) >= 20
    assert named <= found.keys()


def test_what_is_written_down_is_complete(database_url: str) -> None:
    """Every table is either of the mirror, and told elsewhere, or answers a question here."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        migrate(connection)
    found = relations(database_url)
    rows = TEXT.split("| Question | Table |")[1].split("\n\n")[0]
    for name, relation in found.items():
        if not relation.is_mirror and not relation.is_view:
            assert f"`{name}`" in rows, name


def test_a_package_that_is_not_drawn_is_noticed() -> None:
    pairs = {*arrows(), ("api", "sync")}
    assert with_table(TEXT, *ARROWS, diagram(pairs)) != TEXT
