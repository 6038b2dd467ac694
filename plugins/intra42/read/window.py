"""Watermarks and windows: pure arithmetic on aware UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from intra42.catalog.model import Resource
from intra42.settings import Config, Window

FAR_FUTURE = "9999-12-31T23:59:59.999Z"
_AGREE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """One campus (None: all of them, or no campus in this resource) and one cursus."""

    campus_id: int | None
    cursus_id: int | None

    @property
    def key(self) -> str:
        """The scope as `sync_state` has it, such as `67/21` or `all`."""
        campus = "all" if self.campus_id is None else str(self.campus_id)
        return campus if self.cursus_id is None else f"{campus}/{self.cursus_id}"


def scopes(resource: Resource, config: Config) -> tuple[Scope, ...]:
    """Return the scopes of `resource` that the settings ask for."""
    campuses: Sequence[int | None] = (None,)
    if resource.scope_campus and config.campus_ids:
        campuses = config.campus_ids
    cursus: Sequence[int | None] = (None,)
    if resource.scope_cursus is not None:
        cursus = getattr(config, resource.scope_cursus)
    return tuple(Scope(campus, number) for number in cursus for campus in campuses)


@dataclass(frozen=True, slots=True)
class Group:
    """Scopes that one listing can serve, and where their window starts."""

    scopes: tuple[Scope, ...]
    watermark: datetime


def groups(watermarks: Mapping[Scope, datetime]) -> tuple[Group, ...]:
    """Join scopes whose watermarks lie within a day: one question for many campuses.

    The earliest watermark counts for all of a group; after the listing they agree.
    """
    ordered = sorted(watermarks.items(), key=lambda item: (item[1], item[0].key))
    found: list[Group] = []
    for scope, watermark in ordered:
        if found and watermark - found[-1].watermark <= _AGREE:
            found[-1] = Group((*found[-1].scopes, scope), found[-1].watermark)
        else:
            found.append(Group((scope,), watermark))
    return tuple(found)


def since_watermark(
    watermark: datetime,
    lookback: timedelta,
    now: datetime | None,
    before: datetime | None = None,
) -> Window:
    """Return the open window that continues from `watermark`.

    A watermark later than the API's own clock is wrong: the window then starts where the one
    `before` it stood, and at least 24 hours back, or more than the lookback where that is longer.
    """
    if now is not None and watermark > now:
        back = now - max(timedelta(hours=24), lookback + timedelta(hours=1))
        return Window(since=back if before is None else min(back, before - lookback))
    return Window(since=watermark - lookback)


def as_range(window: Window) -> str:
    """Return the value of a range of times; an open window ends in the far future."""
    until = iso(window.until) if window.until else FAR_FUTURE
    return f"{iso(window.since)},{until}"


def range_of(field: str) -> str:
    """Return the parameter that takes a range of a field."""
    return f"range[{field}]"


def from_range(text: str) -> Window:
    """Return the window that `as_range` made this of."""
    since, until = map(datetime.fromisoformat, text.split(","))
    return Window(since=since, until=None if text.endswith(FAR_FUTURE) else until)


def iso(moment: datetime) -> str:
    """Return a time as the API writes it: UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def outside(window: Window, moments: Iterable[datetime | None]) -> int:
    """Count how many of `moments` lie outside the window; unknown ones are not counted."""
    slack = timedelta(seconds=1)
    until = window.until
    return sum(
        window.since - moment > slack or (until is not None and moment - until > slack)
        for moment in moments
        if moment is not None
    )
