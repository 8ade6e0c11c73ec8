"""Bencode, called "bt" on the wire (wire 0): integers, byte strings, lists, and dicts with sorted keys.

Reading accepts only what writing makes: no leading zeros, keys sorted as raw bytes and unique, nothing behind the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from naisho.protocol.errors import BadBencode

Value: TypeAlias = int | bytes | Sequence["Value"] | Mapping[bytes, "Value"]
#: What reading makes of it.
Decoded: TypeAlias = int | bytes | list["Decoded"] | dict[bytes, "Decoded"]

#: Deepest nesting of lists and dicts; the protocol's own messages need four.
MAX_DEPTH: Final = 16
#: Integers are those of 64 bits, signed or not.
LOWEST: Final = -(2**63)
HIGHEST: Final = 2**64 - 1

_MAX_DIGITS: Final = 20
_INT, _LIST, _DICT, _END, _COLON = b"ilde:"
_ZERO, _NINE, _MINUS = b"09-"


def encode(value: Value) -> bytes:
    """Write a value; text must have been made bytes, because the format has no text.

    Raises:
        BadBencode: a type that the format lacks, an integer above 64 bits, or nesting beyond ``MAX_DEPTH``.
    """
    parts: list[bytes] = []
    _write(value, parts, 0)
    return b"".join(parts)


def _write(value: Value, parts: list[bytes], depth: int) -> None:
    if isinstance(value, bytes):
        parts.append(b"%d:%b" % (len(value), value))
    elif isinstance(value, int) and not isinstance(value, bool):
        if not LOWEST <= value <= HIGHEST:
            raise BadBencode("integers have 64 bits")
        parts.append(b"i%de" % value)
    elif isinstance(value, Mapping):
        _check_depth(depth)
        parts.append(b"d")
        for key in sorted(value):
            _write(key, parts, depth)
            _write(value[key], parts, depth + 1)
        parts.append(b"e")
    elif isinstance(value, Sequence) and not isinstance(value, str | bytearray | memoryview):
        _check_depth(depth)
        parts.append(b"l")
        for item in value:
            _write(item, parts, depth + 1)
        parts.append(b"e")
    else:
        raise BadBencode(f"bencode has no {type(value).__name__}")


def decode(data: bytes) -> Decoded:
    """Read one value that fills ``data``; a string's length is checked before anything is copied.

    Raises:
        BadBencode: anything else, or nesting beyond ``MAX_DEPTH``.
    """
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise BadBencode("bytes behind the end")
    return value


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise BadBencode("nested too deeply")


def _read(data: bytes, at: int, depth: int) -> tuple[Decoded, int]:
    kind = data[at] if at < len(data) else _END
    if _ZERO <= kind <= _NINE:
        return _read_string(data, at)
    if kind == _INT:
        value, end = _read_number(data, at + 1, _END)
        return value, end
    if kind == _LIST:
        return _read_list(data, at + 1, depth)
    if kind == _DICT:
        return _read_dict(data, at + 1, depth)
    raise BadBencode("a value is missing or of no known kind")


def _read_number(data: bytes, at: int, stop: int) -> tuple[int, int]:
    end = data.find(stop, at, at + _MAX_DIGITS + 1)
    digits = data[at:end] if end >= 0 else b""
    unsigned = digits[1:] if digits[:1] == b"-" else digits
    canonical = unsigned.isdigit() and (unsigned[0] != _ZERO or digits == b"0")
    value = int(digits) if canonical else HIGHEST + 1
    if not LOWEST <= value <= HIGHEST:
        raise BadBencode("not a canonical integer of 64 bits")
    return value, end + 1


def _read_string(data: bytes, at: int) -> tuple[bytes, int]:
    length, start = _read_number(data, at, _COLON)
    end = start + length
    if end > len(data):
        raise BadBencode("a string is longer than what is there")
    return data[start:end], end


def _read_list(data: bytes, at: int, depth: int) -> tuple[list[Decoded], int]:
    _check_depth(depth)
    items: list[Decoded] = []
    while at < len(data) and data[at] != _END:
        item, at = _read(data, at, depth + 1)
        items.append(item)
    if at >= len(data):
        raise BadBencode("a list does not end")
    return items, at + 1


def _read_dict(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Decoded], int]:
    _check_depth(depth)
    items: dict[bytes, Decoded] = {}
    last: bytes | None = None
    while at < len(data) and data[at] != _END:
        if not _ZERO <= data[at] <= _NINE:
            raise BadBencode("a dict's key is no string")
        key, at = _read_string(data, at)
        if last is not None and key <= last:
            raise BadBencode("a dict's keys are not sorted")
        last = key
        items[key], at = _read(data, at, depth + 1)
    if at >= len(data):
        raise BadBencode("a dict does not end")
    return items, at + 1
