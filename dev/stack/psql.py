"""`make psql`: PostgreSQL's own client on the demo's warehouse, whether the demo runs or not.

Where it does not run, its PostgreSQL is started for as long as psql is open. The schema `intra42`
is in the search path, times are shown in UTC.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.stack.airflow import WAREHOUSE_DATABASE, AirflowStack, AlreadyRunning
from dev.stack.postgres import Postgres, bindir
from dev.stack.report import SCHEMA
from dev.stack.settings import STATE

_OPTIONS = f"-c search_path={SCHEMA},public -c timezone=UTC"


class NoWarehouse(RuntimeError):
    """There is nothing to open yet; the message says what to do."""


@contextmanager
def warehouse(state: Path) -> Iterator[str]:
    """Yield a libpq URL of the warehouse in a demo's state folder; start its server if need be.

    It goes on psql's command line: the password is not in it.

    Raises:
        NoWarehouse: no demo has been started there, or it is starting just now.
    """
    data = state / "postgres"
    if not data.exists():
        message = "there is no warehouse yet: run `make demo` first"
        raise NoWarehouse(message)
    try:
        with AirflowStack(state=state, say=_say) as stack:
            yield stack.postgres.public_url(WAREHOUSE_DATABASE)
    except AlreadyRunning:
        port = Postgres(data).listening_port()
        if port is None:
            message = "the demo is starting: try again in a moment"
            raise NoWarehouse(message) from None
        yield Postgres(data, port=port, closed=True).public_url(WAREHOUSE_DATABASE)


def _say(line: str) -> None:
    print(f"psql: {line}", file=sys.stderr, flush=True)


def psql(url: str, arguments: Sequence[str]) -> int:
    """Run psql on `url` to its end and return its status; Ctrl-C is psql's, not ours."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        command = [str(bindir() / "psql"), "-X", "-v", "ON_ERROR_STOP=1", *arguments, url]
        return subprocess.run(
            command, check=False, env={**os.environ, "PGOPTIONS": _OPTIONS}
        ).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def main() -> int:
    """Parse the command line; what is not ours is psql's."""
    parser = argparse.ArgumentParser(prog="python -m dev.stack.psql", description=__doc__)
    parser.add_argument("--state", type=Path, default=STATE, help="where the demo keeps everything")
    options, arguments = parser.parse_known_args()
    try:
        with warehouse(options.state) as url:
            return psql(url, arguments)
    except NoWarehouse as error:
        _say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
