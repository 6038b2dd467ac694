"""Makes this checkout look installed to Airflow, which lists connection types of nothing else.

The demo runs the code of the plugins folder and installs none of it: an editable installation would
lead a `.venv` that was moved or copied to the code of the old place.
"""

from __future__ import annotations

import shutil
import tomllib
from configparser import ConfigParser
from pathlib import Path

from dev.stack.settings import ROOT


def write_metadata(folder: Path) -> Path:
    """Fill `folder` with the metadata of our distribution; return it, a place for PYTHONPATH."""
    shutil.rmtree(folder, ignore_errors=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    entry_points = ConfigParser(delimiters=("=",))
    entry_points.optionxform = str  # type: ignore[assignment,method-assign]
    entry_points.read_dict(project["entry-points"])
    with (metadata / "entry_points.txt").open("w", encoding="utf-8") as file:
        entry_points.write(file)
    return folder
