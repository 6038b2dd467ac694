"""What the connections `intra42_api` and `intra42_db` say, with Airflow or without."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg

from intra42.api.transport import is_loopback, refuse_clear_text
from intra42.errors import ConfigError
from intra42.run.session import ApiSettings

DEFAULT_BASE_URL = "https://api.intra.42.fr"
_PORTS = {"http": 80, "https": 443}
# What the driver, or Airflow's hook before it, makes of an extra that it does not take.
NOT_TAKEN = (psycopg.ProgrammingError, AttributeError, TypeError, ValueError)
# What Airflow's hook of PostgreSQL takes for itself and does not pass to the driver.
_OF_AIRFLOW = frozenset(
    {"cursor", "iam", "redshift", "sqlalchemy_scheme", "enable_log_db_messages"}
)


class Login(Protocol):
    """A connection, as Airflow has it."""

    @property
    def conn_id(self) -> str | None:
        """Its name."""

    @property
    def host(self) -> str | None:
        """The address."""

    @property
    def port(self) -> int | None:
        """The port, if it is not in the address."""

    @property
    def schema(self) -> str | None:
        """The scheme of an address, or the name of a database."""

    @property
    def login(self) -> str | None:
        """Who logs in."""

    @property
    def password(self) -> str | None:
        """With what."""

    @property
    def extra(self) -> str | None:
        """A JSON object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A connection from the environment."""

    conn_id: str
    host: str | None = None
    port: int | None = None
    schema: str | None = None
    login: str | None = None
    password: str | None = None
    extra: str | None = None


def from_environment(name: str, environment: Mapping[str, str] = os.environ) -> Known:
    """Return the connection that `AIRFLOW_CONN_<NAME>` holds, as Airflow reads it: JSON or a URI.

    Raises:
        ConfigError: it is not set, or cannot be read.
    """
    variable = f"AIRFLOW_CONN_{name.upper()}"
    text = environment.get(variable, "").strip()
    if not text:
        message = f"{variable} is not set: it holds the connection {name}, as JSON or as a URI"
        raise ConfigError(message)
    try:
        return _from_json(name, text) if text.startswith("{") else _from_uri(name, text)
    except (ValueError, TypeError) as error:
        message = f"{variable} cannot be read as JSON or as a URI ({type(error).__name__})"
        raise ConfigError(message) from None


def _from_json(name: str, text: str) -> Known:
    values = json.loads(text)
    extra = values.get("extra")
    return Known(
        conn_id=name,
        host=values.get("host"),
        port=int(values["port"]) if values.get("port") else None,
        schema=values.get("schema"),
        login=values.get("login"),
        password=values.get("password"),
        extra=extra if isinstance(extra, str | None) else json.dumps(extra),
    )


def _from_uri(name: str, text: str) -> Known:
    parts = urlsplit(text)
    extra = dict(parse_qsl(parts.query, keep_blank_values=True))
    whole = extra.pop("__extra__", None)
    user, _, place = parts.netloc.rpartition("@")
    login, _, password = user.partition(":")
    host, colon, port = place.rpartition(":") if re.search(r":\d*$", place) else (place, "", "")
    return Known(
        conn_id=name,
        host=unquote(host.strip("[]")) or None,
        port=int(port) if colon and port else None,
        schema=unquote(parts.path[1:]) or None,
        login=unquote(login) or None,
        password=unquote(password) or None,
        extra=whole or (json.dumps(extra) if extra else None),
    )


def not_taken(name: str, error: Exception) -> ConfigError:
    """Return what to raise where the driver does not take the connection `name`."""
    reason = " ".join(str(error).split())
    return ConfigError(
        f"The Airflow connection {name}: its extra has what psycopg does not take ({reason})"
    )


def open_database(login: Login) -> psycopg.Connection[Any]:
    """Open the warehouse that a connection of type postgres leads to.

    Raises:
        ConfigError: its extra has what psycopg does not take.
        psycopg.OperationalError: the server cannot be reached or refuses us.
    """
    extra = extra_of(login, '{"sslmode": "verify-full"}')
    try:
        return psycopg.connect(
            host=login.host or "localhost",
            port=login.port or 5432,
            user=login.login,
            password=login.password,
            dbname=login.schema,
            **{key: value for key, value in extra.items() if key not in _OF_AIRFLOW},
        )
    except NOT_TAKEN as error:
        raise not_taken(str(login.conn_id), error) from error


def settings_of(connection: Login) -> ApiSettings:
    """Return the settings that an Airflow connection holds.

    Raises:
        ConfigError: a field is missing or has a bad value.
    """
    name = connection.conn_id
    if not connection.login or not connection.password:
        field = "login (client id)" if not connection.login else "password (client secret)"
        message = f"The Airflow connection {name} has no {field}: set it from your application"
        raise ConfigError(message)
    extra = extra_of(connection)
    return ApiSettings(
        base_url=base_url(connection),
        client_id=connection.login,
        client_secret=connection.password,
        scope=str(extra.get("scope") or "").strip() or "public",
        requests_per_second=_positive(name, extra, "requests_per_second", 2),
        requests_per_hour=math.ceil(_positive(name, extra, "requests_per_hour", 1200)),
        timeout_s=_positive(name, extra, "timeout_s", 60),
    )


def extra_of(connection: Login, example: str = '{"requests_per_second": 2}') -> Mapping[str, Any]:
    """Return the extra of a connection.

    Raises:
        ConfigError: it is no JSON object.
    """
    # Airflow's own property takes broken JSON for an empty extra.
    text = (connection.extra or "").strip()
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        message = (
            f"The Airflow connection {connection.conn_id}: the extra must be a JSON object such as "
            f"{example}"
        )
        raise ConfigError(message)
    return extra


def base_url(connection: Login) -> str:
    """Return scheme, host and port; a scheme and a port in the host field are honoured.

    Raises:
        ConfigError: the host is no address, or one that would be asked in clear text.
    """
    host = (connection.host or "").strip()
    if not host:
        return DEFAULT_BASE_URL
    if "://" not in host:
        host = f"{_scheme(connection, host)}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port
        valid = parts.scheme in {"http", "https"} and parts.hostname and not re.search(r"\s", host)
    except ValueError:
        valid = False
    if not valid:
        message = (
            f"The Airflow connection {connection.conn_id}: the host {connection.host!r} is no "
            f"address such as {DEFAULT_BASE_URL}"
        )
        raise ConfigError(message)
    address = parts.netloc
    if connection.port and port is None and connection.port != _PORTS[parts.scheme]:
        address = f"{address}:{connection.port}"
    url = f"{parts.scheme}://{address}{parts.path.rstrip('/')}"
    refuse_clear_text(url, str(connection.conn_id))
    return url


def _scheme(connection: Login, host: str) -> str:
    if connection.schema in {"http", "https"}:
        return str(connection.schema)
    return "http" if is_loopback(f"//{host}") else "https"


def _positive(name: str | None, extra: Mapping[str, Any], key: str, default: float) -> float:
    value = extra.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0
    if isinstance(value, bool) or not 0 < number < math.inf:
        message = f"The Airflow connection {name}: {key} is {value!r}, but must be a number over 0"
        raise ConfigError(message)
    return number
