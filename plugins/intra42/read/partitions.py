"""Read the partitions of a job page by page: each page commits with the position after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from intra42.api.concurrent import Series, middle_of_rest
from intra42.api.pagination import Page, keyset
from intra42.attempt.work import Work
from intra42.read import jobs
from intra42.read.jobs import Job, Partition
from intra42.store.reading import Reader


class PartitionSeries(Series):
    """The pages of a partition from its checkpoint on; a long one is split while there is room.

    Attributes:
        work: the task attempt.
        reader: who stores the rows.
        job: what the partition is part of.
        partition: the question, with the position that the next page follows.
        further: questions that read what this one leaves to them, not yet written down.
        ends: whether no further page is asked for.
    """

    def __init__(self, work: Work, reader: Reader, job: Job, partition: Partition) -> None:
        self.work = work
        self.reader = reader
        self.job = job
        self.partition = partition
        self.further: list[Partition] = []
        self.ends = False
        self._clock: datetime | None = None
        self._number = partition.number
        super().__init__(self._pages())

    def question(self) -> tuple[str, dict[str, str]]:
        """Return the path and the filters of what is read."""
        return self.partition.path, self.partition.params

    def page_size(self) -> int:
        """Return the rows a page."""
        return self.reader.resource.page_size

    def highest_known(self) -> int:
        """Return the highest id that was seen before, 0 where nobody can tell."""
        return 0

    def surely_has_rows(self) -> bool:
        """Tell whether a first answer without any rows would be odd."""
        # The part of a split listing that nobody has seen yet.
        return self.partition.after > 0 and self.partition.page == 1

    def _pages(self, *, expected: int | None = None) -> Iterator[Page]:
        path, params = self.question()
        return keyset(
            self.work.client,
            path,
            params,
            after=self.partition.after,
            number=self.partition.page,
            page_size=self.page_size(),
            sortable=self.reader.resource.sortable,
            highest=self.partition.highest,
            expected=expected,
            doubt_empty=expected == 0 or self.surely_has_rows(),
        )

    def arrived(self, page: Page, spare: int) -> bool:
        """Decide how to go on after a page."""
        self._clock = self._clock or page.answer.sent_at
        self.ends = page.done or bool(self.further)
        if spare > 0 and not self.ends:
            self._split(page)
        return not self.ends

    def _split(self, page: Page) -> None:
        """Leave the upper half of the ids to another partition, if what remains is worth it."""
        middle = middle_of_rest(page, self.partition.highest, self.highest_known())
        if middle is None:
            return
        self.further = [replace(self.partition, number=0, after=middle, page=1)]
        self.partition = replace(
            self.partition, after=page.last_id, highest=middle, page=page.number + 1
        )
        self.pages = self._pages(expected=0)

    def checkpoint(self, page: Page) -> None:
        """Write the position after the page, in the transaction that stores its rows."""
        if self.partition.number or not self.ends:
            self._write(page)
        if self.ends:
            self.end(page)

    def _write(self, page: Page) -> None:
        after = replace(self.partition, after=page.last_id, page=page.number + 1)
        for further in self.further:
            jobs.begin_partition(self.work, self.job, further)
        if not self.partition.number:
            # Kept aside: a transaction that is undone is run again.
            self._number = jobs.begin_partition(self.work, self.job, after)
            return
        self.work.execute(
            "jobs/move_partition",
            job_id=self.job.id,
            number=after.number,
            after=after.after,
            highest=after.highest,
            page=after.page,
            done=self.ends,
            clock=self._clock,
            answered=bool(page.records),
        )

    def end(self, page: Page) -> None:
        """Write what follows from the last page of the partition, in its transaction."""

    def stored(self, page: Page) -> None:
        """Go on from what is written now."""
        del page
        self.partition = replace(self.partition, number=self._number)
        self.further = []
