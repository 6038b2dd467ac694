"""The routes of the page: the only module of the page that knows Airflow and FastAPI.

What the browser draws with is public and holds no data. Every figure needs a login of Airflow and
the right to read both DAGs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.providers.postgres.hooks.postgres import PostgresHook
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import select

from intra42.dag_factory import INCREMENTAL, NIGHTLY
from intra42.errors import Unavailable
from intra42.hooks.intra42 import open_warehouse, warehouse_hook
from intra42.ui import figures
from intra42.ui.warehouse import Connection, reading

log = logging.getLogger(__name__)

DAGS = figures.Dags(nightly=NIGHTLY, incremental=INCREMENTAL)

_STATIC = Path(__file__).parent / "static"
_WAREHOUSE = "intra42_db"
_CONNECT_TIMEOUT_S = 5
_HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
}

OurDag = Annotated[Literal["intra42_nightly", "intra42_incremental"] | None, Query()]
Length = Annotated[Literal["day", "week", "month"], Query()]


def connect() -> psycopg.Connection[Any]:
    """Open a connection to the warehouse, from the api-server.

    Raises:
        ConfigError: the Airflow connection is missing, or not one psycopg 3 can open.
        psycopg.OperationalError: the server cannot be reached, or not in time.
    """
    return open_warehouse(_WAREHOUSE, _impatient)


def _impatient() -> PostgresHook:
    # Nobody waits two minutes for a picture, as the system does for a host that is silent.
    return warehouse_hook(_WAREHOUSE, connect_timeout=_CONNECT_TIMEOUT_S)


def _figure(of: Callable[[Connection], dict[str, Any]]) -> dict[str, Any]:
    with reading(connect) as connection:
        return of(connection)


async def _no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


# `requires_access_dag` alone would check the DAG that the request names, or none at all.
data = APIRouter(
    prefix="/api",
    dependencies=[
        *(Depends(requires_access_dag("GET", param_dag_id=dag_id)) for dag_id in DAGS.both),
        Depends(_no_store),
    ],
)


@data.get("/freshness")
def freshness() -> dict[str, Any]:
    """How old each table is, beside its promise."""
    return _figure(lambda connection: figures.freshness(connection, DAGS))


@data.get("/quota")
def quota() -> dict[str, Any]:
    """Requests of the last hour, and its limit."""
    return _figure(figures.quota)


@data.get("/activity")
def activity(span: Length = "day", dag_id: OurDag = None) -> dict[str, Any]:
    """Requests and rows written over time."""
    chosen = figures.SPANS[span]
    return _figure(lambda connection: figures.activity(connection, DAGS, chosen, dag_id))


@data.get("/runs")
def runs(limit: Annotated[int, Query(ge=1, le=200)] = 60, dag_id: OurDag = None) -> dict[str, Any]:
    """The last runs and what they wrote."""
    return _figure(lambda connection: figures.runs(connection, DAGS, limit, dag_id))


@data.get("/levels")
def levels() -> dict[str, Any]:
    """Levels recomputed silently, by how long that may have stayed unseen."""
    return _figure(figures.levels)


@data.get("/audit")
def audit() -> dict[str, Any]:
    """How far the audit is."""
    return _figure(figures.audit)


@data.get("/parked")
def parked() -> dict[str, Any]:
    """Records that could not be stored."""
    return _figure(figures.parked)


@data.get("/tombstones")
def tombstones() -> dict[str, Any]:
    """Rows that were deleted."""
    return _figure(figures.tombstones)


@data.get("/schedule")
def schedule(session: SessionDep) -> dict[str, Any]:
    """The next run of both DAGs, and how their last one ended, from Airflow's own database."""
    planned = select(
        DagModel.dag_id, DagModel.is_paused, DagModel.is_stale, DagModel.next_dagrun_create_after
    ).where(DagModel.dag_id.in_(DAGS.both))
    by_id = {row.dag_id: row for row in session.execute(planned)}
    return {"dags": [_plan(session, dag_id, by_id.get(dag_id)) for dag_id in DAGS.both]}


def _plan(session: SessionDep, dag_id: str, row: Any) -> dict[str, Any]:
    if row is None or row.is_stale:
        return {"dag_id": dag_id, "parsed": False}
    last = session.execute(
        select(DagRun.run_id, DagRun.state, DagRun.start_date, DagRun.end_date)
        .where(DagRun.dag_id == dag_id)
        .order_by(DagRun.run_after.desc(), DagRun.id.desc())
        .limit(1)
    ).first()
    return {
        "dag_id": dag_id,
        "parsed": True,
        "paused": row.is_paused,
        "next_run_at": None if row.is_paused else row.next_dagrun_create_after,
        "last_run": None
        if last is None
        else {
            "run_id": last.run_id,
            "state": last.state,
            "started_at": last.start_date,
            "finished_at": last.end_date,
        },
    }


class _Static(StaticFiles):
    """Files that the browser asks about again each time, so that an upgrade shows at once."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


app = FastAPI(title="Intra42", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/", response_class=HTMLResponse)
def page() -> HTMLResponse:
    """The page itself: no data, only what fetches it."""
    text = (_STATIC / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{dags}", " ".join(DAGS.both)), headers=_HEADERS)


@app.exception_handler(Unavailable)
def _unavailable(_request: Request, error: Unavailable) -> JSONResponse:
    body = {"problem": error.problem, "sentence": str(error)}
    return JSONResponse(body, status_code=503, headers={"Cache-Control": "no-store"})


app.include_router(data)
app.mount("/static", _Static(directory=_STATIC), name="static")
