"""`make demo`: mirror a campus through the real scheduler, and show that the mirror is true.

The campus is a simulated one, unless INTRA42_CLIENT_ID, INTRA42_CLIENT_SECRET and
INTRA42_CAMPUS_ID name a real one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from dev.stack.airflow import WAREHOUSE_DATABASE, AirflowStack, AlreadyRunning
from dev.stack.demo_campus import RealCampus, SimulatedCampus
from dev.stack.processes import ComponentDied
from dev.stack.report import Progress, failed_tasks, requests_used, table_report
from dev.stack.settings import ADMIN, ROOT, STATE, IntraAccount, is_open_to_others, read_dotenv

NIGHTLY = "intra42_nightly"
INCREMENTAL = "intra42_incremental"
DAGS = (NIGHTLY, INCREMENTAL)

_SCHEDULED_RUN_TIMEOUT_S = 60.0


class Interrupted(KeyboardInterrupt):
    """We were asked to end: Ctrl-C, a closed terminal, a polite kill."""


class Campus(Protocol):
    """What is mirrored."""

    name: str
    connection: dict[str, Any]
    config: dict[str, Any]

    def live(self) -> None:
        """Let a quarter of an hour pass between the two runs."""

    def differences(self, warehouse_url: str) -> list[str] | None:
        """Return where the mirror differs from the truth, None where that cannot be known."""


class RunFailed(RuntimeError):
    """A DAG run failed; the message names its failed tasks."""


def start_run(stack: AirflowStack, dag_id: str) -> str:
    """Unpause the DAG and return the id of the run to wait for.

    That is a run that an earlier demo left unfinished; else the one that the scheduler starts by
    itself on unpausing, if one is due; else one that we trigger.
    """
    dag = stack.wait_for_dag(dag_id)
    api = stack.api
    known = {str(run["dag_run_id"]) for run in api.runs(dag_id)}
    left_over = api.unfinished_runs(dag_id)
    due = dag["next_dagrun_run_after"]
    api.set_paused(dag_id, paused=False)
    if left_over:
        return left_over[0]
    if due is None or time.time() < _timestamp(due):
        return api.trigger(dag_id)
    deadline = time.monotonic() + _SCHEDULED_RUN_TIMEOUT_S
    while time.monotonic() < deadline:
        stack.processes.check()
        new = [str(run["dag_run_id"]) for run in api.runs(dag_id)]
        if started := [run_id for run_id in new if run_id not in known]:
            return started[-1]
        time.sleep(0.3)
    return api.trigger(dag_id)


def _timestamp(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


def run_dag(stack: AirflowStack, dag_id: str) -> str:
    """Run the DAG to its end, showing progress; return the run's id.

    Raises:
        RunFailed: The run did not succeed.
    """
    progress = Progress(dag_id)
    progress.say(f"{dag_id}: waiting for the scheduler")
    run_id = start_run(stack, dag_id)
    tasks: list[dict[str, Any]] = []

    def show(state: str, now: list[dict[str, Any]]) -> None:
        stack.processes.check()
        tasks[:] = now
        progress(state, now)

    state = stack.api.wait(dag_id, run_id, show)
    progress.end(f"{state} after {progress.elapsed_s:.0f} s, {len(tasks)} tasks, run {run_id}")
    if state != "success":
        raise RunFailed("\n".join(failed_tasks(stack.home / "logs", tasks)))
    return run_id


def wait_until_quiet(stack: AirflowStack) -> None:
    """Return when no run of ours is under way, such as one of the schedule."""
    for dag_id in DAGS:
        while stack.api.unfinished_runs(dag_id):
            stack.processes.check()
            time.sleep(1)


def mirror(stack: AirflowStack, campus: Campus) -> bool:
    """Run both DAGs, print the report, and tell whether all is as it should be."""
    nightly = run_dag(stack, NIGHTLY)
    campus.live()
    incremental = run_dag(stack, INCREMENTAL)
    wait_until_quiet(stack)
    runs = ((NIGHTLY, nightly), (INCREMENTAL, incremental))
    print()
    for line in table_report(stack.warehouse_url, runs):
        print(line)
    print()
    for dag_id, run_id in runs:
        print(f"{dag_id}: {requests_used(stack.warehouse_url, dag_id, run_id)} API requests")
    differences = campus.differences(stack.warehouse_url)
    if differences is None:
        return True
    if not differences:
        print("The mirror equals the truth of the simulated Intra.")
        return True
    print(f"The mirror differs from the truth in {len(differences)} places:")
    for difference in differences[:20]:
        print(f"  {difference}")
    return False


def demo(options: argparse.Namespace) -> int:
    """Start everything, run, report, stay until Ctrl-C or stop; return the exit status."""
    dotenv = ROOT / ".env"
    account = IntraAccount.find(os.environ, read_dotenv(dotenv))
    if is_open_to_others(dotenv):
        say("other users of this machine can read the secrets in .env: `chmod 600 .env`")
    with ExitStack() as exits:
        say(f"starting PostgreSQL, state in {options.state}")
        stack = exits.enter_context(
            AirflowStack(state=options.state, dags=options.dags, plugins=options.plugins, say=say)
        )
        campus: Campus = RealCampus(account) if account else SimulatedCampus(stack)
        say(f"mirroring {campus.name}; starting Airflow")
        began = time.monotonic()
        stack.start_airflow(
            connections=stack.connections(**campus.connection),
            variables={"intra42_config": json.dumps(campus.config)},
            paused=DAGS,
        )
        say(f"Airflow is up after {time.monotonic() - began:.0f} s")
        print_login(stack)
        status = 0
        try:
            if not mirror(stack, campus):
                status = 1
        except RunFailed as failure:
            print(failure)
            status = 1
        if not options.once:
            print_login(stack)
            print("Ctrl-C stops everything; `make demo` goes on from here.", flush=True)
            while True:
                stack.processes.check()
                time.sleep(1)
        say("stopping")
    return status


def print_login(stack: AirflowStack) -> None:
    """Print where the UI is and how to get in."""
    print(f"Airflow: {stack.base_url}  user {ADMIN}, password {stack.keys.admin_password}")
    warehouse = stack.postgres.public_url(WAREHOUSE_DATABASE)
    print(f"Warehouse: {warehouse}  (`make psql` opens it)  Logs: {stack.logs}", flush=True)


def say(line: str) -> None:
    """Print one step."""
    print(f"demo: {line}", flush=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first signal that asks us to end into `Interrupted`, and ignore the next ones.

    What we started is then stopped in peace, whatever else the terminal sends.
    """
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in wanted:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    before = {each: signal.signal(each, interrupt) for each in wanted}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def main() -> int:
    """Parse the command line and run the demo."""
    parser = argparse.ArgumentParser(prog="python -m dev.stack.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after both runs")
    parser.add_argument("--state", type=Path, default=STATE, help="where everything is kept")
    parser.add_argument("--dags", type=Path, default=ROOT / "dags")
    parser.add_argument("--plugins", type=Path, default=ROOT / "plugins")
    options = parser.parse_args()
    try:
        with interruptible():
            return demo(options)
    except Interrupted:
        print("\ndemo: stopped", flush=True)
        return 130 if options.once else 0
    except (AlreadyRunning, ComponentDied, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
