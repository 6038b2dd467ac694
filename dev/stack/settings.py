"""Where the local stack keeps its state, and the environment that Airflow runs in.

`airflow_environment` is the one place that knows our Airflow settings. docker-compose.yaml repeats
them; a test keeps the two in step.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".local"

ADMIN = "admin"

# The two idle times and the parallelism shorten a run of many small tasks by more than half.
COMMON_SETTINGS: Mapping[str, str] = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # From Python 3.14 on, Linux has another default: no task would find the package loaded.
    "AIRFLOW__CORE__MP_START_METHOD": "fork",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
}
LOCAL_PARALLELISM = "8"


@dataclass(frozen=True, kw_only=True)
class AirflowSecrets:
    """The keys that all components of one Airflow share, and the password of `admin`."""

    fernet_key: str
    jwt_secret: str
    secret_key: str
    admin_password: str

    @classmethod
    def generate(cls) -> AirflowSecrets:
        """Return new random secrets."""
        return cls(
            fernet_key=urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt_secret=secrets.token_urlsafe(48),
            secret_key=secrets.token_urlsafe(32),
            admin_password=secrets.token_urlsafe(12),
        )

    @classmethod
    def load_or_generate(cls, path: Path) -> AirflowSecrets:
        """Return the secrets kept in `path`; write new ones there if it is missing or broken."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            generated = cls.generate()
            write_private(path, json.dumps(generated.__dict__, indent=2))
            return generated


def private_folder(folder: Path) -> Path:
    """Return `folder`, made if need be, which its owner alone may enter from now on."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_private(path: Path, text: str) -> None:
    """Replace the content of `path`, readable by its owner alone, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def is_open_to_others(file: Path) -> bool:
    """Tell whether other users of the machine may read or change `file`."""
    return file.is_file() and bool(file.stat().st_mode & 0o077)


def airflow_environment(
    *,
    home: Path,
    dags: Path,
    plugins: Path,
    metadata_url: str,
    keys: AirflowSecrets,
    port: int = 8080,
    connections: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return every Airflow setting of the local stack; read and write nothing.

    Args:
        home: AIRFLOW_HOME, absolute.
        dags: The folder of DAG files, absolute.
        plugins: The plugins folder, absolute.
        metadata_url: SQLAlchemy URL of Airflow's own database, see `metadata_url`.
        keys: The secrets that all components share.
        port: The loopback port of the api-server.
        connections: Connection id to URI or JSON.
        variables: Variable key to value.
    """
    base_url = f"http://127.0.0.1:{port}"
    environment = {
        **COMMON_SETTINGS,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": LOCAL_PARALLELISM,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": keys.fernet_key,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": base_url,
        "AIRFLOW__API__SECRET_KEY": keys.secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": keys.jwt_secret,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_url,
    }
    for name, value in (connections or {}).items():
        environment[f"AIRFLOW_CONN_{name.upper()}"] = value
    for name, value in (variables or {}).items():
        environment[f"AIRFLOW_VAR_{name.upper()}"] = value
    return environment


def celery_environment(*, broker_url: str, metadata_url: str) -> dict[str, str]:
    """Return the settings that put CeleryExecutor in the place of LocalExecutor.

    Args:
        broker_url: URL of the Redis server.
        metadata_url: SQLAlchemy URL of Airflow's own database, which keeps the results too.
    """
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "32",
        "AIRFLOW__CELERY__BROKER_URL": broker_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{metadata_url}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
        # Longer than any task of ours may take (12 hours). It saves nobody who died: Airflow's own
        # heartbeat does.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
    }


def sqlite_metadata_url(home: Path) -> str:
    """Return the URL of a metadata database in one file: enough for `dag.test()`."""
    return f"sqlite:///{home.resolve() / 'airflow.db'}"


def process_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `settings`, and without any other Airflow setting.

    Loopback is reached directly whatever proxy is set, bytecode is kept (a component starts in
    half the time), and a forked child on macOS is not aborted by the system's own libraries.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME")
    }
    direct = [inherited.get("NO_PROXY") or inherited.get("no_proxy") or "", "127.0.0.1,localhost"]
    inherited["NO_PROXY"] = inherited["no_proxy"] = ",".join(filter(None, direct))
    inherited["PYTHONUNBUFFERED"] = "1"
    environment = {**inherited, **settings}
    if sys.platform == "darwin":
        environment["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
        # What starts a process there is Python's own choice, and has been for long: not forking.
        environment.pop("AIRFLOW__CORE__MP_START_METHOD", None)
    return environment


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of `path` without quotes around a value; {} if it is absent."""
    values: dict[str, str] = {}
    if not path.is_file():
        return values
    for line in path.read_text().splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name.strip()] = value
    return values


@dataclass(frozen=True, kw_only=True)
class IntraAccount:
    """An application of the real Intra and the campus to mirror with it."""

    client_id: str
    client_secret: str
    campus_id: int

    @classmethod
    def find(cls, environment: Mapping[str, str], dotenv: Mapping[str, str]) -> IntraAccount | None:
        """Return the account named by the environment or else by `.env`, None where none is.

        Raises:
            ValueError: Only some of the three variables are set, or the campus is not a number.
        """
        names = ("INTRA42_CLIENT_ID", "INTRA42_CLIENT_SECRET", "INTRA42_CAMPUS_ID")
        given = {name: environment.get(name) or dotenv.get(name) or "" for name in names}
        missing = [name for name, value in given.items() if not value]
        if len(missing) == len(names):
            return None
        if missing:
            message = f"to mirror the real Intra set {', '.join(missing)} too (environment or .env)"
            raise ValueError(message)
        client_id, client_secret, campus = given.values()
        if not campus.isdecimal():
            message = f"INTRA42_CAMPUS_ID must be one campus id, a number, not {campus!r}"
            raise ValueError(message)
        return cls(client_id=client_id, client_secret=client_secret, campus_id=int(campus))
