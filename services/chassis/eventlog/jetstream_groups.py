"""Group commit of appends: while many are under way, those that come meanwhile share one atomic batch of JetStream.

A server that syncs before it acknowledges spends most of an append on that. A batch is written and synced as a whole:
it costs as much as some ten events alone, and then little for each event more (docs/adr/0009).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple

from services.chassis.eventlog import jetstream_api as api
from services.chassis.eventlog.port import EventLogError, LogFull, LogRefused, LogUnavailable
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import NatsError

#: While so few appends are under way, and no group was for a while (seconds), each is sent at once.
_FEW: Final = 8
_CALM_S: Final = 0.1
#: Fewer events than this are cheaper one by one.
_WORTH_IT: Final = 12
#: A group is sent once nothing more has come for so long, in seconds ...
_QUIET_S: Final = 0.002
#: ... and when it has gathered for so long at the latest.
_GATHER_S: Final = 0.02
#: A group that is not answered for so long holds up no other, in seconds.
_OVERDUE_S: Final = 1.0
#: JetStream takes 1,000 events; more than these would only wait for each other.
_MOST: Final = 512
_MOST_BYTES: Final = 2 * 1024 * 1024
#: What an event's headers grow by in a group, at most.
EXTRA_BYTES: Final = 96
_OPENING: Final = b"NATS/1.0\r\n"


class Gathered(NamedTuple):
    """One event to be appended without a condition."""

    subject: bytes
    payload: bytes
    #: Its own header lines, each with its end.
    lines: bytes
    future: asyncio.Future[int]


class AppendGroups:
    """Sends events, alone or in groups, in the order in which they came.

    Args:
        connection: the user's.
        send_alone: sends one event by itself.
        timeout_s: bound of a group's acknowledgement.
        on_settled: told how many events of a group got their result.
    """

    def __init__(
        self,
        connection: NatsConnection,
        send_alone: Callable[[Gathered], None],
        *,
        timeout_s: float,
        on_settled: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._send_alone = send_alone
        self._timeout_s = timeout_s
        self._on_settled = on_settled
        self._loop = asyncio.get_running_loop()
        self._name = secrets.token_hex(4).encode()
        self._numbers = count(1)
        self._waiting: list[Gathered] = []
        self._timer: asyncio.TimerHandle | None = None
        self._seen = 0
        self._latest = 0.0
        self._calm_from = 0.0
        #: The groups that are under way, by their last event's future: one at a time, so that the next one grows
        #: meanwhile. More than one only where an acknowledgement does not come.
        self._under_way: dict[asyncio.Future[Any], list[Gathered]] = {}
        self._newest: asyncio.Future[Any] | None = None
        self._overdue: asyncio.TimerHandle | None = None

    def add(self, event: Gathered, under_way: int) -> None:
        """Send an event now or with others; ``under_way`` is how many appends are, this one not counted."""
        if under_way < _FEW and not self._waiting and self._loop.time() > self._calm_from:
            self._send_alone(event)
            return
        self._waiting.append(event)
        self._gather()

    def flush(self) -> None:
        """Send what waits, one by one: nothing more will come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._send_alone(event)

    def _gather(self) -> None:
        """Begin to wait for others, unless that is under way, or a group is that may be answered any moment."""
        if self._waiting and self._overdue is None and self._timer is None:
            self._latest = self._loop.time() + _GATHER_S
            self._seen = len(self._waiting)
            self._timer = self._loop.call_later(_QUIET_S, self._look)

    def _look(self) -> None:
        """Send the group once nothing more has come for a while."""
        waiting = len(self._waiting)
        if self._seen < waiting < _MOST and self._loop.time() < self._latest:
            self._seen = waiting
            self._timer = self._loop.call_later(_QUIET_S, self._look)
            return
        self._timer = None
        self._send()
        self._gather()

    def _send(self) -> None:
        chosen, self._waiting = _cut(self._waiting)
        if len(chosen) < _WORTH_IT:
            for event in chosen:
                self._send_alone(event)
            return
        last = chosen[-1]
        self._newest, self._under_way[last.future] = last.future, chosen
        self._overdue = self._loop.call_later(_OVERDUE_S, self._wait_no_longer)
        batch = b"Nats-Batch-Id: %b%x\r\nNats-Batch-Sequence: " % (self._name, next(self._numbers))
        try:
            for number, event in enumerate(chosen[:-1], 1):
                headers = b"%b%b%b%d\r\n\r\n" % (_OPENING, event.lines, batch, number)
                self._connection.send_message(event.subject, event.payload, headers)
        except NatsError as error:
            self._end(last.future, partial(api.translate, error))  # without its last event nothing is stored
            return
        headers = b"%b%b%b%d\r\nNats-Batch-Commit: 1\r\n\r\n" % (_OPENING, last.lines, batch, len(chosen))
        self._connection.send_request(
            last.subject, last.payload, self, last.future, headers=headers, timeout_s=self._timeout_s
        )

    # The waiter of a group's acknowledgement.

    def answer(self, future: asyncio.Future[Any], headers: bytes | None, payload: bytes) -> None:
        """Take the acknowledgement of a group: its events have consecutive sequences."""
        del headers
        group = self._under_way[future]
        try:
            last = _last_sequence(payload, len(group))
        except (LogRefused, LogFull, api.NotNow):
            self._each_alone(future)
        except EventLogError:
            self._end(future, partial(_refusal, payload, len(group)))
        else:
            for sequence, event in enumerate(group, last - len(group) + 1):
                if not event.future.done():
                    event.future.set_result(sequence)
            self._settle(future)

    def fail(self, future: asyncio.Future[Any], error: NatsError) -> None:
        """Take the lack of one."""
        if isinstance(api.translate(error), api.NotNow):
            self._each_alone(future)
        else:
            self._end(future, partial(api.translate, error))

    def _each_alone(self, future: asyncio.Future[Any]) -> None:
        """Get each event an answer of its own: the group was refused as such, and nothing of it is stored."""
        for event in self._forget(future):
            self._send_alone(event)
        self._gather()

    def _end(self, future: asyncio.Future[Any], make_error: Callable[[], EventLogError]) -> None:
        for event in self._under_way[future]:
            if not event.future.done():
                event.future.set_exception(make_error())
        self._settle(future)

    def _settle(self, future: asyncio.Future[Any]) -> None:
        self._on_settled(len(self._forget(future)))
        self._calm_from = self._loop.time() + _CALM_S
        # Whoever waited for this group may have more to append.
        self._gather()

    def _forget(self, future: asyncio.Future[Any]) -> list[Gathered]:
        if future is self._newest and self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        return self._under_way.pop(future)

    def _wait_no_longer(self) -> None:
        """Send on behind a group whose acknowledgement is late: it may be lost, with the server that led the stream."""
        self._overdue = None
        self._gather()


def _cut(events: list[Gathered]) -> tuple[list[Gathered], list[Gathered]]:
    """Split off what one group may hold: at least one event, if there is any."""
    size = 0
    for number, event in enumerate(events[:_MOST]):
        size += len(event.payload)
        if number and size > _MOST_BYTES:
            return events[:number], events[number:]
    return events[:_MOST], events[_MOST:]


def _last_sequence(payload: bytes, size: int) -> int:
    """Return the sequence of a group's last event.

    Raises:
        EventLogError: it was refused, or this is no acknowledgement of a group of this size.
    """
    answer = api.checked(payload)
    last = answer.get("seq")
    if answer.get("count") != size or not isinstance(last, int) or last < size:
        raise LogUnavailable("the log's acknowledgement of a group cannot be understood")
    return last


def _refusal(payload: bytes, size: int) -> EventLogError:
    """Return what was wrong with a group's acknowledgement, anew for each of its events."""
    try:
        last = _last_sequence(payload, size)
    except EventLogError as error:
        return error
    return LogUnavailable(f"the log's acknowledgement up to {last} cannot be understood")
