from __future__ import annotations

import traceback
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from airflow.sdk import Connection

from intra42.errors import ConfigError
from intra42.hooks import Intra42Hook
from intra42.operators import Intra42OpenRunOperator, Intra42SyncOperator
from intra42.run.connections import base_url, settings_of
from intra42.ui.app import connect
from intra42.ui.warehouse import reading
from intra42.warehouse.sessions import opened
from tests.dags.stack import Stack
from tests.unit.airflow.contexts import context

VARIANTS = {
    "intra42://id:secret@": "https://api.intra.42.fr",
    "intra42://id:secret@/?timeout_s=5": "https://api.intra.42.fr",
    "intra42://id:secret@api.example.org": "https://api.example.org",
    "intra42://id:secret@api.example.org:8443": "https://api.example.org:8443",
    "intra42://id:secret@https%3A%2F%2Fapi.example.org": "https://api.example.org",
    "intra42://id:secret@http%3A%2F%2F127.0.0.1%3A8080": "http://127.0.0.1:8080",
    "intra42://id:secret@api.example.org:443": "https://api.example.org",
    "intra42://id:secret@:443": "https://api.intra.42.fr",
    "http://id:secret@127.0.0.1:4242": "http://127.0.0.1:4242",
    "http://id:secret@localhost:4242": "http://localhost:4242",
    "http://id:secret@localhost:8080/http": "http://localhost:8080",
    "http://id:secret@api.example.org/https": "https://api.example.org",
    "generic://id:secret@api.example.org": "https://api.example.org",
}


@pytest.mark.parametrize(("uri", "url"), VARIANTS.items(), ids=VARIANTS)
def test_a_scheme_and_a_port_are_honoured_and_https_is_the_default(uri: str, url: str) -> None:
    assert base_url(Connection.from_uri(uri, conn_id="intra42_api")) == url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "https://api.intra.42.fr"),
        ("  ", "https://api.intra.42.fr"),
        (" https://api.intra.42.fr/ ", "https://api.intra.42.fr"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_host_field_takes_what_people_paste_into_it(host: str | None, url: str) -> None:
    assert base_url(Connection(conn_id="intra42_api", conn_type="intra42", host=host)) == url


@pytest.mark.parametrize(
    "host", ["http://intra:port", "ftp://api.example.org", "two words", "https://", "::1"]
)
def test_a_host_that_is_no_address_is_named(host: str) -> None:
    connection = Connection(conn_id="intra42_api", conn_type="intra42", host=host)
    with pytest.raises(ConfigError, match="The Airflow connection intra42_api: the host"):
        base_url(connection)


@pytest.mark.parametrize(
    "uri",
    [
        "intra42://id:secret@http%3A%2F%2Fapi.example.org%3A8080",
        "http://id:secret@api.example.org:8080/http",
        "generic://id:secret@10.0.0.7:8080/http",
    ],
)
def test_an_address_that_would_show_the_secret_to_everybody_on_the_way_is_refused(uri: str) -> None:
    connection = Connection.from_uri(uri, conn_id="my_api")
    with pytest.raises(ConfigError, match=r"connection my_api: .* in clear text; write https://"):
        base_url(connection)


def connection(extra: str | None) -> Connection:
    return Connection(
        conn_id="intra42_api", conn_type="intra42", login="id", password="secret", extra=extra
    )


def test_an_empty_extra_means_the_limits_that_the_api_documents() -> None:
    for extra in (None, "", "{}"):
        settings = settings_of(connection(extra))
        assert (settings.requests_per_second, settings.requests_per_hour) == (2, 1200)
        assert (settings.timeout_s, settings.scope) == (60, "public")


@pytest.mark.parametrize("empty", ["null", '""', '"  "'])
def test_an_empty_field_of_the_form_means_its_default(empty: str) -> None:
    keys = ("scope", "requests_per_second", "requests_per_hour", "timeout_s")
    extra = ", ".join(f'"{key}": {empty}' for key in keys)
    assert settings_of(connection(f"{{{extra}}}")) == settings_of(connection(None))


def test_the_extra_sets_limits_timeout_and_scope_as_numbers_or_text() -> None:
    extra = '{"scope": "public projects", "requests_per_second": "8", "requests_per_hour": 4800.0}'
    settings = settings_of(connection(extra))
    assert (settings.scope, settings.requests_per_second) == ("public projects", 8)
    assert settings.requests_per_hour == 4800


@pytest.mark.parametrize("value", ["0", "-1", '"fast"', "true", "[2]", "NaN", "Infinity", '"nan"'])
@pytest.mark.parametrize("key", ["requests_per_second", "requests_per_hour", "timeout_s"])
def test_a_number_that_makes_no_sense_is_named(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"intra42_api: {key} is .* must be a number over 0"):
        settings_of(connection(f'{{"{key}": {value}}}'))


@pytest.mark.parametrize("extra", ["{", "[1]", "2", '"text"'])
def test_an_extra_that_is_no_json_object_is_refused(extra: str) -> None:
    with pytest.raises(ConfigError, match="intra42_api: the extra must be a JSON object"):
        settings_of(connection(extra))


def test_the_secret_is_in_no_text_form_of_the_settings(stack: Stack) -> None:
    assert stack.sim.client_secret not in repr(Intra42Hook().settings)


class TestTestConnection:
    def test_names_application_roles_limits_scope_and_the_end_of_the_secret(
        self, stack: Stack
    ) -> None:
        worked, message = Intra42Hook().test_connection()
        assert worked, message
        assert message.startswith(
            f"Connected to {stack.sim.url} as Simulated mirror (id 99999), without roles. "
            f"Limits: {stack.sim.limits.per_second:,} requests a second, "
            f"{stack.sim.limits.per_hour:,} requests an hour, "
        )
        assert "Scope: public." in message
        expires = datetime.fromtimestamp(stack.sim.app.secret_valid_until, UTC)
        assert f"The secret expires on {expires:%Y-%m-%d at %H:%M} UTC, in " in message

    def test_needs_no_warehouse_and_sends_one_request_and_one_for_a_token(
        self, stack: Stack
    ) -> None:
        stack.monkeypatch.delenv("AIRFLOW_CONN_INTRA42_DB")
        assert Intra42Hook().test_connection()[0]
        assert [entry.path for entry in stack.sim.ledger.requests("/")] == [
            "/oauth/token",
            "/v2/cursus",
        ]

    def test_a_wrong_secret_is_reported_and_not_shown(self, stack: Stack) -> None:
        stack.api(password="wrong-secret-value")
        worked, message = Intra42Hook().test_connection()
        assert not worked
        assert "401" in message
        assert "wrong-secret-value" not in message

    def test_an_address_in_clear_text_is_reported_before_anything_is_sent(
        self, stack: Stack
    ) -> None:
        stack.api(host="http://192.0.2.1", port=None)
        worked, message = Intra42Hook().test_connection()
        assert not worked
        assert "in clear text; write https://" in message

    def test_a_missing_connection_is_reported(self, stack: Stack) -> None:
        assert Intra42Hook("other_api").test_connection() == (
            False,
            "The Airflow connection other_api is missing: create it with your Intra application's "
            "client id as login and its client secret as password",
        )

    def test_an_api_that_is_not_there_is_reported(self, stack: Stack) -> None:
        url = stack.sim.url
        stack.sim.stop()
        worked, message = Intra42Hook().test_connection()
        assert not worked
        assert f"Check that {url} is the address of the Intra (host of the" in message


class TestPages:
    def test_yields_every_record_in_id_order_in_a_warehouse_nobody_opened(
        self, stack: Stack
    ) -> None:
        ids = [
            record["id"]
            for page in Intra42Hook().pages("/v2/cursus_users", {"filter[cursus_id]": "21"})
            for record in page.records
        ]
        assert ids == sorted(row.id for row in stack.sim.world.cursus_users if row.cursus_id == 21)

    def test_leaves_no_connection_to_the_warehouse_behind(self, stack: Stack) -> None:
        hook = Intra42Hook()
        assert list(hook.pages("/v2/cursus"))
        others = (
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert stack.value(others) == 0


class TestWarehouse:
    @pytest.mark.parametrize("cursor", ["dictcursor", "namedtuplecursor", "realdictcursor"])
    def test_how_rows_look_is_not_for_the_connection_to_say(
        self, stack: Stack, cursor: str
    ) -> None:
        stack.warehouse(extra={"cursor": cursor, "prepare_threshold": 0, "autocommit": True})
        for _ in range(2):
            Intra42OpenRunOperator(task_id="open_run").execute(context(task_id="open_run"))
        for name in ("cursus", "campuses"):
            Intra42SyncOperator(task_id=name, resource=name).execute(context(task_id=name))
        assert stack.value("select count(*) from intra42.cursus") > 0
        with reading(connect) as opened:
            assert opened.execute("select 1 as one").fetchone() == {"one": 1}

    def test_what_the_extra_presets_for_the_session_is_taken_back(self, stack: Stack) -> None:
        options = "-c datestyle=German -c search_path=public -c timezone=Asia/Tokyo"
        stack.warehouse(extra={"options": options, "client_encoding": "LATIN1"})
        assert list(Intra42Hook().pages("/v2/cursus"))
        with closing(opened(Intra42Hook().connect)) as connection:
            assert connection.execute("select '2026-02-01'::timestamptz::text").fetchone() == (
                "2026-02-01 00:00:00+00",
            )

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            ({"charset": "utf8"}, 'invalid connection option "charset"'),
            ({"context": "x"}, "what psycopg does not take"),
        ],
    )
    def test_an_extra_that_psycopg_does_not_take_is_told_in_one_sentence(
        self, stack: Stack, extra: dict[str, str], words: str
    ) -> None:
        stack.warehouse(extra=extra)
        with pytest.raises(ConfigError, match="connection intra42_db: its extra") as caught:
            Intra42Hook().connect()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_limit_of_the_role_is_a_sentence_without_a_chain_of_tracebacks(
        self, stack: Stack
    ) -> None:
        Intra42OpenRunOperator(task_id="open_run").execute(context(task_id="open_run"))
        with closing(psycopg.connect(stack.database_url, autocommit=True)) as connection:
            name = connection.info.dbname
            connection.execute(f"alter database {name} set default_transaction_read_only = on")
        task = Intra42SyncOperator(task_id="cursus", resource="cursus")
        told = context(task_id="cursus")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as caught:
            task.execute(told)
        assert "let the connection intra42_db lead to the primary" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert told["ti"].pushed["failure"].startswith("cursus, run run1: ")
        assert "".join(traceback.format_exception(caught.value)).count("Traceback") == 1
