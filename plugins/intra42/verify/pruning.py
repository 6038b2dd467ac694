"""Remove what no run will ever need again, so that a year of runs costs what a week does."""

from __future__ import annotations

import logging

from intra42.attempt.work import Work

log = logging.getLogger(__name__)

# More than a network's night adds to any of these tables, and less than a second's work.
_BATCH = 10_000


def prune(work: Work) -> None:
    """Remove a batch of old bookkeeping from each table; what is left goes the next nights."""
    removed = work.commit(lambda: work.fetch("ledger/prune", batch=_BATCH, clock=work.latest_clock))
    for name, rows in removed:
        if rows:
            log.info("Removed %d rows of %s that no run needs any more", rows, name)
