"""Request heads and chunked bodies, read strictly."""

from __future__ import annotations

import pytest

from services.onion.api.http1.parsing import (
    BadRequest,
    BodyTooLarge,
    ChunkedBody,
    HeadTooLarge,
    RequestError,
    UnknownVersion,
    parse_head,
)


def head(*lines: str) -> bytes:
    return "\r\n".join(lines).encode("latin-1")


def test_a_plain_head() -> None:
    parsed = parse_head(head("POST /a/b?c=1 HTTP/1.1", "Host: x", "Content-Length:  12 ", "X-Two:a:b"), 64)
    assert (parsed.method, parsed.target, parsed.length, parsed.keep_alive) == ("POST", "/a/b?c=1", 12, True)
    assert parsed.headers == {b"host": b"x", b"content-length": b"12", b"x-two": b"a:b"}


@pytest.mark.parametrize(
    ("line", "header", "keep_alive"),
    [
        ("GET / HTTP/1.1", "Connection: keep-alive", True),
        ("GET / HTTP/1.1", "connection: Close", False),
        ("GET / HTTP/1.0", "Connection: keep-alive", False),
    ],
)
def test_who_keeps_the_connection(line: str, header: str, keep_alive: bool) -> None:  # noqa: FBT001 - a parameter
    assert parse_head(head(line, header), 64).keep_alive is keep_alive


def test_a_missing_length_is_no_body_and_chunks_are_unknown_length() -> None:
    assert parse_head(head("GET / HTTP/1.1"), 64).length == 0
    assert parse_head(head("GET / HTTP/1.1", "Transfer-Encoding: Chunked"), 64).length is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"G(T / HTTP/1.1",
        b"GET /\xe9 HTTP/1.1",
        b"GET /a\tb HTTP/1.1",
        b"GET " + b"/" * 2049 + b" HTTP/1.1",
        b"GET / HTTP/1.1\r\nno colon",
        b"GET / HTTP/1.1\r\n: no name",
        b"GET / HTTP/1.1\r\nwith space : 1",
        b"GET / HTTP/1.1\r\n folded: 1",
        b"GET / HTTP/1.1\r\na: b\0c",
        b"GET / HTTP/1.1\r\na: b\nc: d",
        b"GET / HTTP/1.1\r\na: b\rc: d",
        b"GET / HTTP/1.1\nHost: x",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
        b"GET / HTTP/1.1\r\nHost: 1\r\nhost: 1",
        b"GET / HTTP/1.1\r\nContent-Length: -1",
        b"GET / HTTP/1.1\r\nContent-Length: +1",
        b"GET / HTTP/1.1\r\nContent-Length: 1_0",
        b"GET / HTTP/1.1\r\nContent-Length: 1, 1",
        b"GET / HTTP/1.1\r\nContent-Length: \xb2",
        b"GET / HTTP/1.1\r\nContent-Length:",
        b"GET / HTTP/1.1\r\nContent-Length: 1234567890123456",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: identity",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_head(raw, 64)
    assert refused.value.status == 400


def test_other_versions_and_too_many_headers() -> None:
    with pytest.raises(UnknownVersion):
        parse_head(b"GET / HTTP/2.0", 64)
    parse_head(head("GET / HTTP/1.1", *["a: b"] * 3), 3)
    with pytest.raises(HeadTooLarge):
        parse_head(head("GET / HTTP/1.1", *["a: b"] * 4), 3)


def test_chunks_in_one_piece_and_byte_by_byte() -> None:
    raw = b"3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext"
    whole = ChunkedBody(100)
    assert whole.feed(raw) == b"next"
    assert bytes(whole.body) == b"abc0123456789"
    slow = ChunkedBody(100)
    results = [slow.feed(raw[i : i + 1]) for i in range(len(raw) - 4)]
    assert results[-1] == b""
    assert set(results[:-1]) == {None}
    assert slow.body == whole.body


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"g\r\n", BadRequest),
        (b"-1\r\n", BadRequest),
        (b"0x3\r\nabc", BadRequest),
        (b"\r\n", BadRequest),
        (b"123456789\r\n", BadRequest),
        (b"3\r\nabcd\r\n", BadRequest),
        (b"3\r\nabc\n0\r\n\r\n", BadRequest),
        (b"3" + b" " * 300, BadRequest),
        (b"0\r\n" + b"a: b\r\n" * 1000, BadRequest),
        (b"65\r\n", BodyTooLarge),
        (b"64\r\n" + b"a" * 100 + b"\r\n1\r\n", BodyTooLarge),
    ],
)
def test_bad_chunks(raw: bytes, error: type[RequestError]) -> None:
    with pytest.raises(error):
        ChunkedBody(100).feed(raw)


def test_tiny_chunks_cost_no_memory_and_are_bounded_in_number() -> None:
    body = ChunkedBody(2**21)
    assert body.feed(b"1\r\nx\r\n" * 20_000) is None
    assert len(body.body) == 20_000
    with pytest.raises(BadRequest, match="chunks"):
        body.feed(b"1\r\nx\r\n" * 1_000)
