"""Header blocks (RFC 7541) of a connection that carries one stream.

We write plain literals. We read whatever an encoder writes that keeps no table, as our settings ask (size 0): the
static table, literals, and Huffman's code. Entries that a peer adds before it has read our settings are not kept;
whoever refers to one anyway is in error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Headers = list[tuple[bytes, bytes]]

#: RFC 7541, appendix A.
_STATIC: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    *((b":status", status) for status in b"200 204 206 304 400 404 500".split()),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    *(
        (name, b"")
        for name in (
            b"accept-language accept-ranges accept access-control-allow-origin age allow authorization "
            b"cache-control content-disposition content-encoding content-language content-length "
            b"content-location content-range content-type cookie date etag expect expires from host if-match "
            b"if-modified-since if-none-match if-range if-unmodified-since last-modified link location "
            b"max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after server "
            b"set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate"
        ).split()
    ),
)

#: Bits of each byte's code, RFC 7541, appendix B; the code is canonical, so that these lengths say all.
_LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c"
    "060a0a0c0d06080b0a0a080b080606060505050606060606060607080f060c0a"
    "0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c"
    "1416141416161617161717171717181718181617181717171715161716171718"
    "1615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b"
    "14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
)
#: The end of a string is filled up with the first bits of a code of thirty ones.
_END_BITS: Final = 30
_LONGEST_STRING: Final = 8 * 1024


class BadHeaders(ValueError):
    """A header block that cannot be read; the connection is of no further use."""


def encode(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write a header block of literals, without table or Huffman's code."""
    block = bytearray()
    for name, value in headers:
        block.append(0)
        for text in (name, value):
            block += _integer(len(text)) + text
    return bytes(block)


def decode(block: bytes) -> Headers:
    """Read a header block.

    Raises:
        BadHeaders: malformed, or it refers to a table that we do not keep.
    """
    headers: Headers = []
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _read_integer(block, at, 7)
                headers.append(_entry(index))
            elif first & 0xE0 == 0x20:  # noqa: PLR2004 - a change of the table's size
                _, at = _read_integer(block, at, 5)
            else:
                index, at = _read_integer(block, at, 6 if first & 0x40 else 4)
                if index:
                    name = _entry(index)[0]
                else:
                    name, at = _read_string(block, at)
                value, at = _read_string(block, at)
                headers.append((name, value))
    except IndexError:
        raise BadHeaders("a header block ends too early") from None
    return headers


def _entry(index: int) -> tuple[bytes, bytes]:
    if not 0 < index <= len(_STATIC):
        raise BadHeaders("a header block refers to a table that is not kept")
    return _STATIC[index - 1]


def _integer(number: int) -> bytes:
    """Write an integer with a prefix of seven bits, the eighth zero."""
    if number < 0x7F:  # noqa: PLR2004 - it fits
        return bytes((number,))
    number -= 0x7F
    octets = bytearray((0x7F,))
    while number >= 0x80:  # noqa: PLR2004 - seven bits at a time
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _read_integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    number = block[at] & most
    at += 1
    if number < most:
        return number, at
    for shift in (0, 7, 14):
        octet = block[at]
        at += 1
        number += (octet & 0x7F) << shift
        if not octet & 0x80:
            return number, at
    raise BadHeaders("a number in a header block is too large")


def _read_string(block: bytes, at: int) -> tuple[bytes, int]:
    packed = block[at] & 0x80
    size, at = _read_integer(block, at, 7)
    text = block[at : at + size]
    if len(text) < size or size > _LONGEST_STRING:
        raise BadHeaders("a string in a header block is too long")
    return (_unpack(text) if packed else text), at + size


def _codes() -> dict[tuple[int, int], int]:
    """Return the byte for each (number of bits, code)."""
    codes: dict[tuple[int, int], int] = {}
    code = bits = 0
    for symbol in sorted(range(len(_LENGTHS)), key=lambda symbol: (_LENGTHS[symbol], symbol)):
        code <<= _LENGTHS[symbol] - bits
        bits = _LENGTHS[symbol]
        codes[bits, code] = symbol
        code += 1
    return codes


_CODES: Final = _codes()


def _unpack(packed: bytes) -> bytes:
    text = bytearray()
    code = bits = 0
    for octet in packed:
        for shift in range(7, -1, -1):
            code = code << 1 | octet >> shift & 1
            bits += 1
            symbol = _CODES.get((bits, code))
            if symbol is not None:
                text.append(symbol)
                code = bits = 0
            elif bits >= _END_BITS:
                raise BadHeaders("a string in a header block has a code of no byte")
    if bits > 7 or code != (1 << bits) - 1:  # noqa: PLR2004 - less than a byte
        raise BadHeaders("a string in a header block is not filled up with ones")
    return bytes(text)
