"""Troubles of one part of a task that must not stop the others: all are told at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from intra42.errors import (
    ConfigError,
    DataError,
    DeleteRefused,
    FatalApiError,
    Intra42Error,
    NoWitness,
    QuotaSpent,
    RetriableApiError,
    SettingsChanged,
)

log = logging.getLogger(__name__)

# These concern the whole task: it waits for the quota, or begins again with the new settings.
_OF_ALL: tuple[type[Exception], ...] = (QuotaSpent, SettingsChanged, ConfigError)


class Troubles:
    """What went wrong so far, part by part."""

    def __init__(self) -> None:
        self._errors: list[Intra42Error] = []

    @contextmanager
    def kept(self, *of_all: type[Intra42Error]) -> Iterator[None]:
        """Run a part; remember its error instead of raising it, unless it concerns all parts."""
        try:
            yield
        except _OF_ALL + of_all:
            raise
        except Intra42Error as error:
            log.error("%s", error)  # noqa: TRY400  # the sentence says it all
            self._errors.append(error)

    def none_of(self, step: Callable[[], None]) -> bool:
        """Run a part; tell whether it went well, and remember its error if not."""
        before = len(self._errors)
        with self.kept():
            step()
        return len(self._errors) == before

    def tell(self) -> None:
        """Raise what went wrong, one line each.

        Raises:
            Intra42Error: the only error itself; of several, one that a retry may help with if there
                is one, with the lines of all.
        """
        if not self._errors:
            return
        lines = list(dict.fromkeys(str(error) for error in self._errors))
        if len(lines) == 1:
            raise self._errors[0]
        raise _kind_of(self._errors)("\n".join(lines))


def _kind_of(errors: Sequence[Intra42Error]) -> type[Intra42Error]:
    """Return the class of several errors told as one: one that is retried if that may help."""
    if all(isinstance(error, (DeleteRefused, FatalApiError)) for error in errors):
        refused = any(isinstance(error, DeleteRefused) for error in errors)
        return DeleteRefused if refused else FatalApiError
    for kind in (NoWitness, RetriableApiError):
        if any(isinstance(error, kind) for error in errors):
            return kind
    return DataError
