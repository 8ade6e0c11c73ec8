"""Onion layers for any content: round trips, cuts, flips, absurd lengths, paths of any length."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naisho.protocol.errors import BadFrame, BadInnerLayer, BadReply, OnionError, ProtocolError, Undecryptable
from naisho.protocol.onion import framing
from naisho.protocol.onion.encryption import Encryption, LayerKey, agree_as_client
from naisho.protocol.onion.packet import HopKey, to_node
from naisho.protocol.onion.reply import encode_reply, seal_reply
from naisho.protocol.onion.routing import Final, ToNode, decode_route

AUTHENTICATED = (Encryption.AES_GCM, Encryption.XCHACHA20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=12), JSON, max_size=5)


@given(st.sampled_from(Encryption), st.binary(max_size=300))
def test_layers_round_trip(encryption: Encryption, plaintext: bytes) -> None:
    node = LayerKey(b"\x11" * 32)
    ephemeral, key = agree_as_client(encryption, node.public)
    opened, reply_key = node.open(encryption, ephemeral, key.seal(plaintext))
    assert opened == plaintext
    assert key.open(reply_key.seal(plaintext)) == plaintext


@pytest.mark.parametrize("encryption", AUTHENTICATED)
def test_every_flipped_bit_and_every_cut_is_noticed(encryption: Encryption) -> None:
    _, key = agree_as_client(encryption, LayerKey(b"\x11" * 32).public)
    sealed = key.seal(b"a plaintext of some length")
    for bit in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Undecryptable):
            key.open(bytes(damaged))
    for end in range(len(sealed)):
        with pytest.raises(Undecryptable):
            key.open(sealed[:end])
        with pytest.raises(Undecryptable):
            key.open(sealed[end + 1 :])
    with pytest.raises(Undecryptable):
        key.open(sealed + b"\0")


@given(st.sampled_from(Encryption), st.binary(max_size=200))
def test_noise_is_never_more_than_undecryptable(encryption: Encryption, noise: bytes) -> None:
    try:
        LayerKey(b"\x11" * 32).open(encryption, noise[:32], noise[32:])
    except Undecryptable:
        return
    assert encryption is Encryption.AES_CBC  # unauthenticated: noise may happen to end in padding


@given(st.binary(max_size=200), OBJECTS)
def test_frames_round_trip_and_break_when_cut(blob: bytes, header: dict[str, Any]) -> None:
    data = framing.encode(blob, header)
    assert framing.decode(data) == (blob, header)
    for end in range(len(data)):
        with pytest.raises(BadFrame):
            framing.decode(data[:end])


@given(st.integers(100, 2**32 - 1), st.binary(max_size=90))
def test_absurd_lengths_cost_nothing(length: int, rest: bytes) -> None:
    data = length.to_bytes(4, "little") + rest
    tracemalloc.start()
    try:
        with pytest.raises(BadFrame):
            framing.decode(data)
        with pytest.raises(BadInnerLayer):
            decode_route(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=50), OBJECTS | st.dictionaries(st.sampled_from(["headers", "host", "target"]), JSON))
def test_any_json_leads_to_a_route_or_a_documented_refusal(blob: bytes, header: dict[str, Any]) -> None:
    data = framing.encode(blob, header)
    for read in (decode_route, framing.decode_outer):
        with suppress(OnionError):
            read(data)


@settings(max_examples=30)
@given(st.integers(1, 6), st.sampled_from(Encryption), OBJECTS, st.integers(100, 599), st.text(max_size=50))
def test_a_path_of_any_length_there_and_back(
    hops: int, encryption: Encryption, params: dict[str, Any], status: int, answer: str
) -> None:
    keys = [LayerKey(bytes([index + 1]) * 32) for index in range(hops)]
    path = [HopKey(bytes([index + 1]) * 32, key.public) for index, key in enumerate(keys)]
    packet = to_node(path, "info", params, encryption=encryption)
    layer = framing.decode_outer(packet.data)
    ephemeral, blob = layer.ephemeral_key, layer.blob
    for index, key in enumerate(keys):
        plaintext, reply_key = key.open(encryption, ephemeral, blob)
        route = decode_route(plaintext)
        if index < hops - 1:
            assert isinstance(route, ToNode)
            assert route.destination == path[index + 1].ed25519
            ephemeral, blob = route.ephemeral_key, route.blob
    assert isinstance(route, Final)
    reply = packet.read(seal_reply(reply_key, encode_reply(status, answer.encode()), base64=True))
    assert (reply.status, reply.body) == (status, answer)


def open_outer(key: LayerKey, packet: bytes) -> bytes:
    layer = framing.decode_outer(packet)
    return key.open(layer.encryption, layer.ephemeral_key, layer.blob)[0]


@given(st.sampled_from(AUTHENTICATED), st.integers(0, 10_000))
def test_every_flipped_bit_of_a_packet_or_a_reply_is_noticed(encryption: Encryption, at: int) -> None:
    key = LayerKey(b"\x11" * 32)
    packet = to_node([HopKey(b"\1" * 32, key.public)], "info", {}, encryption=encryption)
    layer = framing.decode_outer(packet.data)
    _, reply_key = key.open(encryption, layer.ephemeral_key, layer.blob)
    damaged = bytearray(packet.data)
    bit = at % (4 * 8 + len(layer.blob) * 8)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        open_outer(key, bytes(damaged))
    reply = bytearray(seal_reply(reply_key, encode_reply(200, b"{}"), base64=True))
    reply[at % len(reply)] ^= 1
    with pytest.raises(BadReply):
        packet.read(bytes(reply))
