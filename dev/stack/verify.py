"""Compare a mirror in PostgreSQL with the truth of the simulated world."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dev.simulator.control import KEY_HEADER
from dev.simulator.truth import Truth, decode

SCHEMA = "intra42"
MOST_LINES = 50

_KEYS = {
    "cursus_projects": ("cursus_id", "project_id"),
    "campus_projects": ("campus_id", "project_id"),
    "campus_achievements": ("campus_id", "achievement_id"),
}
_KEPT_FOR_EVER = {"campuses", "projects", "project_sessions", "achievements", "coalitions"}


def compare(connection: psycopg.Connection[Any], truth: Truth) -> list[str]:
    """Return one line per difference between the mirror and the truth; none means equal.

    Columns that begin with an underscore are the mirror's own and are not compared. Of more than
    `MOST_LINES` differences the rest is only counted, in a last line.
    """
    lines: list[str] = []
    for table, rows in truth["rows"].items():
        stubs = truth["stubs"].get(table, set())
        mirrored = _mirrored(connection, table)
        required = truth["required"].get(table, set())
        lines += [f"{table} {key}: missing" for key in sorted(required - mirrored.keys())]
        for key, row in sorted(mirrored.items()):
            if key in rows:
                lines += _differences(table, key, row, rows[key], key in stubs)
            elif table not in _KEPT_FOR_EVER or row.get("listed") is not False:
                lines.append(f"{table} {key}: exists only in the mirror")
    if len(lines) > MOST_LINES:
        rest = len(lines) - MOST_LINES
        return [*lines[:MOST_LINES], f"... and {rest} more differences"]
    return lines


def compare_url(
    database_url: str,
    simulator_url: str,
    config: Mapping[str, Any],
    also_users: Collection[int] = (),
    control_key: str = "",
) -> list[str]:
    """Do the same for a database and a simulator that are reached by their addresses."""
    facts = {"config": json.dumps(dict(config)), "also_users": json.dumps(sorted(also_users))}
    query = urllib.parse.urlencode(facts)
    address = f"{simulator_url.rstrip('/')}/_sim/truth?{query}"
    request = urllib.request.Request(address, headers={KEY_HEADER: control_key})  # noqa: S310
    with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
        truth = decode(json.load(answer))
    with psycopg.connect(database_url) as connection:
        return compare(connection, truth)


def _mirrored(connection: psycopg.Connection[Any], table: str) -> dict[Any, dict[str, Any]]:
    key = _KEYS.get(table, ("id",))
    query = sql.SQL("select * from {}").format(sql.Identifier(SCHEMA, table))
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query).fetchall()
    return {row[key[0]] if len(key) == 1 else tuple(row[c] for c in key): row for row in rows}


def _differences(
    table: str, key: Any, row: dict[str, Any], expected: dict[str, Any], stub: bool
) -> list[str]:
    columns = {column for column in row if not column.startswith("_")}
    lost = sorted(expected.keys() - columns)
    lines = [f"{table} {key}: there is no column {column}" for column in lost]
    for column in sorted(columns & expected.keys()):
        have, want = _normal(row[column]), _normal(expected[column])
        if have == want and _kind(have) == _kind(want):
            continue
        if stub and have is None:
            continue
        lines.append(f"{table} {key}: {column} is {have!r}, the API says {want!r}")
    return lines


def _normal(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return json.loads(value) if isinstance(value, bytes) else value


def _kind(value: Any) -> str:
    """Tell 0 from false, which Python calls equal."""
    return "bool" if isinstance(value, bool) else ""
