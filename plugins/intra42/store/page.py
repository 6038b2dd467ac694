"""The one way from decoded pages to stored rows, whoever has read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from intra42.api.model import Answer
from intra42.attempt.work import Work
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.store.decode import Decoded, Inner, Seen
from intra42.store.lists import Doubts, remove_links, store_lists
from intra42.store.loading import Provenance, load_all, park
from intra42.store.rows import Row
from intra42.store.witnesses import seen_since
from intra42.warehouse.statements import array


def put(
    work: Work,
    resource: Resource,
    decoded: Decoded,
    provenance: Provenance,
    *,
    doubts: Doubts | None = None,
    before: Doubts | None = None,
    new: bool = False,
) -> None:
    """Store rows, what derives from them and what their lists hold; park what is no row.

    Runs inside the caller's transaction, once all parents are there.

    Args:
        work: the task attempt.
        resource: whose rows they are.
        decoded: what the pages became.
        provenance: what they may overwrite.
        doubts: where to note the pairs that lists lack.
        before: pairs that earlier lists lacked; those that these lack, too, are removed.
        new: whether what follows them came with them, and is counted already.
    """
    work.counts.records += decoded.records
    shown_since = _shown_since(work, resource, decoded.rows, before)
    _store_parents(work, decoded)
    store_all(work, resource, decoded.seen, provenance, new=new)
    for answer, rows, inner in _by_answer(resource, decoded):
        lacking = store_lists(work, resource, rows, inner, answer, doubts)
        if before is not None:
            for link in resource.links:
                twice = lacking.get(link.table, set()) & before.pairs[link.table]
                remove_links(work, link, [p for p in twice if p[0] not in shown_since], answer)
    for item, answer in decoded.bad:
        park(work, resource, [item], answer)


def _store_parents(work: Work, decoded: Decoded) -> None:
    """Store the rows that came inside the records that refer to them, as of an index page."""
    by_name: dict[str, tuple[Resource, list[Seen]]] = {}
    for item, answer in decoded.parents:
        _resource, seen = by_name.setdefault(item.resource.name, (item.resource, []))
        seen += [(row, answer) for row in item.rows]
        park(work, item.resource, item.unfit, answer)
    for resource, seen in by_name.values():
        load_all(work, resource, seen, Provenance.LISTING)


def _by_answer(
    resource: Resource, decoded: Decoded
) -> Iterator[tuple[Answer, list[Row], list[Inner]]]:
    """Yield the rows of each answer with what came inside them, if anything can."""
    if not (resource.links or decoded.inner):
        return
    for answer in {answer.seq: answer for _row, answer in decoded.seen}.values():
        yield (
            answer,
            [row for row, shown in decoded.seen if shown is answer],
            [item for item, shown in decoded.inner if shown is answer and item.resource.owner],
        )


def _shown_since(
    work: Work, resource: Resource, rows: Iterable[Row], before: Doubts | None
) -> set[int]:
    """Return the parents whom somebody has seen since a first list of theirs lacked something."""
    if before is None:
        return set()
    first = {row.id: before.since[row.id] for row in rows if row.id in before.since}
    return seen_since(work, resource.name, first)


def store_all(
    work: Work,
    resource: Resource,
    seen: Sequence[Seen],
    provenance: Provenance,
    *,
    new: bool = False,
) -> None:
    """Merge rows and recompute the columns that other tables derive from them."""
    merged = load_all(work, resource, seen, provenance)
    if resource.followed_by is None or not merged:
        return
    owner = resource.column_names.index(resource.followed_by)
    kept = set(merged)
    ids = sorted({row.values[owner] for row, _answer in seen if row.id in kept})
    latest = max((a for _row, a in seen), key=lambda a: a.seq)
    derive_from(work, resource.name, ids, latest, counted=not new)


def derive_from(
    work: Work, name: str, ids: list[int] | None, answer: Answer | None, *, counted: bool = True
) -> int:
    """Recompute what derives from the table `name` for these owners, or for all where None.

    Runs inside the caller's transaction; counts the rows that changed, and returns how many.
    """
    followed = work.fetch(
        f"derive/from_{name}",
        ids=None if ids is None else array(ids),
        synced_at=answer.date if answer else work.clock,
        all_cursus_ids=list(work.request.mirrored_cursus("all_cursus_ids")),
        listed_by_campus=list(graph.listed_by_campus(work.config.tables)),
    )
    for other, rows in followed if counted else ():
        work.counts.followed(other, rows)
    return sum(rows for _other, rows in followed)
