"""How a column of the catalogue is written: `text("grade", "Learner, Cadet, ...")`.

`key` is the column's name in the record, perhaps with a question mark that the column does not
have; `path` is where the value is, if it is elsewhere.
"""

from __future__ import annotations

from functools import partial

from intra42.catalog.model import Column, Source, Type


def _column(
    type_: Type,
    key: str,
    description: str,
    *path: str,
    required: bool = False,
    compared: bool = False,
) -> Column:
    return Column(
        name=key.rstrip("?"),
        type=type_,
        path=path or (key,),
        description=description,
        required=required,
        compared=compared,
    )


bigint = partial(_column, Type.BIGINT)
integer = partial(_column, Type.INTEGER)
text = partial(_column, Type.TEXT)
boolean = partial(_column, Type.BOOLEAN)
double = partial(_column, Type.DOUBLE)
timestamp = partial(_column, Type.TIMESTAMP)
jsonb = partial(_column, Type.JSON)


def identity(description: str) -> Column:
    """Return the column `id`, without which a record is none."""
    return bigint("id", description, required=True)


def derived(name: str, description: str) -> Column:
    """Return a column that the database computes from other tables."""
    return Column(
        name=name, type=Type.BIGINT, path=(), description=description, source=Source.DERIVED
    )


def printed(name: str, description: str) -> Column:
    """Return a column of texts and numbers, which the API mixes, as text."""
    return Column(
        name=name, type=Type.TEXT, path=(name,), description=description, source=Source.PRINTED
    )


def first_configured(name: str, description: str, *path: str) -> Column:
    """Return a column with the first configured cursus in the list at `path`."""
    return Column(
        name=name,
        type=Type.BIGINT,
        path=path,
        description=description,
        source=Source.FIRST_CONFIGURED,
    )
