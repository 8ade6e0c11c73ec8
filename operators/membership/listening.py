"""What the authority hears: requests that wait for an answer, and signs of life. Callbacks here only take notes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from naisho.protocol.directory import DirectoryError
from naisho.protocol.directory.statements import Heartbeat, read_heartbeat
from naisho.wire.directory.v1 import directory_pb2 as wire
from operators.membership.domain.signs import Sign, clock_reference
from services.chassis.clock import Clock
from services.chassis.nats.connection import NatsConnection, Subscription
from services.chassis.nats.errors import NatsError
from services.chassis.nats.names import NetworkNames

#: Before the key in a request to drain: even if the network then is smaller than clients accept.
FORCE: Final = b"!"


class Announced(NamedTuple):
    """A node asks to be admitted."""

    statement: bytes


class DrainAsked(NamedTuple):
    """The operator asks that a node leave."""

    key: bytes
    force: bool


class DismissAsked(NamedTuple):
    """The operator asks that a node be forgotten at once; never heard over NATS."""

    key: bytes


class Request(NamedTuple):
    """Somebody asks and waits for an answer: an empty text for yes, or why not."""

    asked: Announced | DrainAsked | DismissAsked
    answer: Callable[[str], None]


class Listener:
    """Hears nodes and the operator.

    Args:
        connection: to hear by.
        names: the network's.
        clock: the time.
        most_requests: requests that may wait; beyond it they are asked to try again.
        wake: is set when something was heard that may change a decision.
    """

    def __init__(
        self, connection: NatsConnection, names: NetworkNames, clock: Clock, *, most_requests: int, wake: asyncio.Event
    ) -> None:
        self._connection = connection
        self._names = names
        self._clock = clock
        self._most_requests = most_requests
        self._wake = wake
        self._requests: list[Request] = []
        self._subscriptions: list[Subscription] = []
        #: The last that was heard of each member.
        self.signs: dict[bytes, Sign] = {}

    def start(self) -> None:
        """Begin to listen."""
        self._subscriptions = [
            self._connection.subscribe(self._names.announce, self._on_announcement),
            self._connection.subscribe(self._names.heartbeats, self._on_heartbeat),
            self._connection.subscribe(self._names.drain, self._on_drain),
        ]

    def stop(self) -> None:
        """Hear nothing more; who still waits is asked to try again."""
        for subscription in self._subscriptions:
            self._connection.unsubscribe(subscription)
        for request in self.take_requests():
            request.answer("the authority stops; try again")

    def attend(self, keys: Iterable[bytes]) -> None:
        """Listen for these members, and for nobody else; of a new one nothing has been heard since now."""
        now_ms = self._clock.now_ms()
        self.signs = {key: self.signs.get(key) or Sign(now_ms) for key in keys}

    def forgive(self) -> None:
        """Count everybody's silence from now on: it was this side that could not hear."""
        now_ms = self._clock.now_ms()
        self.signs = {key: Sign(now_ms, sign.heartbeat, sign.offset_ms) for key, sign in self.signs.items()}

    @property
    def clock_offset_ms(self) -> int:
        """By how much most nodes' clocks differ from this one."""
        return clock_reference(sign for sign in self.signs.values() if sign.heartbeat)

    def ask(self, asked: Announced | DrainAsked | DismissAsked, answer: Callable[[str], None]) -> None:
        """Let a request wait for the next step."""
        if len(self._requests) >= self._most_requests:
            answer("too many nodes ask at once; try again")
            return
        self._requests.append(Request(asked, answer))
        self._wake.set()

    def take_requests(self) -> list[Request]:
        """Return the requests that wait; they wait no longer."""
        requests, self._requests = self._requests, []
        return requests

    def _on_announcement(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, headers
        if reply is not None:
            self.ask(Announced(payload), self._answer_to(reply))

    def _on_drain(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, headers
        if reply is not None:
            asked = DrainAsked(payload.removeprefix(FORCE), payload.startswith(FORCE))
            self.ask(asked, self._answer_to(reply))

    def _on_heartbeat(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, reply, headers
        try:
            beat = read_heartbeat(payload, network_id=self._names.network)
        except DirectoryError:
            return  # not a node's; its lack will be noticed
        known = self.signs.get(beat.key)
        if known is None:
            return  # has not announced itself
        self.signs[beat.key] = known.heard(beat, self._clock.now_ms())
        if known.heartbeat is None or _says_something_new(known.heartbeat, beat):
            self._wake.set()

    def _answer_to(self, reply: bytes) -> Callable[[str], None]:
        subject = reply.decode()

        def answer(refusal: str) -> None:
            with contextlib.suppress(NatsError):  # whoever asked asks again
                self._connection.publish(subject, wire.AnnouncementReply(refusal=refusal).SerializeToString())

        return answer


def _says_something_new(old: Heartbeat, new: Heartbeat) -> bool:
    return (old.caught_up, old.epoch, old.swarm_id, old.unreachable_peers) != (
        new.caught_up,
        new.epoch,
        new.swarm_id,
        new.unreachable_peers,
    )
