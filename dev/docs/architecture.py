"""docs/architecture.md: the modules and the arrows between packages, from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from pathlib import Path

import grimp

from dev.stack.settings import ROOT

DOCUMENT = ROOT / "docs" / "architecture.md"
ARROWS = ("<!-- arrows: written by `make docs` -->", "<!-- end of arrows -->")
MODULES = ("<!-- modules: written by `make docs` -->", "<!-- end of modules -->")
PLUGINS = ROOT / "plugins"
PACKAGE = "intra42"


def arrows() -> set[tuple[str, str]]:
    """Return who imports whom among the packages and top modules of `intra42`, without its name."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    found = {
        (_top(module), _top(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    return {(importer, imported) for importer, imported in found if importer != imported}


def _top(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.").split(".")[0]


def diagram(pairs: Set[tuple[str, str]]) -> str:
    """Return a Mermaid flowchart of the arrows.

    What knows Airflow stands apart, with what no module of ours uses: Airflow does.

    Args:
        pairs: Importer and imported, as `arrows` returns them.
    """
    places = [*(PLUGINS / PACKAGE).glob("*/__init__.py"), *(PLUGINS / PACKAGE).glob("[!_]*.py")]
    tops = sorted(p.parent.name if p.stem == "__init__" else p.stem for p in places)
    used = {imported for _importer, imported in pairs}
    outer = [top for top in tops if _knows_airflow(top) or top not in used]
    core = [top for top in tops if top not in outer]
    lines = ["```mermaid", "flowchart TD"]
    for name, title, members in (
        ("outer", "for Airflow", outer),
        ("core", "knows nothing of Airflow", core),
    ):
        lines += [f'  subgraph {name}["{title}"]', *(f"    {top}" for top in members), "  end"]
    lines += [f"  {importer} --> {imported}" for importer, imported in sorted(pairs)]
    return "\n".join([*lines, "```"])


def _knows_airflow(top: str) -> bool:
    """Tell whether any module below `top` imports Airflow."""
    place = PLUGINS / PACKAGE / top
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return any("airflow" in _imported(file) for file in files)


def _imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def promises() -> Mapping[str, str]:
    """Return the first sentence of each module's docstring by its path below `plugins/`.

    Raises:
        ValueError: a module has no docstring.
    """
    found = {}
    for file in sorted(PLUGINS.rglob("*.py")):
        name = file.relative_to(PLUGINS).as_posix()
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        if not docstring:
            message = f"plugins/{name} has no docstring"
            raise ValueError(message)
        found[name] = " ".join(docstring.split("\n\n")[0].split())
    return found


def module_table() -> str:
    """Return the Markdown table of all modules and what each promises."""
    rows = ["| Module | What |", "| --- | --- |"]
    for name, promise in promises().items():
        if name.endswith("/__init__.py"):
            folder = name.removesuffix("/__init__.py")
            rows.append(f"| **[{folder}](../plugins/{folder})** | **{promise}** |")
        else:
            rows.append(f"| [{name}](../plugins/{name}) | {promise} |")
    return "\n".join(rows)
