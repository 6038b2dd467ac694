"""The tables of a world, how rows are added to them by hand, and who may see what."""

from __future__ import annotations

import copy
import threading
from typing import Any, TypeVar

from dev.simulator.clock import DAY, HOUR, Clock, to_ms
from dev.simulator.rows import (
    Achievement,
    AchievementsUser,
    Bloc,
    Campus,
    CampusUser,
    Coalition,
    CoalitionsUser,
    Cursus,
    CursusUser,
    Harsh,
    Location,
    Project,
    ProjectsUser,
    Quest,
    QuestsUser,
    Row,
    Score,
    Skill,
    User,
)
from dev.simulator.tables import Table

R = TypeVar("R", bound=Row)

_HIDDEN_SHARE = 10
_KEPT_VERSIONS = 8


class Store:
    """The rows of a world; every change happens under `lock` and moves `version`."""

    def __init__(self, clock: Clock, harsh: Harsh | None = None) -> None:
        self.clock = clock
        self.harsh = harsh or Harsh()
        self.lock = threading.RLock()
        self.version = 0
        self.cursuses = Table("cursus", Cursus)
        self.campuses = Table("campus", Campus)
        self.projects = Table("projects", Project, "parent_id")
        self.achievements = Table("achievements", Achievement)
        self.blocs = Table("blocs", Bloc)
        self.coalitions = Table("coalitions", Coalition, "bloc_id")
        self.users = Table("users", User, "login")
        self.campus_users = Table("campus_users", CampusUser, "user_id", "campus_id")
        self.cursus_users = Table("cursus_users", CursusUser, "user_id", "cursus_id")
        self.projects_users = Table("projects_users", ProjectsUser, "user_id", "campus_id")
        self.achievements_users = Table("achievements_users", AchievementsUser, "user_id")
        self.coalitions_users = Table("coalitions_users", CoalitionsUser, "user_id", "coalition_id")
        self.skills = Table("skills", Skill)
        self.quests = Table("quests", Quest)
        self.quests_users = Table("quests_users", QuestsUser, "user_id")
        self.locations = Table("locations", Location, "user_id", "campus_id")
        self.scores = Table("scores", Score, "coalition_id")
        self.tables: dict[str, Table[Any]] = {
            table.name: table for table in vars(self).values() if isinstance(table, Table)
        }
        self._versions: dict[int, list[tuple[int, User]]] = {}

    # Who sees what.

    def lists_project(self, row: Project) -> bool:
        """Tell whether any endpoint shows the project."""
        hidden = self.harsh.hidden_projects and row.id % _HIDDEN_SHARE == 0
        return row.listed and row.id in self.projects and not hidden

    def lists_achievement(self, row: Achievement) -> bool:
        """Tell whether any endpoint shows the achievement."""
        hidden = self.harsh.hidden_achievements and row.id % _HIDDEN_SHARE == 0
        return row.listed and row.visible and row.id in self.achievements and not hidden

    def lists_campus(self, row: Campus) -> bool:
        """Tell whether the campus index shows the campus."""
        return row.listed and row.active and row.public and row.id in self.campuses

    def lists_user(self, row: User) -> bool:
        """Tell whether the users endpoints show the account."""
        return row.id in self.users and (self.harsh.show_anonymised or not row.anonymised)

    def nested_user(self, user_id: int, holder_id: int) -> User:
        """Return the user as the row `holder_id` embeds it: maybe a copy of an hour ago."""
        row = self.users.known(user_id)
        if row is None:
            message = f"row {holder_id} belongs to user {user_id}, who does not exist"
            raise LookupError(message)
        versions = self._versions.get(user_id)
        if not (self.harsh.stale_nested and versions):
            return row
        age = (holder_id * 7919 + user_id * 104_729) % HOUR
        moment = self.clock.now_ms() - age
        return next((old for until, old in versions if until > moment), row)

    def primary_campus(self, user_id: int) -> int | None:
        """Return the campus of the user's primary membership, the newest if there are several."""
        primary = [row for row in self.campus_users.of("user_id", user_id) if row.is_primary]
        return max(primary, key=lambda row: row.id).campus_id if primary else None

    # Changing rows.

    def set_fields(self, table: Table[R], row_id: int, silent: bool, **values: object) -> R:
        """Change fields of a row; unless `silent`, `updated_at` moves to now."""
        now = self.clock.now_ms()
        if isinstance(row := table.known(row_id), User):
            self._versions.setdefault(row_id, []).append((now, copy.copy(row)))
            del self._versions[row_id][:-_KEPT_VERSIONS]
        values = times(values)
        if not silent and "updated_at" in table.field_names:
            values.setdefault("updated_at", now)
        self.version += 1
        return table.change(row_id, **values)

    def put(self, table: Table[R], row: R) -> R:
        """Add a row."""
        with self.lock:
            self.version += 1
            return table.add(row)

    # Adding rows by hand, with defaults for what a story does not care about.

    def _defaults(self, table: Table[Any], given: dict[str, Any], **defaults: Any) -> Any:
        now = self.clock.now_ms()
        values = {"id": table.next_id(), **defaults}
        values |= {name: now for name in ("created_at", "updated_at") if name in table.field_names}
        return values | times(given)

    def add_cursus(self, id: int, **given: Any) -> Cursus:  # noqa: A002
        """Add a cursus."""
        values = {"id": id, "name": f"Cursus {id}", "slug": f"cursus-{id}", "kind": "main"}
        return self.put(self.cursuses, Cursus(**self._defaults(self.cursuses, values | given)))

    def add_campus(self, id: int, **given: Any) -> Campus:  # noqa: A002
        """Add a campus; `listed=False` keeps it out of the index."""
        values = {"id": id, "name": f"Campus {id}", "time_zone": "Europe/Paris", "language_id": 1}
        values |= {"country": "France", "city": f"City {id}"}
        return self.put(self.campuses, Campus(**self._defaults(self.campuses, values | given)))

    def add_project(self, id: int | None = None, **given: Any) -> Project:  # noqa: A002
        """Add a project; `listed=False` hides it from every endpoint."""
        number = id or self.projects.next_id()
        values = {"id": number, "name": f"Project {number}", "slug": f"project-{number}"}
        return self.put(self.projects, Project(**self._defaults(self.projects, values | given)))

    def add_achievement(self, id: int | None = None, **given: Any) -> Achievement:  # noqa: A002
        """Add an achievement."""
        number = id or self.achievements.next_id()
        values = {"id": number, "name": f"Feat {number}", "description": "Invented."} | given
        return self.put(self.achievements, Achievement(**self._defaults(self.achievements, values)))

    def add_bloc(self, campus_id: int, cursus_id: int = 21, **given: Any) -> Bloc:
        """Add a bloc."""
        values = {"campus_id": campus_id, "cursus_id": cursus_id, "squad_size": 0}
        return self.put(self.blocs, Bloc(**self._defaults(self.blocs, given, **values)))

    def add_coalition(self, bloc_id: int | None, **given: Any) -> Coalition:
        """Add a coalition to a bloc, or to none."""
        number = given.get("id") or self.coalitions.next_id()
        cdn = f"https://cdn.example.invalid/coalition/{number}"
        values = {"id": number, "name": f"House {number}", "slug": f"house-{number}"}
        values |= {"image_url": f"{cdn}.svg", "cover_url": f"{cdn}_bg.jpg", "color": "#70AF85"}
        values |= {"score": 0, "user_id": 1, "bloc_id": bloc_id}
        return self.put(
            self.coalitions, Coalition(**self._defaults(self.coalitions, given, **values))
        )

    def add_user(
        self,
        id: int | None = None,  # noqa: A002
        *,
        campus_id: int | None = None,
        **given: Any,
    ) -> User:
        """Add an account, with a primary membership when `campus_id` is given."""
        number = id or self.users.next_id()
        login = given.get("login", f"user{number}")
        values = {"id": number, "login": login, "email": f"{login}@student.42.example.invalid"}
        values |= {"first_name": "Ada", "last_name": f"Number{number}", "usual_first_name": None}
        values |= {"usual_full_name": f"Ada Number{number}", "displayname": f"Ada Number{number}"}
        values |= {"phone": "hidden", "kind": "student", "image": f"{number:032x}"}
        values |= {"staff": False, "correction_point": 4, "pool_month": "july"}
        values |= {"pool_year": "2025", "location": None, "wallet": 0, "alumnized_at": None}
        values |= {"anonymize_date": "2029-07-19T00:00:00.000+02:00", "alumni": False}
        values |= {"data_erasure_date": "2029-07-19T00:00:00.000+02:00", "active": True}
        row = self.put(self.users, User(**self._defaults(self.users, values | given)))
        if campus_id is not None:
            self.add_campus_user(row.id, campus_id)
        return row

    def add_campus_user(self, user_id: int, campus_id: int, **given: Any) -> CampusUser:
        """Add a membership in a campus."""
        values = {"user_id": user_id, "campus_id": campus_id, "is_primary": True}
        row = CampusUser(**self._defaults(self.campus_users, given, **values))
        return self.put(self.campus_users, row)

    def add_cursus_user(self, user_id: int, cursus_id: int = 21, **given: Any) -> CursusUser:
        """Add an enrolment, begun yesterday unless told otherwise."""
        values = {"user_id": user_id, "cursus_id": cursus_id, "grade": "Learner", "level": 0.0}
        values |= {"skills": (), "begin_at": self.clock.now_ms() - DAY, "end_at": None}
        values |= {"blackholed_at": None, "has_coalition": True}
        row = CursusUser(**self._defaults(self.cursus_users, given, **values))
        return self.put(self.cursus_users, row)

    def add_projects_user(self, user_id: int, project_id: int, **given: Any) -> ProjectsUser:
        """Add an attempt, in progress unless told otherwise."""
        number = given.get("id") or self.projects_users.next_id()
        values = {"id": number, "user_id": user_id, "project_id": project_id, "occurrence": 0}
        values |= {"cursus_ids": (21,), "campus_id": self.primary_campus(user_id)}
        values |= {"final_mark": None, "status": "in_progress", "validated": None}
        values |= {"current_team_id": number * 2, "marked": False, "marked_at": None}
        values |= {"retriable_at": None}
        row = ProjectsUser(**self._defaults(self.projects_users, given, **values))
        return self.put(self.projects_users, row)

    def add_achievements_user(
        self, user_id: int, achievement_id: int, **given: Any
    ) -> AchievementsUser:
        """Add progress towards an achievement."""
        values = {"user_id": user_id, "achievement_id": achievement_id, "nbr_of_success": 1}
        row = AchievementsUser(**self._defaults(self.achievements_users, given, **values))
        return self.put(self.achievements_users, row)

    def add_coalitions_user(self, user_id: int, coalition_id: int, **given: Any) -> CoalitionsUser:
        """Add a membership in a coalition."""
        values = {"user_id": user_id, "coalition_id": coalition_id, "score": 0, "rank": 1}
        row = CoalitionsUser(**self._defaults(self.coalitions_users, given, **values))
        return self.put(self.coalitions_users, row)

    def add_skill(self, id: int | None = None, **given: Any) -> Skill:  # noqa: A002
        """Add a skill."""
        number = id or self.skills.next_id()
        values = {"id": number, "name": f"Skill {number}", "slug": f"skill-{number}"}
        return self.put(self.skills, Skill(**self._defaults(self.skills, values | given)))

    def add_quest(self, id: int | None = None, **given: Any) -> Quest:  # noqa: A002
        """Add a milestone of cursus 21."""
        number = id or self.quests.next_id()
        values = {"id": number, "name": f"Rank {number}", "slug": f"rank-{number}"}
        values |= {"cursus_id": 21, "campus_id": None, "position": number}
        return self.put(self.quests, Quest(**self._defaults(self.quests, values | given)))

    def add_quests_user(self, user_id: int, quest_id: int, **given: Any) -> QuestsUser:
        """Add a user's milestone, not reached unless told otherwise."""
        values = {"user_id": user_id, "quest_id": quest_id, "end_at": None, "validated_at": None}
        row = QuestsUser(**self._defaults(self.quests_users, given, **values))
        return self.put(self.quests_users, row)

    def add_location(self, user_id: int, campus_id: int, **given: Any) -> Location:
        """Add a session at a computer, begun now and open unless told otherwise."""
        values = {"user_id": user_id, "campus_id": campus_id, "host": "c1r1s1", "primary": True}
        values |= {"begin_at": self.clock.now_ms(), "end_at": None}
        row = Location(**self._defaults(self.locations, given, **values))
        return self.put(self.locations, row)

    def add_score(self, coalition_id: int, value: int, **given: Any) -> Score:
        """Add an entry to the ledger of a coalition."""
        values = {"coalition_id": coalition_id, "value": value, "reason": "Invented."}
        values |= {"coalitions_user_id": None, "calculation_id": None}
        values |= {"scoreable_id": None, "scoreable_type": None}
        row = Score(**self._defaults(self.scores, given, **values))
        return self.put(self.scores, row)


def times(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with every `…_at` as milliseconds and every list as a tuple."""
    turned = {
        name: to_ms(value) if name.endswith("_at") else value for name, value in values.items()
    }
    return {name: tuple(v) if isinstance(v, list) else v for name, v in turned.items()}
