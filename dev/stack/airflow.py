"""Run Airflow's components against an embedded PostgreSQL, and talk to its REST API.

`AirflowStack` is a context manager: everything it starts is stopped on the way out, by a watchdog
if we are killed, and by the next start if the watchdog is killed too.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import requests

from dev.stack.postgres import Postgres, free_port
from dev.stack.processes import ComponentDied, Processes
from dev.stack.provider import write_metadata
from dev.stack.settings import (
    ADMIN,
    ROOT,
    STATE,
    AirflowSecrets,
    airflow_environment,
    private_folder,
    process_environment,
    write_private,
)

__all__ = ["COMPONENTS", "AirflowApi", "AirflowStack", "AlreadyRunning", "airflow_environment"]

# Log servers listen on every interface; here the api-server reads the log files itself.
COMPONENTS: Mapping[str, Sequence[str]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
METADATA_DATABASE = "airflow"
WAREHOUSE_DATABASE = "warehouse"
FINISHED = ("success", "failed")

# The program beside our interpreter may have been moved with its folder; the module has not.
AIRFLOW = (sys.executable, "-m", "airflow")

_START_TIMEOUT_S = 300.0
_CALL_TIMEOUT_S = 90.0
_TAKEOVER_TIMEOUT_S = 45.0


class AlreadyRunning(RuntimeError):
    """Another process runs a stack on the same state folder."""


class AirflowApi:
    """The REST calls that the local stack needs; logs in by itself.

    Args:
        base_url: Address of the api-server, no slash at the end.
        password: Of the user `admin`.
    """

    def __init__(self, base_url: str, password: str) -> None:
        self.base_url = base_url
        self._password = password
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy has no business on loopback

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the JSON answer to `method` on `/api/v2/path`; log in if need be.

        Raises:
            requests.HTTPError: The status is 4xx or 5xx.
        """
        if "Authorization" not in self._session.headers:
            self._login()
        url = f"{self.base_url}/api/v2/{path}"
        answer = self._session.request(method, url, timeout=_CALL_TIMEOUT_S, **arguments)
        if answer.status_code == requests.codes.unauthorized:
            self._login()
            answer = self._session.request(method, url, timeout=_CALL_TIMEOUT_S, **arguments)
        answer.raise_for_status()
        return answer.json()

    def _login(self) -> None:
        login = {"username": ADMIN, "password": self._password}
        answer = self._session.post(
            f"{self.base_url}/auth/token", json=login, timeout=_CALL_TIMEOUT_S
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def is_healthy(self) -> bool:
        """Tell whether the api-server answers and every component has a fresh heartbeat."""
        try:
            answer = self._session.get(f"{self.base_url}/api/v2/monitor/health", timeout=5)
            parts = answer.json()
        except (requests.RequestException, ValueError):
            return False
        names = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((parts.get(name) or {}).get("status") == "healthy" for name in names)

    def warm_up(self) -> None:
        """Make the api-server build its execution API, which costs the first task 6 s otherwise."""
        self._session.get(f"{self.base_url}/execution/health", timeout=_START_TIMEOUT_S)

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return the DAG, None while it has not been parsed."""
        try:
            found: dict[str, Any] = self.call("GET", f"dags/{dag_id}")
        except requests.HTTPError as error:
            if error.response.status_code == requests.codes.not_found:
                return None
            raise
        return found

    def import_errors(self) -> list[str]:
        """Return one text per DAG file that cannot be imported."""
        errors = self.call("GET", "importErrors")["import_errors"]
        return [f"{error['filename']}:\n{error['stack_trace']}" for error in errors]

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        """Pause or unpause the DAG."""
        self.call("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run now and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the last 50 runs, newest first."""
        parameters: dict[str, str | int] = {"order_by": "-run_after", "limit": 50}
        answer = self.call("GET", f"dags/{dag_id}/dagRuns", params=parameters)
        runs: list[dict[str, Any]] = answer["dag_runs"]
        return runs

    def unfinished_runs(self, dag_id: str) -> list[str]:
        """Return the ids of the runs that are queued or running, oldest first."""
        runs = [run for run in self.runs(dag_id) if run["state"] not in FINISHED]
        return [str(run["dag_run_id"]) for run in reversed(runs)]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return queued, running, success or failed."""
        return str(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run, every mapped one on its own."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.call(
                "GET",
                f"dags/{dag_id}/dagRuns/{run_id}/taskInstances",
                params={"limit": 100, "offset": len(found), "order_by": "id"},
            )
            found += answer["task_instances"]
            if len(found) >= answer["total_entries"] or not answer["task_instances"]:
                return found

    def wait(
        self,
        dag_id: str,
        run_id: str,
        on_progress: Callable[[str, list[dict[str, Any]]], None],
        *,
        interval_s: float = 1.0,
    ) -> str:
        """Return the final state of a run; call `on_progress(state, task instances)` meanwhile."""
        while True:
            state = self.run_state(dag_id, run_id)
            on_progress(state, self.task_instances(dag_id, run_id))
            if state in FINISHED:
                return state
            time.sleep(interval_s)


class AirflowStack:
    """PostgreSQL and the four components of Airflow, on free loopback ports.

    Args:
        state: The folder of everything that is kept: databases, secrets, logs, process records.
        dags: The folder of DAG files.
        plugins: The plugins folder.
        say: Takes one line per step.
    """

    def __init__(
        self,
        *,
        state: Path = STATE,
        dags: Path = ROOT / "dags",
        plugins: Path = ROOT / "plugins",
        say: Callable[[str], None] = print,
    ) -> None:
        self.state = state.resolve()
        self.home = self.state / "airflow"
        self.processes = Processes(self.state / "run", self.state / "logs")
        self.keys = AirflowSecrets.generate()
        self.port = 0
        self.environment: dict[str, str] = {}
        self._dags = dags.resolve()
        self._plugins = plugins.resolve()
        self._say = say
        self._postgres: Postgres | None = None
        self._lock: IO[str] | None = None

    @property
    def postgres(self) -> Postgres:
        """The server of both databases."""
        if self._postgres is None:
            message = "the stack has not been entered"
            raise RuntimeError(message)
        return self._postgres

    @property
    def api(self) -> AirflowApi:
        """A new client of the REST API."""
        return AirflowApi(self.base_url, self.keys.admin_password)

    @property
    def base_url(self) -> str:
        """The address of the UI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def warehouse_url(self) -> str:
        """The libpq URL of the database that the DAGs fill."""
        return self.postgres.url(WAREHOUSE_DATABASE)

    def connections(
        self, *, host: str, login: str, password: str, extra: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Return the connections of the DAGs: to the API at `host`, and to this warehouse."""
        api = {"conn_type": "intra42", "host": host, "login": login, "password": password}
        return {
            "intra42_api": json.dumps({**api, "extra": dict(extra or {})}),
            "intra42_db": self.warehouse_url.replace("postgresql://", "postgres://", 1),
        }

    @property
    def metadata_url(self) -> str:
        """The SQLAlchemy URL of Airflow's own database."""
        url = self.postgres.url(METADATA_DATABASE)
        return url.replace("postgresql://", "postgresql+psycopg2://", 1)

    def __enter__(self) -> Self:
        """Stop what an earlier start left behind, then start PostgreSQL."""
        self._close_to_others()
        self._lock = self._take_over()
        try:
            data = self.state / "postgres"
            self.processes.watch(postgres=data, lock=self._lock.fileno())
            if left_over := self.processes.stop():
                self._say(f"stopped what an earlier start left behind: {', '.join(left_over)}")
            self.keys = AirflowSecrets.load_or_generate(self.state / "secrets.json")
            self._postgres = Postgres(data, closed=True)
            self._postgres.start()
            for database in (METADATA_DATABASE, WAREHOUSE_DATABASE):
                self._postgres.ensure_database(database)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything."""
        self.stop()

    def _close_to_others(self) -> None:
        """Keep the other users of the machine out of databases, secrets and logs.

        Where we are root, PostgreSQL's own user has to pass on the way to its data.
        """
        private_folder(self.state)
        if os.geteuid() == 0:
            self.state.chmod(0o711)
        for folder in (self.home, self.processes.records, self.logs):
            private_folder(folder)

    def _take_over(self) -> IO[str]:
        """Lock the state folder for this process.

        Raises:
            AlreadyRunning: A living process holds the lock.
        """
        path = self.state / "lock"
        path.touch(mode=0o600)
        path.chmod(0o600)  # who can read it could hold it
        lock = path.open("a+")
        deadline = time.monotonic() + _TAKEOVER_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lock.seek(0)
                owner = lock.read().strip()
                if _is_alive(owner) or time.monotonic() > deadline:
                    lock.close()
                    message = f"{self.state} is in use by process {owner or '?'}: stop that first"
                    raise AlreadyRunning(message) from None
                time.sleep(0.2)  # its watchdog is still cleaning up
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def start_airflow(
        self,
        connections: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        *,
        paused: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Migrate the metadata database, start the components, return when all are healthy.

        Args:
            connections: Connection id to URI or JSON.
            variables: Variable key to value.
            paused: DAGs that an earlier start may have left unpaused and that must be paused
                before the scheduler sees them.
            settings: Settings of Airflow that go before those of the local stack.

        Raises:
            ComponentDied: A component ended, or one was not healthy in time.
        """
        self.port = free_port()
        usual = airflow_environment(
            home=self.home,
            dags=self._dags,
            plugins=self._plugins,
            metadata_url=self.metadata_url,
            keys=self.keys,
            port=self.port,
            connections=connections,
            variables=variables,
        )
        environment = process_environment({**usual, **(settings or {})})
        # Airflow asks the provider for its form before it knows of the plugins folder.
        places = (write_metadata(self.state / "provider"), self._plugins)
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, (*map(str, places), environment.get("PYTHONPATH")))
        )
        self.environment = environment
        write_private(self.home / "passwords.json", json.dumps({ADMIN: self.keys.admin_password}))
        self._migrate(environment)
        self._pause(paused)
        for name, arguments in COMPONENTS.items():
            self.processes.start(name, [*AIRFLOW, *arguments], environment, cwd=self.home)
        self._wait_until_healthy()
        self.api.warm_up()

    def _migrate(self, environment: Mapping[str, str]) -> None:
        migration = self.processes.start(
            "db-migrate", [*AIRFLOW, "db", "migrate"], environment, cwd=self.home
        )
        if migration.wait(_START_TIMEOUT_S):
            self.processes.check()
        self.processes.forget("db-migrate")

    def _pause(self, dag_ids: Sequence[str]) -> None:
        import psycopg

        with psycopg.connect(self.postgres.url(METADATA_DATABASE)) as connection:
            connection.execute(
                "update dag set is_paused = true where dag_id = any(%s)", (list(dag_ids),)
            )

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.api.is_healthy():
            self.processes.check()
            if time.monotonic() > deadline:
                message = f"Airflow is not healthy after {_START_TIMEOUT_S:.0f} s, see {self.logs}"
                raise ComponentDied(message)
            time.sleep(0.3)

    @property
    def logs(self) -> Path:
        """The folder of the components' logs."""
        return self.processes.logs

    def wait_for_dag(self, dag_id: str, timeout_s: float = 90.0) -> dict[str, Any]:
        """Return the DAG once it has been parsed.

        Raises:
            ComponentDied: A component ended, or the DAG did not appear in time; the message
                holds the import errors.
        """
        deadline = time.monotonic() + timeout_s
        while (dag := self.api.dag(dag_id)) is None:
            self.processes.check()
            if time.monotonic() > deadline:
                errors = "\n".join(self.api.import_errors()) or f"see {self.logs}"
                message = f"no DAG {dag_id} after {timeout_s:.0f} s: {errors}"
                raise ComponentDied(message)
            time.sleep(0.5)
        return dag

    def stop(self) -> None:
        """Stop the components, then PostgreSQL; safe to call twice."""
        self.processes.stop()
        if self._postgres is not None:
            self._postgres.stop()
        self.processes.unwatch()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _is_alive(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()
