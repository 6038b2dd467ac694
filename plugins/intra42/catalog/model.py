"""The words of the catalogue: columns, references, links, resources."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from intra42.errors import CatalogError


class Type(StrEnum):
    """A column's PostgreSQL type."""

    BIGINT = "bigint"
    INTEGER = "integer"
    TEXT = "text"
    BOOLEAN = "boolean"
    DOUBLE = "double precision"
    TIMESTAMP = "timestamp with time zone"
    JSON = "jsonb"


class Source(StrEnum):
    """Where a column's value comes from."""

    RECORD = "record"  # the value at `path`
    PRINTED = "printed"  # the text or number at `path`, which the API mixes, as text
    FIRST_CONFIGURED = "first configured"  # the first configured cursus in the list at `path`
    DERIVED = "derived"  # computed in the database from other tables


class Strangers(StrEnum):
    """What a row of a user we do not mirror means in a window of this resource."""

    DROP = "drop"  # the window covers the whole network: they are out of scope
    LOOK_UP = "look up"  # they may have entered the scope: ask once, remember a no for 7 days
    ENROLLED = "enrolled"  # as `LOOK_UP`; the row itself says that they are enrolled
    NEWCOMER = "newcomer"  # a primary membership of a configured campus: ask every time


class Nightly(StrEnum):
    """What the loader reads of a table whose rows change without a new `updated_at`."""

    WHOLE = "whole"  # all rows by user, instead of the window
    UNSEEN = "unseen"  # the window, then by id whoever it has not shown
    OPEN = "open"  # the window, then by id what is open and it has not shown


class Cadence(StrEnum):
    """How often a table is read."""

    QUARTER_HOUR = "every quarter hour"
    NIGHT = "every night"


class First(StrEnum):
    """How a primary table is read that has no watermark yet, or is to be read anew."""

    BY_USER = "by user"  # the rows of all mirrored users, by user id
    LISTING = "listing"  # its own listing, from the first page to the last


class Entrants(StrEnum):
    """How the rows are read that belong to somebody who enters the scope."""

    HISTORY = "history"  # all of them, by user id, once everybody is in
    WITH_THEM = "with them"  # they decide who enters, and are stored together with the user


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column: its name and type, and the keys that lead to its value in a record.

    The path element `..` is the record that this one is embedded in. A `required` value that is
    missing parks the record, because the row would be useless or break a constraint. A `compared`
    value is looked at by the mirror's own statements, so it cannot be stored hashed. The
    `description` is the column's comment in the database.
    """

    name: str
    type: Type
    path: tuple[str, ...]
    description: str = ""
    required: bool = False
    source: Source = Source.RECORD
    compared: bool = False

    @property
    def can_be_hashed(self) -> bool:
        """Tell whether `hash_columns` may name it: text of the API's that nothing here reads."""
        return self.type is Type.TEXT and self.source is Source.RECORD and not self.compared


@dataclass(frozen=True, slots=True)
class Cursor:
    """A time by which a window is read.

    `lookback` is how long before its watermark the window begins, where that is longer than the
    setting says: for rows that show late.
    """

    field: str
    lookback: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Ref:
    """A foreign key: `column` holds the id of a row of `table`."""

    column: str
    table: str


@dataclass(frozen=True, slots=True)
class Link:
    """A table of pairs that follows a list inside the record.

    `own` holds the record's id, `other` the id of a row of `other_table`: the `id` of each element
    of the record's list `field`. Where `in_record` is false the list has names instead of ids, and
    the listing's scope says what belongs together. `description`, `own_is` and `other_is` are the
    comments of the table and of its columns in the database.
    """

    table: str
    own: str
    other: str
    other_table: str
    field: str
    in_record: bool = True
    description: str = ""
    own_is: str = ""
    other_is: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One table of the mirror and how the API gives it.

    `endpoint` is the listing's path, where `{cursus_id}` or `{campus_id}` is a scope's. `by_id` is
    the listing that takes `filter[id]` (parents that were only mentioned, refetches). `user_key` is
    the filter that takes user ids, `campus_filter` and `cursus_filter` those of the scope; None
    where the endpoint has no such filter. `page_size` is rows a page. `users_if_cheaper` marks a
    window over the whole network that may cost more requests than asking for the mirrored users.
    `unread` are keys that records are known to have and the mirror does not keep.

    What changed is read by `cursor_field`; a table without one is read whole every night. Where
    that is not enough, each of `also_by` has a window of its own; `lookback` is as in `Cursor`.
    `nightly`, `first`, `entrants` and `strangers` say what is read beside that, and of whom. Rows
    are open while the column `open_until` is empty or in the future: the `silent` columns of open
    rows are recomputed upstream without a trace, so that only asking by id finds it. A new row of
    a table that `triggers` such a refetch has its user's open rows read first. `followed_by` is
    the column by whose values columns of other tables follow this one (`include/sql/derive.sql`).

    The `cadence` says which runs read it. A resource of the group `further` is only read where the
    setting `tables` asks for it; `role` is what an application needs to read it, as the reference
    has it, empty where it names none.

    `people` marks the table whose rows are the people whom scope is about, `nests_people` those
    whose records hold the account itself. `named_by` is the setting that names rows of the table.
    `title` is the sentence on its task.

    `tail_of` is the table each row of which has a ledger, by its id in `endpoint`: rows are only
    added there, read from the end on, and as many as the API says.

    `of_campus` says that rows belong to a campus by a column of theirs, whoever's they are.

    `description` is the table's comment in the database.

    `explode` is the list inside each record of the endpoint that holds the rows. A resource that is
    `embedded_in` another one is read with that one's records and has no request of its own. Either
    its rows refer to the record that holds them, or the record refers to one row, an object that is
    stored before it.
    """

    name: str
    group: str
    endpoint: str
    columns: tuple[Column, ...]
    description: str = ""
    references: tuple[Ref, ...] = ()
    derives_from: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    by_id: str | None = None
    cursor_field: str | None = None
    lookback: timedelta = timedelta()
    also_by: tuple[Cursor, ...] = ()
    user_key: str | None = None
    campus_filter: str | None = None
    cursus_filter: str | None = None
    explode: str | None = None
    embedded_in: str | None = None
    listed: bool = False
    sortable: bool = True
    page_size: int = 100
    cadence: Cadence = Cadence.QUARTER_HOUR
    role: str = ""
    strangers: Strangers = Strangers.DROP
    nightly: Nightly | None = None
    first: First = First.BY_USER
    entrants: Entrants = Entrants.HISTORY
    open_until: str | None = None
    silent: tuple[str, ...] = ()
    triggers: str | None = None
    followed_by: str | None = None
    people: bool = False
    nests_people: bool = False
    named_by: str | None = None
    unread: frozenset[str] = frozenset()
    title: str = ""
    users_if_cheaper: bool = False
    scope_campus: bool = False
    of_campus: bool = False
    tail_of: str | None = None
    scope_cursus: str | None = None

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts itself."""
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            message = f"{self.name}: a column is declared twice"
            raise CatalogError(message)
        for name in ("id", *(ref.column for ref in self.references)):
            if name not in names:
                message = f"{self.name}: the column {name} is used but not declared"
                raise CatalogError(message)
        if self.cursor_field is not None and self.cursor_field not in names:
            message = f"{self.name}: the cursor field {self.cursor_field} is not a column"
            raise CatalogError(message)
        if self.embedded_in is not None and not self.explode:
            message = f"{self.name}: nothing says where in {self.embedded_in} its rows are"
            raise CatalogError(message)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The catalogue's columns in COPY order, without `listed` and our own."""
        return tuple(column.name for column in self.columns)

    @property
    def cursors(self) -> tuple[Cursor, ...]:
        """The times by which windows are read, each for itself."""
        if self.cursor_field is None:
            return ()
        return (Cursor(self.cursor_field, self.lookback), *self.also_by)

    @property
    def owner(self) -> str | None:
        """The column that holds the id of the record it is embedded in, if it has one."""
        owners = (ref.column for ref in self.references if ref.table == self.embedded_in)
        return next(owners, None)

    @property
    def is_optional(self) -> bool:
        """Tell whether it is only read where the setting `tables` asks for it."""
        return self.group == "further"

    @property
    def per_campus(self) -> bool:
        """Tell whether each campus has a list of its own."""
        return "{campus_id}" in self.endpoint

    @property
    def owner_column(self) -> str:
        """The column that holds the id of the row whose ledger it is."""
        return next(ref.column for ref in self.references if ref.table == self.tail_of)

    @property
    def home(self) -> Ref | None:
        """The reference to whoever is on the campus that rows are counted by, if there is one."""
        tables = {"users", self.tail_of}
        return next((ref for ref in self.references if ref.table in tables), None)

    @property
    def has_user(self) -> bool:
        """Tell whether rows belong to a user."""
        return any(ref.column == "user_id" and ref.table == "users" for ref in self.references)
