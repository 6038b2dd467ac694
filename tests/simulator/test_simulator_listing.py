from __future__ import annotations

import pytest

INDEXES = [
    "/v2/cursus",
    "/v2/campus",
    "/v2/cursus/21/projects",
    "/v2/projects",
    "/v2/campus/67/achievements",
    "/v2/achievements",
    "/v2/blocs",
    "/v2/coalitions",
    "/v2/cursus/21/users",
    "/v2/campus/67/users",
    "/v2/users",
    "/v2/campus_users",
    "/v2/cursus_users",
    "/v2/cursus/21/cursus_users",
    "/v2/projects_users",
    "/v2/achievements_users",
    "/v2/coalitions_users",
    "/v2/coalitions/40/coalitions_users",
]


@pytest.mark.parametrize("path", INDEXES)
def test_pages_hold_every_record_once_and_agree_with_the_total(shared, path):
    seen: list[int] = []
    number = 1
    while page := shared.ids(path, **{"page[number]": number, "page[size]": 100}):
        seen += page
        number += 1
    total = int(shared.get(path).headers["X-Total"])
    assert len(seen) == len(set(seen)) == total > 0


def test_size_is_30_by_default_and_at_most_100(shared):
    assert len(shared.ids("/v2/users")) == 30
    answer = shared.get("/v2/users", per_page=500)
    assert len(answer.json()) == 100
    assert answer.headers["X-Per-Page"] == "100"


def test_past_the_end_is_an_empty_list(shared):
    answer = shared.get("/v2/cursus", page=99)
    assert (answer.status_code, answer.json()) == (200, [])


def test_links_name_only_the_pages_there_are(shared):
    def rels(page: int) -> set[str]:
        links = shared.get("/v2/cursus", page=page, per_page=5, sort="id").headers.get("Link", "")
        return {part.split('rel="')[1].rstrip('"') for part in links.split(", ") if part}

    assert rels(1) == {"next", "last"}
    assert rels(2) == {"first", "prev", "next", "last"}
    assert rels(3) == {"first", "prev"}
    link = shared.get("/v2/cursus", page=1, per_page=5, sort="id").links["next"]["url"]
    assert shared.session.get(link, timeout=5).headers["X-Page"] == "2"
    assert "sort=id" in link


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v2/cursus", lambda r: -r["id"]),
        ("/v2/campus", lambda r: -r["id"]),
        ("/v2/users", lambda r: -r["id"]),
        ("/v2/achievements", lambda r: r["id"]),
        ("/v2/achievements_users", lambda r: -r["id"]),
        ("/v2/projects_users", lambda r: r["id"]),
    ],
)
def test_default_order(shared, path, key):
    records = shared.get(path, per_page=100).json()
    assert records == sorted(records, key=key)


@pytest.mark.parametrize("path", ["/v2/cursus_users", "/v2/campus_users", "/v2/coalitions_users"])
def test_default_order_is_newest_first(shared, path):
    records = shared.get(path, per_page=100).json()
    assert records == sorted(records, key=lambda r: (r["created_at"], r["id"]), reverse=True)


def test_projects_users_ignore_sort(shared):
    assert shared.ids("/v2/projects_users", sort="-id") == shared.ids("/v2/projects_users")
    assert shared.get("/v2/projects_users", sort="nonsense").status_code == 200


def test_descending_puts_nulls_first_and_ascending_last(shared):
    down = shared.get("/v2/cursus_users", sort="-end_at", per_page=100).json()
    assert down[0]["end_at"] is None
    up = shared.get("/v2/cursus_users", sort="end_at", per_page=100).json()
    ends = [record["end_at"] for record in up]
    assert ends[0] is not None
    assert ends == sorted(ends)


def test_sort_by_several_fields(shared):
    records = shared.get("/v2/campus_users", sort="is_primary,-id", per_page=100).json()
    assert records == sorted(records, key=lambda r: (r["is_primary"], -r["id"]))


def test_keyset_pages_hold_the_whole_table(shared):
    whole = shared.sim.world.projects_users.ids
    seen: list[int] = []
    while True:
        low = seen[-1] + 1 if seen else 0
        answer = shared.get(
            "/v2/projects_users", **{"range[id]": f"{low},2147483647", "page[size]": 100}
        )
        assert int(answer.headers["X-Total"]) == len(whole) - len(seen)
        seen += [record["id"] for record in answer.json()]
        if len(answer.json()) < 100:
            break
    assert seen == whole


def test_an_unknown_filter_is_400_with_the_known_ones(shared):
    answer = shared.get("/v2/projects_users", **{"filter[campus_id]": 67})
    assert answer.status_code == 400
    assert answer.json()["error"] == "Filter Error"
    assert answer.json()["message"].startswith(
        "Attributes campus_id doesn't exists. You can only filter on: ["
    )


@pytest.mark.parametrize(
    ("path", "params", "error"),
    [
        ("/v2/cursus_users", {"filter[kind]": "student"}, "Filter Error"),
        ("/v2/users", {"filter[campus_id]": "67"}, "Filter Error"),
        ("/v2/users", {"range[wallet]": "1,2"}, "Range Error"),
        ("/v2/users", {"range[id]": "5"}, "Range Error"),
        ("/v2/users", {"range[id]": "5,"}, "Range Error"),
        ("/v2/coalitions_users", {"sort": "score"}, "Sort Error"),
        ("/v2/coalitions", {"sort": "-score"}, "Sort Error"),
    ],
)
def test_undeclared_fields_of_declared_kinds_are_400(shared, path, params, error):
    answer = shared.get(path, **params)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v2/coalitions", {"filter[campus_id]": "67"}),
        ("/v2/coalitions", {"range[id]": "1,2"}),
        ("/v2/blocs", {"range[updated_at]": "nonsense"}),
        ("/v2/cursus", {"colour": "blue"}),
    ],
)
def test_undeclared_kinds_are_ignored(shared, path, params):
    assert shared.get(path, **params).json() == shared.get(path).json()


@pytest.mark.parametrize(
    "params",
    [{"filter[end_at]": "nil"}, {"filter[id]": "abc"}, {"range[id]": "1,x"}, {"filter[end]": "1"}],
)
def test_a_bad_value_is_422(shared, params):
    assert shared.get("/v2/cursus_users", **params).status_code == 422


def test_commas_are_or_and_fields_are_and(shared):
    a, b = shared.sim.world.users.ids[:2]
    found = shared.ids("/v2/users", **{"filter[id]": f"{a},{b},999999999", "sort": "id"})
    assert found == [a, b]
    login = shared.sim.world.users[b].login
    both = {"filter[id]": f"{a},{b}", "filter[login]": login}
    assert shared.ids("/v2/users", **both) == [b]


def test_an_empty_filter_is_none(shared):
    plain = shared.get("/v2/users").headers["X-Total"]
    assert shared.get("/v2/users", **{"filter[kind]": ""}).headers["X-Total"] == plain


def test_booleans_filter(shared):
    path, size = "/v2/cursus/21/users", 100
    alumni = shared.get(path, **{"filter[alumni?]": "true", "page[size]": size}).json()
    assert alumni
    assert all(record["alumni?"] for record in alumni)


def test_ranges_are_inclusive_and_take_times_in_several_forms(shared):
    world = shared.sim.world
    row = world.users[world.users.ids[5]]
    record = shared.get(f"/v2/users/{row.id}").json()
    moment = record["updated_at"]
    for ends in (f"{moment},{moment}", f"{moment[:-5]}Z,{moment}", f"{moment[:-5]},{moment}"):
        assert row.id in shared.ids("/v2/users", **{"range[updated_at]": ends})
    ids = world.users.ids
    assert shared.ids("/v2/users", **{"range[id]": f"{ids[3]},{ids[5]}", "sort": "id"}) == [
        number for number in ids[3:6] if not world.users[number].anonymised
    ]
    logins = shared.get("/v2/users", **{"range[login]": "a,c", "per_page": 100}).json()
    assert all("a" <= record["login"] <= "c" for record in logins)


def test_a_closed_window_excludes_what_is_later(sim, client):
    now = sim.clock.now()
    sim.clock.advance(minutes=5)
    sim.world.touch_user(102, wallet=3)
    window = f"2000-01-01,{now.isoformat()[:19]}Z"
    assert client.ids("/v2/users", **{"range[updated_at]": window, "sort": "id"}) == [101, 103]
    window = f"{sim.clock.now().isoformat()[:19]}.000Z,9999-12-31T23:59:59Z"
    assert client.ids("/v2/users", **{"range[updated_at]": window}) == [102]


def test_only_listed_campuses_are_in_the_index_and_others_are_referenced(shared):
    listed = set(shared.ids("/v2/campus", per_page=100))
    assert len(listed) == 54
    referenced = {row.campus_id for row in shared.sim.world.campus_users}
    assert referenced - listed
    assert shared.get("/v2/campus/54").status_code == 404


def test_hidden_projects_are_mentioned_by_attempts_only(shared):
    hidden = {row.id for row in shared.sim.world.projects if not row.listed}
    assert hidden & {row.project_id for row in shared.sim.world.projects_users}
    text = ",".join(map(str, hidden))
    assert shared.ids("/v2/projects", **{"filter[id]": text}) == []
    assert shared.get(f"/v2/projects/{min(hidden)}").status_code == 403


def test_search_finds_users(shared):
    row = shared.sim.world.users[shared.sim.world.users.ids[0]]
    assert row.id in shared.ids("/v2/users", search=row.login)
