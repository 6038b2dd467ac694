"""What the settings no longer ask for leaves no watermark behind.

Its windows were not read meanwhile, or were read while nobody there was admitted. So a campus or a
cursus that comes back is loaded as if it were new.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

import psycopg

from intra42.catalog import graph
from intra42.read import window
from intra42.settings import Request
from intra42.warehouse.statements import read

log = logging.getLogger(__name__)

_STEPS = ("forget_watermarks", "forget_partitions", "narrow_partitions", "narrow_jobs")


def forget_unwanted(connection: psycopg.Connection[Any], dag_id: str, request: Request) -> None:
    """Forget how far a DAG has read scopes that its settings no longer ask for.

    Runs in the caller's transaction. The rows stay, and so do the queues: who is in the mirror
    stays and is kept true. A run about something of its own forgets nothing. Other DAGs forget
    theirs when they open a run: they may go by another variable.
    """
    if request.window or not request.is_standing:
        return
    wanted = [
        (resource.name, scope.key)
        for resource in (*graph.of_group("primary"), *graph.of_group("further"))
        if graph.is_asked(resource, request.standing.tables)
        for scope in window.scopes(resource, request.standing)
    ]
    values = {
        "dag_id": dag_id,
        "resources": [resource for resource, _scope in wanted],
        "scopes": [scope for _resource, scope in wanted],
    }
    forgotten: dict[str, list[str]] = defaultdict(list)
    for step in _STEPS:
        for resource, scope in connection.execute(read(f"settings/{step}"), values).fetchall():
            if scope not in forgotten[resource]:
                forgotten[resource].append(scope)
    # After the listings: a job that is left without any is no job.
    connection.execute(read("settings/forget_jobs"), values)
    for resource, scopes in sorted(forgotten.items()):
        log.info(
            "%s: nobody asks for %s any more, so how far it was read is forgotten; once it is "
            "asked for again, it is loaded as new",
            *(resource, ", ".join(sorted(scopes))),
        )
