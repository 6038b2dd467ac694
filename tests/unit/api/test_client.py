from __future__ import annotations

import functools
import json
import logging
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from scripted import (
    DATE,
    GOOD,
    TOTALS,
    WHOLE,
    ZIPPED,
    Rig,
    Server,
    Step,
    Turns,
    drip,
    http,
    ids,
    listing,
    refused,
    reset,
    send,
    silence,
    status,
)

from intra42.api.auth import MemoryTokens, Token, fetch_token
from intra42.api.client import IntraClient
from intra42.errors import (
    ApiTimeout,
    FatalApiError,
    NotFound,
    QuotaSpent,
    RateLimited,
    RetriableApiError,
)

PATH = "/v2/users"

NOT_KEPT = http(b'[{"id": 1}, {"id": 2}, {"id": 3}]', headers={**TOTALS, "Connection": "close"})

PASSING: dict[str, Step] = {
    "T2 500": status(500),
    "T2 502": status(502),
    "T2 503": status(503),
    "T2 504": status(504),
    "408": status(408),
    "T2 520 of Cloudflare": status(520),
    "T4 silence before the headers": silence(),
    "T4 silence in mid-body": silence(WHOLE[:-5]),
    "T5 reset before the headers": reset(),
    "T5 reset in mid-body": reset(WHOLE[:-5]),
    "T5 closed without an answer": send(b"", close=True),
    "T6 body shorter than Content-Length": send(WHOLE[:-5], close=True),
    "T6 chunked body cut": send(
        http(b"", headers={**TOTALS, "Content-Length": None, "Transfer-Encoding": "chunked"})
        + b'5\r\n[{"id',
        close=True,
    ),
    "T7 truncated JSON": send(http(b'[{"id": 1}, {"id"', headers=TOTALS)),
    "T7 empty body": send(http(b"", headers=TOTALS)),
    "T7 not UTF-8": send(http(b'["\xff"]', headers=TOTALS)),
    "T7 NaN": send(http(b'[{"id": NaN}]', headers=TOTALS)),
    "T7 Infinity": send(http(b'[{"id": -Infinity}]', headers=TOTALS)),
    "T7 nested without end": send(http(b"[" * 200_000, headers=TOTALS)),
    "T8 HTML with 200": send(http(b"<html>", kind="text/html", headers=TOTALS)),
    "T9 text that calls itself text": send(http(b"[]", kind="text/plain", headers=TOTALS)),
    "T9 text that calls itself JSON": send(http(b"hello", headers=TOTALS)),
    "T9 no Content-Type": send(http(b"[]", headers={**TOTALS, "Content-Type": None})),
    "T10 error object with 200": send(http(b'{"error": "oops"}', headers=TOTALS)),
    "T10 null": send(http(b"null", headers=TOTALS)),
    "T11 gzip cut": send(http(ZIPPED[:-9], headers={**TOTALS, "Content-Encoding": "gzip"})),
    "T11 gzip damaged": send(http(b"\x1f\x8bnonsense", headers={"Content-Encoding": "gzip"})),
    "T11 unknown encoding": send(http(b"abc", headers={"Content-Encoding": "br"})),
    "T12 redirect to a login page": status(302, b"", headers={"Location": "/users/sign_in"}),
    "T13 slow drip of the body": drip(WHOLE, len(WHOLE) - 30),
    "T13 slow drip of the headers": drip(WHOLE, 10),
    "T13 slow drip of a connection not kept": drip(NOT_KEPT, len(NOT_KEPT) - 30),
    "T15 X-Total missing": listing(ids(1), headers={"X-Total": None}),
    "T15 X-Total unreadable": listing(ids(1), headers={"X-Total": "many"}),
    "T15 X-Total twice, in contradiction": listing(ids(1), headers={"X-Total": "1, 2"}),
    "T15 X-Per-Page missing": listing(ids(1), headers={"X-Per-Page": None}),
    "T15 X-Per-Page 0": listing(ids(1), headers={"X-Per-Page": "0"}),
    "P2 another page": listing(ids(1), headers={"X-Page": "2"}),
    "T15 Date missing": listing(ids(1), headers={"Date": None}),
    "not HTTP at all": send(b"SSH-2.0-OpenSSH\r\n\r\n", close=True),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_passing_fault_costs_one_more_request(rig: Rig, fault: Step) -> None:
    rig.server.play(fault, GOOD)
    answer = rig.client.get(PATH, {"sort": "id"})
    assert answer.records == ids(1, 2)
    assert len(rig.server.requests) == rig.turns.counted == rig.client.usage.requests == 2
    assert rig.client.usage.retries_429 == 0


LASTING = {name: PASSING[name] for name in ("T2 500", "T5 reset before the headers", "T7 NaN")}


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING.keys())
def test_a_lasting_fault_burns_four_requests_with_growing_pauses(rig: Rig, fault: Step) -> None:
    rig.server.play(fault)
    with pytest.raises(RetriableApiError):
        rig.client.get(PATH, {})
    assert len(rig.server.requests) == rig.client.usage.requests == 4
    assert [round(slept - 0.125) for slept in rig.slept[1:]] == [1, 2]
    assert 0.5 <= rig.slept[0] <= 0.75


def test_t3_a_connection_refused_is_a_passing_fault(rig: Rig) -> None:
    client = IntraClient(
        "http://127.0.0.1:1", rig.client._tokens, rig.turns, sleep=rig.slept.append
    )
    with pytest.raises(RetriableApiError, match="no connection"):
        client.get(PATH, {})
    assert rig.turns.counted == 4


def test_t3_a_name_that_does_not_resolve_is_a_passing_fault(rig: Rig) -> None:
    client = IntraClient("http://no.invalid", rig.client._tokens, rig.turns, sleep=rig.slept.append)
    with pytest.raises(RetriableApiError, match="no connection"):
        client.get(PATH, {})


@pytest.mark.parametrize(
    "fault",
    [silence(), silence(WHOLE[:-5]), drip(WHOLE, len(WHOLE) - 30), drip(WHOLE, 10)],
    ids=["headers", "body", "drip of the body", "drip of the headers"],
)
def test_the_first_timeout_is_raised_where_a_smaller_page_may_help(rig: Rig, fault: Step) -> None:
    rig.server.play(fault, GOOD)
    started = time.monotonic()
    with pytest.raises(ApiTimeout):
        rig.client.get(PATH, {}, timeouts=1)
    assert time.monotonic() - started < 2
    assert rig.turns.counted == 1


def test_a_slow_drip_over_tls_is_cut_too(server: Server, tls: tuple[ssl.SSLContext, Path]) -> None:
    context, certificate = tls
    server.context = context
    session = requests.Session()
    session.verify = str(certificate)
    url = server.url.replace("http://127.0.0.1", "https://localhost")
    tokens = MemoryTokens(lambda: Token(value="token", expires_in_s=7200))
    client = IntraClient(
        url, tokens, Turns(), timeout_s=0.3, total_timeout_s=0.6, session=session, sleep=id
    )
    server.play(GOOD, drip(WHOLE, 10), drip(NOT_KEPT, len(NOT_KEPT) - 30), GOOD)
    started = time.monotonic()
    for _ in range(2):
        assert client.get(PATH, {}).records == ids(1, 2)
    assert time.monotonic() - started < 3
    assert client.usage.requests == 4
    client.close()


def test_a_session_shared_with_the_token_request_keeps_the_deadline(server: Server) -> None:
    session = requests.Session()
    granted = send(http(b'{"access_token": "abc", "expires_in": 7200}'))
    fetch = functools.partial(fetch_token, session, server.url, "an-id", "a-secret", "", 5.0)
    client = IntraClient(
        server.url, MemoryTokens(fetch), Turns(), total_timeout_s=0.4, session=session, sleep=id
    )
    server.play(granted, drip(WHOLE, 10))
    with pytest.raises(ApiTimeout):
        client.get(PATH, {}, timeouts=1)
    client.close()


@pytest.mark.parametrize("allowed", [1, 2])
def test_a_gateway_timeout_is_a_timeout_too(rig: Rig, allowed: int) -> None:
    rig.server.play(status(500), status(504))
    with pytest.raises(ApiTimeout):
        rig.client.get(PATH, {}, timeouts=allowed)
    assert rig.turns.counted == 1 + allowed


def test_t14_a_gigantic_answer_is_refused_before_it_fills_the_memory(rig: Rig) -> None:
    rig.client._transport._total_timeout_s = 20
    rig.server.play(send(http(b"[" + b" " * 34_000_000 + b"]", headers=TOTALS), close=True))
    with pytest.raises(FatalApiError, match="larger than 32 MB"):
        rig.client.get(PATH, {})
    assert rig.turns.counted == 1


@pytest.mark.parametrize("code", [400, 402, 403, 405, 410, 414, 422, 451])
def test_a_refusal_is_final_and_says_what_the_api_said(rig: Rig, code: int) -> None:
    body = b'{"error": "Filter Error", "message": "Attributes kind doesn\'t exists."}'
    rig.server.play(status(code, body, "application/json"))
    with pytest.raises(FatalApiError, match="Filter Error: Attributes kind"):
        rig.client.get(PATH, {})
    assert rig.turns.counted == 1


@pytest.mark.parametrize(
    "step",
    [status(404, b"{}", "application/json"), status(404)],
    ids=["empty object", "HTML"],
)
def test_a_404_is_not_found(rig: Rig, step: Step) -> None:
    rig.server.play(step)
    with pytest.raises(NotFound):
        rig.client.get_object("/v2/users/1")
    assert rig.turns.counted == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"x-total": "2", "X-Total": None},
        {"X-Total": "2\r\nX-Total: 2"},
        {"Content-Type": "Application/JSON"},
        {"Content-Type": "application/vnd.api+json;charset=utf-8"},
    ],
    ids=["T15 odd case", "T15 twice the same", "T9 odd case", "T9 other JSON"],
)
def test_an_unusual_but_clear_header_is_understood(
    rig: Rig, headers: dict[str, str | None]
) -> None:
    rig.server.play(listing(ids(1, 2), headers=headers))
    assert rig.client.get(PATH, {}).total == 2
    assert rig.turns.counted == 1


def test_a_compressed_answer_is_counted_decompressed(rig: Rig) -> None:
    rig.server.play(send(http(ZIPPED, headers={**TOTALS, "Content-Encoding": "gzip"})))
    answer = rig.client.get(PATH, {})
    assert answer.records == ids(1, 2)
    assert answer.size == rig.client.usage.bytes == len(json.dumps(ids(1, 2)))
    assert rig.server.requests[0].headers["accept-encoding"] == "gzip"


def test_an_answer_says_when_it_was_true(rig: Rig) -> None:
    rig.server.play(GOOD)
    answer = rig.client.get(PATH, {})
    assert answer.date == rig.client.last_date == DATE
    # The data may be as old as the request, and Date was cut to the second.
    assert answer.sent_at == DATE - timedelta(seconds=1)
    later = rig.client.get(PATH, {})
    assert later.seq > answer.seq


def test_numbers_arrive_exactly(rig: Rig) -> None:
    rig.server.play(send(http(b'[{"id": 9007199254740993, "level": 1e400}]', headers=TOTALS)))
    record = rig.client.get(PATH, {}).records[0]
    assert record == {"id": 2**53 + 1, "level": float("inf")}


def test_requests_carry_what_the_api_insists_on(rig: Rig) -> None:
    rig.server.play(GOOD)
    rig.client.get(PATH, {"filter[id]": "1,2", "range[id]": "1,9"})
    request = rig.server.requests[0]
    assert request.headers["user-agent"].startswith("intra42/")
    assert request.headers["accept"] == "application/json"
    assert request.headers["authorization"] == "Bearer token-1"
    assert request.query == {"filter[id]": "1,2", "range[id]": "1,9"}


def test_credentials_of_the_environment_are_not_sent(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    rig.server.play(GOOD)
    rig.client.get(PATH, {})
    assert rig.server.requests[0].headers["authorization"] == "Bearer token-1"


def test_the_connection_is_kept(rig: Rig) -> None:
    sockets = set()

    def step(sock: object, request: object) -> bool:
        sockets.add(sock)
        return bool(GOOD(sock, request))  # type: ignore[arg-type]

    rig.server.play(step)
    for _ in range(3):
        rig.client.get(PATH, {})
    assert len(sockets) == 1


@pytest.mark.parametrize(
    ("after", "pause"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("30", 30.0),
        ("-5", 0.0),
        ("1.5", 1.5),
        (None, 1.0),
        ("soon", 1.0),
        ("Sun, 01 Mar 2026 12:00:20 GMT", 20.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
    ],
)
def test_t1_a_429_makes_everybody_pause_as_long_as_asked(
    rig: Rig, after: str | None, pause: float
) -> None:
    rig.server.play(refused(after), GOOD)
    assert rig.client.get(PATH, {}).total == 2
    assert rig.turns.pauses == [pause]
    assert rig.client.usage.retries_429 == 1
    assert rig.client.usage.requests == rig.turns.counted == 2


def test_t1_refusals_are_no_attempts(rig: Rig) -> None:
    rig.server.play(*[refused("1")] * 5, status(500), *[refused("1")] * 2, GOOD)
    assert rig.client.get(PATH, {}).total == 2
    assert rig.client.usage.retries_429 == 7


@pytest.mark.parametrize("after", ["0", "1", "59", None])
def test_t1_refused_for_ever_gives_up_after_ten_requests(rig: Rig, after: str | None) -> None:
    rig.server.play(refused(after))
    with pytest.raises(RateLimited):
        rig.client.get(PATH, {})
    assert rig.turns.counted <= 10
    assert sum(rig.turns.pauses) < 400


def test_t1_a_long_pause_is_set_for_everybody_and_gives_the_worker_back(rig: Rig) -> None:
    rig.server.play(refused("1800"))
    with pytest.raises(QuotaSpent) as error:
        rig.client.get(PATH, {})
    assert error.value.wait_s == 1800
    assert rig.turns.pauses == [1800]


def test_limits_are_learned_from_every_answer(rig: Rig) -> None:
    rig.server.play(status(500, headers={"X-Hourly-RateLimit-Limit": "7"}), GOOD)
    rig.client.get(PATH, {})
    limits = [headers["X-Hourly-RateLimit-Limit"] for headers in rig.turns.learned]
    assert limits == ["7", "1200"]


def test_the_limiter_hears_that_a_request_has_gone_out_before_the_answer(rig: Rig) -> None:
    rig.server.play(silence(), status(429), GOOD)
    with pytest.raises(ApiTimeout):
        rig.client.get(PATH, {}, timeouts=1)
    assert rig.turns.gone == [1]
    rig.client.get(PATH, {})
    assert rig.turns.gone == [1, 2, 3]


UNAUTHORIZED = status(401, b'{"error": "invalid_token"}', "application/json")


def test_a1_a_refused_token_is_renewed_and_the_request_repeated_once(rig: Rig) -> None:
    rig.server.play(GOOD, UNAUTHORIZED, GOOD)
    rig.client.get(PATH, {})
    assert rig.client.get(PATH, {}).total == 2
    assert rig.fetched == ["token-1", "token-2"]
    sent = [request.headers["authorization"] for request in rig.server.requests]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    assert rig.client.usage.requests == 3


def test_a2_a_token_that_expires_while_we_wait_for_our_turn_is_not_sent(rig: Rig) -> None:
    fetched: list[str] = []

    def fetch() -> Token:
        fetched.append(f"token-{len(fetched) + 1}")
        return Token(value=fetched[-1], expires_in_s=1.2)

    client = IntraClient(rig.server.url, MemoryTokens(fetch), rig.turns)
    waits = iter([0.0, 1.15])
    rig.turns.wait_turn = lambda: time.sleep(next(waits))  # type: ignore[method-assign]
    rig.server.play(GOOD)
    client.get(PATH, {})
    client.get(PATH, {})
    sent = [request.headers["authorization"] for request in rig.server.requests]
    assert sent == ["Bearer token-1", "Bearer token-2"]
    client.close()


def test_a3_a_second_refusal_of_a_fresh_token_is_final(rig: Rig) -> None:
    rig.server.play(UNAUTHORIZED)
    with pytest.raises(FatalApiError, match="401"):
        rig.client.get(PATH, {})
    assert rig.turns.counted == len(rig.fetched) == 2


def test_a6_a_missing_right_is_final_for_this_path_only(rig: Rig) -> None:
    body = b'{"error": "Forbidden", "message": "Insufficient scope. Needed: projects"}'
    rig.server.play(status(403, body, "application/json"), GOOD)
    with pytest.raises(FatalApiError, match="Insufficient scope"):
        rig.client.get("/v2/slots", {})
    assert rig.client.get(PATH, {}).total == 2


def test_messages_name_the_request_and_no_person_or_secret(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "0123456789abcdef" * 4
    body = json.dumps({"error": "Oops", "message": f"someone@example.org has {secret}"}).encode()
    rig.server.play(status(500, body, "application/json"), status(400, body, "application/json"))
    many = ",".join(str(number) for number in range(1, 101))
    with caplog.at_level(logging.DEBUG, logger="intra42"), pytest.raises(FatalApiError) as error:
        rig.client.get(PATH, {"filter[id]": many, "filter[login]": "someone"})
    text = caplog.text + str(error.value)
    assert "GET /v2/users?filter[id]=1,2,3,…(100)&filter[login]=…" in str(error.value)
    assert "attempt 1 of 4" in caplog.text
    for hidden in ("someone", secret, "token-1", "99,100"):
        assert hidden not in text


def test_a_single_record_is_an_object_and_needs_no_totals(rig: Rig) -> None:
    rig.server.play(send(http(b'{"error": "oops"}')), send(http(b"[]")), send(http(b'{"id": 7}')))
    assert rig.client.get_object("/v2/users/7") == {"id": 7}
    assert rig.turns.counted == 3


def test_a_request_outside_v2_costs_no_quota(rig: Rig) -> None:
    rig.server.play(send(http(b'{"scopes": []}')))
    assert rig.client.get_object("/oauth/token/info") == {"scopes": []}
    assert rig.turns.counted == rig.client.usage.requests == 0
