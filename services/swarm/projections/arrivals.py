"""What a follower hands to the local store: events of the log, decoded, with the place they have in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from services.swarm.domain.events import Event, Stored


class Arrived(NamedTuple):
    """One event as it came from the log."""

    sequence: int
    #: When the log stored it, nanoseconds since 1970.
    time_ns: int
    shard: int
    #: 16 bytes: which mailbox (``adapters.subjects``).
    tag: bytes
    event_id: bytes
    event: Event
    #: The period whose key sealed the body of ``Stored``, and the sealed body; 0 and empty for other events.
    period: int
    sealed: bytes
    #: The event's bytes as they lie in the log; empty for ``Stored``.
    payload: bytes
    #: Whether somebody may still wait for what it changes.
    young: bool


@dataclass(slots=True, repr=False)
class FirstStores:
    """First stores that nobody waits for any more, in columns: a replay consists of them, and spends its time on them.

    Each column has a value for every event; see ``Arrived`` and ``Stored`` for what they mean.
    """

    sequences: list[int]
    times_ns: list[int]
    shards: list[int]
    tags: list[bytes]
    event_ids: list[bytes]
    hashes: list[bytes]
    namespaces: list[int]
    timestamps_ms: list[int]
    expiries_ms: list[int]
    #: Bytes of the bodies, unsealed.
    sizes: list[int]
    periods: list[int]
    sealed: list[bytes]

    def __len__(self) -> int:
        return len(self.sequences)

    def extend(self, later: FirstStores) -> None:
        """Add events that came behind these."""
        for column in self.__slots__:
            getattr(self, column).extend(getattr(later, column))

    def one_by_one(self) -> list[Arrived]:
        """Return the events as everybody else knows them."""
        events = map(
            Stored,
            *(self.hashes, self.namespaces, self.timestamps_ms, self.expiries_ms, repeat(None), self.sizes),
        )
        places = (self.sequences, self.times_ns, self.shards, self.tags, self.event_ids)
        return list(map(Arrived, *places, events, self.periods, self.sealed, repeat(b""), repeat(False)))


class Anchor(NamedTuple):
    """An event that the log had when this store folded it: the sign by which a log is known again."""

    sequence: int
    event_id: bytes
    time_ns: int


class Arrivals(NamedTuple):
    """What a follower delivered at once: folded in one transaction."""

    follower: str
    #: In order of sequence.
    events: Sequence[Arrived] | FirstStores
    #: Everything followed is delivered up to this sequence.
    position: int
    #: What came before this reached up to here, and must be folded first.
    after: int
    #: How many events wait in the log behind these, as far as it said.
    behind: int = 0
    #: What the log has there, when no event of the follower's says so.
    anchor: Anchor | None = None

    def placed(self, after: int, anchor: Anchor | None = None) -> Arrivals:
        """Return the same, to be folded behind what was handed over up to ``after``."""
        return Arrivals(self.follower, self.events, self.position, after, self.behind, anchor)
