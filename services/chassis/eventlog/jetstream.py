"""The event log on a JetStream stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Self

import orjson

from services.chassis.eventlog import jetstream_api as api
from services.chassis.eventlog.jetstream_follower import FollowerBounds, JetStreamFollower
from services.chassis.eventlog.jetstream_groups import EXTRA_BYTES, AppendGroups, Gathered
from services.chassis.eventlog.jetstream_retries import Retries
from services.chassis.eventlog.port import (
    EventLogError,
    EventTooLarge,
    LoggedEvent,
    LogIdentity,
    LogRefused,
    LogUnavailable,
)
from services.chassis.eventlog.subjects import check_conditions, check_name, check_patterns, check_subject
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import NatsError

#: "sequence not found" and "no message found": whoever asked first has done it.
_GONE: Final = frozenset({10043, 10057})
_FRAME: Final = b"NATS/1.0\r\n%b\r\n"


class JetStreamLog:
    """``EventLog`` on one stream; made by ``open``. The connection is the caller's and may serve several logs.

    Args:
        connection: a connected user who may use the stream.
        stream: the stream's name.
        event_limit: most bytes of headers and payload of one event.
        append_timeout_s: bound of one append, what is tried again because no server leads the stream included.
        in_flight: most unanswered appends; beyond it appends fail before anything is sent.
        follower_bounds: how followers pull and wait.
        groups: whether appends without a condition may share atomic batches.
        replicated: whether several servers hold the stream: then the leader alone knows all that was acknowledged.
    """

    def __init__(
        self,
        connection: NatsConnection,
        stream: str,
        *,
        event_limit: int,
        append_timeout_s: float,
        in_flight: int,
        follower_bounds: FollowerBounds,
        groups: bool,
        replicated: bool,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._event_limit = event_limit
        self._append_timeout_s = append_timeout_s
        self._in_flight_most = in_flight
        self._in_flight = 0
        self._retries = Retries(self._send_alone, within_s=append_timeout_s)
        self._groups: AppendGroups | None = None
        if groups:
            self._groups = AppendGroups(
                connection, self._retries.send, timeout_s=append_timeout_s, on_settled=self._on_settled
            )
        self._replicated = replicated
        self._settled = asyncio.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._ack = b'{"stream":"%b","seq":' % stream.encode()
        self._ack_length = len(self._ack)
        self._follower_bounds = follower_bounds
        self._followers: set[JetStreamFollower] = set()

    @classmethod
    async def open(
        cls,
        connection: NatsConnection,
        stream: str,
        *,
        append_timeout_s: float = 5.0,
        in_flight: int = 4096,
        follower_bounds: FollowerBounds | None = None,
    ) -> Self:
        """Look the stream up and return the log.

        Raises:
            LogRefused: there is no such stream.
            LogUnavailable: no answer within the bound.
            NotPermitted: the user may not ask for it.
        """
        check_name(stream)
        info = await api.inquire(connection, f"STREAM.INFO.{stream}")
        limit = int(info["config"].get("max_msg_size", -1))
        return cls(
            connection,
            stream,
            event_limit=min(limit, connection.max_payload) if limit > 0 else connection.max_payload,
            append_timeout_s=append_timeout_s,
            in_flight=in_flight,
            follower_bounds=follower_bounds or FollowerBounds(),
            groups=bool(info["config"].get("allow_atomic")),
            replicated=int(info["config"].get("num_replicas", 1)) > 1,
        )

    @property
    def in_flight(self) -> int:
        """Appends that wait for their acknowledgement."""
        return self._in_flight

    def append(
        self, subject: str, payload: bytes, *, expected: int | None = None, ttl_s: int | None = None
    ) -> asyncio.Future[int]:
        """See ``EventLog.append``. Beyond the bound of appends in flight the result is ``LogUnavailable`` at once."""
        check_subject(subject)
        lines = _header_lines(expected, ttl_s)
        size = len(payload) + (len(_FRAME % lines) if lines else 0)
        future: asyncio.Future[int] = self._loop.create_future()
        if size > self._event_limit:
            future.set_exception(EventTooLarge(self._event_limit))
        elif self._closed or self._in_flight >= self._in_flight_most:
            why = "the log is closed" if self._closed else "too many appends are in flight; try again later"
            future.set_exception(LogUnavailable(why, maybe_stored=False))
        else:
            event = Gathered(subject.encode(), payload, lines, future)
            self._in_flight += 1
            if self._groups is None or expected is not None or size + EXTRA_BYTES > self._event_limit:
                self._retries.send(event)
            else:
                self._groups.add(event, self._in_flight - 1)
        return future

    def _send_alone(self, event: Gathered, timeout_s: float) -> None:
        headers = _FRAME % event.lines if event.lines else None
        self._connection.send_request(
            event.subject, event.payload, self, event.future, headers=headers, timeout_s=timeout_s
        )

    def _on_settled(self, count: int) -> None:
        self._in_flight -= count
        if self._closed:
            self._settled.set()

    # The waiter of appends: how an acknowledgement, or the lack of one, becomes the append's result.

    def answer(self, future: asyncio.Future[Any], headers: bytes | None, payload: bytes) -> None:
        """Take an acknowledgement."""
        del headers  # acknowledgements have none
        number = payload[self._ack_length : -1]
        if number.isdigit() and payload.startswith(self._ack):  # the common case, without reading JSON
            self._settle(future)
            if not future.done():
                future.set_result(int(number))
            return
        try:
            sequence = api.sequence_of(payload)
        except EventTooLarge:
            self._refuse(future, EventTooLarge(self._event_limit))
        except EventLogError as error:
            self._refuse(future, error)
        else:
            self._settle(future)
            if not future.done():
                future.set_result(sequence)

    def fail(self, future: asyncio.Future[Any], error: NatsError) -> None:
        """Take the lack of an acknowledgement."""
        self._refuse(future, api.translate(error))

    def _refuse(self, future: asyncio.Future[Any], error: EventLogError) -> None:
        if isinstance(error, api.NotNow) and self._retries.again(future):
            return
        self._settle(future)
        if not future.done():
            future.set_exception(error)

    def _settle(self, future: asyncio.Future[Any]) -> None:
        self._retries.settle(future)
        self._on_settled(1)

    # Reading.

    async def read(self, sequence: int) -> LoggedEvent | None:
        """See ``EventLog.read``."""
        return await self._get({"seq": sequence}) if sequence > 0 else None

    async def last(self, subject: str) -> LoggedEvent | None:
        """See ``EventLog.last``."""
        check_subject(subject)
        return await self._get({"last_by_subj": subject})

    async def first_since(self, time_ns: int) -> LoggedEvent | None:
        """See ``EventLog.first_since``."""
        return await self._get({"start_time": api.timestamp(time_ns), "next_by_subj": ">"})

    async def _get(self, what: dict[str, Any]) -> LoggedEvent | None:
        """Ask for one event: of a replicated stream the leader, since late copies answer direct requests, too.

        Raises:
            EventLogError: refused, or no answer within the bound.
        """
        if self._replicated:
            return await api.leaders_event(self._connection, self._stream, what)
        try:
            reply = await self._connection.request(f"$JS.API.DIRECT.GET.{self._stream}", orjson.dumps(what))
        except NatsError as error:
            raise api.translate(error) from error
        return api.stored_event(reply.headers, reply.payload)

    async def identity(self) -> LogIdentity:
        """See ``EventLog.identity``: our random id from the stream's metadata, and when the stream was made."""
        info = await api.inquire(self._connection, f"STREAM.INFO.{self._stream}")
        metadata = info["config"].get("metadata") or {}
        incarnation = f"{metadata.get(api.INCARNATION_KEY, '')}@{info['created']}"
        return LogIdentity(incarnation, int(info["state"]["last_seq"]))

    def follow(self, name: str, subjects: Sequence[str], *, after: int) -> JetStreamFollower:
        """See ``EventLog.follow``. The authority makes the consumer, see ``provision.ensure_follower``."""
        check_name(name)
        check_patterns(subjects)
        follower = JetStreamFollower(
            self._connection,
            self._stream,
            name,
            subjects,
            after=after,
            event_limit=self._event_limit,
            bounds=self._follower_bounds,
            on_closed=self._followers.discard,
        )
        self._followers.add(follower)
        return follower

    async def erase(self, sequence: int) -> bool:
        """See ``EventLog.erase``; only the custodian's credentials allow it."""
        if sequence < 1:
            return False
        try:
            await api.ask(self._connection, f"STREAM.MSG.DELETE.{self._stream}", {"seq": sequence})
        except LogRefused as refusal:
            if refusal.code in _GONE:
                return False
            raise
        return True

    async def close(self) -> None:
        """See ``EventLog.close``; the connection stays open, it is its maker's to close."""
        self._closed = True
        if self._groups is not None:
            self._groups.flush()
        for follower in tuple(self._followers):
            await follower.close()
        while self._in_flight:
            self._settled.clear()
            await self._settled.wait()


def _header_lines(expected: int | None, ttl_s: int | None) -> bytes:
    check_conditions(expected, ttl_s)
    lines = b""
    if expected is not None:
        lines += b"Nats-Expected-Last-Subject-Sequence: %d\r\n" % expected
    if ttl_s is not None:
        lines += b"Nats-TTL: %d\r\n" % ttl_s
    return lines
