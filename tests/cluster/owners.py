"""Who owns which shard, before and after: nothing may move that need not."""

from __future__ import annotations

from typing import NamedTuple

from naisho.protocol import ring
from naisho.protocol.directory import Directory


class Moves(NamedTuple):
    """What changed between two directories.

    Attributes:
        epochs: directories published in between, the last one included.
        changed: shards whose set of owners is another.
        allowed: shards of swarms that members joined or left, by either directory.
    """

    epochs: int
    changed: int
    allowed: int


def moves(before: Directory, after: Directory) -> Moves:
    """Compare two directories of a network."""
    old, new = _owners(before), _owners(after)
    changed = {shard for shard in range(ring.SHARDS) if old[shard] != new[shard]}
    allowed: set[int] = set()
    for one, other in ((before, after), (after, before)):
        for swarm in one.swarm_ids:
            if _keys(one, swarm) != _keys(other, swarm):
                allowed |= set(ring.shards_of(swarm, one.swarm_ids))
    return Moves(after.epoch - before.epoch, len(changed), len(allowed))


def _owners(directory: Directory) -> dict[int, frozenset[bytes]]:
    return {
        shard: _keys(directory, swarm)
        for swarm in directory.swarm_ids
        for shard in ring.shards_of(swarm, directory.swarm_ids)
    }


def _keys(directory: Directory, swarm: int) -> frozenset[bytes]:
    return frozenset(node.key for node in directory.members(swarm))
