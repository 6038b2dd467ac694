"""What the figures were measured on."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil
import psycopg

from dev.stack.settings import ROOT

# Others may use so much of all processors before and after a section; more, and it is marked.
QUIET_PERCENT = 15.0
_LOOK_S = 2.0


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
    """Return when it is and how busy the machine is, while nothing of ours runs.

    The load average still has what we did in the last minutes; the processors' use is of now.
    """
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_1m": round(psutil.getloadavg()[0], 2),
        "cpu_percent": psutil.cpu_percent(interval=_LOOK_S),
        "processes": len(psutil.pids()),
        "running": sum(_is_running(number) for number in psutil.pids()),
    }


def beside(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what ran beside a section, and whether its times are worth anything."""
    busiest = max(before["cpu_percent"], after["cpu_percent"])
    return {"before": before, "after": after, "under_load": busiest > QUIET_PERCENT}


def _is_running(number: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return number != os.getpid() and psutil.Process(number).status() == psutil.STATUS_RUNNING
    return False


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "plugins", "include", "dags")
        return git("rev-parse", "--short", "HEAD") + (" with local changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
