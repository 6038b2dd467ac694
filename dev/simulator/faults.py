"""Faults on demand: what can go wrong with an answer, where, how often.

A fault acts in one of three places: instead of the answer (`EARLY`), on the page of an index
endpoint (`PAGE`), or while the answer is sent (`WIRE`).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from dev.simulator.messages import Request, Response, html_response, json_response, text_response
from dev.simulator.query import Query, shuffled

if TYPE_CHECKING:
    from dev.simulator.app import Application

SPAM_TEXT = "429 Too Many Requests (Spam Rate Limit Exceeded)"
HOUR_TEXT = "429 Too Many Requests (Rate Limit Exceeded)"

_TITLES = {
    500: "We're sorry, but something went wrong (500)",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


@dataclass
class Draft:
    """The page of an index endpoint before it becomes an answer."""

    request: Request
    query: Query
    records: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def shift_total(self, delta: int) -> None:
        """Change `X-Total`, which never becomes negative."""
        if "X-Total" in self.headers:
            self.headers["X-Total"] = str(max(0, int(self.headers["X-Total"]) + delta))


@dataclass
class Fault:
    """One fault and how often it still strikes; `hits` counts how often it did."""

    kind: str
    path: str
    times: int | None
    skip: int
    when: Callable[[Request], bool] | None
    options: dict[str, Any]
    hits: int = 0
    seen: int = 0

    def concerns(self, request: Request) -> bool:
        """Tell whether the request is one the fault is meant for."""
        prefix = self.path.rstrip("/")
        path = request.path
        matches = path == prefix or path.startswith(prefix + "/") or re.fullmatch(self.path, path)
        return bool(matches) and (self.when is None or self.when(request))


class Faults:
    """The faults that are waiting to happen."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        kind: str,
        path: str = "/v2",
        *,
        times: int | None = 1,
        skip: int = 0,
        when: Callable[[Request], bool] | None = None,
        **options: Any,
    ) -> Fault:
        """Plan a fault.

        Args:
            kind: One of `KINDS`, or an HTTP status of `EARLY` as text or number.
            path: A path (with everything below it) or a regular expression for whole paths.
            times: How many requests it strikes; None for all.
            skip: How many matching requests it lets pass first.
            when: A further condition on the request.
            options: What the kind takes; see the functions below.

        Raises:
            ValueError: The kind is unknown.
        """
        kind = str(kind)
        if kind not in KINDS:
            message = f"unknown fault {kind!r}; known are {', '.join(sorted(KINDS))}"
            raise ValueError(message)
        fault = Fault(kind, path, times, skip, when, options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def striking(self, request: Request) -> list[Fault]:
        """Return the faults that strike `request`, and count them."""
        struck = []
        with self._lock:
            for fault in self._faults:
                if not fault.concerns(request):
                    continue
                fault.seen += 1
                if fault.seen <= fault.skip or (
                    fault.times is not None and fault.hits >= fault.times
                ):
                    continue
                fault.hits += 1
                struck.append(fault)
        return struck


# Instead of the answer.

Early = Callable[["Application", Fault], Response | None]


def _status(_: Application, fault: Fault) -> Response:
    status = int(fault.kind)
    return html_response(status, _TITLES[status])


def _spam(app: Application, fault: Fault) -> Response:
    return _with_retry_after(app, text_response(429, SPAM_TEXT), fault, "1")


def _hour(app: Application, fault: Fault) -> Response:
    answer = text_response(429, HOUR_TEXT)
    answer.headers["X-Hourly-RateLimit-Remaining"] = "0"
    return _with_retry_after(app, answer, fault, str(app.limits.until_next_hour()))


def _with_retry_after(app: Application, answer: Response, fault: Fault, usual: str) -> Response:
    """Set `Retry-After` as `retry_after` asks: a value, None for no header, `date:<seconds>`."""
    value = fault.options.get("retry_after", usual)
    text = str(value)
    if text.startswith("date:"):
        moment = app.store.clock.now() + timedelta(seconds=int(text.removeprefix("date:")))
        answer.headers["Retry-After"] = format_datetime(moment.replace(microsecond=0), usegmt=True)
    elif value is not None:
        answer.headers["Retry-After"] = text
    return answer


def _unauthorised(app: Application, _: Fault) -> Response:
    app.tokens.revoke()
    return app.unauthorised("The access token was revoked")


def _forbidden(_: Application, __: Fault) -> Response:
    message = "You are not authorized to access this page."
    return json_response({"error": "Access Denied", "message": message}, 403)


def _not_found(_: Application, __: Fault) -> Response:
    return json_response({}, 404)


def _slow(_: Application, fault: Fault) -> None:
    time.sleep(fault.options.get("seconds", 1))


def _html(_: Application, __: Fault) -> Response:
    return html_response(200, "Under maintenance")


def _error_object(_: Application, __: Fault) -> Response:
    return json_response({"error": "Internal Server Error", "message": "PG::QueryCanceled"})


def _login(_: Application, __: Fault) -> Response:
    answer = html_response(302, "You are being redirected")
    answer.headers["Location"] = "/users/sign_in"
    return answer


def _between_pages(app: Application, fault: Fault) -> None:
    fault.options["hook"](app.store)


EARLY: dict[str, Early] = {
    **dict.fromkeys(("500", "502", "503", "504"), _status),
    "429_second": _spam,
    "429_hour": _hour,
    "401": _unauthorised,
    "403": _forbidden,
    "404": _not_found,
    "slow": _slow,
    "html_200": _html,
    "error_object_200": _error_object,
    "redirect_to_login": _login,
    "between_pages": _between_pages,
}

# On the query, before rows are looked up.


def _ignore_range(draft: Draft, _: Fault) -> None:
    draft.query.ranges.clear()


def _ignore_filter(draft: Draft, fault: Fault) -> None:
    """Let the filter that `filter` names do nothing, or all of them where it names none."""
    name = fault.options.get("filter")
    for known in [name] if name else [*draft.query.filters]:
        draft.query.filters.pop(known, None)


def _missing_row(draft: Draft, fault: Fault) -> None:
    draft.query.excluded.add(fault.options["id"])


def _skipped_page(draft: Draft, _: Fault) -> None:
    draft.query.page += 1


QUERY: dict[str, Callable[[Draft, Fault], None]] = {
    "ignore_range": _ignore_range,
    "ignore_filter": _ignore_filter,
    "missing_row": _missing_row,
    "skipped_page": _skipped_page,
}

# On the page.


def _empty_page(draft: Draft, fault: Fault) -> None:
    draft.records = []
    if fault.options.get("consistent"):
        draft.headers["X-Total"] = "0"
        draft.headers.pop("Link", None)


def _short_page(draft: Draft, fault: Fault) -> None:
    draft.records = draft.records[: -fault.options.get("rows", 1)]


def _missing_total(draft: Draft, _: Fault) -> None:
    draft.headers.pop("X-Total", None)


def _wrong_total(draft: Draft, fault: Fault) -> None:
    draft.shift_total(fault.options.get("delta", 1))


def _nul(draft: Draft, fault: Fault) -> None:
    if not draft.records:
        return
    record = draft.records[fault.options.get("record", 0) % len(draft.records)]
    name = fault.options.get("field") or next(
        (key for key in ("login", "name", "grade", "status") if isinstance(record.get(key), str)),
        None,
    )
    if name is not None and isinstance(record.get(name), str):
        record[name] = f"{record[name][:1]}\0{record[name][1:]}"
    elif isinstance(record.get("user"), dict):
        record["user"]["displayname"] = f"\0{record['user']['displayname']}"


def _mutate_record(draft: Draft, fault: Fault) -> None:
    change: Callable[[dict[str, Any]], dict[str, Any]] = fault.options["change"]
    index = fault.options.get("record")
    draft.records = [
        change(record) if index is None or index == number else record
        for number, record in enumerate(draft.records)
    ]


def _unsorted(draft: Draft, fault: Fault) -> None:
    draft.records = shuffled(draft.records, fault.options.get("seed", 1))


def _duplicate_row(draft: Draft, _: Fault) -> None:
    if len(draft.records) > 1:
        draft.records[-1] = draft.records[-2]


def _odd_date(draft: Draft, fault: Fault) -> None:
    draft.headers["Date"] = format_datetime(fault.options["date"], usegmt=True)


PAGE: dict[str, Callable[[Draft, Fault], None]] = {
    "empty_page": _empty_page,
    "short_page": _short_page,
    "missing_total": _missing_total,
    "wrong_total": _wrong_total,
    "nul": _nul,
    "mutate_record": _mutate_record,
    "unsorted": _unsorted,
    "duplicate_row": _duplicate_row,
    "odd_date": _odd_date,
}

# While the answer is sent: see `server`.

WIRE = {
    "timeout",
    "slow_drip",
    "cut",
    "short_body",
    "truncated_json",
    "wrong_content_type",
    "gzip_cut",
}

KINDS = {*EARLY, *QUERY, *PAGE, *WIRE, "duplicate_page"}
