"""The routes of the page: the only module of the page that knows FastAPI.

What the browser draws with is public and holds no data. Every figure needs a login of Airflow and
the right to read both DAGs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from intra42.dag_factory import INCREMENTAL, NIGHTLY
from intra42.errors import Unavailable
from intra42.hooks.intra42 import open_warehouse, warehouse_hook
from intra42.ui import figures, schedule
from intra42.ui.sharing import Shared, cut_after
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

_shared = Shared()


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


def _warehouse() -> str:
    """Return which warehouse the connection means, so that no figure of another is shown."""
    try:
        return str(BaseHook.get_connection(_WAREHOUSE).get_uri())
    except AirflowException:
        return ""  # the reading itself says that there is none


Warehouse = Annotated[str, Depends(_warehouse)]


async def _figure(
    warehouse: str, name: Hashable, of: Callable[[Connection], dict[str, Any]]
) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        with cut_after(connect) as impatient, reading(impatient) as connection:
            return of(connection)

    return await _shared.get(warehouse, name, read)


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


# The routes wait without a thread of the api-server, whatever the warehouse does.


@data.get("/freshness")
async def freshness(warehouse: Warehouse) -> dict[str, Any]:
    """How old each table is, beside its promise, and how many rows it has."""
    return await _figure(
        warehouse,
        "freshness",
        lambda connection: figures.freshness(connection, DAGS) | figures.sizes(connection),
    )


@data.get("/quota")
async def quota(warehouse: Warehouse) -> dict[str, Any]:
    """Requests of the last hour, and its limit."""
    return await _figure(warehouse, "quota", figures.quota)


@data.get("/activity")
async def activity(
    warehouse: Warehouse, span: Length = "day", dag_id: OurDag = None
) -> dict[str, Any]:
    """Requests and rows written over time."""
    chosen = figures.SPANS[span]
    return await _figure(
        warehouse,
        ("activity", span, dag_id),
        lambda connection: figures.activity(connection, DAGS, chosen, dag_id),
    )


@data.get("/runs")
async def runs(
    warehouse: Warehouse, limit: Annotated[int, Query(ge=1, le=200)] = 60, dag_id: OurDag = None
) -> dict[str, Any]:
    """What the last runs wrote, of those that reached the warehouse."""
    return await _figure(
        warehouse,
        ("runs", limit, dag_id),
        lambda connection: figures.runs(connection, DAGS, limit, dag_id),
    )


@data.get("/levels")
async def levels(warehouse: Warehouse) -> dict[str, Any]:
    """Levels recomputed silently, by how long that may have stayed unseen."""
    return await _figure(warehouse, "levels", figures.levels)


@data.get("/audit")
async def audit(warehouse: Warehouse) -> dict[str, Any]:
    """How far the audit is."""
    return await _figure(warehouse, "audit", figures.audit)


@data.get("/parked")
async def parked(warehouse: Warehouse) -> dict[str, Any]:
    """Records that could not be stored."""
    return await _figure(warehouse, "parked", figures.parked)


@data.get("/tombstones")
async def tombstones(warehouse: Warehouse) -> dict[str, Any]:
    """Rows that were deleted."""
    return await _figure(warehouse, "tombstones", figures.tombstones)


@data.get("/schedule")
def airflow(
    session: SessionDep, limit: Annotated[int, Query(ge=1, le=200)] = 20, dag_id: OurDag = None
) -> dict[str, Any]:
    """The next runs and the last ones as Airflow has them, whether or not there is a warehouse."""
    chosen = DAGS.both if dag_id is None else [dag_id]
    return schedule.overview(session, DAGS.both, chosen, limit)


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
