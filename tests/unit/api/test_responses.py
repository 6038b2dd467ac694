from __future__ import annotations

import pytest

from intra42.api.responses import Action, action, describe, retry_after, shorten, whole_number


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Action.READ),
        (204, Action.RETRY),
        (302, Action.RETRY),
        (400, Action.FATAL),
        (401, Action.RENEW),
        (403, Action.FATAL),
        (404, Action.NOT_FOUND),
        (408, Action.RETRY),
        (414, Action.FATAL),
        (418, Action.FATAL),
        (422, Action.FATAL),
        (429, Action.WAIT),
        (500, Action.RETRY),
        (502, Action.RETRY),
        (503, Action.RETRY),
        (504, Action.RETRY),
        (524, Action.RETRY),
        (599, Action.RETRY),
    ],
)
def test_each_status_has_one_answer(status: int, expected: Action) -> None:
    assert action(status) is expected


def test_long_lists_are_shortened_and_personal_values_hidden() -> None:
    text = describe("GET", "/v2/users", {"filter[id]": "1,2,3,4,5", "search[login]": "someone"})
    assert text == "GET /v2/users?filter[id]=1,2,3,…(5)&search[login]=…"


def test_a_range_stays_readable() -> None:
    text = describe("GET", "/v2/users", {"range[updated_at]": "2026-01-01T00:00:00Z,2099-01-01"})
    assert text.endswith("range[updated_at]=2026-01-01T00:00:00Z,2099-01-01")


def test_what_every_request_has_is_left_out_of_its_description() -> None:
    asked = {
        "range[updated_at]": "2026-01-01T00:00:00.000Z,9999-12-31T23:59:59.999Z",
        "sort": "id",
        "range[id]": "1,2147483647",
        "page[size]": "100",
    }
    text = describe("GET", "/v2/users", asked)
    assert text == "GET /v2/users?range[updated_at]=2026-01-01T00:00:00.000Z,…&range[id]=1,…"


def test_shortened_text_is_one_line_without_addresses_and_secrets() -> None:
    text = shorten(f"mail a.b@c.example,\n token {'0af' * 20} " + "x" * 500)
    assert text.startswith("mail [e-mail], token [hidden] xxx")
    assert len(text) == 200


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("5, 5", 5), ("5, 6", None), ("-1", None), ("1.0", None), ("", None), ("٣", None)],
)
def test_a_number_in_a_header_is_plain_or_none(text: str, number: int | None) -> None:
    assert whole_number({"X-Total": text}, "X-Total") == number


def test_a_date_to_retry_after_needs_the_date_of_the_answer() -> None:
    assert retry_after({"Retry-After": "Sun, 01 Mar 2026 12:00:20 GMT"}) is None
