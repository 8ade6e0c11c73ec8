"""Header blocks of HTTP/2: the RFC's own examples, and what is refused."""

from __future__ import annotations

import pytest

from services.chassis.http2.hpack import BadHeaders, decode, encode

DATE = b"Mon, 21 Oct 2013 20:13:21 GMT"


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", [(b"custom-key", b"custom-header")]),  # C.2.1
        ("040c2f73616d706c652f70617468", [(b":path", b"/sample/path")]),  # C.2.2
        ("100870617373776f726406736563726574", [(b"password", b"secret")]),  # C.2.3
        ("82", [(b":method", b"GET")]),  # C.2.4
        (  # C.4.1, Huffman's code
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")],
        ),
        (  # C.6.1
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            [
                (b":status", b"302"),
                (b"cache-control", b"private"),
                (b"date", DATE),
                (b"location", b"https://www.example.com"),
            ],
        ),
        ("20", []),  # a table of size 0
        ("3fe11f", []),  # and of 4096
    ],
)
def test_examples_of_the_rfc(block: str, headers: list[tuple[bytes, bytes]]) -> None:
    assert decode(bytes.fromhex(block)) == headers


def test_every_length_of_text_comes_back() -> None:
    headers = [(b"n" * length, b"v" * length) for length in (0, 1, 126, 127, 128, 254, 255, 300, 8000)]
    assert decode(encode(headers)) == headers


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("80", "table"),  # index 0
        ("be", "table"),  # 62: the first of a table that is not kept
        ("ff8000", "table"),
        ("7fffffffff7f", "too large"),
        ("00", "too early"),
        ("0005616263", "too long"),
        ("007fffff7f", "too long"),
        ("0081ff00", "ones"),  # eight bits of filling
        ("008100" + "00", "ones"),  # filled up with zeros
        ("0084ffffffff00", "no byte"),  # the end of the string, written out
    ],
)
def test_what_cannot_be_read_is_refused(block: str, why: str) -> None:
    with pytest.raises(BadHeaders, match=why):
        decode(bytes.fromhex(block))
