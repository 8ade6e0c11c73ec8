"""Sizes and times that the wire document sets; everything that reads bytes of others is bounded by them."""

from __future__ import annotations

from typing import Final

#: One onion request or its reply, and the body of any request to a node (wire 4.1, 5.7).
MAX_ONION_BYTES: Final = 10 * 1024 * 1024
#: The JSON beside a layer's ciphertext: routing only, a few hundred bytes in practice.
MAX_HEADER_BYTES: Final = 64 * 1024
#: A layer that has come through more hops is refused (wire 5.3).
MAX_HOPS: Final = 15

#: One stored message (wire 4.6), and the base64 text of it.
MAX_DATA_BYTES: Final = 76_800
MAX_DATA_BASE64: Final = 102_400
#: Lifetime of a stored message (wire 4.6).
MIN_TTL_MS: Final = 10_000
MAX_TTL_PUBLIC_INBOX_MS: Final = 14 * 24 * 3600 * 1000
MAX_TTL_MS: Final = 30 * 24 * 3600 * 1000
#: How far a stored message's timestamp may lie ahead of the clock, and its expiry behind it (wire 4.6).
STORE_TOLERANCE_MS: Final = 10_000
#: How far the time in a signature may lie from the clock, either way; a little more after forwarding (wire 4.4).
SIGNATURE_TOLERANCE_MS: Final = 60_000
FORWARDED_TOLERANCE_MS: Final = 70_000
#: Smaller numbers are seconds by mistake (wire 4.2).
MIN_TIMESTAMP_MS: Final = 1_000_000_000

#: Bytes of one listing (wire 4.7): the cap, and the share taken when none is asked for (its fifth).
MAX_RETRIEVE_BYTES: Final = 7_800_000
DEFAULT_RETRIEVE_SHARE: Final = -5
#: Sub-requests of one batch or sequence (wire 4.11).
MAX_BATCH: Final = 20
#: Revocations kept for one account (wire 4.9).
MAX_REVOCATIONS: Final = 50

#: An attachment's plain bytes, padding included (wire 6.4).
MAX_ATTACHMENT_BYTES: Final = 10_000_000
