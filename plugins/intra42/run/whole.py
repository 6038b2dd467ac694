"""Keep an optional table true that is read whole: what its listing lacks is proven gone."""

from __future__ import annotations

import logging

from intra42.attempt.work import Work
from intra42.catalog.model import Resource
from intra42.read.reference import sync_reference, unlisted
from intra42.store.reading import Reader
from intra42.verify import absence

log = logging.getLogger(__name__)


def sync_whole(work: Work, resource: Resource) -> None:
    """Read all of `resource`; delete rows that its listing and two answers by id do not show.

    Raises:
        DeleteRefused: more rows are gone than the guard allows; not one is deleted.
        NoWitness: an answer by id proves nothing.
    """
    seen = sync_reference(work, resource)
    if not seen:
        log.warning("%s: an empty listing is not believed; all rows stay", resource.name)
        return
    reader = Reader(work, resource)
    left = unlisted(work, resource, seen)
    buried = [n for n in absence.lately_buried(work, resource) if n not in seen]
    absence.resolve(work, reader, left, buried, len(seen) + len(left))
    reader.report_notes()
