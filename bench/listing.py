"""The listing that every contender reads: the newest rows of an endpoint, and the same query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import requests

from bench.upstream import CLOCK, Upstream

# Rows of these cursus are read by all, and kept by the mirror: nothing is dropped as out of scope.
CONFIG = {"cursus_ids": [21, 9], "refresh_cursus_ids": [1, 21, 9]}
_FILTERS = {
    "cursus_users": {"filter[cursus_id]": "1,9,21"},
    "projects_users": {"filter[cursus]": "9,21"},
}
_SORTED = {"cursus_users": {"sort": "id"}, "projects_users": {}}
_UNTIL = "9999-12-31T23:59:59.999Z"
_SPAN = timedelta(days=365 * 20)


@dataclass(frozen=True)
class Listing:
    """The rows of `resource` that changed since `since`, and how to ask for them."""

    resource: str
    since: str
    rows: int
    params: dict[str, str]


def newest(upstream: Upstream, resource: str, rows: int) -> Listing:
    """Return the listing of about so many rows, or of all where there are not as many."""
    early = datetime.fromisoformat(CLOCK.replace("Z", "+00:00")) - _SPAN
    low, high = 0, int(_SPAN.total_seconds())
    found = _total(upstream, resource, early)
    if found > rows:
        while high - low > 1:
            middle = (low + high) // 2
            if _total(upstream, resource, early + timedelta(seconds=middle)) > rows:
                low = middle
            else:
                high = middle
        early += timedelta(seconds=high)
        found = _total(upstream, resource, early)
    return Listing(resource, _iso(early), found, _params(resource, early))


def _params(resource: str, since: datetime) -> dict[str, str]:
    window = {"range[updated_at]": f"{_iso(since)},{_UNTIL}"}
    return {**_FILTERS[resource], **window, **_SORTED[resource]}


def _total(upstream: Upstream, resource: str, since: datetime) -> int:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"{upstream.url}/v2/{resource}",
            params={**_params(resource, since), "page[size]": "1"},
            headers={"Authorization": f"Bearer {upstream.token()}"},
            timeout=120,
        )
    answer.raise_for_status()
    return int(answer.headers["X-Total"])


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
