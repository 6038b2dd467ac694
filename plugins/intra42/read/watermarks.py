"""How far a DAG has read the scopes of a table."""

from __future__ import annotations

from datetime import datetime

from intra42.attempt.work import Work
from intra42.catalog.model import Resource
from intra42.read import window
from intra42.read.window import Scope


def watermarks(work: Work, resource: Resource) -> tuple[dict[Scope, datetime], tuple[Scope, ...]]:
    """Return the watermarks to continue from, and the scopes that were never loaded whole."""
    wanted = {scope.key: scope for scope in window.scopes(resource, work.config)}
    own: dict[Scope, datetime] = {}
    loaded: dict[Scope, datetime] = {}
    rows = work.fetch(
        "jobs/watermarks",
        resource=resource.name,
        scopes=list(wanted),
        dags=[work.identity.dag_id, work.loader],
    )
    for dag_id, key, watermark in rows:
        (own if dag_id == work.identity.dag_id else loaded)[wanted[key]] = watermark
    if not work.is_loader:
        # Only what the loader has finished is there to be kept up to date.
        own = {scope: own.get(scope, watermark) for scope, watermark in loaded.items()}
    return own, tuple(scope for scope in wanted.values() if scope not in own)
