"""Make an account's old values disappear once the API shows it anonymised, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from intra42.api.model import Answer
from intra42.api.pagination import keyset
from intra42.catalog import graph
from intra42.errors import DeleteRefused, NoWitness
from intra42.statements import compose, table
from intra42.sync import admission
from intra42.sync.absence import lately_buried
from intra42.sync.history import store_nested
from intra42.sync.parents import CHUNK
from intra42.sync.work import Work, chunked

log = logging.getLogger(__name__)

# Each of these nests the account itself, so any of them shows that it is still there.
_SHOWING = (
    ("/v2/users", "filter[id]", "id"),
    ("/v2/cursus_users", "filter[user_id]", "user"),
    ("/v2/projects_users", "filter[user_id]", "user"),
)


def erase(work: Work) -> None:
    """Scrub anonymised accounts, erase those that are gone, let in again those that are back.

    Raises:
        NoWitness: an answer proves nothing.
        DeleteRefused: more accounts would go than the guard allows.
    """
    users = graph.get("users")
    work.commit(lambda: work.execute("erasure/scrub_anonymised"))
    back = lately_buried(work, users)
    if back:
        admission.admit(work, back, enrolled=False, remember=False, returning=True)
    vanished = [row[0] for row in work.fetch("erasure/vanished")]
    for chunk in chunked(vanished, CHUNK - 1):
        gone, proof = _still_gone(work, chunk)
        if gone:
            _erase(work, gone, proof)
        work.commit(lambda c=chunk: work.execute("erasure/forget_vanished", users=list(c)))  # type: ignore[misc]
    if vanished:
        work.commit(lambda: work.execute("erasure/scrub_anonymised"))


def _still_gone(work: Work, chunk: Sequence[int]) -> tuple[list[int], Answer]:
    """Ask a second time, everywhere an account would show; return who is gone, with the proof."""
    witness = [row[0] for row in work.fetch("scope/user_seen", users=list(chunk))]
    if not witness:
        message = "users: no account is left that could witness an absence; nothing is erased"
        raise NoWitness(message)
    gone = set(chunk)
    for path, key, field in _SHOWING:
        params = {key: ",".join(map(str, [*chunk, *witness]))}
        shown: set[int] = set()
        for page in keyset(work.client, path, params, sortable=path != "/v2/projects_users"):
            work.log_page(page, path.removeprefix("/v2/"))
            for record in page.records:
                if isinstance(record, dict):
                    owner = record if field == "id" else record.get(field)
                    shown.add(owner.get("id", 0) if isinstance(owner, dict) else 0)
            if path == "/v2/projects_users":
                # An account without enrolments shows nowhere else that it is anonymised.
                store_nested(work, page, chunk)
            last = page.answer
        if field == "id" and not shown & set(witness):
            message = (
                f"users: ids {', '.join(map(str, witness))}, which were there before, did not come "
                f"back beside {len(chunk)} others; the answer is not believed and nothing is erased"
            )
            raise NoWitness(message)
        gone -= shown
    return sorted(gone), last


def _erase(work: Work, gone: Sequence[int], proof: Answer) -> None:
    if not work.config.delete_missing:
        log.warning("%d accounts are gone; delete_missing is false, so they stay", len(gone))
        return

    def step() -> None:
        work.wait_for("absence/lock", resource="users")
        _guard(work, gone, proof)
        values = {
            **work.names,
            "users": list(gone),
            "deleted_at": proof.date,
            "seq": proof.seq,
        }
        for resource in reversed(graph.children_of_users()):
            statement = compose("erasure/erase_children", target=table(resource.name))
            rows = work.connection.execute(statement, {**values, "resource": resource.name})
            work.counts.changed(resource.name, deleted=rows.rowcount)
        work.counts.changed("users", deleted=work.execute("erasure/erase_users", **values))

    work.commit(step)
    log.warning("Erased %d accounts that the API no longer shows", len(gone))


def _guard(work: Work, gone: Sequence[int], proof: Answer) -> None:
    if work.request.allow_mass_delete:
        return
    since = proof.date - timedelta(hours=24)
    total, lately = work.fetch("erasure/lately_erased", since=since)[0]
    config = work.config
    allowed = max(config.max_delete_rows, config.max_delete_share * total)
    if len(gone) + lately > allowed:
        message = (
            f"users: {len(gone)} accounts are gone, after {lately} in the last 24 hours; at most "
            f"{allowed:.0f} of {total} may be erased in a day. Nothing was erased; look at the "
            "API, then trigger the DAG with allow_mass_delete"
        )
        raise DeleteRefused(message)
