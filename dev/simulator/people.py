"""The people of a world and everything they did, in the order in which it happened."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from dev.simulator import names
from dev.simulator.clock import DAY, HOUR, MINUTE
from dev.simulator.rows import (
    AchievementsUser,
    CampusUser,
    CoalitionsUser,
    CursusUser,
    ProjectsUser,
    User,
)
from dev.simulator.store import Store
from dev.simulator.tables import Table

_FIRST_USER = 90_000
_GRADES = ("Learner", "Learner", "Cadet", "Member", "Transcender")
_MARKS = (100, 100, 100, 125, 115, 80, 84, 92, 101, 0, 42, -42, 110)
_LEVELS = (0.009999999999999, 0.0, 0.31, 0.019999999999)
_STATUSES = (
    "in_progress",
    "waiting_for_correction",
    "searching_a_group",
    "creating_group",
    "waiting_to_start",
    "parent",
)
# Which share of the accounts changed within how many hours.
_LAST_CHANGES = ((0.0, 0), (0.004, 1), (0.17, 24), (0.32, 168), (0.5, 720), (1.0, 9600))
# What a person is, and how many there are for a hundred current students.
_SHARES = {
    "student": 100,
    "ended": 8,
    "alumnus": 22,
    "external": 18,
    "staff": 2,
    "visitor": 5,
    "anonymised": 4,
}


class Population:
    """Makes people for a world; rows get their ids at the end, oldest first."""

    def __init__(self, store: Store, rng: random.Random, attempts: tuple[int, int]) -> None:
        self._store = store
        self._rng = rng
        self._attempts = attempts
        self._now = store.clock.now_ms()
        self._users: list[User] = []
        self._rows: dict[str, list[Any]] = {
            "campus_users": [],
            "cursus_users": [],
            "projects_users": [],
            "achievements_users": [],
            "coalitions_users": [],
        }
        projects = sorted(store.projects, key=lambda row: row.id)
        self._core = [row for row in projects if 21 in row.cursus_ids]
        self._old = [row for row in projects if 1 in row.cursus_ids]
        self._pool = [row for row in projects if 9 in row.cursus_ids]
        self._feats = store.achievements.ids
        self._houses: dict[tuple[int, int], list[int]] = {}
        for bloc in store.blocs:
            members = [row.id for row in store.coalitions.of("bloc_id", bloc.id)]
            self._houses[bloc.campus_id, bloc.cursus_id] = members

    def add(self, shares: dict[int, int], neighbours: list[int]) -> None:
        """Add `shares[campus]` current students to each campus, and the usual others."""
        people = [
            (role, campus_id)
            for campus_id, students in shares.items()
            for role, share in _SHARES.items()
            for _ in range(max(1, students * share // 100) if students else 0)
        ]
        self._rng.shuffle(people)
        for number, (role, campus_id) in enumerate(people):
            home = campus_id
            if role == "visitor":
                home = self._rng.choice(neighbours or list(shares))
            self._person(_FIRST_USER + number * 2 + number % 2, role, home, campus_id)
        self._store.users.load(self._users)
        for name, rows in self._rows.items():
            _number(self._store.tables[name], rows)

    def _ago(self, low_days: float, high_days: float) -> int:
        span = low_days + (high_days - low_days) * self._rng.random()
        return self._now - int(span * DAY)

    def _person(self, user_id: int, role: str, campus_id: int, around: int) -> None:
        rng = self._rng
        arrived = self._ago(*{"alumnus": (1500, 2400), "external": (1, 200)}.get(role, (40, 1400)))
        user = self._user(user_id, role, arrived)
        self._users.append(user)
        self._memberships(user, campus_id, around)
        if role == "staff":
            self._enrol(user, 21, arrived, end=None, grade=None)
            return
        self._enrol(user, 9, arrived, end=arrived + 26 * DAY, grade="Pisciner")
        begun = arrived + 60 * DAY
        if role == "external":
            if rng.random() < 0.15:
                self._enrol(user, 21, self._now + 20 * DAY, end=None, grade="Learner")
            self._do_projects(user, self._pool, 3, arrived, campus_id)
            self._join(user, campus_id, 9, arrived)
            return
        if role == "student" and rng.random() < 0.04:
            begun = self._now + int(rng.random() * 40 * DAY)
        self._careers(user, role, begun)
        if begun > self._now:
            return
        low, high = self._attempts
        count = low + int(rng.random() * (high - low + 1))
        if role not in {"student", "visitor"}:
            count = count // 2
        self._do_projects(user, self._core, count, begun, campus_id)
        if rng.random() < 0.03:
            self._do_projects(user, self._old, 3, arrived, campus_id)
        self._earn(user, begun)
        self._join(user, campus_id, 21, begun)
        if rng.random() < 0.4:
            self._join(user, campus_id, 9, arrived)

    def _user(self, user_id: int, role: str, arrived: int) -> User:
        rng = self._rng
        first, last = rng.choice(names.FIRST_NAMES), rng.choice(names.LAST_NAMES)
        if user_id % 97 == 0:
            first = names.EMOJI_NAME
        base = "".join(c for c in f"{first[0]}{last}".lower() if "a" <= c <= "z")
        login = f"{base[:7]}{user_id % 1_000_000}"
        erased = role == "anonymised"
        if erased:
            login, first, last = f"3b3-{user_id * 2_654_435_761 % (1 << 32):08x}", "3b3", "3b3"
        alumnus = role == "alumnus"
        month = arrived // (30 * DAY) % 12
        year = 1970 + int(arrived / (365.2425 * DAY))
        poolless = erased or user_id % 41 == 0 or role == "staff"
        offset = "+08:00" if user_id % 7 == 0 else "+02:00"
        erasure = None if alumnus else f"{year + 5}-07-{user_id % 28 + 1:02}T00:00:00.000{offset}"
        created = arrived - int(rng.random() * 90 * DAY)
        usual = first if user_id % 10 == 3 and not erased else None
        return User(
            id=user_id,
            login=login,
            email=f"{login}@student.42.example.invalid",
            first_name=first,
            last_name=last,
            usual_full_name=f"{first} {last}",
            usual_first_name=usual,
            phone=None if erased or user_id % 9 == 0 else "hidden",
            displayname=f"{first} {last}",
            kind={"staff": "admin", "external": "external"}.get(role, "student"),
            image=None if erased or user_id % 37 == 0 else f"{user_id * 7919:032x}",
            staff=role == "staff",
            correction_point=user_id % 12 - 3,
            pool_month=None if poolless else names.MONTHS[month],
            pool_year=None if poolless else str(year),
            location=f"c1r{user_id % 9 + 1}s{user_id % 12 + 1}" if user_id % 60 == 0 else None,
            wallet={0: -250, 1: 827_942_872 + user_id * 4}.get(user_id % 199, user_id % 900),
            anonymize_date=erasure,
            data_erasure_date=erasure,
            created_at=created,
            updated_at=self._recent(created),
            alumnized_at=self._ago(5, 700) if alumnus else None,
            alumni=alumnus,
            active=not erased and user_id % 11 != 0,
        )

    def _recent(self, created: int) -> int:
        """Return when an account last changed, spread as was measured upstream."""
        chance = self._rng.random()
        (low, start), (high, end) = next(
            pair for pair in pairwise(_LAST_CHANGES) if chance < pair[1][0]
        )
        back = start + (chance - low) / (high - low) * (end - start)
        return max(created, self._now - int(back * HOUR) - MINUTE)

    def _memberships(self, user: User, campus_id: int, around: int) -> None:
        rng = self._rng
        chance = rng.random()
        others = [around] if around != campus_id else []
        if chance < 0.03:
            others.append(rng.choice((54, 42, 7)))
        elif chance < 0.06:
            others.append(rng.choice(self._store.campuses.ids))
        made = user.created_at + 1000
        primary = chance < 0.99
        rows = self._rows["campus_users"]
        rows.append(CampusUser(0, user.id, campus_id, primary, made, made))
        for other in dict.fromkeys(others):
            if other != campus_id:
                later = min(made + 200 * DAY, self._now - HOUR)
                rows.append(CampusUser(0, user.id, other, False, later, later))

    def _enrol(
        self, user: User, cursus_id: int, begin: int, *, end: int | None, grade: str | None
    ) -> None:
        rng = self._rng
        made = min(begin - 10 * DAY, self._now - HOUR)
        level = round(rng.random() * 11, 2) + _LEVELS[user.id % 4] if begin < self._now else 0.0
        skills = tuple((n, round(rng.random() * 9, 2)) for n in (4, 3, 1)) if level else ()
        touched = max(made, min(end or self._ago(0.02, 60), self._now - HOUR))
        blackholed = end if end and cursus_id == 21 else None
        if cursus_id == 21 and end is None and user.id % 3:
            blackholed = self._now + user.id % 400 * DAY
        row = CursusUser(
            0, user.id, cursus_id, grade, level, skills, begin, end, blackholed,
            cursus_id in {9, 21}, made, touched,
        )  # fmt: skip
        self._rows["cursus_users"].append(row)

    def _careers(self, user: User, role: str, begun: int) -> None:
        rng = self._rng
        chance = rng.random()
        if chance < 0.05:
            old = begun - 500 * DAY
            self._enrol(user, 1, old, end=None if chance < 0.02 else old + 400 * DAY, grade=None)
        elif chance < 0.08:
            self._enrol(user, 21, begun - 400 * DAY, end=begun - 200 * DAY, grade="Learner")
        elif chance < 0.1:
            self._enrol(user, 69, begun + DAY, end=None, grade=None)
        ended = role in {"ended", "anonymised"}
        end = min(begun + 300 * DAY, self._now - DAY) if ended else None
        grade = "Alumni" if role == "alumnus" else rng.choice(_GRADES)
        self._enrol(user, 21, begun, end=end, grade=grade)

    def _do_projects(
        self, user: User, projects: list[Any], count: int, since: int, campus_id: int
    ) -> None:
        rng, now = self._rng, self._now
        span = max(now - since - DAY, HOUR)
        # Everybody does the first subjects, few the late ones.
        common = projects[: count // 2]
        chosen = {row.id: row for row in common}
        while len(chosen) < min(count, len(projects)):
            row = projects[int(rng.random() ** 1.5 * len(projects))]
            chosen[row.id] = row
        rows = self._rows["projects_users"]
        for number, project in enumerate(chosen.values()):
            made = since + int(span * (number + rng.random()) / (len(chosen) + 1))
            rows.append(self._attempt(user.id, project, made, campus_id))

    def _attempt(self, user_id: int, project: Any, made: int, campus_id: int) -> ProjectsUser:
        rng, now = self._rng, self._now
        chance = rng.random()
        age = now - made
        team = user_id * 100 + project.id % 100
        cursus_ids = project.cursus_ids
        if chance < 0.12 and age < 300 * DAY:
            status = _STATUSES[int(chance * 50)]
            grouped = status in {"in_progress", "waiting_for_correction", "creating_group"}
            touched = made + int((age - MINUTE) * rng.random())
            return ProjectsUser(
                0, user_id, project.id, cursus_ids, campus_id, 0, None, status, None,
                team if grouped else None, False, None, None, made, touched,
            )  # fmt: skip
        mark: int | None = _MARKS[int(rng.random() * len(_MARKS))]
        marked_at: int | None = made + int(rng.random() * min(40 * DAY, age - HOUR))
        touched = (marked_at or made) + 218
        retriable = touched + DAY
        occurrence = int(chance * 40) % 3 if chance < 0.2 else 0
        validated = (mark or 0) >= 80
        status = "finished"
        if chance < 0.02:
            # A retry: the marks are those of the attempt before.
            status, occurrence = "in_progress", occurrence + 1
        elif chance > 0.99:
            mark = None
        elif chance > 0.985 and age > 900 * DAY:
            marked_at = None
        return ProjectsUser(
            0, user_id, project.id, cursus_ids, campus_id, occurrence, mark, status, validated,
            team, True, marked_at, retriable, made, touched,
        )  # fmt: skip

    def _earn(self, user: User, since: int) -> None:
        rng = self._rng
        span = max(self._now - since - HOUR, HOUR)
        start = int(rng.random() * len(self._feats))
        for number in range(8 + user.id % 8):
            feat = self._feats[(start + number * 7) % len(self._feats)]
            made = since + int(span * rng.random())
            touched = made if number % 3 else made + int((self._now - HOUR - made) * rng.random())
            count = None if number % 11 == 5 else number % 4 + 1
            row = AchievementsUser(0, user.id, feat, count, made, max(made, touched))
            self._rows["achievements_users"].append(row)

    def _join(self, user: User, campus_id: int, cursus_id: int, since: int) -> None:
        houses = self._houses.get((campus_id, cursus_id))
        if not houses:
            return
        house = houses[user.id % len(houses)]
        if user.id % 211 == 0:
            house = self._store.coalitions.ids[-1]
        score = user.id * 37 % 5000 - 60
        row = CoalitionsUser(0, user.id, house, score, user.id % 500 + 1, since, since)
        self._rows["coalitions_users"].append(row)
        if user.id % 150 == 0:
            again = CoalitionsUser(0, user.id, house, 0, 500, since - 1000, since - 1000)
            self._rows["coalitions_users"].append(again)


def _number(table: Table[Any], rows: Iterable[Any]) -> None:
    """Give ids with gaps, oldest first, and load the rows."""

    def numbered() -> Iterator[Any]:
        for number, row in enumerate(sorted(rows, key=lambda row: row.created_at)):
            row.id = 1000 + number * 3 + number % 2
            yield row

    table.load(numbered())
