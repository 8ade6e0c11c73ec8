"""Whatever bytes come, and in whatever pieces, a stream neither fails nor reads them differently."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import grpc.aio
from hypothesis import given
from hypothesis import strategies as st

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.http2 import Incoming, hpack
from services.chassis.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PREFACE,
    PRIORITY,
    SETTINGS,
    STREAM,
    frame,
)
from tests.property.played_transport import PlayedTransport

REQUEST = hpack.encode([(b":path", b"/x/y"), (b"te", b"trailers")])
BEGIN = PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS, STREAM, REQUEST)


def read(data: bytes, cuts: list[int]) -> tuple[list[Packet], str]:
    """Give a server's end some bytes, cut in pieces; return what it reads, and how it ends."""

    async def run() -> tuple[list[Packet], str]:
        stream = Incoming(Packet)
        wire = PlayedTransport()
        stream.connection_made(wire)
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        for begin, end in pairwise(edges):
            if not wire.aborted:
                stream.data_received(data[begin:end])
        if not wire.aborted:
            stream.connection_lost(None)
        packets: list[Packet] = []
        try:
            while isinstance(packet := await stream.read(), Packet):
                packets.append(packet)
        except grpc.aio.AioRpcError as error:
            return packets, error.code().name
        return packets, "EOF"

    return asyncio.run(run())


pieces = st.lists(st.integers(0, 2**16), max_size=12)


@st.composite
def message_frames(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Bodies of packets, and DATA frames that carry them, cut anywhere and padded at will."""
    bodies = draw(st.lists(st.binary(max_size=300), max_size=6))
    packets = [Packet() for _ in bodies]
    for packet, body in zip(packets, bodies, strict=True):
        packet.frames.add(id=1, body=body)
    texts = [packet.SerializeToString() for packet in packets]
    stream = b"".join(b"\0" + len(text).to_bytes(4, "big") + text for text in texts)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in draw(pieces))})
    frames = []
    for begin, end in pairwise(edges):
        padding = draw(st.none() | st.integers(0, 20))
        piece = stream[begin:end]
        if padding is None:
            frames.append(frame(DATA, 0, STREAM, piece))
        else:
            frames.append(frame(DATA, PADDED, STREAM, bytes([padding]) + piece + bytes(padding)))
    return b"".join((*frames, frame(DATA, END_STREAM, STREAM, b""))), bodies


@given(message_frames(), pieces)
def test_messages_arrive_whole_however_they_are_cut(made: tuple[bytes, list[bytes]], cuts: list[int]) -> None:
    data, bodies = made
    packets, end = read(BEGIN + data, cuts)
    assert [packet.frames[0].body for packet in packets] == bodies
    assert end == "EOF"


frames = st.builds(
    frame,
    st.integers(0, 10),
    st.sampled_from([0, END_STREAM, END_HEADERS, PADDED, PRIORITY, 0xFF]),
    st.sampled_from([0, STREAM, 3]),
    st.binary(max_size=40) | st.just(REQUEST),
)


@given(st.binary(max_size=200) | st.lists(frames, max_size=12).map(b"".join), st.booleans(), pieces)
def test_nonsense_ends_the_stream_the_same_way_however_it_is_cut(data: bytes, begun: bool, cuts: list[int]) -> None:  # noqa: FBT001 - drawn
    data = BEGIN + data if begun else PREFACE + frame(SETTINGS, 0, 0, b"") + data
    assert read(data, []) == read(data, cuts)


@given(st.binary(max_size=100))
def test_a_header_block_is_read_or_refused(block: bytes) -> None:
    try:
        headers = hpack.decode(block)
    except hpack.BadHeaders:
        return
    assert hpack.decode(hpack.encode(headers)) == headers


@given(st.lists(st.integers(0, 100), max_size=5), pieces)
def test_a_header_block_may_come_in_pieces(cuts: list[int], more: list[int]) -> None:
    edges = sorted({0, len(REQUEST), *(cut % len(REQUEST) for cut in cuts)})
    parts = [REQUEST[begin:end] for begin, end in pairwise(edges)]
    data = frame(HEADERS, 0, STREAM, parts[0])
    for part in parts[1:]:
        data += frame(CONTINUATION, 0, STREAM, part)
    data += frame(CONTINUATION, END_HEADERS, STREAM, b"") + frame(DATA, END_STREAM, STREAM, bytes(5))
    assert read(PREFACE + frame(SETTINGS, 0, 0, b"") + data, more) == ([Packet()], "EOF")
