"""What happens upstream: one method per kind of event, each atomic.

Every event moves `updated_at` to the virtual now, except where it is called silent: those are the
changes the real API makes without a trace.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from dev.simulator.clock import DAY
from dev.simulator.rows import CursusUser, ProjectsUser, User
from dev.simulator.store import Store

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

MUTATIONS: set[str] = set()

_CHILDREN = (
    "campus_users",
    "cursus_users",
    "projects_users",
    "achievements_users",
    "coalitions_users",
)


def mutation(method: F) -> F:
    """Run the method under the world's lock and offer it to other processes by name."""

    @wraps(method)
    def locked(self: Store, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            self.version += 1
            return method(self, *args, **kwargs)

    MUTATIONS.add(method.__name__)
    return cast("F", locked)


class Mutations(Store):
    """The events of a world."""

    # Attempts and levels.

    @mutation
    def validate_project(
        self, user_id: int, project_id: int | None = None, mark: int | None = 100
    ) -> int:
        """Mark an attempt, made if there is none, and silently recompute the levels it feeds."""
        row = self._attempt(user_id, project_id)
        now = self.clock.now_ms()
        validated = (mark or 0) >= 80
        values: dict[str, Any] = {"status": "finished", "final_mark": mark, "marked": True}
        values |= {"validated": validated, "marked_at": now, "retriable_at": now + DAY}
        self.set_fields(self.projects_users, row.id, False, **values)
        for enrolment in self.cursus_users.of("user_id", user_id):
            if enrolment.cursus_id in row.cursus_ids and self.ongoing(enrolment):
                gain = max(mark or 0, 0) / 230
                self.set_level_silently(enrolment.id, enrolment.level + gain)
        return row.id

    def _attempt(self, user_id: int, project_id: int | None) -> ProjectsUser:
        rows = self.projects_users.of("user_id", user_id)
        if project_id is not None:
            rows = [row for row in rows if row.project_id == project_id]
        open_rows = [row for row in rows if row.status != "finished"]
        if open_rows or (rows and project_id is not None):
            return (open_rows or rows)[-1]
        if project_id is None:
            taken = {row.project_id for row in self.projects_users.of("user_id", user_id)}
            listed = [row for row in self.projects if self.lists_project(row)]
            free = [row.id for row in listed if row.id not in taken and 21 in row.cursus_ids]
            project_id = free[user_id % len(free)] if free else listed[0].id
        return self.add_projects_user(
            user_id, project_id, cursus_ids=self.projects[project_id].cursus_ids
        )

    def ongoing(self, row: CursusUser) -> bool:
        """Tell whether an enrolment has not ended."""
        return row.end_at is None or row.end_at >= self.clock.now_ms()

    @mutation
    def set_level_silently(self, cursus_user_id: int, level: float) -> None:
        """Recompute a level without moving `updated_at`."""
        row = self.cursus_users.known(cursus_user_id)
        assert row is not None  # noqa: S101
        skills = tuple((number, round(level * 0.7, 2)) for number, _ in row.skills)
        self.set_fields(self.cursus_users, cursus_user_id, True, level=level, skills=skills)

    @mutation
    def retry_project(self, projects_user_id: int) -> None:
        """Begin another try; the old mark stays until the new one is given."""
        row = self.projects_users[projects_user_id]
        team = (row.current_team_id or row.id * 2) + 1
        values = {"status": "in_progress", "occurrence": row.occurrence + 1}
        self.set_fields(self.projects_users, row.id, False, **values, current_team_id=team)

    @mutation
    def delete_attempt(self, projects_user_id: int) -> None:
        """Delete an attempt; the enrolments of the user are touched."""
        row = self.projects_users.remove(projects_user_id)
        for enrolment in self.cursus_users.of("user_id", row.user_id):
            self.set_fields(self.cursus_users, enrolment.id, False)

    @mutation
    def recreate_attempt(self, projects_user_id: int) -> int:
        """Delete an attempt and make it again under a new id."""
        row = self.projects_users[projects_user_id]
        self.delete_attempt(projects_user_id)
        new = self.add_projects_user(row.user_id, row.project_id, cursus_ids=row.cursus_ids)
        return new.id

    # Enrolments.

    @mutation
    def unregister(self, cursus_user_id: int) -> None:
        """Delete an enrolment."""
        self.cursus_users.remove(cursus_user_id)

    @mutation
    def reregister(self, cursus_user_id: int) -> int:
        """Delete an enrolment and make it again under a new id."""
        row = self.cursus_users.remove(cursus_user_id)
        new = self.add_cursus_user(
            row.user_id, row.cursus_id, begin_at=row.begin_at, grade=row.grade, level=row.level
        )
        return new.id

    # Users.

    @mutation
    def touch_user(self, user_id: int, silent: bool = False, **fields: Any) -> None:
        """Change fields of an account."""
        self.set_fields(self.users, user_id, silent, **fields)

    @mutation
    def anonymise(self, user_id: int) -> str:
        """Erase a person: only the account's number and its children stay."""
        login = f"3b3-{(user_id * 2_654_435_761) % (1 << 32):08x}"
        day = self.clock.now().date().isoformat()
        values: dict[str, Any] = {
            "login": login,
            "email": f"{login}@student.42example.invalid",
            "usual_full_name": "3b3 3b3",
            "displayname": "3b3 3b3",
            "anonymize_date": f"{day}T00:00:00.000+02:00",
            "data_erasure_date": f"{day}T00:00:00.000+02:00",
            "active": False,
        }
        values |= dict.fromkeys(("first_name", "last_name"), "3b3")
        values |= dict.fromkeys(("usual_first_name", "phone", "image", "location"))
        self.set_fields(self.users, user_id, False, **values)
        return login

    @mutation
    def alumnise(self, user_id: int) -> None:
        """Turn a student into an alumnus, who loses his dates of erasure."""
        values: dict[str, Any] = {"alumni": True, "alumnized_at": self.clock.now_ms()}
        values |= {"anonymize_date": None, "data_erasure_date": None}
        self.set_fields(self.users, user_id, False, **values)

    @mutation
    def unalumnise(self, user_id: int) -> None:
        """Take an alumnus back as a student."""
        self.set_fields(self.users, user_id, False, alumni=False, alumnized_at=None)

    @mutation
    def transfer(self, user_id: int, campus_id: int) -> int:
        """Make another campus the primary one; the user's own `updated_at` stays."""
        target = None
        for row in self.campus_users.of("user_id", user_id):
            if row.campus_id == campus_id:
                target = row.id
            elif row.is_primary:
                self.set_fields(self.campus_users, row.id, False, is_primary=False)
        if target is None:
            return self.add_campus_user(user_id, campus_id).id
        self.set_fields(self.campus_users, target, False, is_primary=True)
        return target

    @mutation
    def new_student(self, campus_id: int, cursus_id: int = 21, **fields: Any) -> int:
        """Let a student appear with membership, enrolment and a first attempt."""
        user = self.add_user(campus_id=campus_id, **fields)
        self.add_cursus_user(user.id, cursus_id)
        listed = [p for p in self.projects if self.lists_project(p) and cursus_id in p.cursus_ids]
        if listed:
            first = min(listed, key=lambda row: row.id)
            self.add_projects_user(user.id, first.id, cursus_ids=first.cursus_ids)
        return user.id

    @mutation
    def register_pisciner(
        self, user_id: int, campus_id: int, cursus_id: int = 9, begins: int = 3, **fields: Any
    ) -> int:
        """Enrol somebody in a piscine of 26 days that begins in so many; return the enrolment's id.

        Whoever has begun already has one attempt and a house, if the campus has any for pisciners.
        """
        if self.users.known(user_id) is None:
            self.add_user(user_id, campus_id=campus_id, **fields)
        begin = self.clock.now_ms() + begins * DAY
        row = self.add_cursus_user(
            user_id,
            cursus_id,
            grade="Pisciner",
            begin_at=begin,
            end_at=begin + 26 * DAY,
            created_at=min(begin - 20 * DAY, self.clock.now_ms()),
        )
        if begins > 0:
            return row.id
        subjects = [p.id for p in self.projects if cursus_id in p.cursus_ids]
        if subjects:
            project = self.projects[min(subjects)]
            self.add_projects_user(user_id, project.id, cursus_ids=project.cursus_ids)
        blocs = [b.id for b in self.blocs if (b.campus_id, b.cursus_id) == (campus_id, cursus_id)]
        for house in self.coalitions.of("bloc_id", min(blocs, default=None))[:1]:
            self.add_coalitions_user(user_id, house.id)
        return row.id

    @mutation
    def accept_applicant(self, user_id: int | None = None, cursus_id: int = 21) -> int | None:
        """Turn an external into a student whose cursus begins in ten days."""
        if user_id is None:
            externals = [u.id for u in self.users if u.kind == "external" and not u.anonymised]
            if not externals:
                return None
            user_id = externals[0]
        self.set_fields(self.users, user_id, False, kind="student")
        self.add_cursus_user(user_id, cursus_id, begin_at=self.clock.now_ms() + 10 * DAY)
        return user_id

    @mutation
    def earn_achievement(self, user_id: int, achievement_id: int | None = None) -> int:
        """Count one more success, in a new row or an old one."""
        if achievement_id is None:
            achievement_id = self.achievements.ids[user_id % len(self.achievements)]
        for row in self.achievements_users.of("user_id", user_id):
            if row.achievement_id == achievement_id:
                count = (row.nbr_of_success or 0) + 1
                self.set_fields(self.achievements_users, row.id, False, nbr_of_success=count)
                return row.id
        return self.add_achievements_user(user_id, achievement_id).id

    @mutation
    def delete_user(self, user_id: int) -> None:
        """Delete an account and everything that belongs to it."""
        for name in _CHILDREN:
            table = self.tables[name]
            hidden = [row.id for row in table.hidden.values() if row.user_id == user_id]
            for row_id in [*table.where("user_id", user_id), *hidden]:
                table.remove(row_id)
        self.users.remove(user_id)

    # Coalitions.

    @mutation
    def score_silently(self, coalitions_user_id: int, score: int) -> None:
        """Change a member's score and rank without moving `updated_at`."""
        row = self.coalitions_users[coalitions_user_id]
        gain = score - row.score
        self.set_fields(self.coalitions_users, row.id, True, score=score, rank=row.rank % 500 + 1)
        total = self.coalitions.known(row.coalition_id)
        if total is not None:
            self.set_fields(self.coalitions, total.id, True, score=total.score + gain)

    @mutation
    def delete_coalition_user(self, coalitions_user_id: int) -> None:
        """Delete a membership in a coalition."""
        self.coalitions_users.remove(coalitions_user_id)

    # Anything else.

    @mutation
    def update_row(self, resource: str, row_id: int, silent: bool = False, **fields: Any) -> None:
        """Set fields of any row; times may be datetimes or ISO texts."""
        self.set_fields(self.tables[resource], row_id, silent, **fields)

    @mutation
    def delete_row(self, resource: str, row_id: int) -> None:
        """Delete any row; an account takes its children along."""
        if resource == "users":
            self.delete_user(row_id)
        else:
            self.tables[resource].remove(row_id)

    @mutation
    def hide(self, resource: str, row_id: int) -> None:
        """Stop showing a row; a hidden account is still embedded by its other rows."""
        self.tables[resource].hide(row_id)

    @mutation
    def unhide(self, resource: str, row_id: int) -> None:
        """Show a hidden row again."""
        self.tables[resource].unhide(row_id)

    @mutation
    def unlist_campus(self, campus_id: int) -> None:
        """Take a campus out of the index."""
        self.set_fields(self.campuses, campus_id, True, listed=False)

    @mutation
    def unlist_project(self, project_id: int) -> None:
        """Hide a project from every endpoint; its attempts stay."""
        self.set_fields(self.projects, project_id, True, listed=False)

    def students(self, campus_id: int | None = None) -> list[User]:
        """Return the listed students who are not alumni, by id."""
        found = [
            row
            for row in self.users
            if row.kind == "student" and not row.alumni and not row.anonymised
        ]
        if campus_id is not None:
            found = [row for row in found if self.primary_campus(row.id) == campus_id]
        return sorted(found, key=lambda row: row.id)


def pick(rng: random.Random, rows: list[T], share: float, least: int = 1) -> list[T]:
    """Return a random `share` of `rows`, at least `least` of them."""
    return rng.sample(rows, min(len(rows), max(least, round(len(rows) * share))))
