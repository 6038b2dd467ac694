"""Tables that the application may not read: left alone, and asked for again each night."""

from __future__ import annotations

from collections.abc import Callable

from intra42.attempt.work import Work
from intra42.catalog.model import Resource
from intra42.errors import Forbidden, NotFound


def unless_refused(work: Work, resource: Resource, sync: Callable[[Work, Resource], None]) -> None:
    """Bring an optional table up to date; where the API refuses to show it, say so in `work`.

    A refusal stops nothing and deletes nothing. Only the loader asks again; what changed meanwhile
    is then read from the watermark, or all of it where it was never read.

    Raises:
        Forbidden: what the API refuses is not the table itself, but what it needs.
        NotFound: as above.
    """
    known = dict(work.fetch("jobs/refused")).get(resource.name)
    if known and not work.is_loader:
        work.left_alone = known
        return
    try:
        sync(work, resource)
    except (Forbidden, NotFound) as error:
        if not _is_its_own(error.path, resource):
            raise
        values = {"resource": resource.name, "path": error.path, "asked_at": work.clock}
        said = work.left_alone = _sentence(resource, error)
        work.commit(lambda: work.execute("jobs/note_refusal", said=said, **values))
        return
    if known:
        work.commit(lambda: work.execute("jobs/forget_refusal", resource=resource.name))


def _is_its_own(path: str, resource: Resource) -> bool:
    """Tell whether a path is the endpoint of a table, whatever ids stand in it."""
    asked, endpoint = path.split("/"), resource.endpoint.split("/")
    return path == resource.by_id or (
        len(asked) == len(endpoint)
        and all(
            own.startswith("{") or own == part for own, part in zip(endpoint, asked, strict=True)
        )
    )


def _sentence(resource: Resource, error: Forbidden | NotFound) -> str:
    if isinstance(error, NotFound):
        return (
            f"{resource.name} is left alone: the API has no {error.path} (404); each nightly run "
            "asks again"
        )
    role = (
        f"which takes the role {resource.role} by the reference"
        if resource.role
        else "though the reference names no role for it"
    )
    return (
        f"{resource.name} is left alone: this application may not read {error.path} (403), {role}; "
        "each nightly run asks again"
    )
