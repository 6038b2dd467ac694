"""A small school and what can happen in it: a word and two numbers choose an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dev.simulator import Simulator
from dev.simulator.clock import DAY, MINUTE
from dev.simulator.rows import User
from dev.virtual.clock import VirtualClock

CHILDREN = (
    "campus_users",
    "cursus_users",
    "projects_users",
    "achievements_users",
    "coalitions_users",
)
# Nothing is ever taken away from her: she is the known row beside which absence can be proven.
WITNESS = 101


def school(per_second: int = 1000, per_hour: int = 1_000_000) -> Simulator:
    """Two campuses, nine people with a row of everything, two who are not students yet."""
    sim = Simulator("empty", clock=VirtualClock(), limit_second=per_second, limit_hour=per_hour)
    world = sim.world
    for number in (1, 2, 3):
        world.add_campus(number)
    for number in (1, 9, 21):
        world.add_cursus(number)
    for number in range(11, 16):
        world.add_project(number, campus_ids=(1, 2), cursus_ids=(1, 21) if number == 15 else (21,))
        world.add_achievement(number, campus_ids=(1, 2))
    for campus_id in (1, 2):
        bloc = world.add_bloc(campus_id)
        for number in (1, 2):
            world.add_coalition(bloc.id, id=campus_id * 10 + number)
    for number in range(101, 107):
        _person(sim, number, 1, 1 if number == 106 else 21)
    for number in (201, 202):
        _person(sim, number, 2, 21)
    world.add_user(301, campus_id=1, kind="external")
    _person(sim, 302, 1, 9, kind="external")
    sim.clock.advance(hours=24)
    return sim


def _person(sim: Simulator, number: int, campus_id: int, cursus_id: int, **fields: Any) -> None:
    world = sim.world
    world.add_user(number, campus_id=campus_id, **fields)
    world.add_cursus_user(number, cursus_id, id=number * 10, level=1.0)
    for more in range(1 + number % 3):
        world.add_projects_user(number, 11 + more, id=number * 100 + more, cursus_ids=(cursus_id,))
    world.add_achievements_user(number, 11, id=number * 1000)
    world.add_coalitions_user(number, campus_id * 10 + 1, id=number * 10_000)


class Upstream:
    """The school as its administration runs it."""

    def __init__(self, sim: Simulator, *, in_turn: bool, late: int) -> None:
        self.sim = sim
        # The longest time, in minutes, that a change takes to show.
        self.late = late
        # Whether the nightly run also looks at ended enrolments, in turn with everything else.
        self.in_turn = in_turn
        self.world = sim.world
        self.clock = sim.clock
        # Rows that were unreadable for a while, or committed late: a watermark may have passed.
        self.obscured: set[tuple[str, int]] = set()

    # Whom or what an event is about.

    def _people(self, *, alive: bool = True) -> list[int]:
        return sorted(
            row.id
            for row in self.world.users
            if row.id != WITNESS and not (alive and row.anonymised)
        )

    def _rows(self, table: str) -> list[int]:
        rows = self.world.tables[table]
        return [i for i in rows.ids if rows[i].user_id != WITNESS]

    def _on_enrolment(self, a: int, action: Callable[[int], Any]) -> None:
        """Choose an enrolment that nights look at: where they do it in turn, any."""
        rows = self.world.cursus_users
        ids = [i for i in self._rows("cursus_users") if self.in_turn or rows[i].end_at is None]
        if ids:
            action(ids[a % len(ids)])

    def _on_row(self, table: str, a: int, action: Callable[[int], Any]) -> None:
        ids = self._rows(table)
        if ids:
            action(ids[a % len(ids)])

    def _on_person(self, a: int, action: Callable[[int], Any]) -> None:
        people = self._people()
        if people:
            action(people[a % len(people)])

    def shown(self) -> dict[str, set[int]]:
        """Return the ids that the API shows, by table; an account also where others embed it."""
        world = self.world
        found = {name: set(world.tables[name].rows) for name in CHILDREN}
        embedded = {row.user_id for row in world.cursus_users}
        embedded |= {row.user_id for row in world.projects_users}
        found["users"] = embedded | {row.id for row in world.users if world.lists_user(row)}
        return found

    def unhide_all(self) -> None:
        for name in (*CHILDREN, "users"):
            for row_id in list(self.world.tables[name].hidden):
                self.world.unhide(name, row_id)

    # What happens.

    def event(self, kind: str, a: int = 0, b: int = 0) -> None:
        """Let something happen."""
        with self.world.lock:
            EVENTS[kind](self, a, b)

    def _validate(self, a: int, b: int) -> None:
        self._on_person(a, lambda user: self.world.validate_project(user, 11 + b % 5, 80 + b % 40))

    def _retry(self, a: int, _: int) -> None:
        self._on_row("projects_users", a, self.world.retry_project)

    def _recreate_attempt(self, a: int, _: int) -> None:
        self._on_row("projects_users", a, self.world.recreate_attempt)

    def _delete_attempt(self, a: int, _: int) -> None:
        self._on_row("projects_users", a, self.world.delete_attempt)

    def _drop_attempt(self, a: int, _: int) -> None:
        self._on_row("projects_users", a, lambda row: self.world.delete_row("projects_users", row))

    def _silent_level(self, a: int, b: int) -> None:
        def rise(row_id: int) -> None:
            level = self.world.cursus_users[row_id].level
            self.world.set_level_silently(row_id, level + 0.25 * (1 + b % 9))

        self._on_enrolment(a, rise)

    def _silent_score(self, a: int, b: int) -> None:
        def rise(row_id: int) -> None:
            score = self.world.coalitions_users[row_id].score
            self.world.score_silently(row_id, score + 1 + b)

        self._on_row("coalitions_users", a, rise)

    def _silent_person(self, a: int, b: int) -> None:
        def change(user: int) -> None:
            year = 2030 + b % 50
            date = f"{year}-07-19T00:00:00.000+02:00"
            self.world.touch_user(user, silent=True, anonymize_date=date, active=b % 2 == 0)

        self._on_person(a, change)

    def _silent_old(self, a: int, b: int) -> None:
        """Change an old row of a table that only the nightly rotation looks at."""

        def mark(row_id: int) -> None:
            self.world.update_row("projects_users", row_id, silent=True, final_mark=b % 126)

        def count(row_id: int) -> None:
            self.world.update_row("achievements_users", row_id, silent=True, nbr_of_success=b + 2)

        if b % 2:
            self._on_row("projects_users", a, mark)
        else:
            self._on_row("achievements_users", a, count)

    def _touch(self, a: int, b: int) -> None:
        def change(user: int) -> None:
            wallet = self.world.users[user].wallet + 1 + b
            self.world.touch_user(user, wallet=wallet, location=f"c1r{b % 9}s1")

        self._on_person(a, change)

    def _enter(self, a: int, b: int) -> None:
        self.world.new_student(1 + a % 3, (21, 21, 1, 9)[b % 4])

    def _enrol(self, a: int, b: int) -> None:
        def add(user: int) -> None:
            row = self.world.add_cursus_user(user, (21, 1, 9)[b % 3])
            if b % 5 == 0:
                begin = self.clock.now_ms() + 10 * DAY
                self.world.update_row("cursus_users", row.id, begin_at=begin)

        self._on_person(a, add)

    def _accept(self, a: int, b: int) -> None:
        others = [u.id for u in self.world.users if u.kind == "external" and not u.anonymised]
        if others:
            self.world.accept_applicant(sorted(others)[a % len(others)], 21)
        else:
            self.world.add_user(campus_id=1 + b % 2, kind="external")

    def _unregister(self, a: int, _: int) -> None:
        self._on_enrolment(a, self.world.unregister)

    def _reregister(self, a: int, _: int) -> None:
        self._on_enrolment(a, self.world.reregister)

    def _end(self, a: int, b: int) -> None:
        def end(row_id: int) -> None:
            at = self.clock.now_ms() + (b % 5 - 1) * 6 * 60 * MINUTE
            self.world.update_row("cursus_users", row_id, end_at=at)

        self._on_row("cursus_users", a, end)

    def _earn(self, a: int, b: int) -> None:
        self._on_person(a, lambda user: self.world.earn_achievement(user, 11 + b % 5))

    def _lose_achievement(self, a: int, _: int) -> None:
        self._on_row(
            "achievements_users", a, lambda row: self.world.delete_row("achievements_users", row)
        )

    def _join(self, a: int, b: int) -> None:
        houses = (11, 12, 21, 22)
        self._on_person(a, lambda user: self.world.add_coalitions_user(user, houses[b % 4]))

    def _leave_coalition(self, a: int, _: int) -> None:
        self._on_row("coalitions_users", a, self.world.delete_coalition_user)

    def _transfer(self, a: int, b: int) -> None:
        self._on_person(a, lambda user: self.world.transfer(user, 1 + b % 3))

    def _two_homes(self, a: int, b: int) -> None:
        self._on_person(a, lambda user: self.world.add_campus_user(user, 1 + b % 3))

    def _no_home(self, a: int, _: int) -> None:
        self._on_row(
            "campus_users",
            a,
            lambda row: self.world.update_row("campus_users", row, is_primary=False),
        )

    def _leave_campus(self, a: int, _: int) -> None:
        self._on_row("campus_users", a, lambda row: self.world.delete_row("campus_users", row))

    def _alumnise(self, a: int, _: int) -> None:
        self._on_person(a, self.world.alumnise)

    def _unalumnise(self, a: int, _: int) -> None:
        self._on_person(a, self.world.unalumnise)

    def _employ(self, a: int, b: int) -> None:
        kind = ("admin", "external", "student")[b % 3]
        self._on_person(
            a, lambda user: self.world.touch_user(user, kind=kind, staff=kind == "admin")
        )

    def _anonymise(self, a: int, _: int) -> None:
        self._on_person(a, self.world.anonymise)

    def _delete_person(self, a: int, _: int) -> None:
        self._on_person(a, self.world.delete_user)

    def _hide(self, a: int, b: int) -> None:
        names = (*CHILDREN, "users")
        name = names[b % len(names)]
        if name == "users":
            self._on_person(a, lambda user: self._hide_row(name, user))
        else:
            self._on_row(name, a, lambda row: self._hide_row(name, row))

    def _hide_row(self, name: str, row_id: int) -> None:
        self.world.hide(name, row_id)
        self.obscured.add((name, row_id))

    def _unhide(self, a: int, _: int) -> None:
        hidden = [
            (name, row_id)
            for name in (*CHILDREN, "users")
            for row_id in sorted(self.world.tables[name].hidden)
        ]
        if hidden:
            self.world.unhide(*hidden[a % len(hidden)])

    def _late_commit(self, a: int, b: int) -> None:
        """Commit a change that began a while ago."""
        name = CHILDREN[b % len(CHILDREN)]

        def change(row_id: int) -> None:
            row = self.world.tables[name][row_id]
            began = self.clock.now_ms() - b % (self.late + 1) * MINUTE
            self.obscured.add((name, row_id))
            self.world.update_row(name, row_id, updated_at=max(began, row.updated_at))
            if name == "projects_users":
                self.world.update_row(name, row_id, silent=True, occurrence=row.occurrence + 1)

        self._on_row(name, a, change)

    def _late_insert(self, a: int, b: int) -> None:
        """Commit a row that was made a while ago."""
        began = self.clock.now_ms() - b % (self.late + 1) * MINUTE

        def add(user: int) -> None:
            row = self.world.add_projects_user(user, 11 + b % 5, created_at=began, updated_at=began)
            self.obscured.add(("projects_users", row.id))

        self._on_person(a, add)

    def _unknown_parents(self, a: int, b: int) -> None:
        """Let a row point at something that was made, or hidden, a moment ago."""

        def attempt(user: int) -> None:
            project = self.world.add_project(campus_ids=(1,), listed=b % 2 == 0)
            self.world.add_projects_user(user, project.id)

        def feat(user: int) -> None:
            row = self.world.add_achievement(campus_ids=(1, 2), listed=b % 2 == 0)
            self.world.add_achievements_user(user, row.id)

        def house(user: int) -> None:
            bloc = self.world.add_bloc(1 + b % 2) if b % 2 else None
            row = self.world.add_coalition(bloc.id if bloc else None)
            self.world.add_coalitions_user(user, row.id)

        self._on_person(a, (attempt, feat, house)[b % 3])

    def _rename(self, a: int, b: int) -> None:
        """Change reference rows."""
        world = self.world
        ids = world.projects.ids
        world.update_row("projects", ids[a % len(ids)], difficulty=b)
        ids = world.achievements.ids
        world.update_row("achievements", ids[a % len(ids)], silent=True, nbr_of_success=b)
        if b % 4 == 1:
            world.update_row("campus", 1 + a % 3, silent=True, city=f"City {b}")


Event = Callable[[Upstream, int, int], None]

# What the changes of an ordinary day are, and what only a look at every row in turn can find.
EVENTS: dict[str, Event] = {
    "validate": Upstream._validate,
    "retry": Upstream._retry,
    "silent_level": Upstream._silent_level,
    "silent_score": Upstream._silent_score,
    "silent_person": Upstream._silent_person,
    "touch": Upstream._touch,
    "enter": Upstream._enter,
    "enrol": Upstream._enrol,
    "accept": Upstream._accept,
    "unregister": Upstream._unregister,
    "reregister": Upstream._reregister,
    "end": Upstream._end,
    "earn": Upstream._earn,
    "join": Upstream._join,
    "transfer": Upstream._transfer,
    "two_homes": Upstream._two_homes,
    "no_home": Upstream._no_home,
    "alumnise": Upstream._alumnise,
    "unalumnise": Upstream._unalumnise,
    "employ": Upstream._employ,
    "anonymise": Upstream._anonymise,
    "late_commit": Upstream._late_commit,
    "late_insert": Upstream._late_insert,
    "unknown_parents": Upstream._unknown_parents,
    "rename": Upstream._rename,
    "recreate_attempt": Upstream._recreate_attempt,
    "delete_attempt": Upstream._delete_attempt,
    "drop_attempt": Upstream._drop_attempt,
    "silent_old": Upstream._silent_old,
    "lose_achievement": Upstream._lose_achievement,
    "leave_coalition": Upstream._leave_coalition,
    "leave_campus": Upstream._leave_campus,
    "delete_person": Upstream._delete_person,
    "hide": Upstream._hide,
    "unhide": Upstream._unhide,
}
ONLY_IN_TURN = frozenset(
    [
        "recreate_attempt",
        "delete_attempt",
        "drop_attempt",
        "silent_old",
        "lose_achievement",
        "leave_coalition",
        "leave_campus",
        "hide",
        "unhide",
    ]
)


def is_student(row: User) -> bool:
    return row.kind == "student" and not row.alumni and not row.anonymised
