"""The ring: where an account lies, and which swarm keeps it (wire 3.1, 3.2; shards are this network's own)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from naisho.protocol.errors import BadKey

#: Swarm id of a node that has no swarm (wire 3.2).
INVALID_SWARM: Final = 2**64 - 1
#: A network constant: a shard is the top 8 bits of a ring position.
SHARDS: Final = 256

_KEY_BYTES: Final = 32
_RING: Final = 2**64
_SHARD_SHIFT: Final = 56
_LOW: Final = _RING - 1


def position(key: bytes) -> int:
    """Return the ring position, 0 to 2**64 - 1, of an account's 32-byte key (no prefix byte) (wire 3.1).

    Raises:
        BadKey: not 32 bytes.
    """
    if len(key) != _KEY_BYTES:
        raise BadKey(f"an account's key has {_KEY_BYTES} bytes")
    whole = int.from_bytes(key, "big")
    half = whole ^ (whole >> 128)
    return (half ^ (half >> 64)) & _LOW


def choose_swarm(position: int, ids: Iterable[int]) -> int | None:
    """Return the swarm that keeps a position, or None if there is none (wire 3.2).

    The nearest id wins; an exact midpoint belongs to the id before it.

    Args:
        position: 0 to 2**64 - 1.
        ids: ids of the live swarms in any order; ``INVALID_SWARM`` is ignored.
    """
    swarms = sorted(ids)
    while swarms and swarms[-1] == INVALID_SWARM:
        swarms.pop()
    if not swarms:
        return None
    at = bisect_left(swarms, position)
    right = swarms[at % len(swarms)]
    left = swarms[at - 1]
    return right if (right - position) % _RING < (position - left) % _RING else left


def swarm_id(j: int) -> int:
    """Return the ``j``-th possible swarm id, (2j + 1) * 2**56 - 1.

    Halfway between any two such ids lies the last position of a shard, so that the nearest-id rule never cuts through
    one, whatever the set of swarms.

    Raises:
        ValueError: ``j`` is not 0 to 127.
    """
    if not 0 <= j < SHARDS // 2:
        raise ValueError(f"swarm numbers are 0 to {SHARDS // 2 - 1}")
    return ((2 * j + 1) << _SHARD_SHIFT) - 1


def shard_of(position: int) -> int:
    """Return the shard, 0 to 255, of a ring position."""
    return position >> _SHARD_SHIFT


def shards_of(swarm_id: int, ids: Iterable[int]) -> list[int]:
    """Return the shards that one swarm keeps, ascending.

    Args:
        swarm_id: the swarm asked for.
        ids: ids of all live swarms; must be of the form that the function ``swarm_id`` makes, or the nearest-id rule
            may cut through a shard, which then is counted by its first position.
    """
    swarms = sorted(ids)
    return [shard for shard in range(SHARDS) if choose_swarm(shard << _SHARD_SHIFT, swarms) == swarm_id]
