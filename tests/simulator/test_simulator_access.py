from __future__ import annotations

import http.client
import json
import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from dev.simulator import Clock, Simulator

TOKEN_URLS = ("/oauth/token", "/v2/oauth/token")


def credentials(sim: Simulator) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": sim.client_id,
        "client_secret": sim.client_secret,
    }


@pytest.mark.parametrize("path", TOKEN_URLS)
@pytest.mark.parametrize("way", ["data", "json", "params"])
def test_a_token_is_given_for_form_json_and_query(sim, path, way):
    answer = requests.post(sim.url + path, timeout=5, **{way: credentials(sim)})
    body = answer.json()
    assert answer.status_code == 200
    assert len(body["access_token"]) == 64
    assert int(body["access_token"], 16)
    assert body["expires_in"] == 7200
    assert body["token_type"].lower() == "bearer"
    assert body["secret_valid_until"] > body["created_at"]


def test_a_token_is_given_for_http_basic(sim):
    answer = requests.post(
        f"{sim.url}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(sim.client_id, sim.client_secret),
        timeout=5,
    )
    assert answer.status_code == 200


def test_a_valid_token_is_handed_out_again_with_the_rest_of_its_life(sim, client):
    first = client.token().json()
    sim.clock.advance(minutes=10)
    second = client.token().json()
    assert second["access_token"] == first["access_token"]
    assert second["expires_in"] == 6600
    sim.clock.advance(hours=2)
    assert client.token().json()["access_token"] != first["access_token"]


def test_a_wrong_client_or_grant_is_refused(client):
    wrong = client.token(client_secret="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    grant = client.token(grant_type="password")
    assert (grant.status_code, grant.json()["error"]) == (401, "unsupported_grant_type")


def test_a_secret_expires(sim, client):
    sim.app.secret_valid_until = int(sim.clock.now().timestamp())
    assert client.token().status_code == 401


def test_token_info_describes_the_application(sim, client):
    body = client.get("/oauth/token/info").json()
    assert body["resource_owner_id"] is None
    assert body["scopes"] == ["public"]
    assert body["application"] == {"uid": sim.client_id}
    assert body["expires_in_seconds"] == 7200


@pytest.mark.parametrize(
    ("token", "reason"), [("nonsense", "is invalid"), (None, "is invalid"), ("old", "expired")]
)
def test_a_bad_token_is_401_with_a_challenge(sim, client, token, reason):
    if token == "old":
        sim.clock.advance(hours=3)
    else:
        client.session.headers["Authorization"] = f"Bearer {token}" if token else ""
    answer = client.get("/v2/cursus")
    assert answer.status_code == 401
    assert 'realm="42 API", error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert reason in answer.headers["WWW-Authenticate"]


def test_a_token_in_the_query_is_accepted(client):
    token = client.token().json()["access_token"]
    client.session.headers.pop("Authorization")
    assert client.get("/v2/cursus", access_token=token).status_code == 200


def test_no_user_agent_is_403_with_an_empty_body(sim, client):
    connection = http.client.HTTPConnection(sim.url.removeprefix("http://"), timeout=5)
    token = client.session.headers["Authorization"]
    connection.request("GET", "/v2/cursus", headers={"Authorization": token})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (403, b"")


def test_every_answer_carries_rate_application_and_date_headers(sim, client):
    answer = client.get("/v2/cursus")
    assert answer.headers["X-Hourly-RateLimit-Limit"] == "1000000"
    assert answer.headers["X-Hourly-RateLimit-Remaining"] == "999999"
    assert answer.headers["X-Secondly-RateLimit-Limit"] == "1000"
    assert int(answer.headers["X-Secondly-RateLimit-Remaining"]) <= 999
    assert answer.headers["X-Application-Roles"] == "None"
    assert parsedate_to_datetime(answer.headers["Date"]) == sim.clock.now()
    assert answer.headers["ETag"].startswith('W/"')


def test_the_same_body_again_is_304(client):
    tag = client.get("/v2/cursus").headers["ETag"]
    again = client.get("/v2/cursus", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_an_unchanged_page_counts_against_the_hour(client):
    first = client.get("/v2/cursus").headers
    again = client.get("/v2/cursus", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    left = [int(found["X-Hourly-RateLimit-Remaining"]) for found in (first, again.headers)]
    assert left[1] == left[0] - 1


def test_the_second_limit_is_plain_text_with_retry_after(sim, client):
    sim.limits.per_second = 1
    answers = [client.get("/v2/cursus") for _ in range(4)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].headers["Content-Type"].startswith("text/plain")
    assert refused[0].text == "429 Too Many Requests (Spam Rate Limit Exceeded)"


def test_the_hour_limit_ends_with_the_clock_hour(sim, client):
    sim.limits.per_hour = 2
    sim.clock.advance(minutes=50)
    statuses = [client.get("/v2/cursus").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = client.get("/v2/cursus")
    assert refused.headers["Retry-After"] == "600"
    assert refused.headers["X-Hourly-RateLimit-Remaining"] == "0"
    sim.clock.advance(minutes=10)
    assert client.get("/v2/cursus").status_code == 200


def test_seconds_follow_a_running_clock():
    limits = Simulator("empty", limit_second=1, running=True).limits
    verdicts = [limits.take().refused for _ in range(3)]
    assert "second" in verdicts
    frozen = Simulator("empty", limit_second=1)
    frozen.limits.take()
    frozen.clock.advance(seconds=5)
    assert "second" in [frozen.limits.take().refused for _ in range(2)]


def test_a_running_clock_runs_and_a_frozen_one_does_not():
    running, frozen = Clock(running=True), Clock()
    before = running.now(), frozen.now()
    time.sleep(0.02)
    assert running.now() > before[0]
    assert frozen.now() == before[1]


@pytest.mark.parametrize(
    "path", ["/v2/campuses", "/v2/campus/1/projects_users", "/v2/campus/1/coalitions", "/v2/x/y/z"]
)
def test_an_unknown_path_is_404_html(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    "path", ["/v2/cursus/999", "/v2/users/nobody", "/v2/cursus/999/users", "/v2/me"]
)
def test_a_missing_record_is_404_with_an_empty_object(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {})


def test_an_endless_url_is_414_and_a_hundred_ids_are_not(client):
    assert (
        client.get("/v2/users", **{"filter[id]": ",".join(["123456789"] * 900)}).status_code == 414
    )
    assert (
        client.get("/v2/users", **{"filter[id]": ",".join(["123456789"] * 100)}).status_code == 200
    )


def test_the_ledger_remembers_requests_but_not_the_control_paths(sim, client):
    sim.ledger.clear()
    client.get("/v2/cursus", sort="id")
    client.get("/_sim/ledger")
    (entry,) = sim.ledger.requests()
    assert (entry.path, entry.query, entry.status) == ("/v2/cursus", {"sort": "id"}, 200)
    assert entry.virtual_time == sim.clock.now()
    assert len(sim.ledger) == 1


def test_control_paths_move_clock_and_world(sim):
    url = f"{sim.url}/_sim"
    before = sim.clock.now()
    requests.post(f"{url}/clock", json={"advance_s": 90}, timeout=5)
    assert (sim.clock.now() - before).total_seconds() == 90
    order = {"name": "new_student", "args": {"campus_id": 1}}
    answer = requests.post(f"{url}/mutate", json=order, timeout=5).json()
    assert answer["result"] in sim.world.users
    order = {"name": "add_project", "args": {"id": 77, "created_at": "2025-01-01T00:00:00Z"}}
    assert requests.post(f"{url}/mutate", json=order, timeout=5).json() == {"result": 77}
    assert 77 in sim.world.projects
    bad = requests.post(f"{url}/mutate", data=json.dumps({"name": "__init__"}), timeout=5)
    assert bad.status_code == 400
