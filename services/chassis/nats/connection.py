"""The NATS client: publish, subscribe, request; survives the loss of its server."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from services.chassis.nats.errors import (
    AuthenticationFailed,
    Congested,
    NatsError,
    PayloadTooLarge,
    PermissionDenied,
    Unavailable,
    UnusableCredentials,
)
from services.chassis.nats.link import Link, open_link
from services.chassis.nats.parsing import MessageCallback
from services.chassis.nats.requests import PendingRequests, PlainWaiter, Reply, Waiter
from services.chassis.nats.settings import NatsSettings

_UNSAFE: Final = re.compile(rb"[\x00-\x20\x7f]")
_LOG: Final = logging.getLogger(__name__)


class Subscription(NamedTuple):
    """What ``subscribe`` returns and ``unsubscribe`` takes."""

    sid: bytes


class NatsConnection:
    """One user's connection to NATS. Make it with ``connect``; end it with ``close`` or ``async with``.

    Callbacks are called with ``(subject, reply, headers, payload)`` while the socket is read: they must not block, and
    what they raise goes to ``on_fault``. While the server is away nothing is kept: sending raises ``Unavailable``, and
    requests in flight fail at once.
    """

    def __init__(self, settings: NatsSettings, on_fault: Callable[[Exception], None] | None = None) -> None:
        self._settings = settings
        self._on_fault = on_fault or _log_fault
        self._timeout_s = settings.request_timeout_s
        self._loop = asyncio.get_running_loop()
        self._callbacks: dict[bytes, MessageCallback] = {}
        self._subjects: dict[bytes, bytes] = {}
        self._sids = count(1)
        self._requests = PendingRequests(settings.inbox_prefix)
        self._plain = PlainWaiter()
        self._link: Link | None = None
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._up_hooks: list[Callable[[], None]] = []
        self._down_hooks: list[Callable[[], None]] = []
        self._denied_inbox: PermissionDenied | None = None
        self._subscribe(self._requests.inbox + b".*", self._requests.on_message)

    @classmethod
    async def connect(cls, settings: NatsSettings, on_fault: Callable[[Exception], None] | None = None) -> Self:
        """Connect to the first server that answers.

        Args:
            settings: where to, as whom, within which bounds.
            on_fault: hears errors that belong to no call (a refused publish, a callback that raised); they are logged
                without subjects if it is not given.

        Raises:
            NatsError: no server could be reached, or it refused.
        """
        connection = cls(settings, on_fault)
        connection._link_up(await connection._connect_any())
        connection._keeper = asyncio.create_task(connection._keep_connected())
        return connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection right now."""
        return self._link is not None

    @property
    def max_payload(self) -> int:
        """Most bytes of headers and payload together, as the server said last; 0 before the first connection."""
        return self._link.max_payload if self._link is not None else 0

    @property
    def request_timeout_s(self) -> float:
        """Bound of a request for which no other is named, in seconds."""
        return self._timeout_s

    @property
    def in_flight(self) -> int:
        """Requests that wait for an answer."""
        return len(self._requests)

    def new_inbox(self) -> str:
        """Return a subject of this connection's own for a subscription; append tokens at will."""
        return f"{self._settings.inbox_prefix}.{self._requests.inbox.rsplit(b'.', 1)[1].decode()}-{next(self._sids):x}"

    # Messages.

    def publish(self, subject: str, payload: bytes, *, reply: str | None = None, headers: bytes | None = None) -> None:
        """Send a message, without any acknowledgement.

        Args:
            subject: where to.
            payload: the body.
            reply: subject for answers.
            headers: a header block from ``NATS/1.0`` to the empty line.

        Raises:
            Unavailable: not connected; nothing was sent.
            Congested: the server reads too slowly; nothing was sent.
            PayloadTooLarge: nothing was sent.
        """
        self._send(_safe(subject), _safe(reply) if reply is not None else b"", payload, headers)

    def request(
        self, subject: str, payload: bytes, *, headers: bytes | None = None, timeout_s: float | None = None
    ) -> asyncio.Future[Reply]:
        """Send a message and return the future of its answer.

        The future fails with ``RequestTimedOut``, ``NoResponders``, ``PermissionDenied``, ``Unavailable``,
        ``Congested`` or ``PayloadTooLarge``.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send_request(_safe(subject), payload, self._plain, future, headers=headers, timeout_s=timeout_s)
        return future

    def send_request(
        self,
        subject: bytes,
        payload: bytes,
        waiter: Waiter,
        future: asyncio.Future[Any],
        *,
        headers: bytes | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Send a request whose outcome a ``waiter`` puts into ``future``; for adapters with an answer format.

        Args:
            subject: must be free of spaces and control characters.
            payload: the body.
            waiter: is called exactly once, possibly before this returns.
            future: handed to the waiter.
            headers: a header block from ``NATS/1.0`` to the empty line.
            timeout_s: bound of the answer, by default the settings'.
        """
        reply = self._requests.open(waiter, future, subject, self._timeout_s if timeout_s is None else timeout_s)
        try:
            self._send(subject, reply, payload, headers)
        except NatsError as error:
            self._requests.forget(reply)
            waiter.fail(future, error)

    def send_message(self, subject: bytes, payload: bytes, headers: bytes) -> None:
        """Send a message that nobody answers; for adapters that write many. Raises as ``publish``.

        Args:
            subject: must be free of spaces and control characters.
            payload: the body.
            headers: a header block from ``NATS/1.0`` to the empty line.
        """
        self._send(subject, b"", payload, headers)

    def _send(self, subject: bytes, reply: bytes, payload: bytes, headers: bytes | None) -> None:
        link = self._link
        size = len(payload)
        total = size if headers is None else size + len(headers)
        if link is None:
            raise Unavailable("not connected to a NATS server; nothing was sent", maybe_sent=False)
        if link.congested:
            raise Congested("the NATS server reads too slowly; try again later")
        if total > link.max_payload:
            raise PayloadTooLarge(link.max_payload)
        if headers is None:
            link.write(b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, size, payload))
        else:
            link.write(b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject, reply, total - size, total, headers, payload))

    def subscribe(self, subject: str, callback: MessageCallback, *, queue: str | None = None) -> Subscription:
        """Have ``callback`` called with every message on a subject (``*`` and ``>`` are wildcards).

        The subscription is renewed on every new connection. With ``queue`` each message goes to one member only.
        """
        name = _safe(subject) if queue is None else b"%b %b" % (_safe(subject), _safe(queue))
        return self._subscribe(name, callback)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; messages on their way are dropped."""
        if self._callbacks.pop(subscription.sid, None) is not None:
            del self._subjects[subscription.sid]
            if self._link is not None:
                self._link.write(b"UNSUB %b\r\n" % subscription.sid)

    def _subscribe(self, name: bytes, callback: MessageCallback) -> Subscription:
        sid = b"%d" % next(self._sids)
        self._callbacks[sid] = callback
        self._subjects[sid] = name
        if self._link is not None:
            self._link.write(b"SUB %b %b\r\n" % (name, sid))
        return Subscription(sid)

    async def flush(self) -> None:
        """Wait until the server has taken all that was sent before.

        Raises:
            Unavailable: the connection is gone.
            TimeoutError: no answer within the bound of a request.
        """
        if self._link is None:
            raise Unavailable("not connected to a NATS server", maybe_sent=False)
        async with asyncio.timeout(self._settings.request_timeout_s):
            await self._link.ping()

    async def until_connected(self) -> None:
        """Wait until there is a connection; returns at once if there is one."""
        await self._up.wait()

    async def writable(self) -> None:
        """Wait while ``Congested`` would be raised for want of reading by the server."""
        if self._link is not None:
            await self._link.writable()

    def on_reconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Have ``hook`` called on every new connection after the first; returns what takes it off again."""
        return _added(hook, self._up_hooks)

    def on_disconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Have ``hook`` called when the connection is lost; returns what takes it off again."""
        return _added(hook, self._down_hooks)

    async def close(self) -> None:
        """End all subscriptions, write out what was sent, close. Requests still unanswered fail."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        link = self._link
        if link is not None:
            for sid in [sid for sid, name in self._subjects.items() if not name.startswith(self._requests.inbox)]:
                self.unsubscribe(Subscription(sid))
            try:
                async with asyncio.timeout(self._settings.close_timeout_s):
                    await link.ping()
            except (NatsError, TimeoutError):
                link.transport.abort()
            else:
                link.transport.close()
            await link.lost.wait()
        self._requests.close()

    # Staying connected.

    def _link_up(self, link: Link) -> None:
        self._link = link
        self._up.set()

    def link_lost(self, link: Link) -> None:
        """Hear from the link that it is gone: whatever waits on it fails now."""
        if link is self._link:
            self._link = None
            self._up.clear()
            self._requests.fail_all(lambda: Unavailable("the connection broke before the answer came", maybe_sent=True))
            for hook in tuple(self._down_hooks):
                hook()

    def link_fault(self, error: Exception) -> None:
        """Hear from the link of an error without a call; a refused publish fails the requests on that subject."""
        if isinstance(error, PermissionDenied):
            if error.subject.lower().startswith(self._requests.inbox.decode().lower()):
                self._denied_inbox = error
                return
            if self._requests.fail_denied(error):
                return
        self._on_fault(error)

    async def _connect_any(self) -> Link:
        """Try every server once, in random order; if in vain, say what says more than that one is away."""
        problem: NatsError = Unavailable("no NATS server is configured", maybe_sent=False)
        servers = list(self._settings.servers)
        random.shuffle(servers)
        for server in servers:
            greeting = b"".join(b"SUB %b %b\r\n" % (name, sid) for sid, name in self._subjects.items())
            known = set(self._subjects)
            self._denied_inbox = None
            try:
                link = await open_link(self._settings, server, self._callbacks, self, greeting)
            except NatsError as error:
                if isinstance(problem, Unavailable):
                    problem = error
                continue
            if self._denied_inbox is not None:
                link.transport.abort()
                raise self._denied_inbox
            for sid in known - set(self._subjects):  # changed during the handshake
                link.write(b"UNSUB %b\r\n" % sid)
            for sid in set(self._subjects) - known:
                link.write(b"SUB %b %b\r\n" % (self._subjects[sid], sid))
            return link
        raise problem

    async def _keep_connected(self) -> None:
        while True:
            if self._link is not None:
                await self._link.lost.wait()
            link = await self._reconnect()
            if link.lost.is_set():
                continue
            self._link_up(link)
            for hook in tuple(self._up_hooks):
                hook()

    async def _reconnect(self) -> Link:
        pause = self._settings.reconnect_first_s
        while True:
            try:
                return await self._connect_any()
            except NatsError as error:
                if isinstance(error, AuthenticationFailed | PermissionDenied | UnusableCredentials):
                    self._on_fault(error)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            pause = min(pause * 2, self._settings.reconnect_most_s)


def _safe(subject: str) -> bytes:
    """Encode a subject; one with spaces or control characters could inject protocol text."""
    encoded = subject.encode()
    if not encoded or _UNSAFE.search(encoded):
        raise ValueError("a subject must not be empty or contain spaces or control characters")
    return encoded


def _added(hook: Callable[[], None], hooks: list[Callable[[], None]]) -> Callable[[], None]:
    hooks.append(hook)

    def remove() -> None:
        if hook in hooks:
            hooks.remove(hook)

    return remove


def _log_fault(error: Exception) -> None:
    if isinstance(error, NatsError):
        _LOG.warning("NATS: %s", error)
    else:
        _LOG.error("a message callback raised %s", type(error).__name__)
