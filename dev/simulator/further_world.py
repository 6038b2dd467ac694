"""The rows of the further tables in a world made from a seed: drawn from ids, without any dice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dev.simulator.clock import DAY, HOUR, MINUTE
from dev.simulator.rows import CursusUser, Location, Quest, QuestsUser, Score, Skill
from dev.simulator.shapes import SKILLS
from dev.simulator.store import Store

_COMMON_CORE = 21
_RANKS = 7
_FIRST_QUEST = 44


def add_further(store: Store, birth: int) -> None:
    """Add skills, milestones, sessions and ledgers; reference rows were created at `birth`."""
    store.skills.load(
        Skill(number, name, name.lower().replace(" ", "-"), birth + number * DAY)
        for number, name in SKILLS.items()
    )
    store.quests.load(_quest(rank, birth) for rank in range(_RANKS))
    now = store.clock.now_ms()
    begun = [
        row
        for row in store.cursus_users
        if row.cursus_id == _COMMON_CORE and row.begin_at is not None and row.begin_at < now
    ]
    _load(store.quests_users, (m for row in begun for m in _milestones(row, now)), "created_at")
    ongoing = [row for row in begun if row.end_at is None]
    _load(store.locations, (s for row in ongoing for s in _sessions(store, row, now)), "begin_at")
    _load(store.scores, _entries(store, now), "created_at")


def _load(table: Any, rows: Iterable[Any], clock: str) -> None:
    """Give ids in the order of time, and load the rows."""
    ordered = sorted(rows, key=lambda row: getattr(row, clock))
    for number, row in enumerate(ordered):
        row.id = 1000 + number * 3 + number % 2
    table.load(ordered)


def _quest(rank: int, birth: int) -> Quest:
    name = f"Common Core Rank {rank:02}"
    slug = name.lower().replace(" ", "-")
    return Quest(_FIRST_QUEST + rank, name, slug, _COMMON_CORE, None, rank, birth, birth)


def _milestones(row: CursusUser, now: int) -> Iterable[QuestsUser]:
    begun = row.begin_at or 0
    reached = min(row.user_id % _RANKS, (now - begun) // (30 * DAY))
    for rank in range(reached + 1):
        made = begun + rank * 30 * DAY
        if made > now:
            return
        done = made + 20 * DAY if rank < reached else None
        end = None if done else made + 90 * DAY
        touched = min(done or made, now)
        yield QuestsUser(0, _FIRST_QUEST + rank, row.user_id, end, done, made, touched)


def _sessions(store: Store, row: CursusUser, now: int) -> Iterable[Location]:
    user = store.users.known(row.user_id)
    campus = store.primary_campus(row.user_id)
    if user is None or campus is None:
        return
    for days in range(1, 10, 1 + row.user_id % 4):
        begin = now - days * DAY + (row.user_id % 7) * HOUR
        host = f"c{days % 3 + 1}r{row.user_id % 9 + 1}s{row.user_id % 5 + 1}"
        end = begin + (2 + row.user_id % 6) * HOUR
        yield Location(0, row.user_id, campus, host, True, begin, min(end, now - MINUTE))
    if user.location:
        yield Location(0, row.user_id, campus, user.location, True, now - 2 * HOUR, None)


def _entries(store: Store, now: int) -> Iterable[Score]:
    for row in store.coalitions_users:
        for week in range(1 + row.id % 4):
            made = now - (week * 7 + row.id % 7) * DAY - HOUR
            yield Score(
                0, row.coalition_id, row.id, 3, None, None, row.id % 20, "Logged hours", made, made
            )
