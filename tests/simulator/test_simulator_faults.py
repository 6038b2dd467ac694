from __future__ import annotations

import http.client
import json
import time

import pytest
import requests

PATH = "/v2/cursus_users"


@pytest.mark.parametrize("status", ["500", "502", "503", "504"])
def test_server_trouble_is_html_and_passes(sim, client, status):
    sim.faults.add(status, PATH)
    answer = client.get(PATH)
    assert answer.status_code == int(status)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert client.get(PATH).status_code == 200


def test_times_skip_path_and_condition(sim, client):
    fault = sim.faults.add("502", PATH, times=2, skip=1)
    assert [client.get(PATH).status_code for _ in range(4)] == [200, 502, 502, 200]
    assert fault.hits == 2
    sim.faults.add("500", r"/v2/users/\d+", times=None)
    assert [client.get("/v2/users/101").status_code for _ in range(2)] == [500, 500]
    assert client.get("/v2/users").status_code == 200
    sim.faults.add("503", "/v2/users", when=lambda request: request.query.get("page") == "2")
    assert [client.get("/v2/users", page=n).status_code for n in (1, 2)] == [200, 503]


def test_a_prefix_ends_at_a_slash(sim, client):
    sim.faults.add("500", "/v2/cursus", times=None)
    assert client.get("/v2/cursus_users").status_code == 200
    assert client.get("/v2/cursus/21/users").status_code == 500


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({}, "3600"),
        ({"retry_after": 129}, "129"),
        ({"retry_after": None}, None),
        ({"retry_after": "0"}, "0"),
        ({"retry_after": "-5"}, "-5"),
        ({"retry_after": "date:60"}, "Mon, 02 Mar 2026 10:01:00 GMT"),
    ],
)
def test_the_hourly_429_and_its_retry_after(sim, client, options, header):
    sim.faults.add("429_hour", PATH, **options)
    answer = client.get(PATH)
    assert answer.status_code == 429
    assert answer.headers.get("Retry-After") == header
    assert answer.headers["X-Hourly-RateLimit-Remaining"] == "0"


def test_429_401_403_404(sim, client):
    sim.faults.add("429_second", PATH)
    assert client.get(PATH).headers["Retry-After"] == "1"
    sim.faults.add("403", PATH)
    assert client.get(PATH).json()["error"] == "Access Denied"
    sim.faults.add("404", PATH)
    assert client.get(PATH).json() == {}
    sim.faults.add("401", PATH)
    assert "revoked" in client.get(PATH).headers["WWW-Authenticate"]
    assert client.get("/v2/cursus").status_code == 401
    client.renew()
    assert client.get("/v2/cursus").status_code == 200


def test_the_token_endpoint_can_fail(sim, client):
    sim.faults.add("500", "/oauth/token")
    assert client.token().status_code == 500


def test_slow_and_timeout(sim, client):
    sim.faults.add("slow", PATH, seconds=0.2)
    started = time.monotonic()
    assert client.get(PATH).status_code == 200
    assert time.monotonic() - started >= 0.2
    sim.faults.add("timeout", PATH, seconds=2)
    with pytest.raises(requests.ReadTimeout):
        client.session.get(sim.url + PATH, timeout=0.2)


def test_slow_drip_arrives_whole_but_late(sim, client):
    whole = client.get(PATH).content
    sim.faults.add("slow_drip", PATH, seconds=0.3)
    started = time.monotonic()
    assert client.get(PATH).content == whole
    assert time.monotonic() - started >= 0.25


def test_a_cut_is_a_reset_and_a_short_body_an_early_end(sim, client):
    sim.faults.add("cut", PATH)
    with pytest.raises(requests.RequestException):
        client.get(PATH)
    sim.faults.add("short_body", PATH)
    connection = http.client.HTTPConnection(sim.url.removeprefix("http://"), timeout=5)
    headers = {"User-Agent": "test", "Authorization": client.session.headers["Authorization"]}
    connection.request("GET", PATH, headers=headers)
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    assert client.get(PATH).status_code == 200


def test_truncated_json_has_the_right_length(sim, client):
    sim.faults.add("truncated_json", PATH)
    answer = client.get(PATH)
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def test_answers_that_only_look_right(sim, client):
    sim.faults.add("html_200", PATH)
    assert client.get(PATH).text.startswith("<!DOCTYPE html>")
    sim.faults.add("error_object_200", PATH)
    assert isinstance(client.get(PATH).json(), dict)
    sim.faults.add("wrong_content_type", PATH)
    answer = client.get(PATH)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert len(answer.json()) == 3
    sim.faults.add("redirect_to_login", PATH)
    assert client.get(PATH).headers["Location"] == "/users/sign_in"


def test_pages_that_lie(sim, client):
    def page(kind, **options):
        sim.faults.add(kind, PATH, **options)
        answer = client.get(PATH, sort="id")
        return [record["id"] for record in answer.json()], answer.headers.get("X-Total")

    assert page("empty_page") == ([], "3")
    assert page("empty_page", consistent=True) == ([], "0")
    assert page("short_page", rows=2) == ([1010], "3")
    assert page("missing_total") == ([1010, 1020, 1030], None)
    assert page("wrong_total", delta=-1) == ([1010, 1020, 1030], "2")
    assert page("missing_row", id=1020) == ([1010, 1030], "2")
    assert page("duplicate_row") == ([1010, 1020, 1020], "3")
    assert page("unsorted")[0] not in ([1010, 1020, 1030], [])


def test_a_page_is_served_twice(sim, client):
    first = client.ids("/v2/users", page=1, per_page=1)
    sim.faults.add("duplicate_page", "/v2/users")
    assert client.ids("/v2/users", page=2, per_page=1) == first
    assert client.ids("/v2/users", page=2, per_page=1) != first


def test_bad_data(sim, client):
    sim.faults.add("nul", "/v2/users", record=1)
    logins = [record["login"] for record in client.get("/v2/users").json()]
    assert ["\0" in login for login in logins] == [False, True, False]
    sim.faults.add("mutate_record", "/v2/users", record=0, change=lambda r: r | {"wallet": 2**63})
    wallets = [record["wallet"] for record in client.get("/v2/users").json()]
    assert wallets == [2**63, 0, 0]
    assert sim.world.users[103].wallet == 0


def test_rows_move_between_pages(sim, client):
    sim.faults.add(
        "between_pages", "/v2/users", skip=1, hook=lambda world: world.delete_row("users", 103)
    )
    assert client.ids("/v2/users", page=1, per_page=1) == [103]
    assert client.ids("/v2/users", page=2, per_page=1) == [101]


def test_a_range_is_ignored(sim, client):
    sim.faults.add("ignore_range", "/v2/users")
    assert len(client.ids("/v2/users", **{"range[id]": "101,101"})) == 3
    assert len(client.ids("/v2/users", **{"range[id]": "101,101"})) == 1


def test_a_filter_is_ignored(sim, client):
    sim.faults.add("ignore_filter", "/v2/users", filter="id", times=2)
    assert len(client.ids("/v2/users", **{"filter[id]": "101"})) == 3
    assert client.ids("/v2/users", **{"filter[id]": "101", "filter[kind]": "nobody"}) == []
    assert client.ids("/v2/users", **{"filter[id]": "101"}) == [101]


def test_an_unknown_kind_is_refused(sim):
    with pytest.raises(ValueError, match="unknown fault"):
        sim.faults.add("earthquake")


def test_faulty_answers_are_in_the_ledger_and_use_up_the_hour(sim, client):
    sim.ledger.clear()
    before = sim.limits.used_this_hour()
    sim.faults.add("500", PATH)
    client.get(PATH)
    assert [entry.status for entry in sim.ledger.requests()] == [500]
    assert sim.limits.used_this_hour() == before + 1
