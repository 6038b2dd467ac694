"""What a task tells OpenLineage, where its provider is installed: from which listing, which table.

The provider asks for it after the task; without it, nothing here is ever called or imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intra42.attempt.work import Work
from intra42.attempt.written import Numbers
from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.warehouse.statements import SCHEMA

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Between which API and which database a task moved rows, and how many."""

    api: str
    host: str
    port: int
    database: str
    resource: str
    tables: dict[str, Numbers]


def trace(work: Work) -> Trace:
    """Return the trace of an attempt, from connections that are open."""
    server = work.connection.info
    return Trace(
        api=work.client.base_url,
        host=server.host,
        port=server.port,
        database=server.dbname,
        resource=work.resource,
        tables=dict(work.counts.tables),
    )


def facets(seen: Trace) -> OperatorLineage:
    """Return the listing of the task's table as input; as outputs its tables and those it wrote."""
    from airflow.providers.common.compat.openlineage.facet import (
        Dataset,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    def schema(resource: Resource) -> SchemaDatasetFacet:
        columns = [(column.name, column.type.value) for column in resource.columns]
        return SchemaDatasetFacet(
            fields=[SchemaDatasetFacetFields(name=name, type=type_) for name, type_ in columns]
        )

    def output(table: str) -> OutputDataset:
        inserted, updated, _deleted = seen.tables.get(table, (0, 0, 0))
        return OutputDataset(
            namespace=f"postgres://{seen.host}:{seen.port}",
            name=f"{seen.database}.{SCHEMA}.{table}",
            facets={"schema": schema(graph.get(table))} if graph.has(table) else {},
            outputFacets={
                "outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=inserted + updated)
            },
        )

    tables, inputs = set(seen.tables), []
    # A task about all tables has no listing of its own.
    if graph.has(seen.resource):
        resource = graph.get(seen.resource)
        facet = {"schema": schema(resource)}
        inputs = [Dataset(namespace=seen.api, name=resource.endpoint, facets=facet)]
        tables.update(graph.tables_of(resource.name))
    return OperatorLineage(inputs=inputs, outputs=[output(table) for table in sorted(tables)])
