"""Where the folders may lie: DAG files apart from the package, nothing writable, no HOME."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dev.stack.settings import AirflowSecrets, airflow_environment, sqlite_metadata_url
from tests.dags.environment import REPOSITORY

# A process as a pod has it: it knows nothing but its environment.
PARSE = """
import json
from airflow import plugins_manager
from airflow.dag_processing.dagbag import DagBag
from airflow.configuration import conf
import intra42
from intra42.warehouse.statements import FOLDER, script
bag = DagBag(conf.get("core", "dags_folder"))
statements = sorted(FOLDER.rglob("*.sql"))
names = [str(s.relative_to(FOLDER).with_suffix("")) for s in statements]
print(json.dumps({
    "errors": bag.import_errors,
    "dags": sorted(bag.dags),
    "package": intra42.__file__,
    "statements": len([script(name) for name in names]),
}))
"""


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_the_package_is_found_beside_include_wherever_the_dags_are(tmp_path: Path) -> None:
    elsewhere, code, home = (tmp_path / name for name in ("elsewhere", "code", "home"))
    shutil.copytree(REPOSITORY / "dags", elsewhere / "dags")
    for folder in ("plugins", "include"):
        shutil.copytree(
            REPOSITORY / folder, code / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    home.mkdir()
    before = files(code) | files(elsewhere)
    for path in (*code.rglob("*"), code, *elsewhere.rglob("*"), elsewhere):
        path.chmod(path.stat().st_mode & ~0o222)
    settings = airflow_environment(
        home=home,
        dags=elsewhere / "dags",
        plugins=code / "plugins",
        metadata_url=sqlite_metadata_url(home),
        keys=AirflowSecrets.generate(),
    )
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        env={**settings, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=home,
        check=False,
        capture_output=True,
        text=True,
    )
    for path in (*code.rglob("*"), code, *elsewhere.rglob("*"), elsewhere):
        path.chmod(path.stat().st_mode | 0o200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert found["dags"] == ["intra42_incremental", "intra42_nightly"]
    assert Path(found["package"]).is_relative_to(code)
    assert found["statements"] == len(list((REPOSITORY / "include/sql").rglob("*.sql")))
    assert files(code) | files(elsewhere) == before
