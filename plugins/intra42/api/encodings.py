"""The codings of an answer's body, undone whole: every member, every coding, or an error.

RFC 9110 (8.4) lists the codings in the order in which they were applied, RFC 1952 (2.2) lets a gzip
body have any number of members. What follows the last one is an error, but for zeros, with which
some programs pad: a body that goes on as something else was damaged on its way.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable

from intra42.errors import FatalApiError, RetriableApiError

MAX_BODY = 32 * 1024 * 1024
_MOST_CODINGS = 5  # as urllib3 has it


def decoded(body: bytes, encoding: str, label: str) -> bytes:
    """Return what `body` was before it was coded as the header Content-Encoding says.

    Raises:
        RetriableApiError: it is cut or damaged, or coded in a way that we did not ask for.
        FatalApiError: it is larger than `MAX_BODY`.
    """
    codings = [name for part in encoding.lower().split(",") if (name := part.strip())]
    codings = [name for name in codings if name != "identity"]
    if not body:
        return body
    unknown = [name for name in codings if name not in _DECODERS]
    if unknown or len(codings) > _MOST_CODINGS:
        message = f"{label}: expected gzip, got Content-Encoding {encoding[:20]!r}"
        raise RetriableApiError(message)
    for name in reversed(codings):
        try:
            body = _DECODERS[name](body)
        except EOFError:
            message = f"{label}: the compressed answer is cut"
            raise RetriableApiError(message) from None
        except (OSError, zlib.error) as error:
            # The text of the one for gzip quotes the body.
            reason = "no gzip" if isinstance(error, OSError) else str(error)
            message = f"{label}: the compressed answer is damaged ({reason})"
            raise RetriableApiError(message) from None
        check_size(len(body), label)
    return body


def check_size(size: int, label: str) -> None:
    """Refuse a body of more than `MAX_BODY` bytes.

    Raises:
        FatalApiError: it is larger.
    """
    if size > MAX_BODY:
        message = f"{label}: the answer is larger than {MAX_BODY >> 20} MB"
        raise FatalApiError(message)


def _gunzipped(body: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        return file.read(MAX_BODY + 1)


def _inflated(body: bytes) -> bytes:
    """Undo `deflate`: zlib's format (RFC 1950), or the bare one that some servers mean by it."""
    try:
        return _decompressed(body, zlib.MAX_WBITS)
    except zlib.error:
        return _decompressed(body, -zlib.MAX_WBITS)


def _decompressed(body: bytes, bits: int) -> bytes:
    decoder = zlib.decompressobj(bits)
    plain = decoder.decompress(body, MAX_BODY + 1)
    if len(plain) <= MAX_BODY and not decoder.eof:
        raise EOFError
    if decoder.unused_data.strip(b"\0"):
        message = "something follows"
        raise zlib.error(message)
    return plain


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _inflated,
}
