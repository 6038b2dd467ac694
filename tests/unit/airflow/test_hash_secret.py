"""The key of hashed columns: nobody reads it in Airflow, nor in what our tasks say."""

from __future__ import annotations

import json

import pytest
from airflow.api_fastapi.core_api.datamodels.variables import VariableResponse
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.log import redact

from intra42.operators import Intra42OpenRunOperator
from intra42.operators.base import request_of
from tests.dags.stack import Stack
from tests.unit.airflow.contexts import context

VARIABLE = "AIRFLOW_VAR_INTRA42_CONFIG"
SECRET = "c0ffee-of-a-test-that-is-long-enough"


def test_the_ui_and_the_api_of_airflow_show_stars() -> None:
    value = json.dumps({"campus_ids": [1], "hash_secret": SECRET})
    shown = VariableResponse(
        key="intra42_config", value=value, description=None, is_encrypted=True, team_name=None
    )
    assert json.loads(str(shown.val)) == {"campus_ids": [1], "hash_secret": "***"}


def test_it_is_masked_in_the_logs_of_a_task(stack: Stack) -> None:
    settings = {"hash_columns": ["users.email"], "hash_secret": SECRET}
    stack.monkeypatch.setenv(VARIABLE, json.dumps(settings))
    request = request_of(context(), "intra42_config")
    assert request.config.hash_secret == SECRET
    assert SECRET not in repr(request)
    assert redact(f"the key is {SECRET}") == "the key is ***"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hash_columns": ["users.email"]}, ["hash_columns needs hash_secret", "32 characters"]),
        ({"hash_secret": "short-but-secret"}, ["hash_secret is not shown here", "32 characters"]),
        ({"hash_secret": "*" * 40}, ["where the form shows stars"]),
        ({"hash_secret": [SECRET]}, ["hash_secret is not shown here"]),
        (
            {"hash_columns": ["users.kind"], "hash_secret": SECRET},
            ["'users.kind'", "allowed are", "users.email, users.login"],
        ),
        ([{"hash_secret": SECRET}], ["must be a JSON object"]),
        (json.dumps({"hash_secret": SECRET}), ["must be a JSON object"]),
    ],
)
def test_the_first_task_refuses_what_is_wrong_without_showing_it(
    stack: Stack, settings: object, words: list[str]
) -> None:
    stack.monkeypatch.setenv(VARIABLE, json.dumps(settings))
    task = context(task_id="open_run")
    with pytest.raises(AirflowFailException) as error:
        Intra42OpenRunOperator(task_id="open_run").execute(task)
    message = str(error.value)
    # The note of the run says the same.
    assert task["ti"].pushed == {"failure": message[:300]}
    for word in words:
        assert word in message
    for secret in (SECRET, "short-but-secret"):
        assert secret not in message
