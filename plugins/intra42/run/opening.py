"""The first task of a run: schema, settings, connections; says what the run is going to do."""

from __future__ import annotations

import logging
from contextlib import closing

import psycopg

from intra42.attempt.work import Identity
from intra42.run.forgetting import forget_unwanted
from intra42.run.plan import refuse_unknown_further
from intra42.run.remembered import check, remember
from intra42.run.session import ApiSettings
from intra42.settings import Request
from intra42.warehouse import sessions
from intra42.warehouse.hashing import chosen
from intra42.warehouse.schema import migrate
from intra42.warehouse.sessions import Connect, Connection
from intra42.warehouse.statements import read

log = logging.getLogger(__name__)


def open_run(connect: Connect, api: ApiSettings, identity: Identity, request: Request) -> None:
    """Migrate the schema, prove that the API lets us in, and note where the run starts.

    Raises:
        ConfigError: `tables` or `hash_columns` names what it may not, a setting is missing that
            narrowed what the last run did, or the warehouse cannot serve as it is set up.
        FatalApiError: the API refuses the client id or secret.
        psycopg.OperationalError: the warehouse cannot be reached.
    """
    chosen(request.config)
    refuse_unknown_further(request)
    names = {"dag_id": identity.dag_id, "run_id": identity.run_id}
    tokens = api.tokens(connect)
    with (
        sessions.in_words(f"The first task of run {identity.run_id}"),
        closing(sessions.opened(connect)) as connection,
    ):
        sessions.prove_own(connection, connect)
        migrate(connection)
        memory, _declared = check(connection, request)
        advance_sequences(connection, identity.dag_id)
        tokens.recall(connection)
        tokens.token()
        with connection.transaction():
            forget_unwanted(connection, identity.dag_id, request)
            remember(connection, names, request, memory)
            connection.execute(read("ledger/open_run"), names)
    log.info("%s", describe(request, api))


def unreachable(error: psycopg.OperationalError, name: str) -> str | None:
    """Return what to do where the connection `name` leads nowhere, None if the server answered."""
    if error.sqlstate:
        # The server was reached, and says itself what is wrong.
        return None
    return (
        f"The warehouse cannot be reached: check host, port, login and database of the Airflow "
        f"connection {name} ({str(error).splitlines()[0]})"
    )


def advance_sequences(connection: Connection, dag_id: str) -> None:
    """Move each sequence forward that is behind the numbers in the tables, and say so.

    Sequences stay behind where a part of a database was restored, or in a replica that was
    promoted. What a request shows would then count as older than what is stored, and be refused in
    silence. The first run of a DAG in half a day looks at all tables, the others at a few, unless
    they find a sequence that is behind.
    """
    lately = connection.execute(read("ledger/opened_lately"), {"dag_id": dag_id}).fetchone()
    whole = not (lately and lately[0])
    moved = _advance(connection, whole=whole)
    if moved and not whole:
        moved += _advance(connection, whole=True)
    for name, was, now in moved:
        log.warning(
            "The sequence %s stood at %d, but the tables hold numbers up to %d: it goes on from "
            "there. Was a part of the warehouse restored?",
            *(name, was, now),
        )


def _advance(connection: Connection, *, whole: bool) -> list[tuple[str, int, int]]:
    return connection.execute(read("ledger/advance_sequences"), {"whole": whole}).fetchall()


def describe(request: Request, api: ApiSettings) -> str:
    """Return one sentence on what a run with this order does."""
    config = request.config
    campuses = (
        f"campus {', '.join(map(str, config.campus_ids))}"
        if config.campus_ids
        else "the whole network"
    )
    cursus = ", ".join(map(str, config.cursus_ids))
    further = f", with the further tables {', '.join(config.tables)}" if config.tables else ""
    what = "continues from the watermarks (tables without one are loaded whole by the nightly)"
    if request.full_refresh:
        what = "reads everything again"
    if request.tables:
        what = (
            f"reads all of {', '.join(request.tables)} again, and continues the other tables from "
            "their watermarks"
        )
    if request.window:
        what = f"reads exactly what changed from {request.window}"
    if request.purge_out_of_scope:
        what += ", then purges what is out of scope"
    return f"This run {what}, for {campuses} and cursus {cursus}{further}, from {api.base_url}"
