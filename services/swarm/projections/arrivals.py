"""What a follower hands to the local store: events of the log, decoded, with the place they have in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.swarm.domain.events import Event


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


class Anchor(NamedTuple):
    """An event that the log had when this store folded it: the sign by which a log is known again."""

    sequence: int
    event_id: bytes
    time_ns: int


class Arrivals(NamedTuple):
    """What a follower delivered at once: folded in one transaction."""

    follower: str
    #: In order of sequence.
    events: Sequence[Arrived]
    #: Everything followed is delivered up to this sequence.
    position: int
    #: What came before this reached up to here, and must be folded first.
    after: int
    #: How many events wait in the log behind these, as far as it said.
    behind: int = 0
    #: What the log has there, when no event of the follower's says so.
    anchor: Anchor | None = None
