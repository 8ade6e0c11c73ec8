"""Finding an address or a mailbox in bytes, in every form that software writes them in."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from naisho.protocol.account import AccountKeys

#: Characters of base64 that depend on what stands before, by how many bytes stand there beyond a multiple of three.
_SPOILT = (0, 2, 3)


class Trace:
    """Something that must not be where something else is: all its forms, as one pattern."""

    def __init__(self, forms: Iterator[bytes]) -> None:
        self._pattern = re.compile(b"|".join(forms), re.DOTALL)

    def is_in(self, data: bytes) -> bool:
        """Tell whether any form of it is there."""
        return self._pattern.search(data) is not None

    def places(self, view: Mapping[str, bytes]) -> set[str]:
        """Return the places of a view where it is."""
        return {place for place, data in view.items() if self.is_in(data)}


def address(text: str) -> Trace:
    """Return the trace of an IPv4 address.

    Four bytes alone stand in random data now and then; they count where an address has its place: behind its length in
    protobuf, in an IPv4-mapped address, in a socket address.
    """

    def forms() -> Iterator[bytes]:
        packed = IPv4Address(text).packed
        dotted = re.escape(text.encode())
        yield rb"(?<![0-9.])" + dotted + rb"(?![0-9])"
        yield from _base64(text.encode())
        yield rb"[\x04\x06]" + re.escape(packed)
        yield rb"\xff\xff" + re.escape(packed)
        yield rb"(?:\x00\x02|\x02\x00).." + re.escape(packed)
        yield rb"(?<![0-9a-fA-F])(?i:(?:0x|f{4}:?)?" + packed.hex().encode() + rb")(?![0-9a-fA-F])"
        yield rb"(?<![0-9])" + str(int.from_bytes(packed)).encode() + rb"(?![0-9])"
        first, second = packed[:2].hex().lstrip("0"), packed[2:].hex().lstrip("0")
        yield rb"(?i:f{4}:" + f"{first}:{second}".encode() + rb")"

    return Trace(forms())


def mailbox(keys: AccountKeys) -> Trace:
    """Return the trace of an account: its id and either of its public keys; raw, hexadecimal, base64."""

    def forms() -> Iterator[bytes]:
        for name in (keys.account_id.key, keys.ed25519_public):
            yield re.escape(name)
            yield rb"(?i:" + name.hex().encode() + rb")"
            yield from _base64(name)

    return Trace(forms())


def raw(data: bytes) -> Trace:
    """Return the trace of any bytes, such as a message hash; raw, hexadecimal, base64."""

    def forms() -> Iterator[bytes]:
        yield re.escape(data)
        yield rb"(?i:" + data.hex().encode() + rb")"
        yield from _base64(data)

    return Trace(forms())


def _base64(data: bytes) -> Iterator[bytes]:
    """Yield how data looks inside longer base64, whatever stands around it."""
    for before in range(3):
        certain = slice(_SPOILT[before], (before + len(data)) * 8 // 6)
        for encode in (b64encode, urlsafe_b64encode):
            yield re.escape(encode(bytes(before) + data)[certain])
