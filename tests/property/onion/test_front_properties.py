"""The HTTP front reads the same requests however their bytes arrive, and never breaks on any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.onion.api.http1 import HttpLimits
from services.onion.api.http1.connection import Connection, Phase
from services.onion.api.http1.parsing import ChunkedBody, RequestError, parse_head
from tests.property.onion.played import PlayedServer, PlayedWire

names = st.sampled_from([b"Host", b"X-A", b"x-b", b"Accept"])
values = st.binary(max_size=20).filter(lambda raw: not set(raw) & set(range(32)) and 0x7F not in raw)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A good request with a body, declared or in chunks."""
    body = draw(st.binary(max_size=300))
    headers = [b"%b: %b" % (name, value) for name, value in draw(st.dictionaries(names, values, max_size=3)).items()]
    if draw(st.booleans()):
        headers.append(b"Content-Length: %d" % len(body))
        content = body
    else:
        headers.append(b"Transfer-Encoding: chunked")
        pieces = draw(st.lists(st.integers(1, 50), max_size=20))
        content, rest = b"", body
        for size in [*pieces, 10_000]:
            piece, rest = rest[:size], rest[size:]
            content += b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        content += b"0\r\n\r\n"
    return b"\r\n".join([b"POST /x HTTP/1.1", *headers, b"", content])


def run(pieces: Iterator[bytes]) -> tuple[PlayedServer, PlayedWire, Connection]:
    """Feed a connection, as a transport would: nothing more once it is closed."""
    server: Any = PlayedServer(HttpLimits(body=100_000, head=2000, fields=16))
    wire: Any = PlayedWire()
    connection = Connection(server, "192.0.2.1")
    connection.connection_made(wire)
    for piece in pieces:
        if wire.closed:
            break
        connection.data_received(piece)
    return server, wire, connection


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    last = 0
    for place in sorted(p % (len(data) + 1) for p in places):
        yield data[last:place]
        last = place
    yield data[last:]


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 5000), max_size=30))
def test_requests_are_the_same_however_they_are_cut(stream: list[bytes], places: list[int]) -> None:
    data = b"".join(stream)
    whole, wire, _ = run(iter([data]))
    pieces, other_wire, connection = run(cut(data, places))
    assert whole.seen == pieces.seen
    assert len(whole.seen) == len(stream)
    assert wire.written == other_wire.written
    assert connection.phase is Phase.IDLE
    assert pieces.under_way == pieces.held == 0
    connection.connection_lost(None)
    assert not pieces.connections


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=10))
def test_no_bytes_break_a_connection(data: bytes, places: list[int]) -> None:
    server, _, connection = run(cut(data, places))
    assert server.held <= 100_000
    connection.connection_lost(None)
    assert server.under_way == server.held == 0


@given(requests(), st.integers(0, 400), st.integers(0, 255))
def test_one_wrong_byte_breaks_nothing(data: bytes, place: int, byte: int) -> None:
    changed = bytearray(data)
    changed[place % len(changed)] = byte
    _, wire, connection = run(iter([bytes(changed), b"GET / HTTP/1.1\r\n\r\n"]))
    assert not wire.written or wire.written.startswith(b"HTTP/1.1 ")
    connection.connection_lost(None)


@given(st.binary(max_size=500))
def test_heads_are_parsed_or_refused(raw: bytes) -> None:
    try:
        head = parse_head(b"GET / HTTP/1.1\r\n" + raw, 8)
    except RequestError:
        return
    assert head.length is None or 0 <= head.length < 10**15
    assert all(name == name.lower() and b"\n" not in value for name, value in head.headers.items())


@given(st.binary(max_size=500), st.lists(st.integers(0, 500), max_size=10))
def test_chunks_are_read_the_same_however_they_are_cut(raw: bytes, places: list[int]) -> None:
    def read(pieces: Iterator[bytes]) -> tuple[str, bytes] | None:
        body = ChunkedBody(300)
        for piece in pieces:
            try:
                rest = body.feed(piece)
            except RequestError as error:
                return type(error).__name__, b""
            if rest is not None:
                return "done", bytes(body.body)
        return "more", bytes(body.body)

    data = b"3\r\nabc\r\n" + raw
    assert read(iter([data])) == read(cut(data, places))


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_the_model_above_is_a_transport_as_far_as_it_matters(size: int) -> None:
    server, wire, _ = run(iter([b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size]))
    assert server.seen[0][1] == b"x" * size
    assert wire.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not asyncio.iscoroutinefunction(server.answer)
