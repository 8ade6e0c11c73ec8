"""The plain texts that clients search for, byte-exact (wire 4.1, 5.3, 5.7)."""

from __future__ import annotations

from typing import Final

BUSY: Final = b"Server busy, try again later"
TIMED_OUT: Final = b"Request time out"
MALFORMED_ANSWER: Final = b"Invalid response from snode"
INVALID_CIPHERTEXT: Final = b"Invalid ciphertext"
TOO_MANY_REQUESTS: Final = b"Too Many Requests"
#: The wire document has the status alone.
LONG_POLL_GONE: Final = b"Long polling is gone; ask again without it"


def hop_not_ready(own_key: bytes) -> bytes:
    """503 to an onion layer."""
    return b"Snode not ready: " + own_key.hex().encode()


def node_not_ready(reasons: str) -> bytes:
    """503 to a direct request."""
    return f"Service node is not ready: {reasons}\n".encode()


def node_not_found(key: bytes) -> bytes:
    """502: the next node is not in the directory."""
    return b"Next node not found: " + key.hex().encode()


def node_unreachable(key: bytes) -> bytes:
    """502: the next node is known, but cannot be reached."""
    return b"Next node is currently unreachable: " + key.hex().encode()


def path_not_found(method: str, target: str) -> bytes:
    """404."""
    return f"{method} {target} Not Found".encode()
