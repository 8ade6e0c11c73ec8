"""Telling whether the log is still the one that the store was folded from (design: a position)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.chassis.eventlog.port import EventLog
from services.swarm.adapters.event_codec import UnreadableEvent, decode
from services.swarm.adapters.store.progress import Progress
from services.swarm.projections.arrivals import Anchor

#: Servers of one log stamp events by their own clocks: after another one has come to lead, times may step back. What
#: they differ by is what nodes' clocks may differ by; anchors tell what was put back within it.
_CLOCKS_DIFFER_NS: Final = 10 * 10**9


class Recognition(NamedTuple):
    """What became of the log.

    Attributes:
        known: it is the log that the store knows, grown or not.
        agreed: up to this sequence it is, at least; above, the store may know more than the log.
        incarnation: of the log as it is now.
        end: its last sequence.
    """

    known: bool
    agreed: int
    incarnation: str
    end: int


async def recognise(log: EventLog, groups: Sequence[Progress]) -> Recognition:
    """Compare the log with what the store remembers of it.

    A log that was put back from an older copy keeps its name, and may have grown beyond the store's position again:
    its incarnation, its end, the events at the anchors, and what it has from the time of the newest anchor on must all
    be as they were. An event that others have appended again is the same at the same place, but younger.

    Args:
        log: as it is now.
        groups: how far which shards are folded.

    Raises:
        EventLogError: the log does not answer.
    """
    incarnation, end = await log.identity()
    begun = [group for group in groups if group.position]
    known = all(group.incarnation == incarnation and group.position <= end for group in begun)
    if known:
        for group in begun:
            known = known and await _holds_anchors(log, group.anchors)
    if known:
        return Recognition(known, end, incarnation, end)
    agreed = [await _agreed(log, group, incarnation) for group in begun]
    return Recognition(known, min(agreed, default=0), incarnation, end)


async def _holds_anchors(log: EventLog, anchors: Sequence[Anchor]) -> bool:
    """Tell whether the newest anchor that still can be read is as it was, and nothing earlier is clearly newer."""
    if not anchors:
        return True
    newest = anchors[-1]
    later = await log.first_since(newest.time_ns + _CLOCKS_DIFFER_NS)
    if later is not None and later.sequence < newest.sequence:
        return False
    for anchor in reversed(anchors):
        found = await _event_at(log, anchor.sequence)
        if found is not None:
            return found == (anchor.event_id, anchor.time_ns)
    return True


async def _agreed(log: EventLog, group: Progress, incarnation: str) -> int:
    """Return the sequence of the newest anchor that the log has as it was."""
    if group.incarnation == incarnation:
        for anchor in reversed(group.anchors):
            if await _event_at(log, anchor.sequence) == (anchor.event_id, anchor.time_ns):
                return anchor.sequence
    return 0


async def _event_at(log: EventLog, sequence: int) -> tuple[bytes, int] | None:
    """Return which event has a sequence, and when the log stored it."""
    event = await log.read(sequence)
    if event is None:
        return None
    try:
        return decode(event.payload).event_id, event.time_ns
    except UnreadableEvent:
        return b"", event.time_ns
