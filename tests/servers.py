"""PostgreSQL servers of the tests' own, and the folder for what they write."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.stack.postgres import Postgres

# Each test makes and drops a database, some 400 files: a file system on a disk may take more of the
# processor for that than everything else in the suite.
_MEMORY = Path("/dev/shm")
_ENOUGH = 8 << 30  # bytes: three servers with 2 GB of log each, and their databases


@contextmanager
def own_server() -> Iterator[Postgres]:
    """Yield a server that nobody else uses, which may be shot; in memory where there is room."""
    with tempfile.TemporaryDirectory(
        prefix="intra42-pg-", dir=in_memory(), ignore_cleanup_errors=True
    ) as name:
        Path(name).chmod(0o755)
        server = Postgres(Path(name) / "data")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def in_memory() -> Path | None:
    """Return the folder whose files are in memory, None where there is none with enough room."""
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return None
    return _MEMORY if shutil.disk_usage(_MEMORY).free > _ENOUGH else None
