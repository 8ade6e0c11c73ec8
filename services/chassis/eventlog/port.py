"""The port to the event log.

A log is one totally ordered, durable sequence of events on subjects. Sequences start at 1, only grow, and may have
holes (expired or erased events). Two adapters implement it under one body of contract tests: ``memory`` and
``jetstream``.

    EventLogError
    ├── WrongExpectedSequence   somebody appended first; carries the sequence to expect
    ├── LogFull                 the log refuses new events until space is freed
    ├── LogUnavailable          no answer within the bound; says whether the event may have been stored
    ├── EventTooLarge           never sent; carries the limit
    ├── NotPermitted            the credentials do not allow it
    ├── FollowerMissing         the log's authority has not made this follower, or for other subjects
    └── LogRefused              refused for a reason that only the log's operator can mend
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import NamedTuple, Protocol


class EventLogError(Exception):
    """Base of everything that the event log raises; never raised itself."""


class WrongExpectedSequence(EventLogError):
    """The subject's last event is not the expected one; nothing was stored.

    Attributes:
        actual: sequence of the last event on the subject, 0 if there is none.
    """

    def __init__(self, actual: int) -> None:
        super().__init__(f"the last event on this subject has sequence {actual}; read up to it and decide again")
        self.actual = actual


class LogFull(EventLogError):
    """The log has reached its size limit and drops nobody's events; nothing was stored."""


class LogUnavailable(EventLogError):
    """No answer within the bound. The event may or may not have been stored: repeat only with an expected sequence.

    Attributes:
        maybe_stored: false if it is certain that nothing was stored (not connected, too much in flight).
    """

    def __init__(self, text: str, *, maybe_stored: bool = True) -> None:
        super().__init__(text)
        self.maybe_stored = maybe_stored


class EventTooLarge(EventLogError):
    """The event exceeds the log's limit for one event, headers included; nothing was stored.

    Attributes:
        limit: most bytes of one event.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"an event may have {limit} bytes, headers included; make it smaller")
        self.limit = limit


class NotPermitted(EventLogError):
    """The credentials in use do not allow this; nothing was done."""


class FollowerMissing(EventLogError):
    """The log knows no follower of this name, or follows other subjects under it, and that did not change in time."""


class LogRefused(EventLogError):
    """The log refused for a reason that only its operator can mend (settings, a missing log); nothing was stored.

    Attributes:
        code: the log's own number for the reason.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"the log refused ({code}): {text}")
        self.code = code


class LoggedEvent(NamedTuple):
    """One event as the log holds it."""

    sequence: int
    subject: str
    payload: bytes
    #: When the log stored it, nanoseconds since 1970.
    time_ns: int


class LogIdentity(NamedTuple):
    """Which incarnation of the log this is, and how far it reaches."""

    #: Random text, set when the log was made; a log deleted and made anew has another.
    incarnation: str
    #: The highest sequence ever given out (0 in an empty log); never lowered by expiry or erasure.
    last_sequence: int


class Batch(NamedTuple):
    """What a follower received at once: the unit of group commit."""

    #: In order of sequence, none of them at or below the position before.
    events: Sequence[LoggedEvent]
    #: Everything on the followed subjects up to this sequence has been delivered. It moves without events, too, when
    #: the log reports that what lies between concerns other subjects.
    position: int
    #: How many events on the followed subjects wait behind this batch, as far as the log said; 0 is "caught up".
    pending: int


class Follower(Protocol):
    """A reader of some subjects, from a position on, for as long as it lives.

    It survives restarts of the log's server: after a reconnect it goes on behind the last batch it handed out.
    """

    def __aiter__(self) -> AsyncIterator[Batch]:
        """Yield batches for ever; ends only when the follower is closed.

        A log that came back shorter is not noticed here: see ``EventLog.identity`` and ``first_since``.

        Raises:
            FollowerMissing: the authority has not made this follower within the bound; iterating again goes on waiting.
            NotPermitted: the credentials do not allow this follower.
        """
        ...

    async def __anext__(self) -> Batch:
        """Return the next batch; raises as iterating does. A cancelled wait loses nothing."""
        ...

    async def close(self) -> None:
        """Stop following and free what the log keeps for this follower."""
        ...


class EventLog(Protocol):
    """A connection to the log, used by one service."""

    def append(
        self, subject: str, payload: bytes, *, expected: int | None = None, ttl_s: int | None = None
    ) -> Awaitable[int]:
        """Append one event and return its sequence once the log has made it durable.

        The event is written to the connection before this returns; await the result for the acknowledgement. A
        follower may deliver the event before the acknowledgement arrives.

        Args:
            subject: dot-separated tokens of letters, digits, ``-`` and ``_``.
            payload: at most the log's limit (``EventTooLarge``).
            expected: sequence of the last event on this very subject, 0 for none; ``None`` does not check.
            ttl_s: whole seconds after which the log may forget the event, at least 1; ``None`` keeps it.

        Raises:
            EventLogError: by the awaited result, never by the call; see the tree in the module's docstring.
            ValueError: by the call, if an argument is out of its range.
        """
        ...

    async def read(self, sequence: int) -> LoggedEvent | None:
        """Return the event with this sequence, or ``None`` if it expired, was erased or never was."""
        ...

    async def last(self, subject: str) -> LoggedEvent | None:
        """Return the newest living event on this very subject, or ``None``."""
        ...

    async def first_since(self, time_ns: int) -> LoggedEvent | None:
        """Return the first living event that the log stored at or after a time, or ``None``.

        The check for a log that was put back from an older copy: reading from the time of a known event must never
        answer a lower sequence than that event's.
        """
        ...

    async def identity(self) -> LogIdentity:
        """Return which log this is and how far it reaches, as of now."""
        ...

    def follow(self, name: str, subjects: Sequence[str], *, after: int) -> Follower:
        """Follow subjects (``*`` and ``>`` as wildcards) from behind a sequence.

        Args:
            name: the follower's name, one per reader: letters, digits, ``-`` and ``_``.
            subjects: non-overlapping patterns.
            after: deliver what lies behind this sequence; 0 is everything.
        """
        ...

    async def erase(self, sequence: int) -> bool:
        """Overwrite one event's bytes; true if it was there. Slow (milliseconds of the whole log): pace it."""
        ...

    async def close(self) -> None:
        """End the followers and wait, within the bound of an append, for every append's outcome."""
        ...
