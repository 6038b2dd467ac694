"""The steps of both DAGs as plain data: in their order, and which of them stops which.

Airflow's tasks are made of it (`dag_factory`), and so is a run without Airflow (`intra42.run`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import TopologicalSorter
from types import MappingProxyType

from intra42.catalog import graph
from intra42.catalog.model import Cadence, Resource
from intra42.errors import ConfigError
from intra42.settings import Request

NIGHTLY = "intra42_nightly"
INCREMENTAL = "intra42_incremental"
FURTHER_TABLES = "further.tables"
LOADER = NIGHTLY  # the DAG that loads tables for the first time


class Does(StrEnum):
    """What a step is about."""

    OPEN = "open the run"
    SYNC = "sync a table"
    AUDIT = "audit all tables"
    PLAN = "plan the refetches"
    REFETCH = "refetch some chunks"
    DELETE = "delete what is missing"
    FURTHER = "sync the further tables that are asked for"
    NOTHING = "wait for others"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One task of a DAG.

    Attributes:
        name: the id of the task, with its group.
        does: what it is about.
        what: that in a sentence.
        resource: the table, or what the ledger calls it instead.
        after: the steps before it. One of them that fails stops it.
        settles: whether it only waits for them, failed or not, unless none succeeded.
        further: the tables it is taken for, once each, where they are asked for.
    """

    name: str
    does: Does
    what: str
    resource: str = ""
    after: tuple[str, ...] = ()
    settles: bool = False
    further: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The group of the task, empty for none."""
        return self.name.rpartition(".")[0]

    @property
    def task(self) -> str:
        """The id of the task in its group."""
        return self.name.rpartition(".")[2]


def steps(*, loads: bool) -> tuple[Step, ...]:
    """Return the steps of the DAG that loads and audits, or of the other one, in their order."""
    opened = Step(
        name="open_run",
        does=Does.OPEN,
        what="Schema, settings and connections; says what follows.",
    )
    tables = _tables(opened, loads=loads)
    needed = {name for step in tables for name in step.after}
    last = [step.name for step in tables if step.name not in needed]
    done = _settled("primary.tables_done", "Every table has had its turn.", [opened.name, *last])
    further = _further(done.name, loads=loads)
    found = [opened, *tables, done, further]
    last.append(further.name)
    done = _settled(
        "further.further_done",
        "The further tables have had their turn.",
        ["open_run", further.name],
    )
    found.append(done)
    if loads:
        audit = Step(
            name="primary.audit",
            does=Does.AUDIT,
            what="Compares row counts with the API, heals differences, erases accounts.",
            resource="audit",
            after=(done.name,),
        )
        done = _settled(
            "primary.audit_done", "The audit has had its turn.", ["open_run", audit.name]
        )
        found += [audit, done]
        last.append(audit.name)
    refresh = _refresh(done.name)
    closed = Step(
        name="close_run",
        does=Does.NOTHING,
        what="Red if any task is; the note of the run says why.",
        after=(*last, refresh[-1].name),
    )
    return (*found, *refresh, closed)


def _tables(opened: Step, *, loads: bool) -> list[Step]:
    """Return one step for each table, behind those that foreign keys name, parents first.

    So a table that fails stops only those that need it, whatever their group.
    """
    resources = {
        resource.name: resource
        for resource in graph.read_for_themselves()
        if not resource.is_optional and _has_turn(resource, loads=loads)
    }
    edges = graph.edges(resources.values())
    names = {name: f"{resource.group}.{name}" for name, resource in resources.items()}
    return [
        Step(
            name=names[name],
            does=Does.SYNC,
            what=resources[name].title,
            resource=name,
            after=tuple(names[parent] for parent in sorted(edges[name])) or (opened.name,),
        )
        for name in TopologicalSorter(edges).static_order()
    ]


def _has_turn(resource: Resource, *, loads: bool) -> bool:
    return loads or resource.cadence is Cadence.QUARTER_HOUR


def _further(before: str, *, loads: bool) -> Step:
    """Return the step for all further tables: it is taken once for each that is asked for."""
    return Step(
        name=FURTHER_TABLES,
        does=Does.FURTHER,
        what="The further tables that the setting tables asks for, each by itself.",
        # The first task says which tables these are.
        after=("open_run", before),
        further=tuple(
            resource.name
            for resource in graph.of_group("further")
            if _has_turn(resource, loads=loads)
        ),
    )


def _settled(name: str, what: str, after: list[str]) -> Step:
    return Step(name=name, does=Does.NOTHING, what=what, after=tuple(after), settles=True)


def _refresh(before: str) -> list[Step]:
    """Return the refresh of open rows, which needs no table's success."""
    resource = graph.refetched().name
    plan = Step(
        name="refresh_ongoing.plan",
        does=Does.PLAN,
        what="Chooses the ongoing enrolments to refetch, 100 a request.",
        resource=resource,
        after=(before,),
    )
    refetch = Step(
        name="refresh_ongoing.refetch",
        does=Does.REFETCH,
        what="Refetches ongoing enrolments by id; finds levels recomputed silently.",
        resource=resource,
        after=(plan.name,),
    )
    delete = Step(
        name="refresh_ongoing.delete_missing",
        does=Does.DELETE,
        what="Asks again for what did not come back, then deletes it with a tombstone.",
        resource=resource,
        after=(refetch.name,),
    )
    return [plan, refetch, delete]


DAGS: Mapping[str, tuple[Step, ...]] = MappingProxyType(
    {NIGHTLY: steps(loads=True), INCREMENTAL: steps(loads=False)}
)


def why_skipped(does: Does, request: Request, resource: str = "") -> str | None:
    """Return why a run has no use for a step, None if it has.

    The plan of an explicit window still reads the histories of those who entered late.
    """
    if does is Does.SYNC and not graph.is_asked(graph.get(resource), request.config.tables):
        return f"the setting tables of {request.variable} does not ask for {resource}"
    if not request.window:
        return None
    if does is Does.FURTHER or (does is Does.SYNC and graph.read_with(resource).group != "primary"):
        return "an explicit window reads the primary tables only"
    if does is Does.AUDIT:
        return "an explicit window verifies and deletes nothing"
    if does in {Does.REFETCH, Does.DELETE}:
        return "an explicit window refreshes and deletes nothing"
    return None


def asked_of(step: Step, request: Request) -> list[str]:
    """Return the further tables that a run takes a step for."""
    if request.window:
        return []
    return [n for n in step.further if graph.is_asked(graph.get(n), request.config.tables)]


def refuse_unknown_tables(request: Request) -> None:
    """Refuse a full refresh of tables that there are not.

    Raises:
        ConfigError: the message lists those that there are.
    """
    allowed = [resource.name for resource in graph.of_group("primary")]
    unknown = [name for name in request.tables if name not in allowed]
    if unknown:
        message = (
            f"the run's params: tables names {unknown[0]!r}, but may name {', '.join(allowed)}; "
            "the reference tables are read whole every night"
        )
        raise ConfigError(message)


def refuse_unknown_further(request: Request) -> None:
    """Refuse a setting `tables` that names what there is not.

    Raises:
        ConfigError: the message lists what it may name.
    """
    further = [t for r in graph.of_group("further") for t in graph.tables_of(r.name)]
    for name in request.standing.tables:
        if name not in {"all", *further}:
            message = (
                f"{request.variable}: tables names {name!r}, but may name {', '.join(further)}, "
                "or all"
            )
            raise ConfigError(message)


def refuse_unknown_keys(given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse a misspelt param, which Airflow passes on in silence.

    Raises:
        ConfigError: a key of the run's configuration is no param of the DAG.
    """
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        message = (
            f"the run's configuration has the unknown key {unknown[0]!r}; allowed are "
            + ", ".join(sorted(allowed))
        )
        raise ConfigError(message)
