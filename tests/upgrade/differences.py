"""The database compared with the catalogue, table by table."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy.dialects import postgresql

from intra42.catalog.model import Type
from intra42.catalog.resources import RESOURCES
from intra42.warehouse.statements import SCHEMA

_DIALECT = postgresql.dialect()


def differences(engine: sqlalchemy.Engine) -> list[str]:
    """Return, one sentence each, where the database differs from the catalogue."""
    inspector = sqlalchemy.inspect(engine)
    found: list[str] = []
    for resource in RESOURCES:
        if not inspector.has_table(resource.name, schema=SCHEMA):
            found.append(f"the table {resource.name} is missing")
            continue
        reflected = {
            column["name"]: _type_name(column["type"])
            for column in inspector.get_columns(resource.name, schema=SCHEMA)
        }
        wanted = {column.name: column.type.value for column in resource.columns}
        wanted |= {"listed": Type.BOOLEAN.value} if resource.listed else {}
        own = {"_synced_at": Type.TIMESTAMP.value, "_run_id": "text", "_seq": "bigint"}
        for name in sorted(reflected.keys() | wanted.keys() | own.keys()):
            have, want = reflected.get(name), (wanted | own).get(name)
            if have != want:
                found.append(f"{resource.name}.{name} is {have}, the catalogue says {want}")
        keys = {
            (key["constrained_columns"][0], key["referred_table"])
            for key in inspector.get_foreign_keys(resource.name, schema=SCHEMA)
        }
        declared = {(ref.column, ref.table) for ref in resource.references}
        found += [f"{resource.name}: foreign key {pair} differs" for pair in keys ^ declared]
    return found


def _type_name(type_: sqlalchemy.types.TypeEngine[object]) -> str:
    if isinstance(type_, sqlalchemy.types.DateTime) and type_.timezone:
        return Type.TIMESTAMP.value
    name = type_.compile(dialect=_DIALECT).lower()
    return {"float": "double precision", "double_precision": "double precision"}.get(name, name)
