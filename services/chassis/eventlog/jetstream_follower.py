"""Following a JetStream stream through a durable pull consumer that the authority made.

What the server keeps about the consumer is never trusted: at every start, reconnect and doubt the consumer is reset to
the position handed out last, on a fresh inbox, so that nothing of an earlier life can arrive. The server numbers the
deliveries since a reset; only a gap in *that* number is a loss (stream sequences have holes).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from services.chassis.eventlog import jetstream_api as api
from services.chassis.eventlog.jetstream_deliveries import read_deliveries
from services.chassis.eventlog.port import (
    Batch,
    EventLogError,
    FollowerMissing,
    LoggedEvent,
    LogRefused,
    LogUnavailable,
)
from services.chassis.nats.connection import NatsConnection, Subscription
from services.chassis.nats.errors import NatsError

_LAST: Final = re.compile(rb"\r\nNats-Last-(Consumer|Stream): (\d+)")
_LEFT: Final = re.compile(rb"\r\nNats-Pending-Messages: (\d+)")
_SECOND_NS: Final = 1_000_000_000
_HEARTBEAT: Final = b"NATS/1.0 100"
_NOTHING: Final = b"NATS/1.0 404"
#: How long the first reset of a consumer waits for its answer; doubled with each that is not answered.
_FIRST_RESET_S: Final = 0.5
#: A burst of fewer events waits for those that the server says are behind it, so many seconds at most.
_BURST: Final = 64
_BURST_S: Final = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerBounds:
    """How a follower pulls and waits.

    Attributes:
        window: most events asked for and not yet arrived.
        pull_bytes: most bytes of one pull.
        pull_s: life of one pull request, at least two heartbeats.
        heartbeat_s: how often the server says that it lives; three missed ones mean that it does not.
        patience_s: how long a missing consumer is waited for before ``FollowerMissing``.
        rest_s: whoever is in no hurry asks for what there is, and then so long for nothing: what comes meanwhile costs
            the server, and everybody who waits for it, no delivery of its own. Its position moves with events alone.
            0: what comes is delivered at once.
        retry_s: pause before the second attempt to begin, doubled with each up to one second, until all is well.
    """

    window: int = 4096
    pull_bytes: int = 4 * 1024 * 1024
    pull_s: float = 30.0
    heartbeat_s: float = 1.0
    patience_s: float = 30.0
    rest_s: float = 0.0
    retry_s: float = 0.02

    def __post_init__(self) -> None:
        """Check what the server would refuse.

        Raises:
            ValueError: a pull lives too short for its heartbeats.
        """
        if self.pull_s < 2 * self.heartbeat_s:
            raise ValueError("a pull must live at least two heartbeats long")


class JetStreamFollower:
    """``Follower`` on one consumer. All its work happens while ``__anext__`` is awaited; it has no task of its own."""

    def __init__(
        self,
        connection: NatsConnection,
        stream: str,
        name: str,
        subjects: Sequence[str],
        *,
        after: int,
        event_limit: int,
        bounds: FollowerBounds,
        on_closed: Callable[[JetStreamFollower], None],
    ) -> None:
        self._connection = connection
        self._consumer = f"{stream}.{name}"
        self._subjects = sorted(subjects)
        self._bounds = bounds
        self._pull_bytes = max(bounds.pull_bytes, 2 * event_limit)
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._position = after
        self._closed = False
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._forget_hook = connection.on_reconnect(self._on_reconnect)
        self._wake: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._attempts = 0  # to begin, since all was well
        # Since the last reset:
        self._doubt = True
        self._unread: list[bytes] = []  # subject, reply, payload; subject, reply, payload; ...
        self._delivered = 0  # highest consumer sequence received in order
        self._credit = 0
        self._rests_until = 0.0
        self._scanned = 0  # the stream sequence up to which, said a heartbeat, everything has been sent
        self._heard_at = 0.0

    @property
    def position(self) -> int:
        """The position of the last batch handed out."""
        return self._position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        """Return the next batch: all that has arrived."""
        while not self._closed:
            if self._doubt:
                await self._begin()
                continue
            await self._whole_burst()
            batch = self._take()
            self._pull()
            if batch is not None:
                return batch
            if self._doubt:
                continue
            await self._sleep(self._bounds.rest_s or self._bounds.heartbeat_s)
            if self._credit and self._loop.time() - self._heard_at > 3 * self._bounds.heartbeat_s:
                self._doubt = True
        raise StopAsyncIteration

    async def _whole_burst(self) -> None:
        """Wait a moment for the rest of a burst: what was appended together is cheaper to fold together."""
        until = self._loop.time() + _BURST_S
        while (
            0 < len(self._unread) < 3 * _BURST
            and not self._unread[-2].endswith(b".0")
            and not self._doubt
            and self._loop.time() < until
        ):
            await self._sleep(_BURST_S)

    async def close(self) -> None:
        """See ``Follower.close``."""
        if not self._closed:
            self._closed = True
            self._forget_hook()
            if self._alarm is not None:
                self._alarm.cancel()
            self._unsubscribe()
            self._rouse()
            self._on_closed(self)

    # Beginning, at first and after every doubt.

    async def _begin(self) -> None:
        """Reset the consumer behind the position, on a fresh inbox; retries until it works or patience ends."""
        give_up = self._loop.time() + self._bounds.patience_s
        patience = _FIRST_RESET_S
        while not self._closed:
            if self._attempts:
                await self._sleep(min(self._bounds.retry_s * 2 ** min(self._attempts, 10), 1.0))
            self._attempts += 1
            self._unsubscribe()
            self._unread, self._delivered, self._credit = [], 0, 0
            self._scanned, self._rests_until = 0, 0.0
            try:
                await self._check_consumer()
                self._inbox = self._connection.new_inbox()
                self._subscription = self._connection.subscribe(self._inbox, self._on_message)
                self._doubt = False  # from here on a reconnect raises it again
                await self._reset(patience)
            except LogUnavailable:
                patience *= 2
                self._doubt = True  # the server is away; being patient with it is the follower's business
                give_up = self._loop.time() + self._bounds.patience_s
            except (FollowerMissing, LogRefused) as error:
                self._doubt = True
                if self._loop.time() > give_up:
                    raise FollowerMissing(
                        "the log does not have this follower; has the membership authority made it?"
                    ) from error
            except EventLogError:
                self._doubt = True
                raise
            else:
                self._heard_at = self._loop.time()
                return

    async def _reset(self, patience_s: float) -> None:
        """Move the consumer behind the position. While nobody leads it that is never answered, not even later."""
        timeout_s = min(patience_s, self._connection.request_timeout_s)
        body = {"seq": self._position + 1}
        await api.ask(self._connection, f"CONSUMER.RESET.{self._consumer}", body, timeout_s=timeout_s)

    async def _check_consumer(self) -> None:
        """Ask whether the consumer exists and follows what we mean (a reset of a missing one is never answered)."""
        config = (await api.inquire(self._connection, f"CONSUMER.INFO.{self._consumer}"))["config"]
        filters = config.get("filter_subjects") or [config.get("filter_subject") or ">"]
        if sorted(filters) != self._subjects:
            raise FollowerMissing("the log's follower of this name follows other subjects")

    def _on_reconnect(self) -> None:
        self._doubt = True
        self._rouse()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._connection.unsubscribe(self._subscription)
            self._subscription = None

    # Receiving.

    def _on_message(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        if reply is not None:
            self._unread += (subject, reply, payload)
        elif headers is not None:
            self._heard_at = self._loop.time()
            if headers.startswith(_HEARTBEAT):
                self._on_heartbeat(headers)
            else:
                self._on_status(headers)
        if self._wake is not None:
            self._rouse()

    def _on_heartbeat(self, headers: bytes) -> None:
        """Compare what the server says it has sent with what has come: nothing overtakes anything on a connection."""
        last = {name: int(number) for name, number in _LAST.findall(headers)}
        if last.get(b"Consumer") == self._delivered + len(self._unread) // 3:
            self._scanned = last.get(b"Stream", 0)
            self._attempts = 0  # all is well: the next doubt is acted upon at once
        else:
            self._doubt = True  # deliveries were lost, or somebody else moved the consumer

    def _on_status(self, headers: bytes) -> None:
        """Take the end of a pull: it timed out or was used up in bytes, or the consumer is gone."""
        left = _LEFT.search(headers)
        if left is not None:
            self._credit = max(0, self._credit - int(left[1]))
        elif self._bounds.rest_s and headers.startswith(_NOTHING):
            self._credit = len(self._unread) // 3
            self._rests_until = self._heard_at + self._bounds.rest_s
        else:
            self._doubt = True

    def _take(self) -> Batch | None:
        """Turn what has arrived into a batch, or return ``None`` if nothing has and the position is where it was."""
        events: list[LoggedEvent] = []
        position, pending = self._position, 0
        if self._unread:
            deliveries = read_deliveries(self._unread, self._delivered)
            self._credit -= len(self._unread) // 3
            self._unread = []
            self._heard_at = self._loop.time()
            self._delivered = deliveries.last
            self._doubt |= deliveries.gap  # what came before it is good, the rest comes again
            events, pending = deliveries.events, deliveries.pending
            if events and events[0].sequence <= position:
                events = [event for event in events if event.sequence > position]
            if events:
                position = events[-1].sequence
        if not self._doubt:
            position = max(position, self._scanned)
        if position == self._position:
            return None
        self._position = position
        return Batch(events, position, pending)

    # Asking.

    def _pull(self) -> None:
        """Ask for more when half of the window is used; a reader that does not come back for more gets no more."""
        bounds = self._bounds
        if self._doubt or self._credit > bounds.window // 2:
            return
        ask = bounds.window - self._credit
        body: dict[str, Any] = {"batch": ask, "max_bytes": self._pull_bytes}
        if bounds.rest_s:
            if self._credit or self._loop.time() < self._rests_until:
                return
            body["no_wait"] = True  # ends with the last that there is, and says so
        else:
            body["expires"] = int(bounds.pull_s * _SECOND_NS)
            body["idle_heartbeat"] = int(bounds.heartbeat_s * _SECOND_NS)
        try:
            self._connection.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer}", orjson.dumps(body), reply=self._inbox
            )
        except NatsError:
            return  # asked again at the next turn, or reset on the reconnect
        if not self._credit:
            self._heard_at = self._loop.time()
        self._credit += ask

    async def _sleep(self, seconds: float) -> None:
        """Sleep until something arrives, at most so long."""
        self._set_alarm(self._loop.time() + seconds)
        self._wake = self._loop.create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _set_alarm(self, at: float) -> None:
        """Wake at a time, or sooner: one alarm serves many sleeps, most of which something else ends."""
        if self._alarm is not None:
            if self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._rouse()

    def _rouse(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)
