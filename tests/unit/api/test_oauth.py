from __future__ import annotations

import logging
from urllib.parse import parse_qs

import pytest
from scripted import Server, Step, http, refused, reset, send, silence, status

from intra42.api.auth import Token, fetch_token
from intra42.errors import ApiError, FatalApiError, RateLimited, RetriableApiError

GRANTED = send(
    http(
        b'{"access_token": "abc", "token_type": "Bearer", "expires_in": 7168, "scope": "public",'
        b' "created_at": 1, "secret_valid_until": null}'
    )
)
INVALID = status(
    401, b'{"error": "invalid_client", "error_description": "Unknown client"}', "application/json"
)


def ask(server: Server, *steps: Step, scope: str = "", slept: list[float] | None = None) -> Token:
    server.play(*steps)
    sleep = (slept if slept is not None else []).append
    return fetch_token(None, server.url, "an-id", "a-secret", scope, 0.3, sleep=sleep)


def test_the_credentials_go_into_the_form_and_nowhere_else(server: Server) -> None:
    token = ask(server, GRANTED, scope="public projects")
    assert token == Token(value="abc", expires_in_s=7168)
    request = server.requests[0]
    assert (request.method, request.path, request.query) == ("POST", "/oauth/token", {})
    assert "authorization" not in request.headers
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["an-id"],
        "client_secret": ["a-secret"],
        "scope": ["public projects"],
    }


def test_an_empty_scope_is_left_to_the_api(server: Server) -> None:
    ask(server, GRANTED)
    assert b"scope" not in server.requests[0].body


@pytest.mark.parametrize(
    "fault",
    [
        status(500),
        status(503),
        reset(),
        silence(),
        status(302, b"", headers={"Location": "/login"}),
        send(http(b"<html>", kind="text/html")),
        send(http(b'{"error": "oops"}')),
        send(http(b"{}")),
        send(http(b'{"access_token": "x"}')),
        send(http(b'{"access_token": null, "expires_in": 1}')),
    ],
)
def test_a4_a_passing_fault_of_the_token_endpoint_is_tried_again(
    server: Server, fault: Step
) -> None:
    assert ask(server, fault, GRANTED).value == "abc"
    assert len(server.requests) == 2


def test_a4_a_429_of_the_token_endpoint_is_waited_out(server: Server) -> None:
    slept: list[float] = []
    assert ask(server, refused("7"), GRANTED, slept=slept).value == "abc"
    assert slept == [7.0]


@pytest.mark.parametrize(
    ("step", "kind"), [(status(500), RetriableApiError), (refused("1"), RateLimited)]
)
def test_a4_a_lasting_fault_ends_after_four_requests(
    server: Server, step: Step, kind: type[ApiError]
) -> None:
    with pytest.raises(kind):
        ask(server, step)
    assert len(server.requests) == 4


def test_a5_a_wrong_secret_is_final_and_names_the_fields_to_set(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(FatalApiError) as error:
        ask(server, INVALID)
    assert "set login and password of the connection intra42_api" in str(error.value)
    assert "a-secret" not in caplog.text + str(error.value)
    assert len(server.requests) == 1


def test_an_unknown_scope_is_final_and_names_the_field_to_set(server: Server) -> None:
    body = b'{"error": "invalid_scope", "error_description": "unknown"}'
    with pytest.raises(FatalApiError, match="set scope in the extra"):
        ask(server, status(400, body, "application/json"), scope="everything")


def test_a_host_that_is_not_the_api_is_final_and_names_the_field_to_set(server: Server) -> None:
    with pytest.raises(FatalApiError, match="check host of the connection"):
        ask(server, status(404))
