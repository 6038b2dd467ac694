"""A world: its rows, its events, and the usual mix of events over a while."""

from __future__ import annotations

import random

from dev.simulator.clock import DAY, HOUR
from dev.simulator.mutations import Mutations, mutation, pick
from dev.simulator.rows import User


class World(Mutations):
    """Everything the simulated API knows."""

    @mutation
    def quiet_quarter(self, rng: random.Random | None = None) -> None:
        """Let a night's quarter of an hour pass: a few people come and go."""
        rng = rng or random.Random(self.version)
        self._movements(rng, self.students(), 0.002)

    @mutation
    def busy_quarter(self, rng: random.Random | None = None) -> None:
        """Let a quarter of an hour of an afternoon pass."""
        rng = rng or random.Random(self.version)
        students = self.students()
        self._movements(rng, students, 0.02)
        for student in pick(rng, students, 0.01):
            self.validate_project(student.id, mark=rng.choice((0, 80, 100, 100, 125, -42)))
        for student in pick(rng, students, 0.004):
            self.earn_achievement(student.id)
        self._silent_scores(rng, 0.01)

    @mutation
    def ordinary_day(self, rng: random.Random | None = None) -> None:
        """Apply what a day brings, all at the present moment of the clock."""
        rng = rng or random.Random(self.version)
        students = self.students()
        self._movements(rng, students, 0.16)
        for student in pick(rng, students, 0.04):
            self.validate_project(student.id, mark=rng.choice((0, 80, 100, 100, 125, -42)))
        for student in pick(rng, students, 0.02):
            self.earn_achievement(student.id)
        self._silent_scores(rng, 0.05)
        self._silent_people(rng, students)
        self._enrolments(rng)
        self._careers(rng, students)

    def _movements(self, rng: random.Random, students: list[User], share: float) -> None:
        for student in pick(rng, students, share):
            seat = f"c{rng.randint(1, 3)}r{rng.randint(1, 9)}s{rng.randint(1, 9)}"
            location = None if student.location else seat
            self.touch_user(student.id, location=location, wallet=student.wallet + 5)

    def _silent_scores(self, rng: random.Random, share: float) -> None:
        for row_id in pick(rng, self.coalitions_users.ids, share):
            score = self.coalitions_users[row_id].score
            self.score_silently(row_id, score + rng.randint(-40, 300))

    def _silent_people(self, rng: random.Random, students: list[User]) -> None:
        for student in pick(rng, students, 0.001):
            self.touch_user(student.id, silent=True, active=not student.active)
        later = (self.clock.now().date().replace(day=1)).isoformat()
        for student in pick(rng, students, 0.012):
            date = f"{int(later[:4]) + 3}{later[4:]}T00:00:00.000+02:00"
            self.touch_user(student.id, silent=True, anonymize_date=date, data_erasure_date=date)
        ongoing = [row.id for row in self.cursus_users if self.ongoing(row)]
        for row_id in pick(rng, ongoing, 0.02):
            self.set_level_silently(row_id, self.cursus_users[row_id].level + rng.random() / 10)

    def _enrolments(self, rng: random.Random) -> None:
        now = self.clock.now_ms()
        future = [row.id for row in self.cursus_users if (row.begin_at or 0) > now]
        for row_id in pick(rng, future, 0.02)[:5]:
            self.unregister(row_id)
        recent = self.cursus_users.updated_between(now - 90 * DAY, now - HOUR)
        for row_id in pick(rng, recent, 0.002)[:5]:
            self.reregister(row_id)
        attempts = self.projects_users.updated_between(now - 30 * DAY, now - HOUR)
        for row_id in pick(rng, attempts, 0.005)[:10]:
            self.recreate_attempt(row_id)

    def _careers(self, rng: random.Random, students: list[User]) -> None:
        chosen = pick(rng, students, 0.004, least=4)
        campus_ids = [row.id for row in self.campuses if self.lists_campus(row)]
        for number, student in enumerate(chosen):
            if number % 4 == 0:
                self.alumnise(student.id)
            elif number % 4 == 1:
                self.anonymise(student.id)
            elif number % 4 == 2:
                self.transfer(student.id, rng.choice(campus_ids))
            else:
                self.new_student(self.primary_campus(student.id) or campus_ids[0])
        self.accept_applicant()
        for row_id in pick(rng, self.coalitions_users.ids, 0.0005):
            self.delete_coalition_user(row_id)

    def main_campus_id(self) -> int | None:
        """Return the listed campus with most members."""
        listed = [row.id for row in self.campuses if self.lists_campus(row)]
        return max(
            listed,
            key=lambda number: len(self.campus_users.where("campus_id", number)),
            default=None,
        )
