"""The hook over the connections `intra42_api` and `intra42_db`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from typing import Any

import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException

from intra42.api.application import ask
from intra42.api.client import IntraClient
from intra42.api.limiter import PostgresLimiter
from intra42.api.pagination import Page, keyset
from intra42.errors import ConfigError, Intra42Error
from intra42.run.connections import NOT_TAKEN, extra_of, not_taken, settings_of
from intra42.run.session import ApiSettings
from intra42.warehouse.schema import migrate
from intra42.warehouse.sessions import opened

_PATIENCE_S = 20.0  # of a person who tests a connection


class Intra42Hook(BaseHook):
    """Talks to the 42 Intra API with the quota, the token and the checks of the mirror.

    The connection (type `intra42`, `http` or `generic`): host is the base URL
    (https://api.intra.42.fr if empty), login the client id, password the client secret; the extra
    may hold `scope`, `requests_per_second` (2), `requests_per_hour` (1200) and `timeout_s` (60).

    Args:
        intra42_conn_id: the connection to the API.
        intra42_db_conn_id: the connection to the warehouse, where all workers share the limiter
            and the token.
    """

    conn_name_attr = "intra42_conn_id"
    default_conn_name = "intra42_api"
    conn_type = "intra42"
    hook_name = "42 Intra API"

    def __init__(
        self,
        intra42_conn_id: str = default_conn_name,
        intra42_db_conn_id: str = "intra42_db",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.intra42_conn_id = intra42_conn_id
        self.intra42_db_conn_id = intra42_db_conn_id

    @cached_property
    def settings(self) -> ApiSettings:
        """The connection to the API, checked.

        Raises:
            ConfigError: it is missing or incomplete; the message says what to set.
        """
        try:
            connection = self.get_connection(self.intra42_conn_id)
        except AirflowException as error:
            message = (
                f"The Airflow connection {self.intra42_conn_id} is missing: create it with your "
                "Intra application's client id as login and its client secret as password"
            )
            raise ConfigError(message) from error
        return settings_of(connection)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection to the warehouse, as Airflow does; `warehouse.sessions` readies it.

        Raises:
            ConfigError: the Airflow connection is missing, or not one psycopg 3 can open.
            psycopg.OperationalError: the server cannot be reached or refuses us.
        """
        return open_warehouse(self.intra42_db_conn_id, lambda: self._warehouse)

    @cached_property
    def _warehouse(self) -> PostgresHook:
        # One for all connections: each would ask Airflow for the same login again.
        return warehouse_hook(self.intra42_db_conn_id)

    def get_conn(self) -> IntraClient:
        """Return a client that shares the limiter and the token with all workers."""
        return self._client(self._limiter())

    def pages(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Page]:
        """Yield the pages of an index endpoint that supports `range[id]`, in id order."""
        limiter = self._limiter()
        client = self._client(limiter)
        try:
            yield from keyset(client, path, params or {})
        finally:
            client.close()
            limiter.close()

    def _limiter(self) -> PostgresLimiter:
        settings = self.settings
        with closing(opened(self.connect)) as connection:
            # The mirror's own DAGs may never have run in this warehouse.
            migrate(connection)
        return PostgresLimiter(
            self.connect,
            settings.client_id,
            per_second=settings.requests_per_second,
            per_hour=settings.requests_per_hour,
        )

    def _client(self, limiter: PostgresLimiter) -> IntraClient:
        settings = self.settings
        tokens = settings.tokens(self.connect)
        return IntraClient(settings.base_url, tokens, limiter, timeout_s=settings.timeout_s)

    def test_connection(self) -> tuple[bool, str]:
        """Ask the API who we are to it; used by the UI's button and `airflow connections test`.

        The command line prints the message of a failure, but of a success only that it is one.

        Sends one token request and one request to /v2, which counts against the quota. Needs no
        warehouse, and does not wait for the tasks that share the quota.
        """
        try:
            settings = self.settings
            application = ask(
                settings.base_url,
                settings.client_id,
                settings.client_secret,
                settings.scope,
                min(settings.timeout_s, _PATIENCE_S),
            )
        except Intra42Error as error:
            return False, str(error)
        return True, str(application)


def warehouse_hook(name: str, **defaults: Any) -> PostgresHook:
    """Return Airflow's hook over the connection `name`, whose extra wins over the `defaults`.

    How rows look is our own affair, so a `cursor` of the extra is left out.

    Raises:
        AirflowException: there is no such connection.
        ConfigError: its extra is no JSON object.
    """
    known = BaseHook.get_connection(name)
    extra = {**defaults, **extra_of(known, '{"sslmode": "verify-full"}')}
    extra.pop("cursor", None)
    known.extra = json.dumps(extra)
    return PostgresHook(postgres_conn_id=name, connection=known)


def open_warehouse(name: str, hook: Callable[[], PostgresHook]) -> psycopg.Connection[Any]:
    """Open the Airflow connection `name` to the warehouse through what `hook` returns.

    Raises:
        ConfigError: the Airflow connection is missing, or not one psycopg 3 can open.
        psycopg.OperationalError: the server cannot be reached or refuses us.
    """
    try:
        connection = hook().get_conn()
    except AirflowException as error:
        message = (
            f"The Airflow connection {name} is missing: create it with type postgres, pointing at "
            "the warehouse database"
        )
        raise ConfigError(message) from error
    except NOT_TAKEN as error:
        raise not_taken(name, error) from error
    if not isinstance(connection, psycopg.Connection):
        message = "psycopg 3 is not installed: install requirements.txt of this package"
        raise ConfigError(message)
    return connection
