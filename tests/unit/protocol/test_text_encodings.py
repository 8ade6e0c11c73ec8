"""Hexadecimal and base64 as the wire has them: lenient in case and padding, strict in everything else."""

from __future__ import annotations

import pytest

from naisho.protocol.encoding import from_base64, from_hex, to_base64, to_base64_unpadded
from naisho.protocol.errors import BadEncoding


def test_hexadecimal_in_either_case() -> None:
    assert from_hex("00aBfF", 3) == b"\x00\xab\xff"


@pytest.mark.parametrize("text", ["", "0", "000", "0g", "0 ", " 0", "0x", "é1", None, 10, b"00"])
def test_other_hexadecimal(text: object) -> None:
    with pytest.raises(BadEncoding):
        from_hex(text, 1)


def test_spaces_between_digits_are_refused() -> None:
    with pytest.raises(BadEncoding):
        from_hex("00 00 ", 3)


@pytest.mark.parametrize("raw", [b"", b"a", b"ab", b"abc", b"abcd", bytes(64)])
def test_base64_with_and_without_padding(raw: bytes) -> None:
    assert from_base64(to_base64(raw), max_bytes=64) == raw
    assert from_base64(to_base64_unpadded(raw), max_bytes=64) == raw
    assert "=" not in to_base64_unpadded(raw)


@pytest.mark.parametrize(
    "text", ["a", "a=", "a===", "ab=", "=", "ab==cd==", "ab==\n", "a b=", "ab-_", "éabc", "abcde", None, 5, b"ab=="]
)
def test_other_base64(text: object) -> None:
    with pytest.raises(BadEncoding):
        from_base64(text, max_bytes=64)


def test_lengths_are_checked() -> None:
    assert len(from_base64("A" * 86, max_bytes=64, size=64)) == 64
    for characters in (84, 87, 90, 1_000_000):
        with pytest.raises(BadEncoding):
            from_base64("A" * characters, max_bytes=64, size=64)
