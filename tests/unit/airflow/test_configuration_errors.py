from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from intra42.errors import ConfigError
from intra42.operators import Intra42OpenRunOperator, Intra42SyncOperator
from intra42.operators.base import request_of
from intra42.settings import Window
from tests.dags.stack import Stack
from tests.unit.airflow.contexts import context

API = "AIRFLOW_CONN_INTRA42_API"
DATABASE = "AIRFLOW_CONN_INTRA42_DB"
VARIABLE = "AIRFLOW_VAR_INTRA42_CONFIG"

Break = Callable[[Stack], object]


def open_run(params: dict[str, Any] | None = None) -> None:
    Intra42OpenRunOperator(task_id="open_run").execute(context(params, task_id="open_run"))


def failure(params: dict[str, Any] | None = None) -> str:
    """Return the message of the first task, which a retry would not help."""
    with pytest.raises(AirflowFailException) as caught:
        open_run(params)
    return str(caught.value)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        pytest.param(
            lambda stack: stack.monkeypatch.delenv(API),
            ["intra42_api is missing", "client id as login", "secret as password"],
            id="no connection to the API",
        ),
        pytest.param(
            lambda stack: stack.api(login=None), ["intra42_api has no login"], id="no client id"
        ),
        pytest.param(
            lambda stack: stack.api(password=None),
            ["intra42_api has no password (client secret)"],
            id="no client secret",
        ),
        pytest.param(
            lambda stack: stack.api(password="wrong"),
            ["401", "client", "secret"],
            id="wrong client secret",
        ),
        pytest.param(
            lambda stack: stack.api(extra={"requests_per_second": "many"}),
            ["intra42_api", "requests_per_second is 'many'", "number over 0"],
            id="bad extra",
        ),
        pytest.param(
            lambda stack: stack.api(extra='{"timeout_s": 5'),
            ["intra42_api", "extra must be a JSON object"],
            id="extra that is not JSON",
        ),
        pytest.param(
            lambda stack: stack.api(host="http://intra:port"),
            ["intra42_api", "'http://intra:port' is no address"],
            id="host that is no address",
        ),
        pytest.param(
            lambda stack: stack.monkeypatch.delenv(DATABASE),
            ["intra42_db is missing", "type postgres"],
            id="no connection to the warehouse",
        ),
        pytest.param(
            lambda stack: stack.monkeypatch.setenv(VARIABLE, "{campus_ids: [1]}"),
            ["intra42_config is not valid JSON"],
            id="variable that is not JSON",
        ),
        pytest.param(
            lambda stack: stack.monkeypatch.setenv(VARIABLE, ""),
            ["intra42_config is not valid JSON"],
            id="empty variable",
        ),
        pytest.param(
            lambda stack: stack.monkeypatch.setenv(VARIABLE, "[1]"),
            ["intra42_config must be a JSON object"],
            id="variable that is no object",
        ),
        pytest.param(
            lambda stack: stack.configure(campus_id=1),
            ["unknown key 'campus_id'", "allowed are campus_ids, cursus_ids"],
            id="unknown key",
        ),
        pytest.param(
            lambda stack: stack.configure(refresh_chunk_size=101),
            ["refresh_chunk_size is 101", "from 1 to 100"],
            id="bad value",
        ),
    ],
)
def test_the_first_task_says_in_one_sentence_what_to_set(
    stack: Stack, break_it: Break, words: list[str]
) -> None:
    break_it(stack)
    message = failure()
    assert [word for word in words if word not in message] == []
    assert "\n" not in message
    assert stack.sim.client_secret not in message
    assert stack.sim.ledger.requests() == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"updated_to": "2026-01-01T00:00:00Z"}, ["updated_to needs updated_from"]),
        (
            {"updated_from": "2026-01-02T00:00:00Z", "updated_to": "2026-01-02T00:00:00Z"},
            ["updated_to", "must be later than updated_from"],
        ),
        ({"updated_from": "yesterday"}, ["updated_from is 'yesterday'", "2026-01-31T12:00:00Z"]),
        ({"campus_ids": [0]}, ["campus_ids is [0]", "whole numbers from 1"]),
        (
            {"full_refresh": True, "updated_from": "2026-01-02T00:00:00Z"},
            ["full_refresh", "explicit window"],
        ),
        ({"tables": ["users"]}, ["tables names", "set full_refresh"]),
        (
            {"full_refresh": True, "tables": ["projects"]},
            ["tables names 'projects'", "may name users, campus_users", "every night"],
        ),
    ],
)
def test_params_that_make_no_sense_fail_the_first_task(
    stack: Stack, params: dict[str, Any], words: list[str]
) -> None:
    message = failure(params)
    assert [word for word in [*words, "run's params"] if word not in message] == []
    assert not stack.has_schema()


def test_a_warehouse_that_does_not_answer_is_named_and_tried_again(stack: Stack) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        stack.warehouse(port=unused.getsockname()[1])
        with pytest.raises(AirflowException) as caught:
            open_run()
    message = str(caught.value)
    assert not isinstance(caught.value, AirflowFailException)
    assert "connection intra42_db" in message
    assert "host, port, login and database" in message
    assert "\n" not in message


def test_an_unknown_resource_fails_with_those_that_exist(stack: Stack) -> None:
    open_run()
    operator = Intra42SyncOperator(task_id="typo", resource="user")
    with pytest.raises(
        AirflowFailException, match=r"no resource 'user'; the catalogue has .*users"
    ):
        operator.execute(context(task_id="typo"))


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        pytest.param("403", AirflowFailException, "the API answered 403", id="a right is missing"),
        pytest.param("wrong_total", AirflowException, "/v2/cursus", id="a listing is incomplete"),
    ],
)
def test_what_the_api_did_is_one_sentence_and_no_chain_of_tracebacks(
    stack: Stack, fault: str, kind: type[Exception], words: str
) -> None:
    open_run()
    stack.sim.faults.add(fault, "/v2/cursus", times=None)
    with pytest.raises(AirflowException) as caught:
        Intra42SyncOperator(task_id="cursus", resource="cursus").execute(context(task_id="cursus"))
    assert type(caught.value) is kind
    shown = "".join(traceback.format_exception(caught.value))
    assert words in shown
    assert shown.count("Traceback") == 1
    assert "\n" not in str(caught.value)


class TestRequest:
    START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)

    def test_a_backfill_reads_its_interval(self, stack: Stack) -> None:
        request = request_of(
            context(run_type="backfill", interval=(self.START, self.END)), "intra42_config"
        )
        assert request.window == Window(since=self.START, until=self.END)

    def test_an_explicit_window_wins_over_the_interval_of_a_backfill(self, stack: Stack) -> None:
        params = {"updated_from": "2025-05-01T00:00:00Z", "updated_to": "2025-05-02T00:00:00Z"}
        request = request_of(
            context(params, run_type="backfill", interval=(self.START, self.END)), "intra42_config"
        )
        assert request.window == Window(
            since=datetime(2025, 5, 1, tzinfo=UTC), until=datetime(2025, 5, 2, tzinfo=UTC)
        )

    @pytest.mark.parametrize("run_type", ["scheduled", "manual"])
    def test_other_runs_have_no_window_whatever_their_interval(
        self, stack: Stack, run_type: str
    ) -> None:
        request = request_of(
            context(run_type=run_type, interval=(self.START, self.END)), "intra42_config"
        )
        assert request.window is None

    def test_a_backfill_without_an_interval_is_refused(self, stack: Stack) -> None:
        with pytest.raises(ConfigError, match="real data intervals"):
            request_of(context(run_type="backfill"), "intra42_config")

    def test_another_variable_can_hold_the_settings(self, stack: Stack) -> None:
        stack.monkeypatch.setenv("AIRFLOW_VAR_MY_CONFIG", json.dumps({"lookback_minutes": 7}))
        assert request_of(context(), "my_config").config.lookback_minutes == 7
