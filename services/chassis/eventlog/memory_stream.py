"""The log that the memory adapter connects to, with the accidents that tests need."""

from __future__ import annotations

import heapq
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.chassis.clock import Clock, SystemClock
from services.chassis.eventlog.port import EventTooLarge, LogFull, LoggedEvent, LogIdentity, WrongExpectedSequence

_MILLISECOND_NS: Final = 1_000_000
_SECOND_NS: Final = 1_000_000_000
_OVERHEAD_BYTES: Final = 30  # of one event in the log's file, as JetStream has it


@dataclass(frozen=True, slots=True)
class MemoryCopy:
    """A stream as it was at one moment, see ``MemoryStream.copy``."""

    events: dict[int, LoggedEvent]
    expiries: list[tuple[int, int]]
    last_sequence: int


@dataclass(slots=True, kw_only=True)
class Faults:
    """What is wrong with a stream; set and unset by tests.

    Attributes:
        away: every call raises ``LogUnavailable`` and nothing is stored; followers wait.
        delay_s: acknowledgements come so much later, though the event is stored at once.
        lost_acknowledgements: so many of the next appends are stored and yet raise ``LogUnavailable``.
    """

    away: bool = False
    delay_s: float = 0.0
    lost_acknowledgements: int = 0


class MemoryStream:
    """One log, shared by any number of connections.

    Args:
        clock: where times and expiries come from.
        max_bytes: beyond it appends raise ``LogFull``.
        event_limit: most bytes of one payload.
    """

    def __init__(self, clock: Clock | None = None, *, max_bytes: int = 1 << 30, event_limit: int = 1024 * 1024) -> None:
        self._clock = clock or SystemClock()
        self._max_bytes = max_bytes
        self.event_limit = event_limit
        self.faults = Faults()
        self._incarnation = secrets.token_hex(16)
        self._events: dict[int, LoggedEvent] = {}
        self._sequences: list[int] = []  # of the living events, sorted
        self._by_subject: dict[str, list[int]] = {}
        self._expiries: list[tuple[int, int]] = []  # heap of (time, sequence)
        self._bytes = 0
        self._last_sequence = 0
        self._last_time_ns = 0
        self._changed: list[Callable[[], None]] = []

    @property
    def identity(self) -> LogIdentity:
        """Which log this is, and its highest sequence."""
        return LogIdentity(self._incarnation, self._last_sequence)

    def store(self, subject: str, payload: bytes, expected: int | None, ttl_s: int | None) -> int:
        """Append one event; the rules are those of ``EventLog.append``."""
        self._expire()
        size = _size(subject, payload)
        if len(payload) > self.event_limit:
            raise EventTooLarge(self.event_limit)
        if expected is not None:
            last = self.last(subject)
            actual = last.sequence if last is not None else 0
            if actual != expected:
                raise WrongExpectedSequence(actual)
        if self._bytes + size > self._max_bytes:
            raise LogFull("the log has reached its size limit; raise it, or let events expire")
        self._last_sequence += 1
        now = self._clock.now_ms() * _MILLISECOND_NS
        self._last_time_ns = now if now > self._last_time_ns else self._last_time_ns + 1
        event = LoggedEvent(self._last_sequence, subject, payload, self._last_time_ns)
        self._events[event.sequence] = event
        self._sequences.append(event.sequence)
        self._by_subject.setdefault(subject, []).append(event.sequence)
        self._bytes += size
        if ttl_s is not None:
            heapq.heappush(self._expiries, (now + ttl_s * _SECOND_NS, event.sequence))
        self.rouse()
        return event.sequence

    def read(self, sequence: int) -> LoggedEvent | None:
        """Return a living event."""
        self._expire()
        return self._events.get(sequence)

    def last(self, subject: str) -> LoggedEvent | None:
        """Return the newest living event on a subject."""
        self._expire()
        own = self._by_subject.get(subject)
        return self._events[own[-1]] if own else None

    def first_since(self, time_ns: int) -> LoggedEvent | None:
        """Return the first living event stored at or after a time."""
        self._expire()
        at = bisect_left(self._sequences, time_ns, key=lambda sequence: self._events[sequence].time_ns)
        return self._events[self._sequences[at]] if at < len(self._sequences) else None

    def behind(self, sequence: int) -> list[LoggedEvent]:
        """Return the living events behind a sequence."""
        self._expire()
        return [self._events[at] for at in self._sequences[bisect_right(self._sequences, sequence) :]]

    def erase(self, sequence: int) -> bool:
        """Take one event out."""
        self._expire()
        return self._remove(sequence)

    def copy(self) -> MemoryCopy:
        """Return the stream as it is now, to be put back later."""
        return MemoryCopy(dict(self._events), list(self._expiries), self._last_sequence)

    def restore(self, copy: MemoryCopy) -> None:
        """Become an older copy: what was appended since is lost, what was erased since is back."""
        self._events = dict(copy.events)
        self._sequences = sorted(copy.events)
        self._by_subject = {}
        for sequence in self._sequences:
            self._by_subject.setdefault(copy.events[sequence].subject, []).append(sequence)
        self._expiries = list(copy.expiries)
        self._bytes = sum(_size(event.subject, event.payload) for event in copy.events.values())
        self._last_sequence = copy.last_sequence
        self.rouse()

    def on_change(self, rouse: Callable[[], None]) -> Callable[[], None]:
        """Have ``rouse`` called after every change; returns what takes it off again."""
        self._changed.append(rouse)
        return lambda: self._changed.remove(rouse)

    def rouse(self) -> None:
        """Tell the followers to look again; to be called after ``faults.away`` was unset."""
        for rouse in tuple(self._changed):
            rouse()

    def _remove(self, sequence: int) -> bool:
        event = self._events.pop(sequence, None)
        if event is None:
            return False
        del self._sequences[bisect_left(self._sequences, sequence)]
        own = self._by_subject[event.subject]
        del own[bisect_left(own, sequence)]
        if not own:
            del self._by_subject[event.subject]
        self._bytes -= _size(event.subject, event.payload)
        return True

    def _expire(self) -> None:
        now = self._clock.now_ms() * _MILLISECOND_NS
        while self._expiries and self._expiries[0][0] <= now:
            self._remove(heapq.heappop(self._expiries)[1])


def _size(subject: str, payload: bytes) -> int:
    return _OVERHEAD_BYTES + len(subject) + len(payload)
