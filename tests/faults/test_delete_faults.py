"""What is gone leaves a tombstone, and nothing else ever does."""

from __future__ import annotations

import re

import pytest

from intra42.attempt.work import Identity
from intra42.errors import DeleteRefused, Intra42Error, NoWitness
from intra42.verify import refresh
from tests.faults.pages import EVERYBODY, PLACES, SIZE, hundred
from tests.harness import INCREMENTAL, NIGHTLY
from tests.integration.mirror import worlds
from tests.integration.mirror.test_checkpoints import Killed
from tests.integration.mirror.test_deletes import by_id, enrolments

# A student's number to the ids of his rows, but for his memberships, which were numbered in turn.
TIMES = {
    "cursus_users": 10,
    "projects_users": 100,
    "achievements_users": 1000,
    "coalitions_users": 10_000,
}
CHILDREN = ("campus_users", *TIMES)
ALL = {number * 10 for number in EVERYBODY}


@pytest.fixture
def mirror(loaded):
    """A hundred students whose enrolments are asked for in three requests, one page each."""
    return loaded(hundred, campus_ids=[1], refresh_chunk_size=SIZE, nightly_audit_requests=0)


def row_of(mirror, table, number):
    [row] = mirror.sim.world.tables[table].of("user_id", number)
    return row.id


def graves(mirror, table="cursus_users"):
    """Return what was deleted and is not back."""
    return {
        row[0]
        for row in mirror.query(
            "select id from intra42.tombstones where resource = %s and restored_at is null", table
        )
    }


def at(place):
    """Return how many requests by id come before that of the place."""
    return list(PLACES).index(place)


def asks_for(row_id):
    """Return what tells a request by id that is also about one row."""
    return lambda request: str(row_id) in request.query.get("filter[id]", "").split(",")


@pytest.mark.parametrize("table", CHILDREN, ids=lambda table: f"X1 {table}")
def test_fifty_rows_that_are_gone_leave_fifty_tombstones(mirror, table):
    mirror.config |= {"nightly_audit_requests": 120, "max_delete_rows": 50}
    gone = {row_of(mirror, table, number) for number in EVERYBODY[::2]}
    for row_id in gone:
        mirror.sim.world.delete_row(table, row_id)
    mirror.nightly()
    mirror.nightly()
    assert graves(mirror, table) == gone
    assert mirror.value("select count(*) from intra42.tombstones") == len(gone)
    assert mirror.differences() == []


TIMES_HIDDEN = [
    *(pytest.param(n, [place], id=f"X2 {n} on the {place}") for n in (1, 2) for place in PLACES),
    pytest.param(5, list(PLACES), id="X2 5 on every page"),
]


@pytest.mark.parametrize(("runs", "places"), TIMES_HIDDEN)
def test_a_row_that_one_answer_of_each_run_lacks_is_never_deleted(mirror, runs, places):
    for _ in range(runs):
        hidden = [
            mirror.sim.faults.add(
                "missing_row",
                "/v2/cursus_users",
                when=asks_for(PLACES[place][-1] * 10),
                id=PLACES[place][-1] * 10,
            )
            for place in places
        ]
        mirror.incremental()
        assert all(fault.hits == 1 for fault in hidden)
        mirror.sim.clock.advance(minutes=15)
    assert enrolments(mirror) == ALL
    assert mirror.query("select 1 from intra42.tombstones") == []
    assert mirror.differences() == []


@pytest.mark.parametrize(("lists", "places"), TIMES_HIDDEN)
def test_a_change_that_lists_do_not_show_for_a_while_is_found_by_the_next_night(
    mirror, lists, places
):
    for number in EVERYBODY:
        mirror.sim.world.update_row("projects_users", number * 100, final_mark=50)
    for place in places:
        mirror.sim.faults.add(
            "missing_row", "/v2/projects_users", times=None, id=PLACES[place][0] * 100
        )
    for number in range(lists):
        # Somebody else's attempt takes the watermark along.
        mirror.sim.world.update_row("projects_users", 15_000, occurrence=number)
        mirror.incremental()
        mirror.sim.clock.advance(hours=1)
    unchanged = mirror.query("select id from intra42.projects_users where final_mark is null")
    assert len(unchanged) == len(places)
    mirror.sim.faults.clear()
    mirror.nightly()
    assert mirror.query("select 1 from intra42.tombstones") == []
    assert mirror.differences() == []


@pytest.mark.parametrize(
    ("table", "nights", "audited"),
    [
        pytest.param("cursus_users", 5, 0, id="X2 5 nights, enrolments"),
        pytest.param("projects_users", 2, 120, id="X2 2 nights, attempts"),
        pytest.param("achievements_users", 1, 120, id="X2 1 night, achievements"),
    ],
)
def test_rows_that_are_hidden_for_nights_come_back_whole(mirror, table, nights, audited):
    mirror.config["nightly_audit_requests"] = audited
    rows = {row_of(mirror, table, numbers[0]) for numbers in PLACES.values()}
    for row_id in rows:
        mirror.sim.world.hide(table, row_id)
    for _ in range(nights):
        mirror.nightly()
        assert graves(mirror, table) == rows
        mirror.sim.clock.advance(hours=24)
    for row_id in rows:
        mirror.sim.world.unhide(table, row_id)
    mirror.nightly()
    assert graves(mirror, table) == set()
    assert mirror.value("select count(*) from intra42.tombstones") == len(rows)
    assert mirror.differences() == []


@pytest.mark.parametrize("look", [*PLACES, "second look"])
@pytest.mark.parametrize("status", ["403", "404", "500"], ids=lambda status: f"X3 {status}")
def test_an_error_by_id_is_red_and_no_proof(mirror, status, look):
    gone = PLACES.get(look, EVERYBODY)[-1] * 10
    mirror.sim.world.unregister(gone)
    skip = len(PLACES) if look == "second look" else at(look)
    times = 4 if status == "500" else 1  # as often as it is asked
    mirror.sim.faults.add(status, "/v2/cursus_users", times=times, when=by_id, skip=skip)
    with pytest.raises(Intra42Error, match=status):
        mirror.incremental()
    assert enrolments(mirror) == ALL
    assert graves(mirror) == set()
    mirror.sim.faults.clear()
    mirror.incremental()
    assert graves(mirror) == {gone}
    assert mirror.differences() == []


NOTHING = {
    "an empty list": ("empty_page", {"consistent": True}),
    "an empty page": ("empty_page", {}),
    "HTML": ("html_200", {}),
    "one row too few": ("short_page", {}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", NOTHING, ids=lambda what: f"X4 {what}")
def test_an_answer_by_id_that_is_no_answer_deletes_nothing(mirror, what, place):
    """All requests that ask for one of the rows fare so, whatever else they ask for."""
    kind, options = NOTHING[what]
    gone = PLACES[place][0] * 10
    mirror.sim.world.unregister(gone)
    mirror.sim.faults.add(
        kind, "/v2/cursus_users", times=None, when=asks_for(PLACES[place][5] * 10), **options
    )
    with pytest.raises(Intra42Error):
        mirror.incremental()
    assert enrolments(mirror) == ALL
    assert graves(mirror) == set()
    mirror.sim.faults.clear()
    mirror.incremental()
    assert graves(mirror) == {gone}
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES)
def test_x4_one_empty_list_is_asked_for_again_beside_a_witness(mirror, place):
    gone = PLACES[place][0] * 10
    mirror.sim.world.unregister(gone)
    mirror.sim.faults.add(
        "empty_page", "/v2/cursus_users", when=by_id, skip=at(place), consistent=True
    )
    mirror.incremental()
    assert graves(mirror) == {gone}
    assert mirror.differences() == []


@pytest.mark.parametrize("what", NOTHING, ids=lambda what: f"X4 {what}")
def test_a_second_answer_by_id_that_is_no_answer_deletes_nothing(mirror, what):
    kind, options = NOTHING[what]
    mirror.sim.world.unregister(1010)
    mirror.sim.faults.add(
        kind, "/v2/cursus_users", times=None, when=by_id, skip=len(PLACES), **options
    )
    with pytest.raises(Intra42Error):
        mirror.nightly()
    assert enrolments(mirror) == ALL
    assert graves(mirror) == set()


@pytest.mark.parametrize("table", CHILDREN, ids=lambda table: f"X4 {table}")
def test_an_audit_that_finds_nothing_by_id_deletes_nothing(mirror, table):
    mirror.config["nightly_audit_requests"] = 120
    mirror.sim.world.delete_row(table, row_of(mirror, table, 150))
    before = mirror.query(f"select id from intra42.{table} order by id")
    mirror.sim.faults.add("empty_page", f"/v2/{table}", times=None, when=by_id, consistent=True)
    with pytest.raises(NoWitness):
        mirror.nightly()
    assert mirror.query(f"select id from intra42.{table} order by id") == before
    assert mirror.query("select 1 from intra42.tombstones") == []


THIRDS = {"first third": 0, "middle third": 33, "last third": 67}


@pytest.mark.parametrize(
    ("third", "audited"),
    [*((third, 0) for third in THIRDS), ("middle third", 120)],
    ids=lambda value: f"X5 the {value}" if value in THIRDS else f"{value} audited",
)
def test_a_third_of_the_students_unregistered_at_once_waits_for_a_person(mirror, third, audited):
    mirror.config["nightly_audit_requests"] = audited
    gone = {number * 10 for number in EVERYBODY[THIRDS[third] :][:33]}
    for row_id in gone:
        mirror.sim.world.unregister(row_id)
    for dag in (NIGHTLY, INCREMENTAL):
        with pytest.raises(DeleteRefused, match=r"33 of \d+ rows asked for are gone; at most 20 "):
            mirror.run(dag)
        assert enrolments(mirror) == ALL
        assert mirror.query("select 1 from intra42.tombstones") == []
    mirror.nightly(allow_mass_delete=True)
    assert graves(mirror) == gone
    assert mirror.differences() == []
    # Allowed once is not allowed for ever.
    for row_id in sorted(ALL - gone)[:33]:
        mirror.sim.world.unregister(row_id)
    with pytest.raises(DeleteRefused):
        mirror.incremental()
    assert graves(mirror) == gone


@pytest.mark.parametrize("third", THIRDS, ids=lambda third: f"X5 the {third}")
def test_a_third_of_the_accounts_gone_at_once_waits_for_a_person(mirror, third):
    gone = set(EVERYBODY[THIRDS[third] :][:33])
    for number in gone:
        mirror.sim.world.delete_user(number)
    with pytest.raises(DeleteRefused):
        mirror.nightly()
    assert enrolments(mirror) == ALL
    assert mirror.value("select count(*) from intra42.users") == 100
    mirror.nightly(allow_mass_delete=True)
    assert graves(mirror, "users") == gone
    mirror.once_in -= gone
    assert mirror.differences() == []


def recreate(world, table, row):
    """Delete a row and make it again for the same pair under a new id."""
    if table == "cursus_users":
        return world.reregister(row.id)
    if table == "projects_users":
        return world.recreate_attempt(row.id)
    world.delete_row(table, row.id)
    other = {
        "campus_users": lambda: world.add_campus_user(row.user_id, row.campus_id),
        "achievements_users": lambda: world.add_achievements_user(row.user_id, row.achievement_id),
        "coalitions_users": lambda: world.add_coalitions_user(row.user_id, row.coalition_id),
    }[table]()
    return other.id


@pytest.mark.parametrize("table", CHILDREN, ids=lambda table: f"X6 {table}")
def test_rows_made_again_under_new_ids_replace_the_old_ones(mirror, table):
    mirror.config["nightly_audit_requests"] = 120
    rows = mirror.sim.world.tables[table]
    old = [row_of(mirror, table, numbers[3]) for numbers in PLACES.values()]
    new = {recreate(mirror.sim.world, table, rows[row_id]) for row_id in old}
    mirror.incremental()
    assert new <= {row[0] for row in mirror.query(f"select id from intra42.{table}")}
    mirror.nightly()
    assert graves(mirror, table) == set(old)
    assert mirror.differences() == []


@pytest.mark.parametrize("heir", [190, 201], ids=["a student of ours", "somebody out of scope"])
@pytest.mark.parametrize("table", CHILDREN, ids=lambda table: f"X7 {table}")
def test_an_id_that_now_belongs_to_somebody_else_ends_at_the_truth(mirror, table, heir):
    mirror.config["nightly_audit_requests"] = 120
    world = mirror.sim.world
    row_id = row_of(mirror, table, 101)
    row = world.tables[table].remove(row_id)
    row.user_id = heir
    row.updated_at = row.created_at = world.clock.now_ms()
    world.put(world.tables[table], row)
    mirror.incremental()
    mirror.nightly()
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"X8 at the {place}")
def test_rows_deleted_while_their_turn_comes_are_gone_and_no_others(mirror, place):
    """One was asked for before, one is just being asked for, one will be."""
    leaving = {numbers[7] * 10 for numbers in PLACES.values()}

    def leave(world):
        for row_id in leaving:
            world.unregister(row_id)

    mirror.sim.faults.add(
        "between_pages", "/v2/cursus_users", when=by_id, skip=at(place), hook=leave
    )
    mirror.incremental()
    missed = {numbers[7] * 10 for numbers in list(PLACES.values())[: at(place)]}
    assert graves(mirror) == leaving - missed
    assert enrolments(mirror) == ALL - leaving | missed
    mirror.nightly()
    assert graves(mirror) == leaving
    assert mirror.differences() == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"X8 at the {place}")
def test_rows_that_come_back_before_the_second_look_stay(mirror, place):
    back = {numbers[7] * 10 for numbers in PLACES.values()}
    for row_id in back:
        mirror.sim.world.hide("cursus_users", row_id)
    gone = PLACES[place][8] * 10
    mirror.sim.world.unregister(gone)

    def come_back(world):
        for row_id in back:
            world.unhide("cursus_users", row_id)

    mirror.sim.faults.add(
        "between_pages", "/v2/cursus_users", when=by_id, skip=len(PLACES), hook=come_back
    )
    mirror.nightly()
    assert graves(mirror) == {gone}
    assert mirror.differences() == []


def armed(step, kill):
    """Return the step of a task that ends once it has an answer, or when it begins to delete."""

    def deadly(work):
        get, fetch = work.client.get, work.fetch

        def asked(path, params, **options):
            answer = get(path, params, **options)
            if kill == "answered":
                raise Killed
            return answer

        def fetched(statement, **values):
            if kill == "deletes" and statement == "absence/lock":
                raise Killed
            return fetch(statement, **values)

        work.client.get, work.fetch = asked, fetched
        return step(work)

    return deadly


def sweep(mirror, victim, kill):
    """Refresh as Airflow does, task by task; the victim is killed and tried again by itself."""
    killed = []

    def task(name, step):
        who = Identity(dag_id=INCREMENTAL, run_id="sweep", task_id=f"refresh_ongoing.{name}")
        if name == victim:
            with pytest.raises(Killed):
                mirror.task(who, {}, "cursus_users", armed(step, kill))
            killed.append(name)
            mirror.sim.clock.advance(minutes=5)
            mirror.sim.faults.clear()
        return mirror.task(who, {}, "cursus_users", step)

    # A chunk a task, as where 2 requests a second are allowed.
    chunks = [chunk for group in task("plan", refresh.plan_chunks) for chunk in group]
    for number, chunk in enumerate(chunks):
        task(f"refetch{number}", lambda work, chunk=chunk: refresh.refetch(work, [chunk]))
    task("delete_missing", refresh.delete_missing)
    assert killed == [victim]


@pytest.mark.parametrize(
    ("victim", "kill"),
    [("refetch", "answered"), ("delete_missing", "answered"), ("delete_missing", "deletes")],
    ids=["first look", "second look", "delete"],
)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"X9 {place}")
def test_a_refresh_that_was_killed_and_goes_on_buries_nobody_alive(mirror, victim, kill, place):
    """Until the kill the API hides a row everywhere; afterwards it shows it again."""
    mirror.incremental()
    hidden, gone = (number * 10 for number in PLACES[place][:2])
    mirror.sim.world.unregister(gone)
    mirror.sim.faults.add("missing_row", "/v2/cursus_users", times=None, id=hidden)
    sweep(mirror, f"refetch{at(place)}" if victim == "refetch" else victim, kill)
    assert graves(mirror) == {gone}
    assert enrolments(mirror) == ALL - {gone}
    assert mirror.differences() == []


ORPHANS = {
    "users": lambda world: world.hide("users", 150),
    "projects": lambda world: world.unlist_project(11),
    "achievements": lambda world: world.update_row("achievements", 11, silent=True, listed=False),
    "coalitions": lambda world: world.update_row("coalitions", 12, silent=True, listed=False),
    "campus": lambda world: world.unlist_campus(1),
}


@pytest.mark.parametrize("parent", ORPHANS, ids=lambda parent: f"X10 {parent}")
def test_a_parent_that_is_gone_takes_no_children_along(mirror, parent):
    mirror.config["nightly_audit_requests"] = 120
    children = [f"select id from intra42.{name} order by id" for name in CHILDREN]
    before = [mirror.query(text) for text in children]
    mirror.sim.world.update_row("coalitions_users", 1_050_000, coalition_id=12)
    ORPHANS[parent](mirror.sim.world)
    for _ in range(2):
        mirror.nightly()
    assert [mirror.query(text) for text in children] == before
    buried = "select 1 from intra42.tombstones where resource = any(%s)"
    assert mirror.query(buried, ["users", *CHILDREN]) == []
    # Of a coalition that no bloc lists, the API does not say whose it is: we know from before.
    unsaid = re.compile("coalitions.*, the API says None")
    assert [line for line in mirror.differences() if not unsaid.match(line)] == []


@pytest.mark.parametrize("table", CHILDREN, ids=lambda table: f"D6 {table}")
def test_a_record_whose_id_cannot_be_read_is_not_an_absent_one(mirror, table):
    mirror.config["nightly_audit_requests"] = 120
    rows = {row_of(mirror, table, numbers[2]) for numbers in PLACES.values()}
    before = mirror.query(f"select id from intra42.{table} order by id")
    mirror.sim.faults.add(
        "mutate_record",
        f"/v2/{table}",
        times=None,
        change=lambda record: record | {"id": None} if record["id"] in rows else record,
    )
    mirror.nightly()
    assert mirror.query(f"select id from intra42.{table} order by id") == before
    assert mirror.query("select 1 from intra42.tombstones") == []


@pytest.mark.parametrize("name", ["projects_users", "achievements_users", "coalitions_users"])
def test_x4_an_empty_answer_for_many_users_is_not_taken_for_their_history(fresh, name):
    """It agrees with itself, and only the audit would find what it hid."""
    mirror = fresh(worlds.village, campus_ids=[67], nightly_audit_requests=0)
    mirror.sim.faults.add("empty_page", f"/v2/{name}", consistent=True, when=_by_users)
    mirror.nightly()
    assert mirror.differences() == []


def _by_users(request):
    return "filter[user_id]" in request.query
