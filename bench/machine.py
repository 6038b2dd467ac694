"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil
import psycopg

from dev.settings import ROOT


def describe(database_url: str) -> dict[str, Any]:
    """Return the size of this machine and the versions of what ran on it."""
    with psycopg.connect(database_url) as connection:
        number = connection.info.server_version
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": f"{number // 10000}.{number % 10000}",
        "airflow": version("apache-airflow"),
        "psycopg": version("psycopg"),
        "commit": _commit(),
    }


def moment() -> dict[str, Any]:
    """Return when it is and how busy the machine is: 1-minute load average, processes running."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_1m": round(psutil.getloadavg()[0], 2),
        "cpu_percent": psutil.cpu_percent(interval=0.5),
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "plugins", "include", "dags")
        return git("rev-parse", "--short", "HEAD") + (" with local changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
