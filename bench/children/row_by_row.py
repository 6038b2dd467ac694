"""The row-by-row upsert that CodamHero does, with plain psycopg.

Page numbers; for each record a SELECT, then one INSERT .. ON CONFLICT with a commit of its own,
into the mirror's own table, whose foreign keys are satisfied beforehand.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import requests
from psycopg import sql
from psycopg.types.json import Jsonb

from bench.children.mirror import say
from bench.peak import peak_mb
from intra42.catalog import graph
from intra42.catalog.model import Column, Source, Type


def pages(url: str, token: str, params: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {token}"
        number = 1
        while True:
            paging = {"page[number]": str(number), "page[size]": "100"}
            answer = session.get(url, params={**params, **paging}, timeout=60)
            answer.raise_for_status()
            records = answer.json()
            yield records
            if len(records) < 100:
                return
            number += 1


def value(record: Mapping[str, Any], column: Column, cursus_ids: list[int]) -> Any:
    found: Any = record
    for key in column.path:
        found = found.get(key) if isinstance(found, dict) else None
    if column.source is Source.FIRST_CONFIGURED:
        return next((number for number in cursus_ids if number in found), None)
    return Jsonb(found) if column.type is Type.JSON else found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.children.row_by_row")
    parser.add_argument("resource")
    parser.add_argument("--database", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--params", required=True)
    parser.add_argument("--cursus-ids", type=json.loads, required=True)
    options = parser.parse_args()
    resource = graph.get(options.resource)
    columns = [column for column in resource.columns if column.source is not Source.DERIVED]
    names = [sql.Identifier(column.name) for column in columns]
    target = sql.Identifier("intra42", options.resource)
    look = sql.SQL("select id from {} where id = %s").format(target)
    upsert = sql.SQL(
        "insert into {} ({}, _synced_at, _run_id, _seq) values ({}, now(), 'seed', 1)"
        " on conflict (id) do update set {}"
    ).format(
        target,
        sql.SQL(", ").join(names),
        sql.SQL(", ").join([sql.Placeholder()] * len(names)),
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in names[1:]),
    )
    began, used, rows, number = time.monotonic(), time.process_time(), 0, 0
    with psycopg.connect(options.database, autocommit=True) as connection:
        for records in pages(
            f"{options.url}/v2/{options.resource}", options.token, json.loads(options.params)
        ):
            number += 1
            for record in records:
                connection.execute(look, (record["id"],)).fetchone()
                values = [value(record, column, options.cursus_ids) for column in columns]
                connection.execute(upsert, values)
                rows += 1
    say(
        {
            "wall_s": time.monotonic() - began,
            "cpu_s": time.process_time() - used,
            "rss_peak_mb": peak_mb(),
            "pages": number,
            "rows": rows,
        }
    )


if __name__ == "__main__":
    main()
