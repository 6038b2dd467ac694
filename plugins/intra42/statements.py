"""SQL lives in `include/sql`; this module reads it and puts identifiers in, quoted by the driver.

A wheel carries the same files as `intra42/sql`.

Values are always bound parameters (`%(name)s`); only identifiers and lists of them replace the
`{placeholders}` of a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from psycopg import sql

_PACKAGE = Path(__file__).resolve().parent


def _folder(package: Path) -> Path:
    """Return where the statements of this `package` are: in it, or beside the folder it is in."""
    installed = package / "sql"
    return installed if installed.is_dir() else package.parents[1] / "include" / "sql"


FOLDER = _folder(_PACKAGE)
SCHEMA = "intra42"


@cache
def read(name: str) -> sql.SQL:
    """Return the text of `include/sql/<name>.sql`.

    Raises:
        FileNotFoundError: the package was copied without its `include/` folder.
    """
    path = FOLDER / f"{name}.sql"
    if not path.is_file():
        message = f"{path} is missing: copy the folder include/ beside plugins/ and dags/"
        raise FileNotFoundError(message)
    return sql.SQL(path.read_text(encoding="utf-8"))


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
