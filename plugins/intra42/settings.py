"""What a run is asked to do: the variable `intra42_config` with the params of the run on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, get_type_hints

import pendulum
from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import asdict, replace

from intra42.errors import ConfigError

VARIABLE = "intra42_config"

_MAX_ID = 2_147_483_647
_LEAST_SECRET = 32
_FLAGS = ("full_refresh", "allow_mass_delete", "purge_out_of_scope")
# What a run of the DAGs may be asked for; some only of the DAG that loads, audits and erases.
LOADER_PARAMS = frozenset({"purge_out_of_scope"})
PARAMS = LOADER_PARAMS | {
    *("campus_ids", "cursus_ids", "full_refresh", "tables"),
    *("updated_from", "updated_to", "allow_mass_delete"),
}
# Never shown, not even where they are wrong.
_SECRETS = frozenset({"hash_secret"})


def _count(unit: str, least: int, most: int) -> Meta:
    return Meta(ge=least, le=most, description=f"a whole number of {unit} from {least} to {most}")


_Id = Annotated[int, Meta(ge=1, le=_MAX_ID)]
_Ids = Annotated[tuple[_Id, ...], Meta(description="a list of ids, whole numbers from 1")]


class Config(Struct, frozen=True, kw_only=True):
    """The settings of the mirror; the defaults are those of an absent variable.

    `campus_ids` empty means the whole network. `lookback_minutes` is the overlap that each window
    reads again. `incremental_request_budget` and `nightly_audit_requests` count requests a run.
    `max_delete_share` is a fraction of the rows asked for, `max_delete_rows` a number of rows.
    `tables` are the further tables to mirror. `hash_columns` are named `table.column`;
    `hash_secret` is the key they are hashed with.
    """

    campus_ids: _Ids = ()
    cursus_ids: Annotated[
        tuple[_Id, ...],
        Meta(min_length=1, description="a list of ids, whole numbers from 1, at least one"),
    ] = (21,)
    refresh_cursus_ids: _Ids = (1, 21)
    lookback_minutes: Annotated[int, _count("minutes", 0, 10_080)] = 30
    refresh_chunk_size: Annotated[int, _count("ids", 1, 100)] = 100
    incremental_request_budget: Annotated[int, _count("requests", 0, 100_000)] = 20
    nightly_audit_requests: Annotated[int, _count("requests", 0, 100_000)] = 120
    delete_missing: Annotated[bool, Meta(description="true or false")] = True
    max_delete_share: Annotated[float, Meta(ge=0, le=1, description="a fraction from 0 to 1")] = (
        0.05
    )
    max_delete_rows: Annotated[int, _count("rows", 0, 10_000_000)] = 20
    tables: Annotated[
        tuple[str, ...],
        Meta(description='a list of further tables, such as ["skills"], or ["all"]'),
    ] = ()
    hash_columns: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[a-z_]+\.[a-z_]+\Z")], ...],
        Meta(description='a list of columns such as ["users.email"]'),
    ] = ()
    # The UI shows a secret as stars, and stores the stars if the form is saved so.
    hash_secret: Annotated[
        str,
        Meta(
            pattern=rf"(?s)\A(|(?=.*[^* ]).{{{_LEAST_SECRET},}})\Z",
            description=f"a text of at least {_LEAST_SECRET} characters (save the variable with "
            "the real one where the form shows stars)",
        ),
    ] = ""

    def __repr__(self) -> str:
        """Return the settings without the secret."""
        shown = (
            f"{name}={value!r}" for name, value in asdict(self).items() if name not in _SECRETS
        )
        return f"Config({', '.join(shown)})"

    @property
    def all_cursus_ids(self) -> tuple[int, ...]:
        """`cursus_ids`, then those of `refresh_cursus_ids` that are not among them."""
        return tuple(dict.fromkeys((*self.cursus_ids, *self.refresh_cursus_ids)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A span of `updated_at` in aware UTC; `until` None is open at the top."""

    since: datetime
    until: datetime | None = None

    def __str__(self) -> str:
        """Return the window as a log shows it."""
        until = f"{self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else "now"
        return f"{self.since:%Y-%m-%d %H:%M:%S} UTC until {until}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One run's order: the settings, and what the trigger form asked for.

    `standing` are the settings without the params, which a run about other campuses or cursus must
    not overrule in the rows. `restricted` says that the run is only about the campuses named in its
    params. `tables` narrows a full refresh to the tables named; empty means all of them. `named`
    are the settings that the Airflow variable `variable` names itself, None where there is no such
    variable: all others are defaults.
    """

    config: Config
    standing: Config
    restricted: bool = False
    full_refresh: bool = False
    tables: tuple[str, ...] = ()
    window: Window | None = None
    allow_mass_delete: bool = False
    purge_out_of_scope: bool = False
    variable: str = VARIABLE
    named: frozenset[str] | None = None

    def mirrored_cursus(self, scope: str) -> tuple[int, ...]:
        """Return the cursus of `scope`, a name of `Config`, whose rows are mirrored.

        Those of the settings come first, in their order, then those that only this run is about:
        what belongs to several is of the first.
        """
        return tuple(dict.fromkeys((*getattr(self.standing, scope), *getattr(self.config, scope))))

    def mirrored_campuses(self) -> tuple[int, ...]:
        """Return the campuses whose rows are mirrored, empty for all, as `mirrored_cursus`."""
        settings, run = self.standing.campus_ids, self.config.campus_ids
        return tuple(dict.fromkeys((*settings, *run))) if settings and run else ()

    @property
    def is_standing(self) -> bool:
        """Whether the run is about what the settings ask for, not about something of its own."""
        return not self.restricted and self.config == self.standing

    @property
    def lists_all(self) -> bool:
        """Whether the run asks for every listing that the settings want."""
        return not self.restricted and set(self.standing.cursus_ids) <= set(self.config.cursus_ids)

    def rereads(self, table: str) -> bool:
        """Tell whether this run reads all of `table` again, whatever its watermarks say."""
        return self.full_refresh and (not self.tables or table in self.tables)


_TYPES: Mapping[str, Any] = get_type_hints(Config, include_extras=True)


def parse_config(values: Any, *, where: str = VARIABLE) -> Config:
    """Return the settings that `values` (the decoded JSON of the variable) ask for.

    Raises:
        ConfigError: an unknown key or a bad value; the message names it and what is allowed.
    """
    if values is None:
        return Config()
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        message = f'{where} must be a JSON object such as {{"campus_ids": [1]}}, not of type {kind}'
        raise ConfigError(message)
    config = Config(**{key: _checked(key, values[key], where) for key in values})
    if config.hash_columns and not config.hash_secret:
        message = f"{where}: hash_columns needs hash_secret, {_allowed('hash_secret')}"
        raise ConfigError(message)
    return config


def _checked(key: str, value: Any, where: str) -> Any:
    if key not in _TYPES:
        message = f"{where} has the unknown key {key!r}; allowed are {', '.join(_TYPES)}"
        raise ConfigError(message)
    if value is None and key == "campus_ids":
        return ()
    try:
        found = convert(value, _TYPES[key])
    except ValidationError:
        shown = "not shown here" if key in _SECRETS else repr(value)
        message = f"{where}: {key} is {shown}, but must be {_allowed(key)}"
        raise ConfigError(message) from None
    return tuple(dict.fromkeys(found)) if isinstance(found, tuple) else found


def _allowed(key: str) -> str:
    """Return in words what a setting may be."""
    return str(_TYPES[key].__metadata__[-1].description)


def parse_request(values: Any, params: Mapping[str, Any], *, variable: str = VARIABLE) -> Request:
    """Return the order of a run: the variable's `values`, overridden by its `params`.

    `values` is None where there is no variable. A param that is null, blank or empty is not given;
    any other is checked, whatever it is.

    Raises:
        ConfigError: as `parse_config`, or an explicit window that makes no sense.
    """
    config = standing = parse_config(values, where=variable)
    chosen = {
        key: _checked(key, _listed(params[key]), "the run's params")
        for key in ("campus_ids", "cursus_ids")
        if _is_given(params.get(key))
    }
    config = replace(config, **chosen)
    flags = {key: _param_flag(key, params.get(key)) for key in _FLAGS}
    window = _explicit_window(params.get("updated_from"), params.get("updated_to"))
    if window and flags["full_refresh"]:
        message = "the run's params: full_refresh and an explicit window exclude each other"
        raise ConfigError(message)
    tables = _tables(params.get("tables"))
    if tables and not flags["full_refresh"]:
        message = "the run's params: tables names what a full refresh reads, so set full_refresh"
        raise ConfigError(message)
    restricted = "campus_ids" in chosen
    if flags["purge_out_of_scope"] and (chosen or window):
        message = (
            "the run's params: purge_out_of_scope is about what intra42_config asks for, so leave "
            "campuses, cursus and the window as they are"
        )
        raise ConfigError(message)
    return Request(
        config=config,
        standing=standing,
        restricted=restricted,
        tables=tables,
        window=window,
        variable=variable,
        named=None if values is None else _named(values),
        **flags,
    )


def _named(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the settings that the variable names; null says nothing."""
    return frozenset(key for key, value in values.items() if value is not None)


def _is_given(value: Any) -> bool:
    """Tell whether a list of the trigger form was filled in.

    Whatever is there but means nothing, such as a lone comma, is an error instead of everything.
    """
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value not in ([], ())


def _listed(value: Any) -> Any:
    """Return the numbers of a text such as `1, 67`, as the trigger form has it; else `value`."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    return [int(part) if part.isdecimal() else part for part in parts] or value


def _param_flag(key: str, value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        message = f"the run's params: {key} is {value!r}, but must be true or false"
        raise ConfigError(message)
    return value


def _tables(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        message = f"the run's params: tables is {value!r}, but must be a list of names of tables"
        raise ConfigError(message)
    return tuple(dict.fromkeys(value))


def _explicit_window(since: Any, until: Any) -> Window | None:
    start, end = _moment("updated_from", since), _moment("updated_to", until)
    if start is None and end is None:
        return None
    if start is None:
        message = "the run's params: updated_to needs updated_from, where the window starts"
        raise ConfigError(message)
    if end is not None and end <= start:
        message = f"the run's params: updated_to ({end}) must be later than updated_from ({start})"
        raise ConfigError(message)
    return Window(since=start, until=end)


def _moment(key: str, value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        moment = pendulum.parse(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        message = (
            f"the run's params: {key} is {value!r}, but must be a UTC time "
            "such as 2026-01-31T12:00:00Z"
        )
        raise ConfigError(message)
    return pendulum.instance(moment, tz="UTC").in_timezone("UTC")
