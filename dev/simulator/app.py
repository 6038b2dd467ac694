"""From a request to its answer: access, routing, paging, headers."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from dev.simulator import faults as fault_kinds
from dev.simulator.access import RateLimits, Tokens
from dev.simulator.faults import Draft, Fault, Faults
from dev.simulator.messages import (
    Request,
    Response,
    html_response,
    json_response,
    text_response,
)
from dev.simulator.query import BadRequest, Engine, Page, parse
from dev.simulator.routes import Route, find_route
from dev.simulator.world import World

MAX_URL = 8000


class Application:
    """The API: everything but sockets."""

    def __init__(
        self, store: World, limits: RateLimits, tokens: Tokens, client: tuple[str, str]
    ) -> None:
        self.store = store
        self.limits = limits
        self.tokens = tokens
        self.client_id, self.client_secret = client
        self.secret_valid_until = int((store.clock.now() + timedelta(days=20)).timestamp())
        self.faults = Faults()
        self.base_url = ""
        self._engine = Engine(store)
        self._numbers = itertools.count(1)
        self._last_records: dict[str, list[dict[str, Any]]] = {}

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        started = time.monotonic()
        struck: list[Fault] = []
        verdict = self.limits.take() if request.path.startswith("/v2/") else None
        if request.path in {"/oauth/token", "/v2/oauth/token", "/oauth/token/info"}:
            verdict = None
        if not request.headers.get("User-Agent"):
            answer = text_response(403, "")
        elif len(request.path) + sum(len(k) + len(v) + 2 for k, v in request.params) > MAX_URL:
            answer = html_response(414, "414 Request-URI Too Large")
        elif verdict and verdict.refused:
            spam = verdict.refused == "second"
            answer = text_response(429, fault_kinds.SPAM_TEXT if spam else fault_kinds.HOUR_TEXT)
            answer.headers["Retry-After"] = str(verdict.retry_after)
        else:
            struck = self.faults.striking(request)
            answer = self._early(struck) or self._answer(request, struck)
        if verdict:
            answer.headers = verdict.headers | answer.headers
        self._finish(request, answer, started)
        for fault in struck:
            if fault.kind in fault_kinds.WIRE:
                answer.wire = {"kind": fault.kind, **fault.options}
        return answer

    def unauthorised(self, reason: str) -> Response:
        """Return the answer to a token that is not accepted."""
        challenge = f'Bearer realm="42 API", error="invalid_token", error_description="{reason}"'
        answer = json_response({"error": "Not authorized", "message": reason}, 401)
        answer.headers["WWW-Authenticate"] = challenge
        return answer

    def _early(self, struck: Iterable[Fault]) -> Response | None:
        for fault in struck:
            action = fault_kinds.EARLY.get(fault.kind)
            answer = action(self, fault) if action else None
            if answer is not None:
                return answer
        return None

    def _answer(self, request: Request, struck: list[Fault]) -> Response:
        if request.path in {"/oauth/token", "/v2/oauth/token"}:
            return self._issue_token(request)
        token = _bearer(request)
        refusal = self.tokens.refusal(token)
        if refusal:
            return self.unauthorised(refusal)
        if request.path == "/oauth/token/info":
            return self._token_info(token)
        if request.path == "/v2/me":
            return json_response({}, 404)
        route = find_route(request.path)
        if route is None or request.method != "GET":
            return html_response(404, "The page you were looking for doesn't exist (404)")
        try:
            with self.store.lock:
                return self._serve(request, route, struck)
        except BadRequest as error:
            return json_response(error.body, error.status)

    # Tokens.

    def _issue_token(self, request: Request) -> Response:
        fields = _token_fields(request)
        if request.method != "POST" or fields.get("grant_type") != "client_credentials":
            message = "The authorization grant type is not supported by the authorization server."
            body = {"error": "unsupported_grant_type", "error_description": message}
            return json_response(body, 401)
        given = fields.get("client_id"), fields.get("client_secret")
        expired = self.store.clock.now().timestamp() >= self.secret_valid_until
        if given != (self.client_id, self.client_secret) or expired:
            message = "Client authentication failed due to unknown client or bad secret."
            body = {"error": "invalid_client", "error_description": message}
            return json_response(body, 401)
        token = self.tokens.issue(fields.get("scope") or "public")
        return json_response(
            {
                "access_token": token.text,
                "token_type": "Bearer",
                "expires_in": token.remaining_s(self.store.clock.now_ms()),
                "scope": token.scope,
                "created_at": token.created_at // 1000,
                "secret_valid_until": self.secret_valid_until,
            }
        )

    def _token_info(self, text: str | None) -> Response:
        token = self.tokens.find(text)
        if token is None:
            return self.unauthorised("The access token is invalid")
        return json_response(
            {
                "resource_owner_id": None,
                "scopes": token.scope.split(),
                "expires_in_seconds": token.remaining_s(self.store.clock.now_ms()),
                "application": {"uid": self.client_id},
                "created_at": token.created_at // 1000,
            }
        )

    # Records.

    def _serve(self, request: Request, route: Route, struck: list[Fault]) -> Response:
        store, resource = self.store, route.resource
        if route.parent is not None and not route.parent(store):
            return json_response({}, 404)
        if route.row_id is not None:
            return self._serve_one(route)
        draft = Draft(request, parse(resource, route.scope, request.params))
        _apply(fault_kinds.QUERY, draft, struck)
        page = self._engine.run(draft.query)
        draft.records = [resource.shape(store, row) for row in page.rows]
        draft.headers = self._page_headers(request, page)
        _apply(fault_kinds.PAGE, draft, struck)
        if any(fault.kind == "duplicate_page" for fault in struck):
            draft.records = self._last_records.get(request.path, draft.records)
        self._last_records[request.path] = draft.records
        answer = json_response(draft.records)
        answer.headers |= draft.headers
        return answer

    def _serve_one(self, route: Route) -> Response:
        store, resource = self.store, route.resource
        table = store.tables[resource.name]
        text = route.row_id or ""
        if text.isdecimal():
            row = table.get(int(text))
        else:
            found = table.where("login", text) if "login" in table.indexed else []
            row = table.get(found[0]) if found else None
        if row is None:
            return json_response({}, 404)
        if not resource.visible(store, row):
            if resource.name != "projects":
                return json_response({}, 404)
            message = "You are not authorized to access this page."
            return json_response({"error": "Access Denied", "message": message}, 403)
        return json_response((resource.detail or resource.shape)(store, row))

    def _page_headers(self, request: Request, page: Page) -> dict[str, str]:
        headers = {
            "X-Page": str(page.number),
            "X-Per-Page": str(page.size),
            "X-Total": str(page.total),
        }
        last = max(1, -(-page.total // page.size))
        targets: dict[str, int] = {}
        if page.number > 1:
            targets |= {"first": 1, "prev": page.number - 1}
        if page.number < last:
            targets |= {"last": last, "next": page.number + 1}
        paging = {"page", "per_page", "page[number]", "page[size]", "access_token"}
        kept = [pair for pair in request.params if pair[0] not in paging]
        links = []
        for name, number in targets.items():
            query = urllib.parse.urlencode([*kept, ("page", number), ("per_page", page.size)])
            links.append(f'<{self.base_url}{request.path}?{query}>; rel="{name}"')
        if links:
            headers["Link"] = ", ".join(links)
        return headers

    # What every answer carries.

    def _finish(self, request: Request, answer: Response, started: float) -> None:
        number = next(self._numbers)
        moment = self.store.clock.now() + timedelta(seconds=self.store.harsh.late_date)
        headers = {
            "Date": format_datetime(moment.replace(microsecond=0), usegmt=True),
            "Cache-Control": "max-age=0, private, must-revalidate",
            "Vary": "Origin, Accept-Encoding",
            "Strict-Transport-Security": "max-age=31536000",
            "X-Application-Id": "99999",
            "X-Application-Name": "Simulated mirror",
            "X-Application-Roles": "None",
            "X-Request-Id": f"00000000-0000-4000-8000-{number:012x}",
            "X-Runtime": f"{time.monotonic() - started:.6f}",
        }
        answer.headers = headers | answer.headers
        if answer.status != 200 or request.method != "GET":
            return
        digest = hashlib.md5(answer.body, usedforsecurity=False).hexdigest()
        answer.headers["ETag"] = f'W/"{digest}"'
        if request.headers.get("If-None-Match") == answer.headers["ETag"]:
            answer.status, answer.body = 304, b""
        elif self.store.harsh.gzip and "gzip" in request.headers.get("Accept-Encoding", ""):
            answer.body = gzip.compress(answer.body, 1)
            answer.headers["Content-Encoding"] = "gzip"


def _apply(
    actions: dict[str, Callable[[Draft, Fault], None]], draft: Draft, struck: list[Fault]
) -> None:
    for fault in struck:
        if fault.kind in actions:
            actions[fault.kind](draft, fault)


def _bearer(request: Request) -> str | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    return request.query.get("access_token")


def _token_fields(request: Request) -> dict[str, str]:
    """Collect the fields of a token request from query, body (form or JSON) and Basic."""
    fields = dict(request.params)
    if "json" in request.headers.get("Content-Type", ""):
        try:
            fields |= json.loads(request.body or b"{}")
        except ValueError:
            return {}
    else:
        fields |= dict(urllib.parse.parse_qsl(request.body.decode("utf-8", "replace")))
    match = re.fullmatch(r"(?i)basic\s+(\S+)", request.headers.get("Authorization", ""))
    if match:
        pair = base64.b64decode(match[1]).decode("utf-8", "replace").partition(":")
        fields |= {"client_id": pair[0], "client_secret": pair[2]}
    return fields
