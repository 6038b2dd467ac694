"""The processor time of everything we run, which a busy machine stretches less than the wall."""

from __future__ import annotations

import contextlib
import json
import sys

import psutil

from dev.stack.airflow import AirflowStack
from dev.stack.processes import session_members


def seconds(stack: AirflowStack) -> dict[str, float]:
    """Return the processor seconds so far of each part of the stack; see `between`."""
    used = {}
    for record in sorted(stack.processes.records.glob("*.json")):
        leader = int(json.loads(record.read_text())["pid"])
        used[record.stem] = sum(_of(process) for process in session_members(leader))
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        number = int((stack.postgres.folder / "postmaster.pid").read_text().split("\n", 1)[0])
        postmaster = psutil.Process(number)
        used["postgres"] = sum(
            _of(process) for process in (postmaster, *postmaster.children(recursive=True))
        )
    return used


def between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return what each part used; tasks are the scheduler's children and count with it."""
    names = {"scheduler": "scheduler_and_tasks"}
    used = {
        names.get(name, name): round(after[name] - before[name], 2)
        for name in after
        if name in before
    }
    return {**used, "all": round(sum(used.values()), 2)}


def _of(process: psutil.Process) -> float:
    """Return the time of a process and of its children that have ended (Linux only)."""
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        ended = times.children_user + times.children_system if sys.platform == "linux" else 0.0
        return float(times.user + times.system + ended)
    return 0.0
