"""The page in a real api-server: who gets in, what is served, what stands in the way."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import httpx
import psycopg
import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from fastapi.testclient import TestClient

from dev.stack.postgres import Postgres, free_port
from intra42.dag_factory import INCREMENTAL, NIGHTLY
from tests.dags.environment import HOME
from tests.integration.ui.conftest import Warehouse

# The admin of a campus, someone who may look, and someone who may log in and no more.
USERS = {"admin": "admin", "viewer": "viewer", "guest": ""}
ROUTES = (
    "freshness",
    "quota",
    "activity",
    "activity?span=week",
    "activity?span=month&dag_id=intra42_nightly",
    "runs",
    "runs?limit=5&dag_id=intra42_incremental",
    "levels",
    "audit",
    "parked",
    "tombstones",
    "schedule",
)
OF_THE_WAREHOUSE = [route for route in ROUTES if route != "schedule"]

ClientOf = Callable[[str | None], TestClient]


@pytest.fixture(scope="module")
def client_of(metadata_db: None) -> Iterator[ClientOf]:
    """Airflow's api-server with our plugin; log in as one of USERS, or not at all."""
    passwords = HOME / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(USERS, "secret")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
        patch.setenv(
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS",
            ",".join(f"{name}:{role}" for name, role in USERS.items()),
        )
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
        from airflow.api_fastapi.app import create_app, purge_cached_app

        app = create_app(apps="core")

        @cache
        def client(user: str | None) -> TestClient:
            made = TestClient(app)
            if user:
                login = {"username": user, "password": "secret"}
                token = made.post("/auth/token", json=login).json()["access_token"]
                made.headers["Authorization"] = f"Bearer {token}"
            return made

        yield client
        purge_cached_app()


@pytest.fixture(scope="module")
def viewer(client_of: ClientOf) -> TestClient:
    """Someone who may read the DAGs."""
    return client_of("viewer")


@pytest.fixture
def stored() -> Iterator[Callable[[str], None]]:
    """Store the connection intra42_db in Airflow's own database, as the UI does."""

    def delete() -> None:
        with create_session() as session:
            session.query(Connection).filter(Connection.conn_id == "intra42_db").delete()

    def store(uri: str) -> None:
        delete()
        with create_session() as session:
            session.add(Connection(conn_id="intra42_db", uri=uri))

    yield store
    delete()


@pytest.fixture(scope="module")
def schema(postgres: Postgres) -> Iterator[str]:
    """A warehouse with an empty schema."""
    name = f"page_{os.getpid()}"
    postgres.ensure_database(name)
    Warehouse(postgres.url(name)).migrate()
    yield postgres.url(name)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def migrated(stored: Callable[[str], None], schema: str) -> str:
    """A warehouse with an empty schema, known to Airflow."""
    stored(schema.replace("postgresql://", "postgres://"))
    return schema


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_login_there_is_no_figure(client_of: ClientOf, migrated: str, route: str) -> None:
    assert client_of(None).get(f"/intra42/api/{route}").status_code == 401


@pytest.mark.parametrize("route", ROUTES)
def test_without_the_right_to_read_the_dags_there_is_no_figure(
    client_of: ClientOf, migrated: str, route: str
) -> None:
    assert client_of("guest").get(f"/intra42/api/{route}").status_code == 403


@pytest.mark.parametrize("route", ROUTES)
def test_a_viewer_sees_every_figure(viewer: TestClient, migrated: str, route: str) -> None:
    answer = viewer.get(f"/intra42/api/{route}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_every_data_route_is_among_those_tested(viewer: TestClient) -> None:
    from intra42.ui.app import data

    served = {route.path.removeprefix("/api/") for route in data.routes}  # type: ignore[attr-defined]
    assert served == {route.split("?")[0] for route in ROUTES}


@pytest.mark.parametrize("denied", [NIGHTLY, INCREMENTAL])
def test_the_right_to_read_one_of_the_dags_is_not_enough(
    client_of: ClientOf, migrated: str, denied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The simple auth manager knows no rights on single DAGs; those that do decide by this id.
    from airflow.api_fastapi.app import get_auth_manager

    manager = get_auth_manager()
    allowed = manager.is_authorized_dag

    def single(*, details: object = None, **asked: object) -> bool:
        if getattr(details, "id", None) == denied:
            return False
        return bool(allowed(details=details, **asked))  # type: ignore[arg-type]

    monkeypatch.setattr(manager, "is_authorized_dag", single)
    other = INCREMENTAL if denied == NIGHTLY else NIGHTLY
    answer = client_of("viewer").get(f"/intra42/api/runs?dag_id={other}")
    assert answer.status_code == 403


@pytest.mark.parametrize("query", ["runs?limit=0", "runs?dag_id=other", "activity?span=year"])
def test_what_is_not_offered_is_refused(viewer: TestClient, migrated: str, query: str) -> None:
    assert viewer.get(f"/intra42/api/{query}").status_code == 422


# --- what stands in the way


@pytest.mark.parametrize("route", OF_THE_WAREHOUSE)
def test_a_missing_connection_is_a_sentence(viewer: TestClient, route: str) -> None:
    answer = viewer.get(f"/intra42/api/{route}")
    assert answer.status_code == 503
    assert answer.json()["problem"] == "no_connection"
    assert "intra42_db is missing" in answer.json()["sentence"]


def test_an_empty_warehouse_is_a_sentence(
    viewer: TestClient, stored: Callable[[str], None], database_url: str
) -> None:
    stored(database_url.replace("postgresql://", "postgres://"))
    answer = viewer.get("/intra42/api/freshness")
    assert answer.status_code == 503
    assert answer.json()["problem"] == "no_schema"


def test_a_warehouse_out_of_reach_is_a_sentence_without_secrets(
    viewer: TestClient, stored: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    stored(f"postgres://keeper:hush@127.0.0.1:{port}/warehouse")
    answer = viewer.get("/intra42/api/quota")
    assert answer.status_code == 503
    assert answer.json()["problem"] == "unreachable"
    for secret in ("keeper", "hush", str(port)):
        assert secret not in answer.text
    assert "hush" not in caplog.text


def test_the_schedule_needs_no_warehouse(viewer: TestClient) -> None:
    answer = viewer.get("/intra42/api/schedule")
    assert answer.status_code == 200
    assert [dag["dag_id"] for dag in answer.json()["dags"]] == [NIGHTLY, INCREMENTAL]


def test_no_connection_to_the_warehouse_stays_open(
    viewer: TestClient, migrated: str, postgres: Postgres
) -> None:
    for route in OF_THE_WAREHOUSE:
        assert viewer.get(f"/intra42/api/{route}").status_code == 200
    with psycopg.connect(postgres.url()) as connection:
        found = connection.execute(
            "select count(*) from pg_stat_activity where datname = %s",
            (migrated.rsplit("/", 1)[1],),
        ).fetchone()
    assert found == (0,)


def test_forty_viewers_of_a_warehouse_that_never_answers_leave_airflow_responsive(
    client_of: ClientOf, viewer: TestClient, stored: Callable[[str], None]
) -> None:
    login = {"Authorization": viewer.headers["Authorization"]}
    transport = httpx.ASGITransport(app=client_of("viewer").app)

    async def crowd() -> tuple[list[int], int]:
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", headers=login, timeout=60
        ) as client:

            async def ask(path: str) -> int:
                return (await client.get(path)).status_code

            looking = [
                asyncio.create_task(ask(f"/intra42/api/{route}"))
                for _ in range(40)
                for route in ("freshness", "tombstones")
            ]
            await asyncio.sleep(0.1)
            rest = ("/intra42/api/schedule", "/api/v2/monitor/health", "/api/v2/dags")
            assert [await ask(path) for path in rest] == [200, 200, 200]
            served = sum(task.done() for task in looking)
            return await asyncio.gather(*looking), served

    with closing(socket.create_server(("127.0.0.1", 0), backlog=200)) as mute:
        # It takes every connection and never says a word.
        port = mute.getsockname()[1]
        stored(f"postgres://page@127.0.0.1:{port}/none?connect_timeout=8")
        began = time.monotonic()
        statuses, served = asyncio.run(crowd())
    assert served == 0, "Airflow answered only when the first figures were given up"
    assert set(statuses) == {503}
    assert time.monotonic() - began < 30


# --- what the browser gets


def test_the_page_holds_no_data_and_needs_no_other_host(client_of: ClientOf) -> None:
    answer = client_of(None).get("/intra42/")
    assert answer.status_code == 200
    assert f'data-dags="{NIGHTLY} {INCREMENTAL}"' in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"https?://", answer.text)


def test_every_file_that_the_page_names_is_served(client_of: ClientOf) -> None:
    anybody = client_of(None)
    names = set(re.findall(r'(?:src|href)="(static/[^"]+)"', anybody.get("/intra42/").text))
    modules = {"static/page.js"}
    while modules:
        text = anybody.get(f"/intra42/{modules.pop()}").text
        found = {f"static/{name}" for name in re.findall(r'from "\./([^"]+)"', text)}
        modules |= found - names
        names |= found
    assert len(names) > 8
    for name in names:
        answer = anybody.get(f"/intra42/{name}")
        assert (name, answer.status_code) == (name, 200)
        assert answer.headers["Cache-Control"] == "no-cache"


def test_airflow_lists_the_page_and_the_tab(client_of: ClientOf) -> None:
    plugins = client_of("admin").get("/api/v2/plugins").json()["plugins"]
    [ours] = [plugin for plugin in plugins if plugin["name"] == "intra42"]
    views = {view["url_route"]: view for view in ours["external_views"]}
    assert views["intra42"]["destination"] == "nav"
    assert views["intra42_dag"]["destination"] == "dag"
    assert views["intra42_dag"]["href"].endswith("?dag={DAG_ID}")
    anybody = client_of(None)
    for view in views.values():
        assert anybody.get(f"/{view['icon']}").status_code == 200
        assert anybody.get(f"/{view['icon_dark_mode']}").status_code == 200


def test_the_charting_library_is_the_one_its_note_names() -> None:
    import hashlib

    folder = Path(__file__).parents[2] / "plugins/intra42/ui/static/vendor"
    note = (folder / "README.md").read_text()
    digest = hashlib.sha256((folder / "chart.umd.min.js").read_bytes()).hexdigest()
    assert digest in note
    assert (folder / "chart.LICENSE.md").read_text().startswith("The MIT License")
