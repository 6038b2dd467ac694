"""Reasons may quote a value that the API sent: the page shows what happened, not to whom."""

from __future__ import annotations

import re

from intra42.catalog import graph
from intra42.catalog.resources import RESOURCES

HIDDEN = "(hidden)"

# An apostrophe of our own English, as in "the run's" or "users' rows", opens no quotation; one
# behind a single letter may: Python writes bytes as b'...'.
_QUOTED = re.compile(
    r"""(?:"|(?<![a-z]{2})'|'(?!(?:s|t|re|ve|ll)\b|(?<=s') [a-z]))(?P<inside>[^"']*)["']?"""
)
_MAIL = re.compile(r"\S+@\S+")


def _own_words() -> frozenset[str]:
    """Return the names of our tables and columns, which a message may quote."""
    tables = set(graph.tables())
    columns = {column.name for resource in RESOURCES for column in resource.columns}
    constraints = {
        f"{resource.name}_{column.name}_{ending}"
        for resource in RESOURCES
        for column in resource.columns
        for ending in ("fkey", "check", "key")
    }
    constraints |= {f"{table}_pkey" for table in tables}
    return frozenset(tables | columns | constraints)


_OWN_WORDS = _own_words()


def masked(text: str) -> str:
    """Return `text` up to the first quoted value, and without e-mail addresses.

    Our own names may be quoted. What follows a foreign value is left out too, because a value may
    hold a quotation mark itself.
    """
    for found in _QUOTED.finditer(text):
        if found["inside"] not in _OWN_WORDS:
            text = text[: found.start()] + HIDDEN
            break
    return _MAIL.sub(HIDDEN, text)
