"""How far which shards are folded, and by which events the log would be known again (design: a position).

All shards lie in one group, unless some were gained later: those are a group of their own until they have caught up.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from services.swarm.projections.arrivals import Anchor, Arrived

#: Anchors kept, the newest dense and the older ones ever further apart.
_ANCHORS: Final = 16
_PACKED: Final = struct.Struct("<QQ16s")


class Progress:
    """One group of shards: a row of ``progress``, remembered between transactions.

    Attributes:
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
        shards: frozenset[int],
        incarnation: str,
        *,
        position: int = 0,
        highest_rank: int = 0,
        anchors: Iterable[Anchor] = (),
    ) -> None:
        self.shards = shards
        self.incarnation = incarnation
        self.position = position
        self.highest_rank = highest_rank
        self.anchors = list(anchors)
        self.number = number

    def advance(self, connection: sqlite3.Connection, position: int, newest: Arrived | None) -> None:
        """Move on to a position, and keep the newest event there as an anchor."""
        self.position = max(position, self.position)
        if newest is not None:
            self.anchors.append(Anchor(newest.sequence, newest.event_id, newest.time_ns))
            if len(self.anchors) > _ANCHORS:
                del self.anchors[_least_telling(self.anchors)]
        connection.execute(
            "UPDATE progress SET position = ?, highest_rank = ?, anchors = ? WHERE number = ?",
            (self.position, self.highest_rank, _pack(self.anchors), self.number),
        )


def load_progress(connection: sqlite3.Connection) -> list[Progress]:
    """Read all groups, the oldest first."""
    query = "SELECT number, shards, incarnation, position, highest_rank, anchors FROM progress ORDER BY number"
    return [
        Progress(
            number,
            frozenset(shards),
            incarnation,
            position=position,
            highest_rank=highest_rank,
            anchors=_unpack(anchors),
        )
        for number, shards, incarnation, position, highest_rank, anchors in connection.execute(query)
    ]


def save_progress(connection: sqlite3.Connection, groups: Iterable[Progress]) -> None:
    """Write these groups in place of all."""
    connection.execute("DELETE FROM progress")
    connection.executemany(
        "INSERT INTO progress VALUES (?, ?, ?, ?, ?, ?)",
        [
            (g.number, bytes(sorted(g.shards)), g.incarnation, g.position, g.highest_rank, _pack(g.anchors))
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
        frozenset().union(*(group.shards for group in groups)),
        groups[0].incarnation,
        position=groups[0].position,
        highest_rank=max(group.highest_rank for group in groups),
        anchors=anchors,
    )


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
