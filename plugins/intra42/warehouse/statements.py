"""SQL lives in `include/sql`; this module reads it and puts identifiers in, quoted by the driver.

Each file but those of `schema/`, `functions/` and `views.sql` is a room of statements: a line
`-- name: witness`, what it does, the statement. `read("absence/witness")` is that of
`absence.sql`. A wheel carries the same files as `intra42/sql`.

Values are always bound parameters (`%(name)s`); only identifiers and lists of them replace the
`{placeholders}` of a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from psycopg import sql

_PACKAGE = Path(__file__).resolve().parents[1]


def _folder(package: Path) -> Path:
    """Return where the statements of this `package` are: in it, or beside the folder it is in."""
    installed = package / "sql"
    return installed if installed.is_dir() else package.parents[1] / "include" / "sql"


FOLDER = _folder(_PACKAGE)
SCHEMA = "intra42"

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def read(name: str) -> sql.SQL:
    """Return a statement by its room and its name, such as `absence/witness`.

    Raises:
        FileNotFoundError: the package was copied without its `include/` folder.
    """
    room, _, statement = name.partition("/")
    return sql.SQL(_room(room)[statement])


@cache
def script(path: str) -> sql.SQL:
    """Return the whole text of `include/sql/<path>.sql`.

    Raises:
        FileNotFoundError: as in `read`.
    """
    return sql.SQL(_text(path))


def names(room: str) -> tuple[str, ...]:
    """Return the statements of a room, in the order of its file, as `read` wants them."""
    return tuple(f"{room}/{name}" for name in _room(room))


@cache
def _room(room: str) -> dict[str, str]:
    _head, *parts = _NAME.split(_text(room))
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def _text(path: str) -> str:
    file = FOLDER / f"{path}.sql"
    if not file.is_file():
        message = f"{file} is missing: copy the folder include/ beside plugins/ and dags/"
        raise FileNotFoundError(message)
    return file.read_text(encoding="utf-8")


def compose(name: str, **parts: sql.Composable) -> sql.Composed:
    """Return the statement `name` with its `{placeholders}` replaced by `parts`."""
    return read(name).format(**parts)


def table(name: str) -> sql.Identifier:
    """Return the qualified, quoted name of a table of ours."""
    return sql.Identifier(SCHEMA, name)


def array(numbers: Iterable[int]) -> str:
    """Return integers as a literal for `::bigint[]`: many times faster than to adapt each."""
    return f"{{{','.join(map(str, numbers))}}}"


def columns(names: tuple[str, ...], prefix: str | None = None) -> sql.Composed:
    """Return quoted column names, comma-separated, each as `prefix.name` if one is given."""
    parts = [sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names]
    return sql.SQL(", ").join(parts)
