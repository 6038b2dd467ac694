"""What the plugin registers: every component loads it, only the api-server opens the page."""

from __future__ import annotations

from typing import Any

PREFIX = "/intra42"

# Relative, so that they follow an Airflow that is served under a path of its own.
_ADDRESS = "intra42/"
_ICONS = {
    "icon": f"{_ADDRESS}static/icon.svg",
    "icon_dark_mode": f"{_ADDRESS}static/icon-dark.svg",
}

EXTERNAL_VIEWS: list[dict[str, Any]] = [
    {
        "name": "Intra42",
        "href": _ADDRESS,
        "url_route": "intra42",
        "destination": "nav",
        "category": "browse",
        **_ICONS,
    },
    {
        # Airflow shows such a tab on every DAG; the page says so where the DAG is not ours.
        "name": "Intra42",
        "href": f"{_ADDRESS}?dag={{DAG_ID}}",
        "url_route": "intra42_dag",
        "destination": "dag",
        **_ICONS,
    },
]


class PageApp:
    """The page as an ASGI application that loads FastAPI and itself with the first request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        from intra42.ui.app import app

        await app(scope, receive, send)


FASTAPI_APPS: list[dict[str, Any]] = [
    {"app": PageApp(), "url_prefix": PREFIX, "name": "Intra42"},
]
