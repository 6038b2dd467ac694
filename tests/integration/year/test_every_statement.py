"""A year of a network of 40,000: every statement of `include/sql` is explained, none is slow.

Whoever adds a statement says in `samples.py` how often it runs. What others do on the machine does
not count: pages read are counted, and the time of the server process on a processor.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from intra42.catalog import graph
from intra42.catalog.model import Resource
from intra42.store.loading import Provenance, _statements
from intra42.warehouse.statements import FOLDER, compose, names, read, table
from tests.integration.year import samples
from tests.integration.year.explaining import Database, Explained
from tests.integration.year.samples import Often, Sample

# How many pages of 8 KB a statement may look at: a million is about a second.
MOST_PAGES = {Often.TASK: 25_000, Often.NIGHT: 500_000}

# Tables that a task may read from end to end, for what it asks is about all of their rows.
WHOLE = {
    # The first row is enough, which the plan does not say.
    "erasure/knows_any": {resource.name for resource in graph.children_of_users()},
    "page/audit": {"audits"},
    "refresh/ongoing": {"cursus_users"},
    "refresh/staleness": {"cursus_users"},
}

STATEMENTS = sorted(
    name for path in FOLDER.glob("*.sql") if path.stem != "views" for name in names(path.stem)
)
EXPLAINED = [
    name for name in STATEMENTS if name not in samples.PARTS | samples.STAGED | samples.UTILITIES
]

# Only users are stored from other records, too.
STORED = [
    pytest.param(resource, provenance, id=f"{resource.name}-{provenance.name.lower()}")
    for resource in graph.RESOURCES
    for provenance in Provenance
    if resource.name == "users" or provenance is not Provenance.EMBEDDED
]


@pytest.fixture(scope="module")
def database(network: str) -> Iterator[Database]:
    with psycopg.connect(network) as connection:
        connection.execute(read("warehouse/in_utc"))
        connection.execute(read("ledger/introduce"), {"dag_id": samples.NIGHTLY, "loads": True})
        yield Database(connection)
        connection.rollback()


def test_the_year_is_that_of_a_network(database: Database) -> None:
    least = {
        "sync_runs": 637_000,
        "dag_runs": 36_000,
        "verifications": 815_000,
        "users": 40_000,
        "cursus_users": 45_000,
        "projects_users": 1_200_000,
        "achievements_users": 600_000,
        "coalitions_users": 70_000,
        "tombstones": 40_000,
        "cursus_users_levels": 600_000,
    }
    for name, rows in least.items():
        statement = sql.SQL("select count(*) from {}").format(table(name))
        found = database.connection.execute(statement).fetchone()
        assert found is not None
        assert found[0] >= rows, name


def test_each_statement_is_declared() -> None:
    declared = samples.SAMPLES.keys() | samples.PARTS | samples.STAGED | samples.UTILITIES
    assert set(STATEMENTS) <= declared, "say in samples.py how often it runs, and with what"
    assert declared <= set(STATEMENTS), "samples.py has a statement that is no more"


@pytest.mark.parametrize("name", EXPLAINED)
def test_no_statement_is_slow_after_a_year(database: Database, name: str) -> None:
    found = [(sample, explained(database, sample)) for sample in samples.SAMPLES[name](name)]
    assert found
    slow = [
        f"{name} {sample.label}: {reason}"
        for sample, cost in found
        for reason in too_slow(name, sample.often, cost)
    ]
    assert not slow, "\n".join(slow)


@pytest.mark.parametrize(("resource", "provenance"), STORED)
def test_no_page_is_slow_to_store_after_a_year(
    database: Database, resource: Resource, provenance: Provenance
) -> None:
    statements = _statements(resource.name, provenance, frozenset(), toasted=False)
    values = samples.of_page(resource.name)
    with database.undone():
        fill_stage(database, resource, statements)
        slow = [
            f"{key} of {resource.name}: {reason}"
            for key in ("insert", "merge", "verify", "shown", "note_anonymised", "empty_stage")
            if key in statements
            for reason in too_slow(
                f"merge/{key}",
                Often.TASK,
                database.explain(statements[key], values, Often.TASK.value / 2),
            )
        ]
    assert not slow, "\n".join(slow)


def test_what_has_no_plan_runs(database: Database) -> None:
    parts = {
        "migrations/checks": {
            "shown": sql.SQL(" union all ").join(
                compose("migrations/shown", resource=sql.Literal(name), table=table(name))
                for name in (resource.name for resource in graph.RESOURCES)
            )
        },
        "migrations/shown": {"resource": sql.Literal("users"), "table": table("users")},
        "migrations/describe_column": {
            "column": sql.Identifier("intra42", "users", "id"),
            "text": sql.Literal("text"),
        },
        "migrations/describe_table": {"table": table("users"), "text": sql.Literal("text")},
        "migrations/lock_timeout": {"limit": sql.Literal("10min")},
        "merge/stage": {
            "stage": sql.Identifier("stage_of_test"),
            "definitions": sql.SQL("id bigint"),
        },
    }
    # Those of a connection were run with the connection.
    mine = {name for name in samples.UTILITIES if not name.startswith("warehouse/")}
    for name in sorted(mine - {"merge/copy"}):
        database.run(compose(name, **parts[name]) if name in parts else read(name), {})


def test_a_slow_statement_would_be_noticed(database: Database) -> None:
    statement = sql.SQL("select count(*) from intra42.sync_runs where bytes = 1")
    cost = database.explain(statement, {}, 0)
    assert cost.whole == {"sync_runs"}
    assert [*too_slow("x", Often.TASK, cost)]


def explained(database: Database, sample: Sample) -> Explained:
    return database.explain(sample.statement, sample.values, sample.often.value / 2)


def too_slow(name: str, often: Often, cost: Explained) -> Iterator[str]:
    """Yield what is wrong with the costs of a statement that runs so often."""
    if cost.ms > often.value:
        yield f"takes {cost.ms:.0f} ms, and may take {often.value} a {often.name.lower()}"
    if cost.pages > MOST_PAGES[often]:
        yield f"looks at {cost.pages} pages, and may look at {MOST_PAGES[often]}"
    whole = cost.whole - WHOLE.get(name, set())
    if often is Often.TASK and whole:
        yield f"reads {', '.join(sorted(whole))} from end to end"


def fill_stage(database: Database, resource: Resource, statements: dict[str, bytes]) -> None:
    """Stage a page: at most fifty rows as they are, as many that changed, and one that is new."""
    execute = database.connection.execute
    execute(statements["stage"])
    changing = {"level", "final_mark", "wallet", "score", "nbr_of_success"}
    as_they_are = {name: sql.Identifier(name) for name in resource.column_names}
    changed = as_they_are | {
        name: sql.SQL("{} + 1").format(sql.Identifier(name))
        for name in changing.intersection(resource.column_names)
    }
    new = changed | {"id": sql.SQL("id + 5000000")}
    rows = (
        (as_they_are, "id <= (select percentile_disc(0.5) within group (order by id) from {0})"),
        (changed, "id > (select percentile_disc(0.5) within group (order by id) from {0})"),
        (new, "id = (select max(id) from {0})"),
    )
    target = table(resource.name)
    for values, chosen in rows:
        statement = sql.SQL("insert into {} ({}) select {} from {} where {} limit 50").format(
            sql.Identifier("pg_temp", f"stage_{resource.name}"),
            sql.SQL(", ").join(map(sql.Identifier, resource.column_names)),
            sql.SQL(", ").join(values.values()),
            target,
            sql.SQL(chosen).format(target),
        )
        execute(statement)
