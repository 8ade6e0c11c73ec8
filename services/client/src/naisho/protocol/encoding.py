"""Hexadecimal and base64 as the wire protocol has them (wire 0): strict in alphabet, lenient in case and padding."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64

from naisho.protocol.errors import BadEncoding


def from_hex(text: object, size: int) -> bytes:
    """Read ``2 * size`` hexadecimal digits, either case.

    Raises:
        BadEncoding: not a string, not that long, or with other characters (white space included).
    """
    if not isinstance(text, str) or len(text) != 2 * size:
        raise BadEncoding(f"expected {2 * size} hexadecimal digits")
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise BadEncoding(f"expected {2 * size} hexadecimal digits") from None
    if len(raw) != size:  # bytes.fromhex skips white space
        raise BadEncoding(f"expected {2 * size} hexadecimal digits")
    return raw


def from_base64(text: object, *, max_bytes: int, size: int | None = None) -> bytes:
    """Read standard base64, with or without ``=`` padding.

    Args:
        text: what came in; anything but a string is refused.
        max_bytes: longest result accepted; longer text is refused before it is decoded.
        size: exact length of the result, if it must have one.

    Raises:
        BadEncoding: not such text.
    """
    if not isinstance(text, str):
        raise BadEncoding("expected base64 text")
    if len(text) > (max_bytes + 2) // 3 * 4:
        raise BadEncoding("base64 text is too long")
    padding = "" if text.endswith("=") else "=" * (-len(text) % 4)
    try:
        raw = a2b_base64(text + padding, strict_mode=True)
    except (Error, ValueError):
        raise BadEncoding("expected base64 text") from None
    if len(raw) > max_bytes or (size is not None and len(raw) != size):
        raise BadEncoding("base64 text has the wrong length")
    return raw


def to_base64(raw: bytes) -> str:
    """Write standard base64 with padding."""
    return b2a_base64(raw, newline=False).decode("ascii")


def to_base64_unpadded(raw: bytes) -> str:
    """Write standard base64 without padding ("b64-nopad")."""
    return b2a_base64(raw, newline=False).rstrip(b"=").decode("ascii")
