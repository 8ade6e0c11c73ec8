"""How far which shards are folded, and by which events the log would be known again (design: a position).

Shards that came to a follower together lie in one group; those that came later are a group of their own until they have
caught up with the others.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from services.swarm.projections.arrivals import Anchor

#: Anchors kept, the older ones ever further apart ...
_ANCHORS: Final = 16
#: ... and the newest so close: within so many sequences the newest takes the place of the one before.
_DENSE: Final = 16
_PACKED: Final = struct.Struct("<QQ16s")


class Progress:
    """One group of shards: a row of ``progress``, remembered between transactions.

    Attributes:
        number: of the row.
        follower: which follower delivers the group's events.
        shards: the shards of the group.
        incarnation: of the log that they were folded from.
        position: everything in these shards is folded up to this sequence.
        highest_rank: the largest order key given so far; the log's next sequence is above it unless the log was put
            back from an older copy.
        anchors: events that the log had, ascending.
    """

    def __init__(
        self,
        number: int,
        follower: str,
        shards: frozenset[int],
        *,
        incarnation: str,
        position: int = 0,
        highest_rank: int = 0,
        anchors: Iterable[Anchor] = (),
    ) -> None:
        self.follower = follower
        self.shards = shards
        self.incarnation = incarnation
        self.position = position
        self.highest_rank = highest_rank
        self.anchors = list(anchors)
        self.number = number
        #: All of them but the newest, packed.
        self._older: bytes | None = None

    def advance(self, connection: sqlite3.Connection, position: int, newest: Anchor | None) -> None:
        """Move on to a position, and keep the newest event there as an anchor."""
        self.position = max(position, self.position)
        if newest is not None and (not self.anchors or newest.sequence > self.anchors[-1].sequence):
            self._keep(newest)
        if self._older is None:
            self._older = _pack(self.anchors[:-1])
        connection.execute(
            "UPDATE progress SET position = ?, highest_rank = ?, anchors = ? WHERE number = ?",
            (self.position, self.highest_rank, self._older + _pack_newest(self.anchors), self.number),
        )

    def _keep(self, newest: Anchor) -> None:
        """Add the newest anchor, in place of the one before if that lies close behind the one before it."""
        anchors = self.anchors
        if len(anchors) > 1 and newest.sequence - anchors[-2].sequence < _DENSE:
            anchors[-1] = newest
            return
        anchors.append(newest)
        if len(anchors) > _ANCHORS:
            del anchors[_least_telling(anchors)]
        self._older = None


def load_progress(connection: sqlite3.Connection) -> list[Progress]:
    """Read all groups, the oldest first."""
    query = (
        "SELECT number, follower, shards, incarnation, position, highest_rank, anchors FROM progress ORDER BY number"
    )
    return [
        Progress(
            number,
            follower,
            frozenset(shards),
            incarnation=incarnation,
            position=position,
            highest_rank=highest_rank,
            anchors=_unpack(anchors),
        )
        for number, follower, shards, incarnation, position, highest_rank, anchors in connection.execute(query)
    ]


def save_progress(connection: sqlite3.Connection, groups: Iterable[Progress]) -> None:
    """Write these groups in place of all."""
    connection.execute("DELETE FROM progress")
    connection.executemany(
        "INSERT INTO progress VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (g.number, g.follower, bytes(sorted(g.shards)), g.incarnation, g.position, g.highest_rank, _pack(g.anchors))
            for g in groups
        ],
    )


def merged(groups: Sequence[Progress]) -> Progress:
    """Return groups of the same position as one."""
    anchors = sorted({anchor for group in groups for anchor in group.anchors})
    while len(anchors) > _ANCHORS:
        del anchors[_least_telling(anchors)]
    return Progress(
        groups[0].number,
        groups[0].follower,
        frozenset().union(*(group.shards for group in groups)),
        incarnation=groups[0].incarnation,
        position=groups[0].position,
        highest_rank=max(group.highest_rank for group in groups),
        anchors=anchors,
    )


def _pack_newest(anchors: Sequence[Anchor]) -> bytes:
    """Return the newest, packed; nothing if there is none."""
    if not anchors:
        return b""
    sequence, event_id, time_ns = anchors[-1]
    return _PACKED.pack(sequence, time_ns, event_id)


def _pack(anchors: Sequence[Anchor]) -> bytes:
    return b"".join(_PACKED.pack(a.sequence, a.time_ns, a.event_id) for a in anchors)


def _unpack(packed: bytes) -> list[Anchor]:
    return [Anchor(sequence, event_id, time_ns) for sequence, time_ns, event_id in _PACKED.iter_unpack(packed)]


def _least_telling(anchors: Sequence[Anchor]) -> int:
    """Return which anchor leaves the smallest gap, measured by its age, when it goes; never the newest or oldest."""
    newest = anchors[-1].sequence + 1
    return min(
        range(1, len(anchors) - 1),
        key=lambda i: (anchors[i + 1].sequence - anchors[i - 1].sequence) / (newest - anchors[i].sequence),
    )
