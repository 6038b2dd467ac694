from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Request, Rig, Step, http, ids, listing, send, silence, status

from intra42.api.pagination import Page, keyset, numbered
from intra42.errors import (
    ApiTimeout,
    IncompleteListing,
    NotAscending,
    RangeIgnored,
    RetriableApiError,
)

PATH = "/v2/cursus_users"
Records = list[dict[str, Any]]


class World:
    """Serves records as the API does; `before` may change them before each answer."""

    def __init__(self, records: Records, *, per_page: int = 100) -> None:
        self.records = records
        self.cap = per_page
        self.asked = 0
        self.before: Callable[[int], Step | None] = lambda asked: None
        self.ranged = True

    def __call__(self, sock: socket.socket, request: Request) -> bool:
        self.asked += 1
        fault = self.before(self.asked)
        if fault is not None:
            return fault(sock, request)
        found = sorted(self.records, key=lambda record: record["id"])
        if self.ranged and "range[id]" in request.query:
            low, high = map(int, request.query["range[id]"].split(","))
            found = [record for record in found if low <= record["id"] <= high]
        size = min(int(request.query["page[size]"]), self.cap)
        start = (int(request.query.get("page[number]", "1")) - 1) * size
        page = found[start : start + size]
        return listing(page, total=len(found), per_page=size)(sock, request)


def run(*numbers: int) -> Records:
    return ids(*range(*numbers))


def read(rig: Rig, world: Step, **options: Any) -> list[Page]:
    rig.server.play(world)
    return list(keyset(rig.client, PATH, {"filter[cursus_id]": "21"}, **options))


def found(pages: list[Page]) -> list[int]:
    return [record["id"] for page in pages for record in page.records]


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 200, 250])
def test_every_row_comes_once_and_no_empty_page_is_asked_for(rig: Rig, rows: int) -> None:
    pages = read(rig, World(run(1, rows + 1)))
    assert found(pages) == list(range(1, rows + 1))
    assert rig.turns.counted == len(pages) == max((rows + 99) // 100, 1)
    assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [(page.number, page.pages) for page in pages] == [
        (number, len(pages)) for number in range(1, len(pages) + 1)
    ]
    assert pages[-1].remaining == 0


def test_the_request_asks_for_ids_after_the_last_one_in_ascending_order(rig: Rig) -> None:
    read(rig, World(run(1, 102)), page_size=100)
    assert [request.query for request in rig.server.requests] == [
        {
            "filter[cursus_id]": "21",
            "sort": "id",
            "range[id]": f"{low},2147483647",
            "page[size]": "100",
        }
        for low in (1, 101)
    ]


def test_an_endpoint_that_cannot_sort_is_not_asked_to(rig: Rig) -> None:
    read(rig, World(run(1, 5)), sortable=False)
    assert "sort" not in rig.server.requests[0].query


def test_a_resumed_listing_goes_on_after_the_last_page(rig: Rig) -> None:
    pages = read(rig, World(run(1, 251)), after=100, number=2)
    assert found(pages) == list(range(101, 251))
    assert [(page.number, page.pages) for page in pages] == [(2, 3), (3, 3)]


def test_a_page_size_the_server_caps_is_lived_with(rig: Rig) -> None:
    pages = read(rig, World(run(1, 101), per_page=30))
    assert found(pages) == list(range(1, 101))
    assert len(pages) == 4


def test_rows_that_leave_while_we_read_shift_no_other(rig: Rig) -> None:
    world = World(run(1, 301))

    def before(asked: int) -> None:
        if asked == 2:
            world.records = [record for record in world.records if record["id"] not in (5, 50)]

    world.before = before
    pages = read(rig, world)
    assert set(found(pages)) == set(range(1, 301))
    assert rig.turns.counted == 3


def test_rows_that_arrive_while_we_read_are_read(rig: Rig) -> None:
    world = World(run(1, 201))
    world.before = lambda asked: world.records.extend(run(201, 206)) if asked == 2 else None
    assert found(read(rig, world)) == list(range(1, 206))


def test_fewer_rows_than_were_left_are_believed_beside_a_known_one(rig: Rig) -> None:
    world = World(run(1, 251))

    def before(asked: int) -> None:
        if asked == 2:
            world.records = [record for record in world.records if record["id"] != 150]

    world.before = before
    pages = read(rig, world)
    assert found(pages) == [number for number in range(1, 251) if number != 150]
    asked = [request.query["range[id]"].split(",")[0] for request in rig.server.requests]
    assert asked == ["1", "101", "96", "197"]


def test_the_witness_may_have_gone_too(rig: Rig) -> None:
    world = World(run(1, 251))

    def before(asked: int) -> None:
        if asked == 2:
            world.records = [record for record in world.records if record["id"] not in (100, 150)]

    world.before = before
    assert found(read(rig, world)) == [number for number in range(1, 251) if number != 150]
    assert rig.turns.counted == 4


def test_an_empty_answer_where_rows_were_left_is_not_the_end(rig: Rig) -> None:
    world = World(run(1, 251))
    world.before = lambda asked: listing([]) if asked == 2 else None
    assert found(read(rig, world)) == list(range(1, 251))


def test_an_empty_answer_is_doubted_once_where_rows_are_likely(rig: Rig) -> None:
    world = World(run(1, 151))
    world.before = lambda asked: listing([]) if asked == 1 else None
    assert found(read(rig, world, doubt_empty=True)) == list(range(1, 151))
    assert rig.turns.counted == 3
    rig.turns.counted = 0
    assert found(read(rig, World([]), doubt_empty=True)) == []
    assert rig.turns.counted == 2


def test_an_empty_first_answer_on_resuming_is_not_the_end(rig: Rig) -> None:
    world = World(run(1, 251))
    world.before = lambda asked: listing([]) if asked == 1 else None
    assert found(read(rig, world, after=100, number=2)) == list(range(101, 251))


def test_a_resumed_listing_whose_rows_are_all_gone_ends(rig: Rig) -> None:
    pages = read(rig, World([]), after=100, number=2)
    assert found(pages) == []
    assert pages[-1].done


def test_empty_answers_for_ever_end_the_listing_in_red(rig: Rig) -> None:
    world = World(run(1, 251))
    world.before = lambda asked: listing([]) if asked >= 2 else None
    with pytest.raises(IncompleteListing, match="0 rows after id 100 where 150 were expected"):
        read(rig, world)
    assert rig.turns.counted <= 10


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize(
    "wrong",
    [listing(run(1, 41), total=250), listing([], total=250), listing(run(1, 51), total=49)],
    ids=["P4 short page", "P3 empty page", "T16 total too small"],
)
def test_a_page_that_disagrees_with_its_total_is_asked_for_again(
    rig: Rig, page: int, wrong: Step
) -> None:
    world = World(run(1, 251))
    world.before = lambda asked: wrong if asked == page else None
    assert found(read(rig, world)) == list(range(1, 251))
    assert rig.turns.counted == 4


def test_t16_a_total_too_small_after_a_full_page_is_not_the_end(rig: Rig) -> None:
    world = World(run(1, 102))
    more = {"Link": '<https://api.intra.42.fr/v2/users?page=2>; rel="next"'}
    short = listing(run(1, 101), total=100, headers=more)
    world.before = lambda asked: short if asked == 1 else None
    assert found(read(rig, world)) == list(range(1, 102))
    assert rig.turns.counted == 2


@pytest.mark.parametrize("total", [49, 51])
def test_t16_a_total_that_never_agrees_ends_in_red(rig: Rig, total: int) -> None:
    with pytest.raises(IncompleteListing, match=f"50 different rows .* announces {total}"):
        read(rig, listing(run(1, 51), total=total))
    assert rig.turns.counted == 4


def test_p13_a_page_that_is_always_out_of_order_is_refused(rig: Rig) -> None:
    with pytest.raises(NotAscending, match="id 2 comes after id 3"):
        read(rig, listing(ids(1, 3, 2)))
    assert rig.turns.counted == 4


def test_p14_an_ignored_range_is_noticed_on_the_second_page(rig: Rig) -> None:
    world = World(run(1, 1000))
    world.ranged = False
    with pytest.raises(RangeIgnored, match="id 1 came where ids from 101 on"):
        read(rig, world)
    assert rig.turns.counted == 5


@pytest.mark.parametrize("page", [2, 3])
@pytest.mark.parametrize(
    "wrong",
    [listing(run(1, 101), total=250), listing(ids(260, 250), total=2)],
    ids=["P1 the first page again", "P13 out of order"],
)
def test_a_page_that_is_not_the_one_asked_for_is_asked_for_again(
    rig: Rig, page: int, wrong: Step
) -> None:
    world = World(run(1, 251))
    world.before = lambda asked: wrong if asked == page else None
    assert found(read(rig, world)) == list(range(1, 251))
    assert rig.turns.counted == 4


def test_records_without_a_usable_id_are_handed_on(rig: Rig) -> None:
    odd: list[Any] = [None, 7, "x", {"id": None}, {"id": "5"}, {"id": True}, {"id": 2**63}, {}]
    pages = read(rig, listing([*odd, {"id": 3}]))
    assert pages[0].records == [*odd, {"id": 3}]
    assert pages[0].last_id == 3
    assert pages[0].done


def test_a_page_with_no_usable_id_at_all_does_not_go_round_for_ever(rig: Rig) -> None:
    body: list[Any] = [{"id": None}] * 100
    with pytest.raises(IncompleteListing, match="no usable id"):
        read(rig, listing(body, total=300))


@pytest.mark.parametrize("page", [1, 2, 3])
def test_t4_a_timeout_that_passes_costs_one_more_request(rig: Rig, page: int) -> None:
    world = World(run(1, 251))
    world.before = lambda asked: silence() if asked == page else None
    assert found(read(rig, world)) == list(range(1, 251))
    assert rig.turns.counted == 4


def test_two_timeouts_in_a_row_halve_the_page_for_the_rest(rig: Rig) -> None:
    world = World(run(1, 131))
    world.before = lambda asked: silence() if asked < 3 else None
    pages = read(rig, world)
    assert found(pages) == list(range(1, 131))
    assert [request.query["page[size]"] for request in rig.server.requests] == [
        "100", "100", "50", "50", "50",
    ]  # fmt: skip


def test_a_listing_that_only_times_out_ends_at_the_smallest_page(rig: Rig) -> None:
    with pytest.raises(ApiTimeout):
        read(rig, silence(), page_size=20)
    sizes = [request.query["page[size]"] for request in rig.server.requests]
    assert sizes == ["20", "20", "10", "10", "10", "10"]


def test_an_error_in_mid_listing_keeps_the_pages_before_it(rig: Rig) -> None:
    world = World(run(1, 251))
    world.before = lambda asked: status(500) if asked >= 2 else None
    rig.server.play(world)
    pages = keyset(rig.client, PATH, {})
    assert next(pages).last_id == 100
    with pytest.raises(RetriableApiError):
        next(pages)


FAULTS: dict[str, Step] = {
    "500": status(500),
    "empty": listing([]),
    "short": listing(ids(1), total=90),
    "html": send(http(b"<html>", kind="text/html")),
    "truncated": send(http(b'[{"id": 1', headers={"X-Total": "1", "X-Per-Page": "20"})),
    "error object": send(http(json.dumps({"error": "oops"}).encode())),
}


@given(
    rows=st.sets(st.integers(1, 400), max_size=120),
    moves=st.dictionaries(st.integers(2, 9), st.sets(st.integers(1, 400), max_size=5), max_size=4),
    faults=st.dictionaries(st.integers(2, 12), st.sampled_from(sorted(FAULTS)), max_size=3),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_row_that_stays_is_ever_missed(
    rig: Rig, rows: set[int], moves: dict[int, set[int]], faults: dict[int, str]
) -> None:
    world = World(ids(*rows), per_page=20)
    lost: set[int] = set()

    def before(asked: int) -> Step | None:
        gone = moves.get(asked, set())
        lost.update(gone)
        world.records = [record for record in world.records if record["id"] not in gone]
        return FAULTS[faults[asked]] if asked in faults else None

    world.before = before
    rig.server.play(world)
    seen: list[int] = []
    try:
        for page in keyset(rig.client, PATH, {}, page_size=20):
            seen += [record["id"] for record in page.records]
    except IncompleteListing:
        assert set(seen) <= rows  # red, and nothing was made up
    else:
        assert rows - lost <= set(seen) <= rows
    assert len(seen) == len(set(seen))


def sweep(rig: Rig, world: Step, **options: Any) -> list[Page]:
    rig.server.play(world)
    return list(numbered(rig.client, "/v2/campus", {"filter[active]": "true"}, **options))


@pytest.mark.parametrize("rows", [0, 1, 100, 101, 250])
def test_numbered_pages_bring_every_row_once(rig: Rig, rows: int) -> None:
    pages = sweep(rig, World(run(1, rows + 1)))
    assert found(pages) == list(range(1, rows + 1))
    assert rig.turns.counted == len(pages) == max((rows + 99) // 100, 1)
    assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]


def test_numbered_pages_are_sorted_as_asked(rig: Rig) -> None:
    sweep(rig, World(run(1, 5)))
    sweep(rig, World(run(1, 5)), sort=None)
    first, second = (request.query for request in rig.server.requests)
    assert first == {
        "filter[active]": "true", "sort": "id", "page[number]": "1", "page[size]": "100",
    }  # fmt: skip
    assert "sort" not in second


def test_a_row_that_slips_between_numbered_pages_is_found_by_reading_again(rig: Rig) -> None:
    world = World(run(1, 51), per_page=20)

    def before(asked: int) -> None:
        if asked == 2:
            world.records = world.records[1:]  # row 21 slips to page 1, which we have read

    world.before = before
    pages = sweep(rig, world)
    assert [page.number for page in pages] == [1, 2, 3, 1, 2, 3]
    assert [page.done for page in pages] == [False] * 5 + [True]
    assert set(found(pages)) == set(range(1, 51))


def test_a_numbered_page_that_comes_twice_is_found_by_reading_again(rig: Rig) -> None:
    world = World(run(1, 41), per_page=20)
    world.before = lambda asked: listing(run(1, 21), total=40, per_page=20) if asked == 2 else None
    assert set(found(sweep(rig, world))) == set(range(1, 41))
    assert rig.turns.counted == 4


def test_a_short_numbered_page_is_asked_for_again(rig: Rig) -> None:
    world = World(run(1, 41), per_page=20)
    world.before = lambda asked: listing([], total=40, per_page=20) if asked == 2 else None
    assert found(sweep(rig, world)) == list(range(1, 41))
    assert rig.turns.counted == 3


def test_a_numbered_page_that_names_a_next_one_is_not_the_last(rig: Rig) -> None:
    world = World(run(1, 42), per_page=20)
    more = {"Link": '<https://api.intra.42.fr/v2/campus?page=3>; rel="next"'}
    short = listing(run(21, 41), total=40, per_page=20, headers=more)
    world.before = lambda asked: short if asked == 2 else None
    assert set(found(sweep(rig, world))) == set(range(1, 42))


def test_ids_that_never_add_up_end_in_red_after_three_sweeps(rig: Rig) -> None:
    with pytest.raises(IncompleteListing, match="1 different ids where the API announces 2, 3"):
        sweep(rig, listing(ids(1, 1)))
    assert rig.turns.counted == 3


def test_two_timeouts_begin_a_numbered_listing_again_with_smaller_pages(rig: Rig) -> None:
    world = World(run(1, 121))
    world.before = lambda asked: silence() if asked in (2, 3) else None
    pages = sweep(rig, world)
    assert set(found(pages)) == set(range(1, 121))
    sizes = [request.query["page[size]"] for request in rig.server.requests]
    assert sizes == ["100", "100", "100", "50", "50", "50"]
