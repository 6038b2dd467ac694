from __future__ import annotations

import random

import pytest

from dev.simulator import Simulator


def record(client, path, number):
    (found,) = client.get(path, **{"filter[id]": number}).json()
    return found


def test_validating_a_project_moves_the_attempt_and_silently_the_level(sim, client):
    before = record(client, "/v2/cursus_users", 1010)
    sim.clock.advance(minutes=3)
    attempt = sim.world.validate_project(101, 10, mark=125)
    after = record(client, "/v2/cursus_users", 1010)
    shown = record(client, "/v2/projects_users", attempt)
    assert after["level"] > before["level"]
    assert after["updated_at"] == before["updated_at"]
    assert (shown["final_mark"], shown["status"], shown["validated?"]) == (125, "finished", True)
    assert shown["updated_at"] == "2026-03-02T10:03:00.000Z"


def test_a_retry_keeps_the_old_mark(sim, client):
    attempt = sim.world.validate_project(101, 10, mark=0)
    sim.world.retry_project(attempt)
    shown = record(client, "/v2/projects_users", attempt)
    assert (shown["status"], shown["occurrence"]) == ("in_progress", 1)
    assert (shown["final_mark"], shown["marked"], shown["validated?"]) == (0, True, False)
    assert [team["final_mark"] for team in shown["teams"]] == [0, None]


def test_enrolments_vanish_and_come_back_under_a_new_id(sim, client):
    new = sim.world.reregister(1010)
    assert client.ids("/v2/cursus_users", **{"filter[id]": f"1010,{new}"}) == [new]
    sim.world.unregister(new)
    assert client.ids("/v2/cursus_users", **{"filter[user_id]": 101}) == []
    assert client.get(f"/v2/cursus_users/{new}").status_code == 404


def test_a_recreated_attempt_has_a_new_id_and_touches_the_enrolment(sim, client):
    old = sim.world.validate_project(101, 10)
    sim.clock.advance(minutes=1)
    new = sim.world.recreate_attempt(old)
    assert new > old
    assert client.ids("/v2/projects_users", **{"filter[user_id]": 101}) == [new]
    assert record(client, "/v2/cursus_users", 1010)["updated_at"] == "2026-03-02T10:01:00.000Z"


def test_an_anonymised_account_is_embedded_but_not_listed(sim, client):
    before = record(client, "/v2/users", 101)
    sim.clock.advance(minutes=1)
    login = sim.world.anonymise(101)
    assert login.startswith("3b3-")
    assert 101 not in client.ids("/v2/users")
    assert 101 not in client.ids("/v2/cursus/21/users")
    assert client.get("/v2/users/101").status_code == 404
    embedded = record(client, "/v2/cursus_users", 1010)["user"]
    assert embedded["login"] == login
    assert embedded["updated_at"] > before["updated_at"]
    assert before["last_name"] not in str(embedded)
    assert before["email"] not in str(embedded)
    sim.harsh.show_anonymised = True
    assert 101 in client.ids("/v2/users")


def test_an_alumnus_loses_his_dates_of_erasure(sim, client):
    sim.world.alumnise(101)
    shown = record(client, "/v2/users", 101)
    assert (shown["alumni?"], shown["anonymize_date"]) == (True, None)
    assert shown["alumnized_at"] == "2026-03-02T10:00:00.000Z"
    assert client.ids("/v2/users", **{"filter[alumni?]": "true"}) == [101]
    sim.world.unalumnise(101)
    assert client.ids("/v2/users", **{"filter[alumni?]": "true"}) == []


def test_a_transfer_moves_memberships_but_not_the_user(sim, client):
    before = record(client, "/v2/users", 101)
    sim.clock.advance(minutes=1)
    sim.world.transfer(101, 2)
    rows = client.get("/v2/campus_users", **{"filter[user_id]": 101}).json()
    assert {row["campus_id"]: row["is_primary"] for row in rows} == {1: False, 2: True}
    assert {row["updated_at"] for row in rows} == {"2026-03-02T10:01:00.000Z"}
    assert record(client, "/v2/users", 101) == before
    assert 1010 not in client.ids("/v2/cursus_users", **{"filter[campus_id]": 1})
    assert client.ids("/v2/cursus_users", **{"filter[campus_id]": 2}) == [1010]
    assert client.ids("/v2/users", **{"filter[primary_campus_id]": 2}) == [101]


def test_attempts_match_their_campus_or_any_membership(sim, client):
    attempt = sim.world.validate_project(101, 10)
    sim.world.transfer(101, 2)
    for campus in ("1", "2", "1,2"):
        assert client.ids("/v2/projects_users", **{"filter[campus]": campus}) == [attempt]
    assert client.ids("/v2/projects_users", **{"filter[campus]": 3}) == []


def test_the_cursus_filter_of_attempts_looks_into_their_list(sim, client):
    both = sim.world.add_projects_user(101, 10, cursus_ids=[1, 21]).id
    old = sim.world.add_projects_user(102, 10, cursus_ids=[1]).id
    assert client.ids("/v2/projects_users", **{"filter[cursus]": 21}) == [both]
    sim.harsh.ignore_cursus_filter = True
    assert client.ids("/v2/projects_users", **{"filter[cursus]": 21}) == [both, old]


def test_enrolment_filters_know_begin_and_end(sim, client):
    now = sim.clock.now_ms()
    sim.world.update_row("cursus_users", 1010, end_at=now - 1000)
    sim.world.update_row("cursus_users", 1020, begin_at=now + 60_000, end_at=None)
    assert client.ids("/v2/cursus_users", **{"filter[end]": "true"}) == [1010]
    assert client.ids("/v2/cursus_users", **{"filter[future]": "true"}) == [1020]
    sim.clock.advance(minutes=2)
    assert client.ids("/v2/cursus_users", **{"filter[future]": "true"}) == []


def test_coalition_scores_change_without_a_trace(sim, client):
    bloc = sim.world.add_bloc(1)
    house = sim.world.add_coalition(bloc.id)
    member = sim.world.add_coalitions_user(101, house.id)
    before = record(client, "/v2/coalitions_users", member.id)
    sim.clock.advance(minutes=1)
    sim.world.score_silently(member.id, 77)
    after = record(client, "/v2/coalitions_users", member.id)
    assert (after["score"], after["updated_at"]) == (77, before["updated_at"])
    assert client.get("/v2/blocs").json()[0]["coalitions"][0]["score"] == 77
    sim.world.delete_coalition_user(member.id)
    assert client.ids("/v2/coalitions_users") == []


def test_users_change_silently_or_not(sim, client):
    before = record(client, "/v2/users", 101)["updated_at"]
    sim.clock.advance(minutes=1)
    sim.world.touch_user(101, silent=True, active=False)
    assert record(client, "/v2/users", 101)["updated_at"] == before
    sim.world.touch_user(101, wallet=-250)
    shown = record(client, "/v2/users", 101)
    assert (shown["wallet"], shown["active?"]) == (-250, False)
    assert shown["updated_at"] > before


def test_an_applicant_becomes_a_student_before_his_cursus_begins(sim, client):
    sim.world.update_row("users", 101, kind="external")
    assert sim.world.accept_applicant() == 101
    assert record(client, "/v2/users", 101)["kind"] == "student"
    begins = client.get("/v2/cursus_users", **{"filter[user_id]": 101, "filter[future]": "true"})
    assert len(begins.json()) == 1


def test_earning_counts_up(sim, client):
    feat = sim.world.add_achievement(5).id
    first = sim.world.earn_achievement(101, feat)
    assert sim.world.earn_achievement(101, feat) == first
    assert record(client, "/v2/achievements_users", first)["nbr_of_success"] == 2


def test_a_hidden_row_is_nowhere_until_it_is_back(sim, client):
    sim.world.hide("cursus_users", 1010)
    assert 1010 not in client.ids("/v2/cursus_users")
    assert client.get("/v2/cursus_users/1010").status_code == 404
    assert 101 not in client.ids("/v2/cursus/21/users")
    sim.world.unhide("cursus_users", 1010)
    assert 1010 in client.ids("/v2/cursus_users")


def test_a_deleted_user_takes_his_rows_along(sim, client):
    sim.world.delete_row("users", 101)
    for path in ("/v2/users", "/v2/cursus_users", "/v2/campus_users"):
        assert len(client.ids(path)) == 2


def test_unlisting(sim, client):
    sim.world.unlist_campus(1)
    sim.world.unlist_project(10)
    assert client.ids("/v2/campus") == [2]
    assert client.ids("/v2/projects") == []


def test_an_unknown_field_is_refused(sim):
    with pytest.raises(ValueError, match="no field colour"):
        sim.world.update_row("users", 101, colour="blue")
    assert 101 in sim.world.users


def test_nested_users_may_be_an_hour_old(sim, client):
    sim.harsh.stale_nested = True
    sim.clock.advance(minutes=20)
    sim.world.touch_user(101, wallet=99)
    enrolment = record(client, "/v2/cursus_users", 1010)
    assert enrolment["user"]["wallet"] == 0
    assert record(client, "/v2/users", 101)["wallet"] == 99
    sim.clock.advance(hours=1)
    assert record(client, "/v2/cursus_users", 1010)["user"]["wallet"] == 99


def test_harsh_pages_dates_and_catalogues(sim, client):
    sim.harsh.page_cap = 2
    answer = client.get("/v2/users", per_page=100)
    assert (len(answer.json()), answer.headers["X-Per-Page"]) == (2, "2")
    sim.harsh.late_date = 40
    assert client.get("/v2/users").headers["Date"] == "Mon, 02 Mar 2026 10:00:40 GMT"
    sim.harsh.hidden_projects = True
    assert client.ids("/v2/projects") == []
    sim.harsh.gzip = True
    assert client.get("/v2/users").headers["Content-Encoding"] == "gzip"
    assert client.ids("/v2/users")


def test_worlds_depend_on_nothing_but_seed_and_clock():
    first, second = (Simulator("campus", seed=3, students=50).world for _ in range(2))
    other = Simulator("campus", seed=4, students=50).world
    for name, table in first.tables.items():
        assert table.rows == second.tables[name].rows
    assert first.users.rows != other.users.rows


def test_a_campus_has_all_kinds_of_people_and_attempts(shared):
    world = shared.sim.world
    now = world.clock.now_ms()
    users, enrolments, attempts = (
        list(t) for t in (world.users, world.cursus_users, world.projects_users)
    )
    assert {row.kind for row in users} == {"student", "external", "admin"}
    for found in (
        [row for row in users if row.alumni],
        [row for row in users if row.anonymised],
        [row for row in users if row.image is None],
        [row for row in users if row.wallet < 0],
        [row for row in enrolments if row.begin_at > now],
        [row for row in enrolments if row.cursus_id == 1],
        [row for row in enrolments if row.blackholed_at and row.blackholed_at < now],
        [row for row in attempts if row.occurrence and row.status == "in_progress"],
    ):
        assert found
    assert {125, -42, 0, None} <= {row.final_mark for row in attempts}
    assert len({row.status for row in attempts}) == 7
    assert len(world.students(67)) >= 200


@pytest.mark.parametrize("name", ["quiet_quarter", "busy_quarter", "ordinary_day"])
def test_a_while_changes_the_world_the_same_way_for_the_same_dice(name):
    worlds = [Simulator("campus", seed=3, students=100).world for _ in range(2)]
    before = {name: dict(table.rows) for name, table in worlds[0].tables.items()}
    before = {name: repr(rows) for name, rows in before.items()}
    for world in worlds:
        world.clock.advance(minutes=15)
        getattr(world, name)(random.Random(5))
    after = {name: repr(dict(table.rows)) for name, table in worlds[0].tables.items()}
    assert after != before
    assert after == {name: repr(dict(table.rows)) for name, table in worlds[1].tables.items()}
