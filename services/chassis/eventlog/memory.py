"""The event log in memory: the port's semantics for tests and for networks that live as long as their process.

``MemoryStream`` is the log; ``MemoryLog(stream)`` is one service's connection to it. The stream also has the accidents
that tests need: it can be away, slow, lose acknowledgements, and be put back from an older copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

from services.chassis.eventlog.memory_stream import MemoryStream
from services.chassis.eventlog.port import Batch, EventLogError, LoggedEvent, LogIdentity, LogUnavailable
from services.chassis.eventlog.subjects import check_conditions, check_name, check_patterns, check_subject, matcher


class MemoryLog:
    """``EventLog`` on a ``MemoryStream``.

    Args:
        stream: the log, shared with other connections.
        append_timeout_s: bound of one append, if the stream is slow.
        in_flight: most unanswered appends.
    """

    def __init__(self, stream: MemoryStream, *, append_timeout_s: float = 5.0, in_flight: int = 4096) -> None:
        self._stream = stream
        self._in_flight_most = in_flight
        self._append_timeout_s = append_timeout_s
        self._loop = asyncio.get_running_loop()
        self._unsettled: set[asyncio.Future[int]] = set()
        self._followers: set[MemoryFollower] = set()
        self._closed = False

    def append(
        self, subject: str, payload: bytes, *, expected: int | None = None, ttl_s: int | None = None
    ) -> asyncio.Future[int]:
        """See ``EventLog.append``."""
        check_subject(subject)
        check_conditions(expected, ttl_s)
        faults = self._stream.faults
        result: asyncio.Future[int] = self._loop.create_future()
        outcome: int | EventLogError
        delay = faults.delay_s
        try:
            self._check_reachable()
            if len(self._unsettled) >= self._in_flight_most:
                raise LogUnavailable("too many appends are in flight; try again later", maybe_stored=False)
            outcome = self._stream.store(subject, payload, expected, ttl_s)
        except EventLogError as error:
            outcome = error
        else:
            if faults.lost_acknowledgements or delay > self._append_timeout_s:
                faults.lost_acknowledgements = max(0, faults.lost_acknowledgements - 1)
                delay = min(delay, self._append_timeout_s)
                outcome = LogUnavailable("no acknowledgement within the bound")
        self._unsettled.add(result)
        self._loop.call_later(delay, self._settle, result, outcome)
        return result

    def _settle(self, result: asyncio.Future[int], outcome: int | EventLogError) -> None:
        self._unsettled.discard(result)
        if result.done():
            return
        if isinstance(outcome, EventLogError):
            result.set_exception(outcome)
        else:
            result.set_result(outcome)

    async def read(self, sequence: int) -> LoggedEvent | None:
        """See ``EventLog.read``."""
        self._check_reachable()
        return self._stream.read(sequence)

    async def last(self, subject: str) -> LoggedEvent | None:
        """See ``EventLog.last``."""
        check_subject(subject)
        self._check_reachable()
        return self._stream.last(subject)

    async def first_since(self, time_ns: int) -> LoggedEvent | None:
        """See ``EventLog.first_since``."""
        self._check_reachable()
        return self._stream.first_since(time_ns)

    async def identity(self) -> LogIdentity:
        """See ``EventLog.identity``."""
        self._check_reachable()
        return self._stream.identity

    def follow(self, name: str, subjects: Sequence[str], *, after: int) -> MemoryFollower:
        """See ``EventLog.follow``; nobody need make the follower beforehand."""
        check_name(name)
        check_patterns(subjects)
        follower = MemoryFollower(self._stream, subjects, after=after, on_closed=self._followers.discard)
        self._followers.add(follower)
        return follower

    async def erase(self, sequence: int) -> bool:
        """See ``EventLog.erase``."""
        self._check_reachable()
        return self._stream.erase(sequence)

    async def close(self) -> None:
        """See ``EventLog.close``."""
        self._closed = True
        for follower in tuple(self._followers):
            await follower.close()
        await asyncio.gather(*self._unsettled, return_exceptions=True)

    def _check_reachable(self) -> None:
        if self._closed or self._stream.faults.away:
            raise LogUnavailable("the log cannot be reached; nothing was sent", maybe_stored=False)


class MemoryFollower:
    """``Follower`` on a ``MemoryStream``.

    Attributes:
        window: most events of one batch.
        heartbeat_s: the position moves over other subjects' events after so long without own ones.
    """

    window: int = 4096
    heartbeat_s: float = 0.05

    def __init__(
        self,
        stream: MemoryStream,
        subjects: Sequence[str],
        *,
        after: int,
        on_closed: Callable[[MemoryFollower], None],
    ) -> None:
        self._stream = stream
        self._matches = matcher(subjects)
        self._position = after
        self._closed = False
        self._on_closed = on_closed
        self._changed = asyncio.Event()
        self._forget = stream.on_change(self._changed.set)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        """Return the next batch."""
        while not self._closed:
            self._changed.clear()
            stream = self._stream
            if not stream.faults.away:
                own = [event for event in stream.behind(self._position) if self._matches(event.subject)]
                if own:
                    return self._hand_out(own[: self.window], pending=max(0, len(own) - self.window))
                if stream.identity.last_sequence > self._position and not await self._changes_within_heartbeat():
                    return self._hand_out([], pending=0)
                if self._changed.is_set():
                    continue
            await self._changed.wait()
        raise StopAsyncIteration

    def _hand_out(self, events: list[LoggedEvent], *, pending: int) -> Batch:
        end = events[-1].sequence if pending else self._stream.identity.last_sequence
        self._position = max(self._position, end)
        return Batch(events, self._position, pending)

    async def _changes_within_heartbeat(self) -> bool:
        try:
            async with asyncio.timeout(self.heartbeat_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """See ``Follower.close``."""
        if not self._closed:
            self._closed = True
            self._forget()
            self._changed.set()
            self._on_closed(self)
