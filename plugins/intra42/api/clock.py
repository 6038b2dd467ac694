"""The API's clock, as its answers tell it: one odd `Date` changes nothing.

Only the API's own clock says what "now" is, but a gateway, a cache or one server of several may
write a `Date` that is years off. What is stored with such a time would be believed for ever: a
watermark that hides changes, a row that is never looked at again. So a `Date` that does not fit the
ones before it counts only when the next answer says the same.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import NamedTuple

from requests.structures import CaseInsensitiveDict

from intra42.api.responses import read_date
from intra42.api.transport import Reply

log = logging.getLogger(__name__)

# How far two answers may be apart beside the time that went by: clocks of servers differ a little.
TOLERANCE = timedelta(minutes=10)


class _Heard(NamedTuple):
    """A time of the API, and when it was heard by our own clock, in seconds."""

    date: datetime
    at: float

    def by(self, at: float) -> datetime:
        """Return what the API's clock shows at a moment of ours, in whole seconds as `Date` has."""
        return self.date + timedelta(seconds=int(at - self.at))

    def agrees(self, other: _Heard) -> bool:
        """Tell whether a later one shows the same clock."""
        went_by = timedelta(seconds=other.at - self.at)
        # Not `by`: what a year 9999 comes after cannot be written.
        return abs(other.date - self.date - went_by) <= TOLERANCE


class ApiClock:
    """Decides which `Date` of an answer is believed; several threads may share it.

    Attributes:
        agreed: whether two answers in a row have shown the clock that is believed.
    """

    def __init__(self) -> None:
        self.agreed = False
        self._known: _Heard | None = None
        self._odd: _Heard | None = None
        self._lock = threading.Lock()

    def recall(self, date: datetime, *, agreed: bool) -> None:
        """Take over what others have heard: the API's clock as it should be now."""
        self._known, self.agreed = _Heard(date, time.monotonic()), agreed

    def corrected(self, reply: Reply) -> Reply:
        """Return an answer with the `Date` that is believed; one without any stays as it is."""
        date = read_date(reply.headers)
        if date is None:
            return reply
        believed = self.believe(date)
        if believed == date:
            return reply
        headers = CaseInsensitiveDict(reply.headers)
        headers["Date"] = format_datetime(believed, usegmt=True)
        return replace(reply, headers=headers)

    def believe(self, date: datetime) -> datetime:
        """Return the time that an answer with this `Date` is taken to have been written at."""
        with self._lock:
            return self._believe(_Heard(date, time.monotonic()))

    def _believe(self, heard: _Heard) -> datetime:
        known, odd = self._known, self._odd
        if known is None or known.agrees(heard) or (odd is not None and odd.agrees(heard)):
            # The first answer of all stands alone; any other has another one that says the same.
            self.agreed = known is not None
            self._known, self._odd = heard, None
            return heard.date
        expected = known.by(heard.at)
        if not self.agreed and heard.date < expected:
            # Nobody knows which of two is right. The earlier one hides no change.
            self._known, self._odd = heard, known
            return heard.date
        self._odd = heard
        log.warning(
            "An answer has the Date %s where %s was expected: it is not believed unless the next "
            "one says the same",
            *(f"{moment:%Y-%m-%d %H:%M:%S} UTC" for moment in (heard.date, expected)),
        )
        return expected
