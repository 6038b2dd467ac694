"""What to make of an answer: pure functions from status, headers and body to data or an error.

Sources, all in the public documentation and public clients of the API: a 429 is plain text, a
404 is `{}` or HTML, 500 to 504 are HTML; X-Total counts items; Retry-After may be missing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import Any, NoReturn

import msgspec

from intra42.api.model import Answer
from intra42.api.transport import Reply
from intra42.errors import (
    ApiError,
    ApiTimeout,
    FatalApiError,
    Forbidden,
    NotFound,
    RetriableApiError,
)

_PERSONAL = ("login", "email", "search", "first_name", "last_name", "phone")
_USUAL = {"sort", "page[size]"}
_OPEN_END = re.compile(r"(?<=,)(2147483647|9999-12-31T23:59:59\.999Z)$")
_EMAIL = re.compile(r"[^\s\"'<>,;:]+@[^\s\"'<>,;:]+")
_SECRET = re.compile(r"\b(?:s-s4t2\w+-)?[0-9a-fA-F]{32,}\b")


class Action(Enum):
    """What the client does about an answer."""

    READ = "read"
    RETRY = "retry"
    RENEW = "renew"
    WAIT = "wait"
    NOT_FOUND = "not found"
    FATAL = "fatal"


_ACTIONS = {
    200: Action.READ,
    401: Action.RENEW,
    404: Action.NOT_FOUND,
    408: Action.RETRY,
    429: Action.WAIT,
    **dict.fromkeys((301, 302, 303, 307, 308), Action.RETRY),
    **dict.fromkeys((500, 502, 503, 504), Action.RETRY),
    **dict.fromkeys(range(520, 531), Action.RETRY),
}
_SLOW = {408, 504, 522, 524}
_FORBIDDEN = 403


def action(status: int) -> Action:
    """Return what to do about a status; a 4xx that is not listed is fatal, the rest passes."""
    default = Action.FATAL if 400 <= status < 500 else Action.RETRY
    return _ACTIONS.get(status, default)


def error_for(reply: Reply, label: str, path: str = "") -> ApiError:
    """Return the error a refusing answer stands for, in the API's own words where it has some."""
    error = _error_for(reply, label)
    error.path = path
    return error


def _error_for(reply: Reply, label: str) -> ApiError:
    got = f"{label}: the API answered {_status(reply.status)}"
    what = action(reply.status)
    if what is Action.NOT_FOUND:
        return NotFound(got)
    if what in {Action.FATAL, Action.RENEW}:
        said = api_message(reply)
        kind = Forbidden if reply.status == _FORBIDDEN else FatalApiError
        return kind(f"{got}: {said}" if said else got)
    if 300 <= reply.status < 400:
        return RetriableApiError(f"{got}, a redirect, where JSON was expected")
    return ApiTimeout(got) if reply.status in _SLOW else RetriableApiError(got)


def api_message(reply: Reply) -> str:
    """Return `error` and `message` of a JSON error, shortened; text of other kinds is not shown."""
    if not _is_json(reply.headers):
        return ""
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict):
        return ""
    parts = [body.get(key) for key in ("error", "message", "error_description")]
    return shorten(": ".join(part for part in parts if isinstance(part, str) and part))


def shorten(text: str, limit: int = 200) -> str:
    """Return `text` on one line, cut to `limit`, without e-mail addresses and long hex strings."""
    text = _SECRET.sub("[hidden]", _EMAIL.sub("[e-mail]", " ".join(text.split())))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def describe(method: str, path: str, params: Mapping[str, str] | None = None) -> str:
    """Return a request in one line fit for a log: long lists shortened, personal values hidden.

    What every request has is left out, so that what the API said comes into sight.
    """
    shown = {key: value for key, value in (params or {}).items() if key not in _USUAL}
    query = "&".join(f"{key}={_shown(key, value)}" for key, value in shown.items())
    return shorten(f"{method} {path}?{query}" if query else f"{method} {path}", 400)


def _shown(key: str, value: str) -> str:
    if any(word in key for word in _PERSONAL):
        return "…"
    parts = _OPEN_END.sub("…", value).split(",")
    return ",".join(parts) if len(parts) <= 4 else f"{','.join(parts[:3])},…({len(parts)})"


def read_answer(reply: Reply, label: str, seq: int, page: int = 1) -> Answer:
    """Return a 200 answer of an index endpoint, which is the `page` we asked for.

    Raises:
        RetriableApiError: it is not a JSON list, or lacks a header that lets us check it.
    """
    records = _decode(reply, label)
    if not isinstance(records, list):
        _refuse(label, "a JSON list", _kind(records))
    date = read_date(reply.headers)
    if date is None:
        _refuse(label, "a Date header", "none")
    total = _count(reply.headers, "X-Total", label)
    per_page = _count(reply.headers, "X-Per-Page", label)
    if per_page < 1:
        _refuse(label, "X-Per-Page of 1 or more", str(per_page))
    shown = whole_number(reply.headers, "X-Page")
    if shown not in {None, page}:
        _refuse(label, f"page {page}", f"page {shown}")
    return Answer(
        records=records,
        total=total,
        per_page=per_page,
        more='rel="next"' in reply.headers.get("Link", ""),
        date=date,
        # Rounded up: Date was cut to the second, and the data may be as old as the request.
        sent_at=date - timedelta(seconds=math.ceil(reply.elapsed_s)),
        seq=seq,
        elapsed_ms=round(reply.elapsed_s * 1000),
        size=len(reply.body),
    )


def read_object(reply: Reply, label: str) -> dict[str, Any]:
    """Return the object of a 200 answer.

    Raises:
        RetriableApiError: it is not a JSON object, or one that reports an error.
    """
    record = _decode(reply, label)
    if not isinstance(record, dict) or "error" in record:
        _refuse(label, "a JSON object", _kind(record))
    return record


def _decode(reply: Reply, label: str) -> Any:
    if not _is_json(reply.headers):
        kind = reply.headers.get("Content-Type", "no Content-Type")
        _refuse(label, "JSON", shorten(kind, 60))
    try:
        return msgspec.json.decode(reply.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # not only damage: it knows no lone surrogates, for one
    try:
        return json.loads(reply.body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # The error's own text could quote the body.
        message = f"{label}: the JSON of {len(reply.body)} bytes is cut or damaged"
        raise RetriableApiError(message) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _is_json(headers: Mapping[str, str]) -> bool:
    kind = headers.get("Content-Type", "").split(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        said = value.get("error")
        return f"an error object ({shorten(said, 80)})" if isinstance(said, str) else "an object"
    return {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")


def _refuse(label: str, expected: str, got: str) -> NoReturn:
    message = f"{label}: expected {expected}, got {got}"
    raise RetriableApiError(message)


def _count(headers: Mapping[str, str], name: str, label: str) -> int:
    number = whole_number(headers, name)
    if number is None:
        _refuse(label, f"a number in {name}", shorten(repr(headers.get(name)), 40))
    return number


def whole_number(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header's number, 0 or more; None if missing, unreadable or contradictory."""
    values = {part.strip() for part in headers.get(name, "").split(",")}
    text = values.pop() if len(values) == 1 else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def read_date(headers: Mapping[str, str]) -> datetime | None:
    """Return the Date header, aware UTC; None if missing or unreadable."""
    return _http_date(headers.get("Date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return aware.astimezone(UTC)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds Retry-After asks for, 0 or more; None if missing or unreadable.

    A date is measured against the answer's own Date, never against our clock.
    """
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[+-]?\d{1,9}(\.\d+)?", text):
        return max(float(text), 0.0)
    until, date = _http_date(text), read_date(headers)
    if until is None or date is None:
        return None
    return max((until - date).total_seconds(), 0.0)


def _status(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
