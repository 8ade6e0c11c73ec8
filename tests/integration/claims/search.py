"""Finding an address or a mailbox in bytes, in every form that software writes them in."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

from naisho.protocol.account import AccountKeys

#: Characters of base64 that depend on what stands before, by how many bytes stand there beyond a multiple of three.
_SPOILT = (0, 2, 3)


class Form(NamedTuple):
    """One way to write something.

    Attributes:
        text: what it looks like.
        around: what must stand around it, as a pattern, for it to count.
        any_case: it is hexadecimal, of whatever case.
    """

    text: bytes
    around: tuple[bytes, bytes] = (b"", b"")
    any_case: bool = False


class Trace:
    """Something that must not be where something else is, in all its forms."""

    def __init__(self, forms: Iterable[Form]) -> None:
        self._forms = [(form, _pattern(form)) for form in forms]

    def is_in(self, data: bytes) -> bool:
        """Tell whether any form of it is there."""
        lower = data.lower()
        # Most data holds none of the texts, and looking for a plain text costs a fraction of looking for a pattern.
        return any(
            form.text in (lower if form.any_case else data) and pattern.search(data) for form, pattern in self._forms
        )

    def places(self, view: Mapping[str, bytes]) -> set[str]:
        """Return the places of a view where it is."""
        return {place for place, data in view.items() if self.is_in(data)}


def address(text: str) -> Trace:
    """Return the trace of an IPv4 address.

    Four bytes alone stand in random data now and then; they count where an address has its place: behind its length in
    protobuf, in an IPv4-mapped address, in a socket address.
    """
    packed = IPv4Address(text).packed
    no_digit = rb"(?<![0-9])", rb"(?![0-9])"
    no_hex_digit = rb"(?<![0-9a-f])(?:0x|f{4}:?)?", rb"(?![0-9a-f])"
    first, second = packed[:2].hex().lstrip("0"), packed[2:].hex().lstrip("0")
    return Trace(
        [
            Form(text.encode(), (rb"(?<![0-9.])", rb"(?![0-9])")),
            *_base64(text.encode()),
            Form(packed, (rb"[\x04\x06]", b"")),
            Form(packed, (rb"\xff\xff", b"")),
            Form(packed, (rb"(?:\x00\x02|\x02\x00)..", b"")),
            Form(packed.hex().encode(), no_hex_digit, any_case=True),
            Form(f"{first}:{second}".encode(), (rb"f{4}:", rb"(?![0-9a-f])"), any_case=True),
            Form(str(int.from_bytes(packed)).encode(), no_digit),
        ]
    )


def mailbox(keys: AccountKeys) -> Trace:
    """Return the trace of an account: its id and either of its public keys; raw, hexadecimal, base64."""
    return Trace([*_all(keys.account_id.key), *_all(keys.ed25519_public)])


def raw(data: bytes) -> Trace:
    """Return the trace of any bytes, such as a message hash; raw, hexadecimal, base64."""
    return Trace(_all(data))


def _all(data: bytes) -> Iterator[Form]:
    yield Form(data)
    yield Form(data.hex().encode(), any_case=True)
    yield from _base64(data)


def _base64(data: bytes) -> Iterator[Form]:
    """Yield how data looks inside longer base64, whatever stands around it."""
    for before in range(3):
        certain = slice(_SPOILT[before], (before + len(data)) * 8 // 6)
        for encode in (b64encode, urlsafe_b64encode):
            yield Form(encode(bytes(before) + data)[certain])


def _pattern(form: Form) -> re.Pattern[bytes]:
    before, behind = form.around
    flags = re.DOTALL | (re.IGNORECASE if form.any_case else 0)
    return re.compile(before + re.escape(form.text) + behind, flags)
