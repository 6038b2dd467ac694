"""Requests and responses as the simulator's parts hand them to each other, and the ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"


@dataclass
class Request:
    """One HTTP request."""

    method: str
    path: str
    params: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        """The parameters; of a repeated one the last."""
        return dict(self.params)


@dataclass
class Response:
    """One HTTP response; `wire` says how its transfer is to be spoiled."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    wire: dict[str, Any] = field(default_factory=dict)


def json_response(value: object, status: int = 200, **headers: str) -> Response:
    """Return `value` as JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": JSON_TYPE, **headers})


def html_response(status: int, title: str) -> Response:
    """Return a page for people."""
    body = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
    return Response(status, body.encode(), {"Content-Type": HTML_TYPE})


def text_response(status: int, text: str) -> Response:
    """Return plain text."""
    return Response(status, text.encode(), {"Content-Type": "text/plain"})


@dataclass(frozen=True)
class LedgerEntry:
    """What the simulator remembers of a request."""

    method: str
    path: str
    query: dict[str, str]
    status: int
    virtual_time: datetime
    real_time: float
    bytes: int


class Ledger:
    """Every request except those of the control paths, in the order of their answers."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LedgerEntry]:
        with self._lock:
            return iter(self._entries[:])

    def __getitem__(self, index: int) -> LedgerEntry:
        return self._entries[index]

    def append(self, entry: LedgerEntry) -> None:
        """Remember a request."""
        with self._lock:
            self._entries.append(entry)

    def requests(self, path_prefix: str = "/v2") -> list[LedgerEntry]:
        """Return the requests whose path begins with `path_prefix`."""
        return [entry for entry in self if entry.path.startswith(path_prefix)]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
