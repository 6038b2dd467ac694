"""Settings, secrets and accounts of the local stack."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dev.stack.settings import (
    COMMON_SETTINGS,
    AirflowSecrets,
    IntraAccount,
    airflow_environment,
    is_open_to_others,
    process_environment,
    read_dotenv,
    sqlite_metadata_url,
)

ACCOUNT = {"INTRA42_CLIENT_ID": "id", "INTRA42_CLIENT_SECRET": "secret", "INTRA42_CAMPUS_ID": "1"}


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "state" / "secrets.json"
    first = AirflowSecrets.load_or_generate(path)
    assert AirflowSecrets.load_or_generate(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_broken_file_of_secrets_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text('{"fernet_key": ')
    made = AirflowSecrets.load_or_generate(path)
    assert AirflowSecrets.load_or_generate(path) == made


def test_settings_of_somebody_elses_airflow_do_not_leak_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    monkeypatch.setenv("AIRFLOW_CONN_INTRA42_DB", "postgres://production")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = process_environment({"AIRFLOW_HOME": "/here"})
    assert [name for name in environment if name.startswith("AIRFLOW")] == ["AIRFLOW_HOME"]
    assert "PYTHONDONTWRITEBYTECODE" not in environment


def test_a_proxy_is_not_asked_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet")
    assert process_environment({})["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_the_environment_works_with_a_metadata_database_in_one_file(tmp_path: Path) -> None:
    environment = airflow_environment(
        home=tmp_path,
        dags=tmp_path / "dags",
        plugins=tmp_path / "plugins",
        metadata_url=sqlite_metadata_url(tmp_path),
        keys=AirflowSecrets.generate(),
    )
    url = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert url == f"sqlite:///{tmp_path.resolve()}/airflow.db"


def test_tasks_inherit_the_loaded_package_whatever_python_does_by_default() -> None:
    script = (
        "import multiprocessing\n"
        "multiprocessing.set_start_method('forkserver')\n"  # Python's own choice from 3.14 on
        "from airflow.utils.process_utils import set_component_mp_start_method\n"
        "set_component_mp_start_method('scheduler')\n"
        "from airflow.executors.local_executor import LocalExecutor\n"
        "print(LocalExecutor(parallelism=1).is_mp_using_fork)\n"
    )
    for settings, forks in ((COMMON_SETTINGS, True), ({}, False)):
        environment = process_environment({**settings, "AIRFLOW_HOME": os.environ["AIRFLOW_HOME"]})
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split()[-1] == str(forks)


def test_a_mac_keeps_its_own_way_to_start_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dev.stack.settings.sys.platform", "darwin")
    assert "AIRFLOW__CORE__MP_START_METHOD" not in process_environment(COMMON_SETTINGS)


def test_dotenv_lines_are_read_as_a_shell_reads_them(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# A=1\n\nB=two words\nexport C='3'\nD=\"a=b\"\nE=\nnonsense\n")
    assert read_dotenv(path) == {"B": "two words", "C": "3", "D": "a=b", "E": ""}
    assert read_dotenv(tmp_path / "absent") == {}


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o644, True), (0o660, True)])
def test_a_dotenv_that_others_can_read_is_told(tmp_path: Path, mode: int, told: bool) -> None:
    path = tmp_path / ".env"
    assert not is_open_to_others(path)
    path.touch()
    path.chmod(mode)
    assert is_open_to_others(path) is told


def test_an_account_comes_from_the_environment_before_the_dotenv() -> None:
    account = IntraAccount.find({"INTRA42_CAMPUS_ID": "9"}, ACCOUNT)
    assert account == IntraAccount(client_id="id", client_secret="secret", campus_id=9)


def test_no_account_means_the_simulator() -> None:
    assert IntraAccount.find({}, dict.fromkeys(ACCOUNT, "")) is None


@pytest.mark.parametrize("missing", ACCOUNT)
def test_half_an_account_is_an_error_that_names_the_rest(missing: str) -> None:
    given = {name: value for name, value in ACCOUNT.items() if name != missing}
    with pytest.raises(ValueError, match=missing):
        IntraAccount.find(given, {})


def test_a_campus_by_name_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one campus id"):
        IntraAccount.find({**ACCOUNT, "INTRA42_CAMPUS_ID": "Paris"}, {})
