"""The largest resident set of this process, by the figure that is its own.

`ru_maxrss` is not: Linux keeps it across fork and exec, so that a child begins with the size of the
process that started it. `VmHWM` belongs to the memory that `exec` gave us.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """Return the largest resident set of this process so far, MiB."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit / 1024
