"""The rows of a simulated world, as the upstream's database has them.

Times are integers of milliseconds (see `clock`). Slots and plain integers keep a world of over a
million attempts in well under a gigabyte; what the API only derives (addresses, teams, nested
copies) is made when a row is shown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Cursus:
    """A curriculum."""

    id: int
    name: str
    slug: str
    kind: str
    created_at: int


@dataclass(slots=True)
class Campus:
    """A campus; an unlisted one is referenced by rows and missing from the index."""

    id: int
    name: str
    time_zone: str
    language_id: int
    country: str
    city: str
    users_count: int = 0
    vogsphere_id: int | None = None
    address: str = ""
    zip: str = ""
    website: str = ""
    facebook: str = ""
    twitter: str = ""
    active: bool = True
    public: bool = True
    email_extension: str | None = None
    default_hidden_phone: bool = False
    endpoint: bool = True
    created_at: int = 0
    updated_at: int = 0
    listed: bool = True


@dataclass(slots=True)
class Project:
    """A subject; an unlisted one exists only in the attempts that mention it."""

    id: int
    name: str
    slug: str
    created_at: int
    updated_at: int
    difficulty: int | None = 0
    parent_id: int | None = None
    exam: bool = False
    git_id: int | None = None
    repository: str | None = None
    position: int = 0
    cursus_ids: tuple[int, ...] = (21,)
    campus_ids: tuple[int, ...] = ()
    session_campus_ids: tuple[int | None, ...] = (None,)
    session_cursus_id: int | None = None
    """The cursus of its sessions where that is none of its own."""
    listed: bool = True


@dataclass(slots=True)
class Achievement:
    """An achievement; `stray_names` are campus names no campus index knows."""

    id: int
    name: str
    description: str
    tier: str = "none"
    kind: str = "project"
    visible: bool = True
    image: str | None = None
    nbr_of_success: int | None = None
    parent_id: int | None = None
    title: tuple[int, str] | None = None
    campus_ids: tuple[int, ...] = ()
    stray_names: tuple[str, ...] = ()
    created_at: int = 0
    updated_at: int = 0
    listed: bool = True


@dataclass(slots=True)
class Bloc:
    """The coalitions of one campus in one cursus."""

    id: int
    campus_id: int
    cursus_id: int
    squad_size: int
    created_at: int
    updated_at: int


@dataclass(slots=True)
class Coalition:
    """A coalition; an unlisted one belongs to no bloc."""

    id: int
    name: str
    slug: str
    image_url: str
    cover_url: str | None
    color: str
    score: int
    user_id: int
    bloc_id: int | None
    created_at: int
    listed: bool = True


@dataclass(slots=True)
class User:
    """An account; `image` is the key of its picture."""

    id: int
    login: str
    email: str
    first_name: str
    last_name: str
    usual_full_name: str
    usual_first_name: str | None
    phone: str | None
    displayname: str
    kind: str
    image: str | None
    staff: bool
    correction_point: int
    pool_month: str | None
    pool_year: str | None
    location: str | None
    wallet: int
    anonymize_date: str | None
    data_erasure_date: str | None
    created_at: int
    updated_at: int
    alumnized_at: int | None
    alumni: bool
    active: bool

    @property
    def anonymised(self) -> bool:
        """Tell whether the person behind the account is erased."""
        return self.login.startswith("3b3-")


@dataclass(slots=True)
class CampusUser:
    """A user's membership in a campus."""

    id: int
    user_id: int
    campus_id: int
    is_primary: bool
    created_at: int
    updated_at: int


@dataclass(slots=True)
class CursusUser:
    """An enrolment; `skills` are pairs of skill id and level."""

    id: int
    user_id: int
    cursus_id: int
    grade: str | None
    level: float
    skills: tuple[tuple[int, float], ...]
    begin_at: int | None
    end_at: int | None
    blackholed_at: int | None
    has_coalition: bool
    created_at: int
    updated_at: int


@dataclass(slots=True)
class ProjectsUser:
    """A user's attempts at a project; `campus_id` is where, which the API never shows."""

    id: int
    user_id: int
    project_id: int
    cursus_ids: tuple[int, ...]
    campus_id: int | None
    occurrence: int
    final_mark: int | None
    status: str
    validated: bool | None
    current_team_id: int | None
    marked: bool
    marked_at: int | None
    retriable_at: int | None
    created_at: int
    updated_at: int


@dataclass(slots=True)
class AchievementsUser:
    """A user's progress towards an achievement."""

    id: int
    user_id: int
    achievement_id: int
    nbr_of_success: int | None
    created_at: int
    updated_at: int


@dataclass(slots=True)
class CoalitionsUser:
    """A user's membership in a coalition."""

    id: int
    user_id: int
    coalition_id: int
    score: int
    rank: int
    created_at: int
    updated_at: int


@dataclass(slots=True)
class Skill:
    """What enrolments have levels in."""

    id: int
    name: str
    slug: str
    created_at: int


@dataclass(slots=True)
class Quest:
    """A milestone."""

    id: int
    name: str
    slug: str
    cursus_id: int
    campus_id: int | None
    position: int
    created_at: int
    updated_at: int
    kind: str = "main"
    internal_name: str | None = None
    description: str = "Invented."
    grade_id: int | None = None


@dataclass(slots=True)
class QuestsUser:
    """A user's milestone."""

    id: int
    quest_id: int
    user_id: int
    end_at: int | None
    validated_at: int | None
    created_at: int
    updated_at: int
    prct: float | None = None
    advancement: str | None = None


@dataclass(slots=True)
class Location:
    """A session at a computer; open while it has no end."""

    id: int
    user_id: int
    campus_id: int
    host: str
    primary: bool | None
    begin_at: int
    end_at: int | None


@dataclass(slots=True)
class Score:
    """An entry in the ledger of a coalition."""

    id: int
    coalition_id: int
    coalitions_user_id: int | None
    calculation_id: int | None
    scoreable_id: int | None
    scoreable_type: str | None
    value: int
    reason: str
    created_at: int
    updated_at: int


@dataclass(slots=True)
class Harsh:
    """Switches that make the API nastier than it has to be."""

    stale_nested: bool = False
    """Nested users are copies of up to an hour ago."""
    late_date: int = 0
    """`Date` is this many seconds later than the data."""
    page_cap: int | None = None
    """Pages never hold more than this, whatever is asked."""
    ignore_cursus_filter: bool = False
    """`filter[cursus]` on projects_users does nothing."""
    hidden_projects: bool = False
    """Every tenth project is listed nowhere."""
    hidden_achievements: bool = False
    """Every tenth achievement is listed nowhere."""
    show_anonymised: bool = False
    """The users endpoints show anonymised accounts."""
    gzip: bool = False
    """Bodies are compressed for clients that accept it."""


Row = (
    Cursus
    | Campus
    | Project
    | Achievement
    | Bloc
    | Coalition
    | User
    | CampusUser
    | CursusUser
    | ProjectsUser
    | AchievementsUser
    | CoalitionsUser
    | Skill
    | Quest
    | QuestsUser
    | Location
    | Score
)
