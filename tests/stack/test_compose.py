"""docker-compose.yaml runs what dev/ runs, and gives nothing away."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.executors.base_executor import BaseExecutor

from dev.stack.airflow import COMPONENTS
from dev.stack.settings import ROOT, AirflowSecrets, airflow_environment, celery_environment

COMPOSE = ROOT / "docker-compose.yaml"
EXAMPLE = ROOT / ".env.example"

# What differs because it must: where things are, and who runs the tasks.
OWN_VALUES = {
    "AIRFLOW_HOME",
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__PLUGINS_FOLDER",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
}
SECRETS = {
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW_CONN_INTRA42_API",
    "AIRFLOW_CONN_INTRA42_DB",
    "AIRFLOW_VAR_INTRA42_CONFIG",
}
AIRFLOW_SERVICES = ("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:\?[^}]+|:-[^}]+)?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


@pytest.fixture(scope="module")
def local() -> dict[str, str]:
    """The environment of `make test-celery`."""
    metadata_url = "postgresql+psycopg2://postgres@127.0.0.1/airflow"
    return airflow_environment(
        home=Path("/home"),
        dags=Path("/dags"),
        plugins=Path("/plugins"),
        metadata_url=metadata_url,
        keys=AirflowSecrets.generate(),
        connections={"intra42_api": "{}", "intra42_db": "postgres://"},
        variables={"intra42_config": "{}"},
    ) | celery_environment(broker_url="redis://127.0.0.1/0", metadata_url=metadata_url)


def test_compose_has_the_settings_of_the_local_stack(
    compose: dict[str, Any], local: dict[str, str]
) -> None:
    environment = compose["x-airflow-environment"]
    assert set(environment) == set(local)
    same = set(local) - OWN_VALUES - SECRETS
    assert {name: environment[name] for name in same} == {name: local[name] for name in same}


def test_every_secret_of_compose_comes_from_the_env_file(compose: dict[str, Any]) -> None:
    environment = compose["x-airflow-environment"]
    for name in SECRETS:
        assert VARIABLE.fullmatch(environment[name]), name
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD$|SECRET|_KEY$", name):
                assert VARIABLE.fullmatch(value), name
    urls = re.findall(r"://\w*:(\$\{[^}]*\}|[^@\s]*)@", COMPOSE.read_text())
    assert urls
    assert all(VARIABLE.fullmatch(password) for password in urls)


def test_the_executor_of_compose_can_be_loaded_with_what_is_locked() -> None:
    module = import_module("airflow.providers.celery.executors.celery_executor")
    assert issubclass(module.CeleryExecutor, BaseExecutor)


def test_compose_runs_the_components_of_the_local_stack(compose: dict[str, Any]) -> None:
    commands = {name: tuple(compose["services"][name]["command"]) for name in COMPONENTS}
    assert commands == dict(COMPONENTS)


def test_the_worker_can_be_scaled(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker


def test_every_lasting_service_has_a_health_check(compose: dict[str, Any]) -> None:
    lasting = {name: service for name, service in compose["services"].items() if name != "init"}
    assert all(service.get("healthcheck", {}).get("test") for service in lasting.values())


def test_airflow_waits_for_the_migration_and_the_migration_for_healthy_databases(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    for name in AIRFLOW_SERVICES[1:]:
        assert services[name]["depends_on"]["init"]["condition"] == (
            "service_completed_successfully"
        )
    for database in ("postgres", "redis"):
        assert services["init"]["depends_on"][database]["condition"] == "service_healthy"


def test_our_folders_are_mounted_read_only(compose: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES:
        for folder in ("dags", "plugins", "include"):
            assert f"./{folder}:/opt/airflow/{folder}:ro" in compose["services"][name]["volumes"]


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    images = {service["image"] for service in compose["services"].values()}
    dockerfile = (ROOT / "compose" / "Dockerfile").read_text()
    images |= set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    assert all(re.search(r":\d+\.\d+", image) for image in images), images
    locked = re.search(r"^apache-airflow==(.*)$", (ROOT / "requirements.lock").read_text(), re.M)
    assert locked
    assert f"FROM apache/airflow:{locked[1]}-python3." in dockerfile


def test_only_loopback_reaches_the_published_ports(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_env_example_has_every_variable_that_compose_reads() -> None:
    wanted = {match[1] for match in VARIABLE.finditer(COMPOSE.read_text())}
    named = set(re.findall(r"^(\w+)=", EXAMPLE.read_text(), re.MULTILINE))
    demo = {"INTRA42_CLIENT_ID", "INTRA42_CLIENT_SECRET", "INTRA42_CAMPUS_ID"}
    assert named == wanted | demo


def test_the_env_example_holds_no_secret() -> None:
    for name, value in re.findall(r"^(\w+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE):
        if re.search(r"PASSWORD$|SECRET|_KEY$|CLIENT", name):
            assert value == "", name


def compose_command() -> list[str] | None:
    plugin = ["docker", "compose"]
    if shutil.which("docker"):
        found = subprocess.run([*plugin, "version"], capture_output=True, check=False)
        if found.returncode == 0:
            return plugin
    return ["docker-compose"] if shutil.which("docker-compose") else None


def test_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    command = compose_command()
    if command is None:
        pytest.skip("neither `docker compose` nor `docker-compose` is installed")
    filled = re.sub(r"^(\w+)=$", r"\1=secret", EXAMPLE.read_text(), flags=re.MULTILINE)
    (tmp_path / "env").write_text(filled)
    arguments = ["--env-file", str(tmp_path / "env"), "-f", str(COMPOSE), "config", "-q"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_compose_refuses_to_start_without_its_secrets(tmp_path: Path) -> None:
    command = compose_command()
    if command is None:
        pytest.skip("neither `docker compose` nor `docker-compose` is installed")
    (tmp_path / "env").write_text(EXAMPLE.read_text())
    arguments = ["--env-file", str(tmp_path / "env"), "-f", str(COMPOSE), "config", "-q"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "see .env.example" in done.stderr
