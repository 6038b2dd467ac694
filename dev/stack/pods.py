"""What KubernetesExecutor does with a task, without Kubernetes: a new process on a new machine.

The "pod" runs the command that the real one runs. It has copies of dags/, plugins/ and include/
that nobody may write to, an empty AIRFLOW_HOME that is gone afterwards, and does not know Airflow's
database: a task has only the API server to ask.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.executors.base_executor import BaseExecutor

EXECUTOR = f"{__name__}.PodExecutor"
IMAGE = "INTRA42_POD_IMAGE"  # the folder that holds the three folders
HOMES = "INTRA42_POD_HOMES"  # the folder that each pod has its home in, while it runs
_KEPT_BACK = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY")


class PodExecutor(BaseExecutor):
    """Runs each task as a pod would."""

    serve_logs = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pods: dict[Any, tuple[subprocess.Popen[bytes], Path]] = {}

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for workload in workload_items:
            del self.queued_tasks[workload.key]
            self.running.add(workload.key)
            home = Path(tempfile.mkdtemp(dir=os.environ[HOMES]))
            order = home / "input.json"
            order.write_text(workload.model_dump_json(), encoding="utf-8")
            command = [sys.executable, "-m", "airflow.sdk.execution_time.execute_workload"]
            pod = subprocess.Popen(
                [*command, "--json-path", str(order)],
                cwd=home,
                env=_environment(home),
                stdout=subprocess.DEVNULL,
            )
            self._pods[workload.key] = (pod, home)

    def sync(self) -> None:
        """Note which pods have ended, and how."""
        for key, (pod, home) in list(self._pods.items()):
            status = pod.poll()
            if status is None:
                continue
            del self._pods[key]
            shutil.rmtree(home, ignore_errors=True)
            if status:
                self.fail(key, f"the pod ended with {status}")
            else:
                self.success(key)

    def end(self) -> None:
        """Wait for all pods."""
        for pod, _home in self._pods.values():
            pod.wait()
        self.sync()

    def terminate(self) -> None:
        """Stop all pods."""
        for pod, _home in self._pods.values():
            pod.terminate()


def _environment(home: Path) -> dict[str, str]:
    image = Path(os.environ[IMAGE])
    return {
        **{name: value for name, value in os.environ.items() if name not in _KEPT_BACK},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(image / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(image / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",  # as the real one tells its pods
        "PYTHONPATH": str(image / "plugins"),
    }
