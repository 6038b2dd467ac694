"""A body is read whole, however it was coded, or not believed."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from scripted import TOTALS, Rig, http, ids, send

from intra42.api import encodings
from intra42.errors import FatalApiError, RetriableApiError

PATH = "/v2/users"
PLAIN = json.dumps(ids(1, 2)).encode()


def members(*sizes: int) -> bytes:
    """Return the body as a gzip file of so many members, each of so many bytes; the rest is one."""
    pieces, at = [], 0
    for size in (*sizes, len(PLAIN)):
        pieces.append(gzip.compress(PLAIN[at : at + size]))
        at += size
    return b"".join(pieces)


def bare(body: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(body) + coder.flush()


WHOLE = {
    "gzip": (members(), "gzip"),
    "gzip in two members": (members(7), "gzip"),
    "gzip in many members, some of them empty": (members(0, 3, 0, 0, 5, 1), "gzip"),
    "gzip padded with zeros": (members(7) + bytes(500), "gzip"),
    "x-gzip": (members(7), "X-GZip"),
    "deflate as zlib": (zlib.compress(PLAIN), "deflate"),
    "deflate, bare": (bare(PLAIN), "deflate"),
    "gzip twice": (gzip.compress(members(4)), "gzip, gzip"),
    "deflate, then gzip": (gzip.compress(zlib.compress(PLAIN)), "deflate, gzip"),
    "identity": (PLAIN, "identity"),
    "identity and gzip": (members(), "identity, gzip"),
    "an empty list": (PLAIN, " , "),
    "in two headers": (gzip.compress(members(4)), "gzip\r\nContent-Encoding: gzip"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_body_is_read_whole(rig: Rig, kind: str) -> None:
    body, encoding = WHOLE[kind]
    rig.server.play(send(http(body, headers={**TOTALS, "Content-Encoding": encoding})))
    answer = rig.client.get(PATH, {})
    assert answer.records == ids(1, 2)
    assert answer.size == len(PLAIN)
    assert rig.turns.counted == 1


CUT = {
    "the second member is cut": (members(7)[:-9], "gzip"),
    "the second member is cut in its header": (members() + gzip.compress(b"x")[:5], "gzip"),
    "the second member is damaged": (members(7)[:-6] + bytes(6), "gzip"),
    "something else follows": (members() + b"<html>", "gzip"),
    "a byte follows": (members() + b"x", "gzip"),
    "no gzip": (PLAIN, "gzip"),
    "deflate is cut": (zlib.compress(PLAIN)[:-5], "deflate"),
    "bare deflate is cut": (bare(PLAIN)[:-2], "deflate"),
    "something follows deflate": (zlib.compress(PLAIN) + b"x", "deflate"),
    "gzip once where it says twice": (members(), "gzip, gzip"),
    "another coding": (PLAIN, "gzip, br"),
    "more codings than anybody uses": (members(), ", ".join(["gzip"] * 6)),
}


@pytest.mark.parametrize("kind", CUT)
def test_a_body_that_is_not_whole_is_asked_for_again(rig: Rig, kind: str) -> None:
    body, encoding = CUT[kind]
    rig.server.play(
        send(http(body, headers={**TOTALS, "Content-Encoding": encoding})),
        send(http(PLAIN, headers=TOTALS)),
    )
    assert rig.client.get(PATH, {}).records == ids(1, 2)
    assert rig.turns.counted == 2


@pytest.mark.parametrize("kind", CUT)
def test_the_error_of_a_body_that_is_not_whole_is_one_sentence_without_it(kind: str) -> None:
    body, encoding = CUT[kind]
    with pytest.raises(RetriableApiError, match=r"^a page: ") as caught:
        encodings.decoded(body, encoding, "a page")
    assert "\n" not in str(caught.value)
    assert "html" not in str(caught.value)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip"])
def test_the_sum_of_all_members_is_bounded(monkeypatch: pytest.MonkeyPatch, coding: str) -> None:
    monkeypatch.setattr(encodings, "MAX_BODY", 100_000)
    piece = bytes(60_000)
    body = {
        "gzip": gzip.compress(piece) + gzip.compress(piece),
        "deflate": zlib.compress(piece * 2),
        "gzip, gzip": gzip.compress(gzip.compress(piece) * 2),
    }[coding]
    with pytest.raises(FatalApiError, match="larger than"):
        encodings.decoded(body, coding, "a page")


def test_an_empty_body_is_empty_whatever_its_coding() -> None:
    assert encodings.decoded(b"", "gzip", "a page") == b""
