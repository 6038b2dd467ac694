"""The package as people install it: what the wheel holds, and what Airflow makes of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from dev.simulator import Simulator
from dev.stack.provider import write_metadata
from dev.stack.settings import COMMON_SETTINGS, ROOT
from intra42.warehouse.statements import read

PLUGINS = ROOT / "plugins"
SQL = ROOT / "include" / "sql"

# One process of Airflow costs seconds: it is asked everything at once.
REPORT = """
import json
import sys
from airflow import plugins_manager as core
from airflow.cli.cli_parser import get_parser
from airflow.providers_manager import ProvidersManager
from airflow.sdk import plugins_manager as sdk
from intra42.warehouse import statements
manager = ProvidersManager()
provider = manager.providers.get("airflow-provider-intra42")
plugins = {
    name: [[(plugin.name, str(plugin.source)) for plugin in module._get_plugins()[0]],
           module._get_plugins()[1]]
    for name, module in (("core", core), ("sdk", sdk))
}
print("REPORT", json.dumps({
    "version": provider and provider.version,
    "hook": provider and manager.hooks["intra42"].hook_class_name,
    "fields": [name for name in manager.connection_form_widgets if "intra42" in name],
    "behaviour": provider and manager.field_behaviours["intra42"],
    "plugins": plugins,
    "package": statements.__file__,
    "statement": statements.read("warehouse/in_utc").as_string(),
}), flush=True)
for command in sys.argv[1:]:
    arguments = get_parser().parse_args(command.split())
    arguments.func(arguments)
"""


def run(*command: str | Path, **arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, **arguments
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel of this folder, and one of the source distribution of this folder."""
    out = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "-d", out, "-t", "wheel", "-t", "sdist", cwd=ROOT)
    (sdist,) = out.glob("*.tar.gz")
    # Python 3.11 before 3.11.4 knows no filter to ask for.
    shutil.unpack_archive(sdist, out / "source")
    (source,) = (out / "source").iterdir()
    run("-m", "hatchling", "build", "-d", out / "again", "-t", "wheel", cwd=source)
    return {"folder": next(out.glob("*.whl")), "sdist": next((out / "again").glob("*.whl"))}


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the wheel."""
    target = tmp_path_factory.mktemp("site")
    offline = ("--no-deps", "--no-index", "--no-compile", "--quiet")
    run("-m", "pip", "install", *offline, "--target", target, built["folder"])
    return target


def environment(home: Path, installed: Path, plugins: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {
        **ours,
        **COMMON_SETTINGS,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "PYTHONPATH": str(installed),
    }


def report(variables: Mapping[str, str], home: Path, *commands: str) -> tuple[dict[str, Any], str]:
    """Return what Airflow knows of us, and what its command line then says to `commands`."""
    out = run("-c", REPORT, *commands, env=dict(variables), cwd=home)
    line, _, said = out.partition("REPORT ")[2].partition("\n")
    found: dict[str, Any] = json.loads(line)
    return found, " ".join(said.split())


@pytest.mark.parametrize("origin", ["folder", "sdist"])
def test_the_wheel_holds_every_module_every_statement_and_every_static_file(
    built: dict[str, Path], origin: str
) -> None:
    code = {
        path.relative_to(PLUGINS).as_posix()
        for path in PLUGINS.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path.name != ".airflowignore"
    }
    statements = {f"intra42/sql/{path.relative_to(SQL).as_posix()}" for path in SQL.rglob("*.sql")}
    with zipfile.ZipFile(built[origin]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == code | statements


def test_both_wheels_hold_the_same(built: dict[str, Path]) -> None:
    first, second = (
        {info.filename: info.CRC for info in zipfile.ZipFile(path).infolist()}
        for path in built.values()
    )
    assert first == second


def test_an_installed_wheel_gives_airflow_type_form_plugin_and_a_connection_test(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    with Simulator() as sim:
        connection = {
            "conn_type": "intra42",
            "host": sim.url,
            "login": sim.client_id,
            "password": sim.client_secret,
            "extra": {"scope": None, "timeout_s": None},
        }
        found, said = report(
            environment(tmp_path, installed, tmp_path / "plugins")
            | {"AIRFLOW_CONN_INTRA42_API": json.dumps(connection)},
            tmp_path,
            "providers list --output plain",
            "connections test intra42_api",
        )
    release = version_of(installed)
    assert found["version"] == release
    assert found["hook"] == "intra42.hooks.intra42.Intra42Hook"
    assert sorted(found["fields"]) == [
        f"extra__intra42__{key}"
        for key in ("requests_per_hour", "requests_per_second", "scope", "timeout_s")
    ]
    assert found["behaviour"]["relabeling"]["login"] == "Client ID"
    for plugins, errors in found["plugins"].values():
        assert [name for name, source in plugins if "EntryPoint" in source] == ["intra42"]
        assert errors == {}
    assert found["package"].startswith(str(installed))
    assert found["statement"] == read("warehouse/in_utc").as_string()
    assert re.search(rf"airflow-provider-intra42 .* {re.escape(release)} ", said)
    assert said.endswith("Connection success!")


def test_beside_copied_folders_nothing_is_loaded_twice(installed: Path, tmp_path: Path) -> None:
    found, _ = report(environment(tmp_path, installed, PLUGINS), tmp_path)
    assert found["version"] == version_of(installed)
    for plugins, errors in found["plugins"].values():
        assert plugins == [["intra42", "$PLUGINS_FOLDER/intra42_plugin.py"]]
        assert errors == {}


def version_of(installed: Path) -> str:
    (metadata,) = installed.glob("airflow_provider_intra42-*.dist-info")
    return metadata.name.removeprefix("airflow_provider_intra42-").removesuffix(".dist-info")


def test_the_demo_tells_airflow_of_the_entry_points_of_the_wheel(
    installed: Path, tmp_path: Path
) -> None:
    folder = write_metadata(tmp_path / "provider")
    told, real = (
        next(iter(distributions(name="airflow-provider-intra42", path=[str(place)])))
        for place in (folder, installed)
    )
    assert told.version == real.version
    assert set(told.entry_points) == set(real.entry_points)
    assert len(told.entry_points) == 2
