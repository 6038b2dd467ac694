"""Airflow's settings for the tests; has to be imported before anything of Airflow is."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.servers import in_memory

if any(name == "airflow" or name.startswith("airflow.") for name in sys.modules):
    raise RuntimeError("Airflow was imported before its settings for the tests were made")

REPOSITORY = Path(__file__).parents[2]
HOME = Path(tempfile.mkdtemp(prefix="intra42-airflow-", dir=in_memory()))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# A developer's own Airflow must neither be read nor written.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_"))]:
    del os.environ[_name]

os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
    "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, " * 4,
}
