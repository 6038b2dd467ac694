from __future__ import annotations

import pytest
from scripted import DATE, GOOD, Server, Step, http, ids, listing, refused, reset, send, status

from intra42.api.application import ask
from intra42.errors import FatalApiError, RetriableApiError

IN_100_DAYS = int(DATE.timestamp()) + 100 * 86_400
NAMED = {
    "X-Application-Name": "Our mirror",
    "X-Application-Id": "7",
    "X-Application-Roles": "Official App, Basic Staff",
}
INVALID = status(
    401, b'{"error": "invalid_client", "error_description": "Unknown client"}', "application/json"
)


def granted(end: object = IN_100_DAYS, scope: str = '"public"') -> Step:
    body = f'{{"access_token": "abc", "expires_in": 7168, "scope": {scope}'
    return send(http((body + (f', "secret_valid_until": {end}}}' if end else "}")).encode()))


def told(server: Server, *steps: Step) -> str:
    server.play(*steps)
    return str(ask(server.url, "an-id", "a-secret", "public", 5))


def test_everything_the_intra_says_is_in_the_sentence(server: Server) -> None:
    assert told(server, granted(), listing(ids(1), headers=NAMED)) == (
        f"Connected to {server.url} as Our mirror (id 7), with the roles Official App, Basic Staff."
        " Limits: 2 requests a second, 1,200 requests an hour, 1,000 left of this hour."
        " Scope: public. The secret expires on 2026-06-09 at 12:00 UTC, in 100 days."
    )
    assert [request.path for request in server.requests] == ["/oauth/token", "/v2/cursus"]


def test_what_the_intra_does_not_say_is_said(server: Server) -> None:
    silent = dict.fromkeys(
        ("X-Hourly-RateLimit-Limit", "X-Hourly-RateLimit-Remaining", "X-Secondly-RateLimit-Limit")
    )
    assert told(server, granted(None, scope="null"), listing(ids(1), headers=silent)) == (
        f"Connected to {server.url} as an application that the Intra does not name, whose roles "
        "the Intra does not say. The Intra does not say its limits. The Intra does not say the "
        "scope. The Intra does not say when the secret expires."
    )


@pytest.mark.parametrize("end", ["null", "0", "-5", '"soon"', "true", "1e30", "[1]"])
def test_an_end_of_the_secret_that_is_no_time_is_none(server: Server, end: str) -> None:
    assert "does not say when the secret expires" in told(server, granted(end), GOOD)


def test_a_secret_that_ends_soon_comes_with_advice(server: Server) -> None:
    said = told(server, granted(IN_100_DAYS - 90 * 86_400), GOOD)
    assert "in 10 days; put the next one into the connection before." in said


def test_a_name_with_accents_is_shown_as_it_is(server: Server) -> None:
    reply = http(b"[]", headers={"X-Total": "0", "X-Per-Page": "1", "X-Application-Name": "NAME"})
    named = send(reply.replace(b"NAME", "Été".encode()))
    assert " as Été, " in told(server, granted(), named)


def test_an_application_at_its_limit_is_let_in_all_the_same(server: Server) -> None:
    limits = {"X-Secondly-RateLimit-Limit": "2", **NAMED}
    said = told(server, granted(), refused("1", limits))
    assert "Our mirror" in said
    assert "2 requests a second; they are used up at this moment (429)." in said
    assert len(server.requests) == 2


def test_a_refused_secret_says_which_fields_to_set(server: Server) -> None:
    with pytest.raises(FatalApiError, match="set login and password of the connection"):
        told(server, INVALID)
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_token_says_what_to_set(server: Server, code: int) -> None:
    with pytest.raises(FatalApiError, match="set the scope of the connection to public"):
        told(server, granted(), status(code, b"{}", "application/json"))
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "fault", [reset(), status(503), status(404), send(http(b"<html>", kind="text/html"))]
)
def test_an_answer_that_is_not_the_intras_asks_to_check_the_host(
    server: Server, fault: Step
) -> None:
    with pytest.raises(RetriableApiError, match=r"Check that .* is the address of the Intra"):
        told(server, granted(), fault)
    assert len(server.requests) == 2


def test_too_many_token_requests_ask_for_patience(server: Server) -> None:
    with pytest.raises(RetriableApiError, match="wait a minute and test again"):
        told(server, refused("1"))
    assert len(server.requests) == 1
