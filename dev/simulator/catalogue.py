"""The reference rows of a world: campuses, cursus, projects, achievements, coalitions."""

from __future__ import annotations

import random

from dev.simulator import names
from dev.simulator.clock import DAY, to_ms
from dev.simulator.reference_shapes import CDN
from dev.simulator.rows import Achievement, Bloc, Campus, Coalition, Cursus, Project
from dev.simulator.store import Store

_FIRST_PROJECT = 1314
_TIERS = ("none", "easy", "medium", "hard", "challenge")
_KINDS = ("project", "social", "pedagogy", "scolarity")


def birth(year: int, day: int = 0) -> int:
    """Return a moment of `year`, `day` days after its first."""
    return (to_ms(f"{year}-01-02T08:45:17.896Z") or 0) + day * DAY


def add_campuses(store: Store, students: dict[int, int]) -> None:
    """Add the campuses, listed or not; `students` tells how many users they count."""
    rows = []
    for number, name, zone, language, country in names.CAMPUSES:
        campus_id = int(number)
        small = campus_id == 61
        domain = name.lower().replace(" ", "")
        rows.append(
            Campus(
                campus_id,
                name,
                zone,
                int(language),
                country,
                name,
                users_count=students.get(campus_id, 0) * 2 + 12,
                vogsphere_id=None if small else campus_id + 7,
                address="" if small else f"{campus_id} Sample Street",
                zip="" if small else f"{campus_id:05}",
                website="" if small else f"https://campus{campus_id}.example.invalid/",
                email_extension=None if small else f"42{domain}.example.invalid",
                default_hidden_phone=campus_id % 5 == 2,
                endpoint=not small,
                created_at=birth(2014 + campus_id // 8),
                updated_at=birth(2024, campus_id),
            )
        )
    rows += [
        Campus(
            campus_id,
            name,
            "Europe/Paris",
            2,
            "France",
            name,
            active=campus_id in {42, 54},
            public=False,
            created_at=birth(2014),
            updated_at=birth(2020),
            listed=False,
        )
        for campus_id, name in names.UNLISTED_CAMPUSES.items()
    ]
    store.campuses.load(rows)


def add_cursuses(store: Store, count: int) -> None:
    """Add the well-known cursus and enough others to make `count`."""
    rows = [Cursus(n, name, slug, kind, birth(y)) for n, name, slug, kind, y in names.CURSUS]
    for number in range(100, 100 + count - len(rows)):
        kind = ("external", "professional_training", "test")[number % 3]
        rows.append(Cursus(number, f"Training {number}", f"training-{number}", kind, birth(2025)))
    store.cursuses.load(rows)


def add_projects(store: Store, rng: random.Random, count: int, others: int) -> None:
    """Add `count` projects of cursus 21 and `others` of other cursus; some are listed nowhere."""
    listed = [row.id for row in store.campuses if row.listed]
    hidden = [row.id for row in store.campuses if not row.listed]
    rows = []
    for number in range(count + others):
        main = number < count
        common = number < len(names.PROJECTS)
        name = names.PROJECTS[number] if common else rng.choice(names.SUBJECTS)
        project_id = _FIRST_PROJECT + number + number // 40
        slug = f"42cursus-{name.lower()}" if common else f"{name}-{number}"
        campuses = listed if common else sorted(rng.sample(listed, min(len(listed), 9)))
        cursus_ids = (21,) if main else ((9,), (1,), (9, 21), (4, 9), (1, 21))[number % 5]
        rows.append(
            Project(
                project_id,
                name.replace("-", " "),
                slug,
                birth(2019, 200 + number % 100),
                birth(2024, number % 300),
                difficulty=None if number % 17 == 3 else number * 42 % 9000,
                exam=name.startswith("Exam"),
                position=number % 7,
                cursus_ids=cursus_ids,
                campus_ids=tuple(campuses + (hidden[:2] if number % 11 == 0 else [])),
                session_campus_ids=(
                    None,
                    *campuses[: number % 3],
                    *(hidden[2:3] if number % 11 == 5 else []),
                ),
                session_cursus_id=1 if number % 13 == 4 else None,
                listed=number % 37 != 36,
            )
        )
    parent = next(row for row in rows if row.name == "Internship I")
    for row in rows:
        if row.name.startswith("Internship I "):
            row.parent_id = parent.id
    store.projects.load(rows)


def add_achievements(store: Store, rng: random.Random, count: int) -> None:
    """Add achievements; some have no campus, stray campus names, or are not visible."""
    listed = [row.id for row in store.campuses if row.listed]
    rows = []
    for number in range(1, count + 1):
        shared = number % 4 == 0
        campuses = listed if shared else sorted(rng.sample(listed, min(len(listed), 2)))
        rows.append(
            Achievement(
                number,
                names.ACHIEVEMENTS[number % len(names.ACHIEVEMENTS)],
                f"Invented description {number}.",
                tier=_TIERS[number % 5],
                kind=_KINDS[number % 4],
                visible=number % 29 != 28,
                image=None if number % 13 == 0 else f"/uploads/achievement/image/{number}/A.svg",
                nbr_of_success=None if number % 3 else number % 40 + 1,
                parent_id=number - 1 if number % 10 == 0 else None,
                title=(number, "Altruist %login") if number % 15 == 0 else None,
                campus_ids=() if number % 19 == 0 else tuple(campuses),
                stray_names=("Fremont", "Hack High School - Fremont ") if shared else (),
                created_at=birth(2016),
                updated_at=birth(2023),
                listed=number % 31 != 30,
            )
        )
    store.achievements.load(rows)


def add_coalitions(store: Store, campus_ids: list[int]) -> None:
    """Add a core and a piscine bloc for each campus, and a coalition that is in no bloc."""
    blocs: list[Bloc] = []
    coalitions: list[Coalition] = []
    for number, campus_id in enumerate(campus_ids):
        for cursus_id in (21, 9):
            bloc = Bloc(
                len(blocs) + 1, campus_id, cursus_id, 0, birth(2021, number), birth(2025, number)
            )
            blocs.append(bloc)
            for house in range(4 if cursus_id == 21 else 3):
                coalitions.append(_coalition(len(coalitions) + 40, house + number % 3, bloc))
    stray = _coalition(len(coalitions) + 45, 1, None)
    store.blocs.load(blocs)
    store.coalitions.load([*coalitions, stray])


def _coalition(number: int, house: int, bloc: Bloc | None) -> Coalition:
    name = names.HOUSES[house % len(names.HOUSES)]
    slug = name.strip().lower().replace(" ", "-")
    base = f"{CDN}/coalition"
    return Coalition(
        number,
        name,
        slug,
        f"{base}/image/{number}/{slug}.svg",
        None if number % 9 == 0 else f"{base}/cover/{number}/{slug}_bg.jpg",
        names.COLORS[house % len(names.COLORS)],
        -120 if number % 10 == 0 else number * 411 % 60_000,
        900_000 + number,
        bloc.id if bloc else None,
        bloc.created_at if bloc else birth(2022),
        listed=bloc is not None,
    )
