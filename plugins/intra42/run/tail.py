"""Keep ledgers true: what is new at their end, and each night as many rows as the API has."""

from __future__ import annotations

import logging

from intra42.attempt.troubles import Troubles
from intra42.attempt.work import Work
from intra42.catalog.model import Resource
from intra42.errors import Forbidden, NotFound
from intra42.read.tail import ledger_of, parents, read_tail
from intra42.store.reading import Reader, lock
from intra42.verify.tail import reconcile

log = logging.getLogger(__name__)


def sync_tail(work: Work, resource: Resource) -> None:
    """Read all ledgers of `resource`; trouble with one stops no other.

    Raises:
        Forbidden: the application may not read them.
        Intra42Error: what went wrong; of several, one line each.
    """
    lock(work, resource)
    reader = Reader(work, resource)
    troubles = Troubles()
    try:
        for parent in parents(work, resource, work.config.campus_ids):
            with troubles.kept(Forbidden):
                _sync_one(work, reader, parent)
    finally:
        reader.report_notes()
    troubles.tell()


def _sync_one(work: Work, reader: Reader, parent: int) -> None:
    ledger = ledger_of(work, reader.resource, parent)
    try:
        total = read_tail(work, reader, ledger, parent)
    except NotFound as error:
        log.warning("%s", error)
        return
    if total is not None and work.is_nightly:
        reconcile(work, reader, ledger, parent, total)
