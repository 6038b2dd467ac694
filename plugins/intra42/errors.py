"""Every error this package raises, grouped by what the caller should do about it.

| class               | who acts                                                        |
|---------------------|-----------------------------------------------------------------|
| ConfigError         | the operator of the Airflow: the message names the key to set   |
| CatalogError        | a developer: the catalogue contradicts itself                   |
| RetriableApiError   | the client tries again, then the task does                      |
| QuotaSpent          | the task defers itself for `wait_s` seconds and goes on after   |
| FatalApiError       | nobody: a retry cannot help, the task fails now                 |
| NotFound            | the caller: one record or path is not there                     |
| DataError           | the task is red, nothing was loaded past the error              |
| SettingsChanged     | the task's retry, which reads the new settings                  |
| DeleteRefused       | a person: looks at the numbers, sets `allow_mass_delete` or not |
| Unavailable         | the page in Airflow shows the sentence in place of a figure     |
"""

from __future__ import annotations


class Intra42Error(Exception):
    """Base of everything raised here."""


class ConfigError(Intra42Error):
    """A connection, the variable `intra42_config` or a param is missing or invalid."""


class CatalogError(Intra42Error):
    """The catalogue contradicts itself or the database."""


class ApiError(Intra42Error):
    """The Intra API did not give what was asked. `path` is what was asked, where it is known."""

    path: str = ""


class RetriableApiError(ApiError):
    """A passing fault: 5xx, cut or unreadable answer, no connection."""


class ApiTimeout(RetriableApiError):
    """No complete answer within the time allowed; a smaller page may help."""


class RateLimited(RetriableApiError):
    """A 429. `retry_after_s` is the pause the server asked for, in seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaSpent(ApiError):
    """The hour's requests are used up; `wait_s` seconds until there are some again."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class FatalApiError(ApiError):
    """Wrong secret, missing right, unknown filter: a retry cannot help."""


class Forbidden(FatalApiError):
    """This application may not read that (403)."""


class NotFound(ApiError):
    """The API has no such record or path (404)."""


class DataError(Intra42Error):
    """Answers that must not be believed."""


class IncompleteListing(DataError):
    """The rows received disagree with the API's own total, even after asking again."""


class RangeIgnored(DataError):
    """The endpoint ignored the range we asked for and would send everything."""


class FilterIgnored(DataError):
    """The endpoint ignored a filter of ours: most rows of a page were not asked for."""


class NotAscending(DataError):
    """A page is not in ascending id order, so keyset pagination would lose rows."""


class NoWitness(DataError):
    """A refetch by id returned none of the ids asked for, so absence proves nothing."""


class SettingsChanged(Intra42Error):
    """`hash_columns` or `hash_secret` changed while the task worked; nothing more was written."""


class DeleteRefused(Intra42Error):
    """More rows would be deleted than the guard allows."""


class NoWitnessLeft(NoWitness, DeleteRefused):
    """All rows of a table are gone, so nothing can witness it: a person has to decide."""


class Unavailable(Intra42Error):
    """A figure of the page cannot be shown now. `problem` is a short word for what is wrong."""

    def __init__(self, message: str, problem: str) -> None:
        super().__init__(message)
        self.problem = problem


# A retry cannot help with these. A traceback is for a developer, whom the first need; otherwise the
# sentence says it all, and a traceback would only hide it.
DEFECTS = (CatalogError, FilterIgnored, NotAscending, RangeIgnored)
FINAL = (*DEFECTS, ConfigError, DeleteRefused, FatalApiError, NotFound)
