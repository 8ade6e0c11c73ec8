"""Everything that is written can be read back, and nothing else is taken for it."""

from __future__ import annotations

import tracemalloc
from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naisho.protocol import bencode, node_list
from naisho.protocol.encoding import from_base64, from_hex, to_base64, to_base64_unpadded
from naisho.protocol.errors import BadBencode, BadEncoding, BadNodeList, ProtocolError
from naisho.protocol.message_hash import hash_text, message_hash, parse_hash
from naisho.protocol.onion import v4
from naisho.protocol.recovery import from_words, to_words
from naisho.protocol.subaccount import Rights, Token

VALUES = st.recursive(
    st.integers(bencode.LOWEST, bencode.HIGHEST) | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=10), inner, max_size=5),
    max_leaves=20,
)
HEADERS = st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4)
RECORDS = st.builds(
    node_list.NodeRecord,
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**64 - 1),
    st.ip_addresses(v=4).map(str),
    st.integers(0, 65_535),
    st.integers(0, 65_535),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)),
)


@given(VALUES)
def test_bencode_round_trips_and_breaks_when_cut(value: bencode.Value) -> None:
    data = bencode.encode(value)
    assert bencode.decode(data) == value
    for end in range(len(data)):
        with pytest.raises(BadBencode):
            bencode.decode(data[:end])


@given(st.binary(max_size=60))
def test_what_bencode_reads_it_writes_the_same(data: bytes) -> None:
    try:
        value = bencode.decode(data)
    except BadBencode:
        return
    assert bencode.encode(value) == data


@given(st.integers(min_value=1_000, max_value=10**19), st.sampled_from([b"%d:", b"l%d:", b"d%d:", b"d1:a%d:"]))
def test_absurd_lengths_cost_nothing(length: int, shape: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadBencode):
            bencode.decode(shape % length + b"tail")
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@given(st.lists(RECORDS, max_size=10), st.integers(1, 50))
def test_node_lists_round_trip_and_break_when_cut(records: list[node_list.NodeRecord], cut: int) -> None:
    data = node_list.encode(records)
    assert node_list.decode(data) == records
    with pytest.raises(BadNodeList):
        node_list.decode(data + bytes(cut))


@given(st.binary(max_size=200))
def test_base64_agrees_with_the_standard_library(raw: bytes) -> None:
    assert to_base64(raw).encode() == b64encode(raw)
    assert from_base64(to_base64_unpadded(raw), max_bytes=200) == from_base64(to_base64(raw), max_bytes=200) == raw


@given(st.text(max_size=90) | st.none() | st.integers() | st.binary(max_size=90))
def test_texts_are_read_or_refused(text: object) -> None:
    for size in (1, 32, 33, 64):
        with suppress(BadEncoding):
            assert from_hex(text, size).hex() == str(text).lower()
        with suppress(BadEncoding):
            assert len(from_base64(text, max_bytes=64, size=size)) == size


@given(st.binary(min_size=33, max_size=33), st.integers(-(2**15), 2**15 - 1), st.binary(max_size=100))
def test_hashes_round_trip_and_depend_on_every_part(account: bytes, namespace: int, data: bytes) -> None:
    text = message_hash(account, namespace, data)
    assert len(text) == 43
    assert hash_text(parse_hash(text)) == text
    assert text != message_hash(account, namespace, data + b"x")
    assert text != message_hash(account, namespace + 1, data)
    assert text != message_hash(bytes([account[0] ^ 1]) + account[1:], namespace, data)


@given(st.integers(1, 16).flatmap(lambda groups: st.binary(min_size=4 * groups, max_size=4 * groups)))
def test_phrases_round_trip(seed: bytes) -> None:
    phrase = to_words(seed)
    assert len(phrase.split()) == len(seed) // 4 * 3 + 1
    assert from_words(phrase) == seed


@given(st.binary(min_size=16, max_size=16), st.integers(0, 11), st.integers(0, 11))
def test_swapped_words_give_another_seed_or_none(seed: bytes, one: int, two: int) -> None:
    words = to_words(seed).split()
    words[one], words[two] = words[two], words[one]
    try:
        read = from_words(" ".join(words))
    except ProtocolError:
        return
    assert (read == seed) == (words == to_words(seed).split())


@given(st.integers(0, 255), st.integers(0, 15).map(Rights), st.binary(min_size=32, max_size=32))
def test_tokens_round_trip(prefix: int, rights: Rights, key: bytes) -> None:
    token = Token.make(prefix, rights, key)
    assert (token.prefix, token.rights, token.key) == (prefix, rights, key)
    assert Token.parse(token.raw.hex()) == Token.parse(to_base64(token.raw)) == token


@given(st.text(max_size=10), st.text(max_size=10).map("/".__add__), HEADERS, st.none() | st.binary(max_size=50))
def test_server_requests_round_trip(method: str, endpoint: str, headers: dict[str, str], body: bytes | None) -> None:
    read = v4.decode_request(v4.encode_request(v4.Request(method, endpoint, headers, body)))
    assert (read.method, read.endpoint, read.body) == (method, endpoint, body)
    assert headers.items() <= read.headers.items()


@given(st.integers(100, 599), HEADERS, st.binary(max_size=50))
def test_server_responses_round_trip(code: int, headers: dict[str, str], body: bytes) -> None:
    lower = {name.lower(): value for name, value in headers.items()}
    assert v4.decode_response(v4.encode_response(v4.Response(code, headers, body))) == v4.Response(code, lower, body)
