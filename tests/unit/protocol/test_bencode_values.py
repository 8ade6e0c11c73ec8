"""Bencode against the vectors that are made of it, and everything that is not canonical."""

from __future__ import annotations

from typing import Any

import pytest

from naisho.protocol.bencode import MAX_DEPTH, decode, encode
from naisho.protocol.errors import BadBencode


def test_frames_of_the_vectors(vectors: dict[str, Any]) -> None:
    frames = vectors["bt_quic_frame"]
    assert encode(encode([b"C", 1, b"info", b"{}"])).decode() == frames["command_info"]
    assert encode(encode([b"R", 1, b'[200,{"t":1}]'])).decode() == frames["reply_ok_json"]
    assert encode(encode([b"E", 1, b"404 Not Found\n\nno"])).decode() == frames["reply_error"]
    inner = decode(frames["command_info"].encode())
    assert isinstance(inner, bytes)
    assert decode(inner) == [b"C", 1, b"info", b"{}"]


def test_a_record_between_nodes(vectors: dict[str, Any]) -> None:
    record = vectors["relay_serialization_v1"]
    fields = record["input"]
    message = [
        bytes.fromhex(fields["pubkey"]),
        bytes.fromhex(fields["hash_bytes_hex"]),
        fields["timestamp_ms"],
        fields["expiry_ms"],
        bytes.fromhex(fields["data_hex"]),
    ]
    assert b"\x01" + encode([message]) == bytes.fromhex(record["encoded_hex"])
    assert decode(bytes.fromhex(record["encoded_hex"])[1:]) == [message]


def test_dicts_are_written_sorted() -> None:
    assert encode({b"b": 1, b"a": [2], b"": b""}) == b"d0:0:1:ali2ee1:bi1ee"


@pytest.mark.parametrize("number", [0, 1, -1, 2**63, -(2**63), 2**64 - 1])
def test_numbers_of_64_bits(number: int) -> None:
    assert decode(encode(number)) == number


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"e", b"x", b"i", b"ie", b"i-e", b"i-0e", b"i00e", b"i01e", b"i1", b"i1.5e", b"i 1e", b"i+1e", b"i1_0e"),
        *(b"i18446744073709551616e", b"i-9223372036854775809e", b"i" + b"9" * 5000 + b"e", "i²e".encode()),
        *(b"1", b"1:", b"2:a", b"01:a", b"-1:a", b"1:ab", b"99999999999999999999:", b"18446744073709551615:a"),
        *(b"l", b"li1e", b"lee", b"d", b"d1:a", b"d1:ae", b"di1ei1ee", b"d1:bi1e1:ai1ee", b"d1:ai1e1:ai1ee", b"dle0:e"),
    ],
)
def test_what_is_not_canonical(data: bytes) -> None:
    with pytest.raises(BadBencode):
        decode(data)


def test_depth_is_bounded() -> None:
    deepest = b"l" * MAX_DEPTH + b"e" * MAX_DEPTH
    assert encode(decode(deepest)) == deepest
    for data in (b"l" + deepest + b"e", b"l" * 100_000, b"d0:" * 100_000):
        with pytest.raises(BadBencode):
            decode(data)
    nested: list[Any] = []
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    with pytest.raises(BadBencode):
        encode(nested)


@pytest.mark.parametrize("value", ["text", 1.5, None, True, 2**64, -(2**63) - 1, bytearray(b"x"), [None]])
def test_what_the_format_lacks(value: Any) -> None:
    with pytest.raises(BadBencode):
        encode(value)
