"""One physical connection to one NATS server: handshake, keep-alive, coalesced writes, parsing."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from services.chassis.nats.errors import (
    AuthenticationFailed,
    NatsError,
    PermissionDenied,
    ProtocolViolation,
    Unavailable,
)
from services.chassis.nats.parsing import MessageCallback, Parser
from services.chassis.nats.settings import NatsSettings

_DEFAULT_PORT: Final = 4222
_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"', re.IGNORECASE)


class LinkOwner(Protocol):
    """Who hears what happens on a link."""

    def link_lost(self, link: Link) -> None:
        """Hear that the connection is gone, for whatever reason."""
        ...

    def link_fault(self, error: Exception) -> None:
        """Hear of an error that belongs to no answer: a refused subject, a callback that raised."""
        ...


class Link(asyncio.Protocol):
    """A connection from the first byte to the last; made by ``open_link`` and never used again once lost."""

    def __init__(
        self, settings: NatsSettings, subscriptions: Mapping[bytes, MessageCallback], owner: LinkOwner
    ) -> None:
        self._settings = settings
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._parser = Parser(
            subscriptions, self._on_operation, owner.link_fault, max_message=settings.max_message_bytes
        )
        self._info: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._pongs: deque[asyncio.Future[None] | None] = deque()
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._flush_due = False
        self._paused = False
        self._most_bytes = settings.write_buffer_bytes
        self._heard = False
        self._silent_pings = 0
        self._keepalive: asyncio.TimerHandle | None = None
        self._refusal: NatsError | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport
        self.lost = asyncio.Event()
        self.max_payload = 0
        #: More than allowed waits to be read by the server: messages must not be written now.
        self.congested = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and bound what may wait in it."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=self._settings.write_buffer_bytes)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a stream that cannot be understood ends the connection."""
        self._heard = True
        try:
            self._parser.feed(data)
        except ProtocolViolation as violation:
            self._owner.link_fault(violation)
            self.transport.abort()

    def pause_writing(self) -> None:
        """Stop accepting messages: the server does not read."""
        self._paused = self.congested = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """Accept messages again."""
        self._paused = self.congested = False
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """End everything that waits on this connection."""
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._writable.set()
        reason = self._refusal or Unavailable("the connection to the NATS server is gone", maybe_sent=True)
        for waiting in (self._info, *self._pongs):
            if waiting is not None and not waiting.done():
                waiting.set_exception(reason)
                waiting.exception()  # nobody may be waiting any more; that is no fault
        self._pongs.clear()
        self.lost.set()
        self._owner.link_lost(self)
        del exc  # why the socket ended adds nothing that a caller could act upon

    # Writing.

    def write(self, data: bytes) -> None:
        """Send; all of one turn of the event loop leave in one system call. Heed ``congested`` before messages."""
        self._out.append(data)
        self._out_bytes += len(data)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        elif self._out_bytes > self._most_bytes:
            self.congested = True

    def _flush(self) -> None:
        self._flush_due = False
        data = b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        self.congested = self._paused
        if not self.lost.is_set():
            self.transport.write(data)  # may pause us

    async def writable(self) -> None:
        """Wait until the server reads again, or the connection is gone."""
        await self._writable.wait()

    def ping(self) -> asyncio.Future[None]:
        """Return a future of the server's PONG: by then it has taken all that was written before."""
        pong: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(pong)
        self.write(b"PING\r\n")
        return pong

    # The server's operations.

    def _on_operation(self, line: bytes) -> None:
        if line == b"PING":
            self.write(b"PONG\r\n")
        elif line == b"PONG":
            pong = self._pongs.popleft() if self._pongs else None
            if pong is not None and not pong.done():
                pong.set_result(None)
        elif line.startswith(b"INFO "):
            self._on_info(line[5:])
        elif line.startswith(b"-ERR"):
            self._on_error(line[4:].strip(b" '").decode("utf-8", "replace"))
        elif line != b"+OK":
            raise ProtocolViolation("the server sent an unknown operation")

    def _on_info(self, text: bytes) -> None:
        try:
            info = json.loads(text)
            self.max_payload = int(info["max_payload"])
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolViolation("the server's INFO cannot be read") from error
        if not self._info.done():
            self._info.set_result(info)

    def _on_error(self, text: str) -> None:
        denied = _DENIED.search(text)
        if denied is not None:
            what = "publish to" if denied[1].lower() == "publish" else "subscribe to"
            self._owner.link_fault(
                PermissionDenied(f"this NATS user may not {what} the subject it asked for", denied[2])
            )
        elif "authori" in text.lower() or "authentication" in text.lower():
            self._refusal = AuthenticationFailed("the NATS server refused this user's key or JWT, or its time is over")
        else:
            self._owner.link_fault(Unavailable(f"the NATS server ends the connection: {text}", maybe_sent=True))

    # Handshake and keep-alive.

    async def handshake(self, server_hostname: str, greeting: bytes) -> None:
        """Log in and send the subscriptions; returns when the server has taken both.

        Raises:
            NatsError: refused, or lost on the way.
        """
        info = await self._info
        settings = self._settings
        if settings.tls is not None:
            upgraded = await self._loop.start_tls(
                self.transport, self, settings.tls(), server_hostname=settings.tls_hostname or server_hostname
            )
            if upgraded is None:
                raise Unavailable("the NATS server ended the connection during the TLS handshake", maybe_sent=False)
            self.connection_made(upgraded)
        self.write(connect_operation(settings, str(info.get("nonce", ""))) + greeting)
        await self.ping()
        self._keepalive = self._loop.call_later(settings.ping_interval_s, self._check_alive)

    def _check_alive(self) -> None:
        if self._heard:
            self._silent_pings = 0
        elif self._silent_pings >= self._settings.pings_unanswered:
            self.transport.abort()
            return
        else:
            self._silent_pings += 1
            self._pongs.append(None)
            self.write(b"PING\r\n")
        self._heard = False
        self._keepalive = self._loop.call_later(self._settings.ping_interval_s, self._check_alive)


def connect_operation(settings: NatsSettings, nonce: str) -> bytes:
    """Return the line by which a user introduces itself; servers take 4,096 bytes unless they are told otherwise.

    Raises:
        UnusableCredentials: the user's files cannot be used.
    """
    options: dict[str, Any] = {
        "verbose": False,
        "pedantic": False,
        "lang": "python",
        "version": "naisho",
        "protocol": 1,
        "name": settings.name,
        "headers": True,
        "no_responders": True,
        "echo": settings.echo,
    }
    if settings.credentials is not None:
        options |= settings.credentials().answer(nonce)
    return b"CONNECT %b\r\n" % json.dumps(options, separators=(",", ":")).encode()


async def open_link(
    settings: NatsSettings,
    server: str,
    subscriptions: Mapping[bytes, MessageCallback],
    owner: LinkOwner,
    greeting: bytes,
) -> Link:
    """Connect to one server and log in.

    Args:
        settings: user, bounds and TLS.
        server: ``nats://host:port``.
        subscriptions: where messages go.
        owner: who hears of loss and faults.
        greeting: the subscriptions to make, as protocol text.

    Raises:
        AuthenticationFailed: the server refused the user.
        UnusableCredentials: the user's files cannot be used.
        Unavailable: not reachable, or no complete handshake within the bound.
    """
    address = urlsplit(server)
    host, port = address.hostname or "127.0.0.1", address.port or _DEFAULT_PORT
    loop = asyncio.get_running_loop()
    link: Link | None = None
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            _, link = await loop.create_connection(lambda: Link(settings, subscriptions, owner), host, port)
            await link.handshake(host, greeting)
    except (OSError, TimeoutError) as error:
        raise Unavailable(
            "no NATS server can be reached; is it running, and is the address right?", maybe_sent=False
        ) from error
    finally:
        if link is not None and link._keepalive is None:  # noqa: SLF001 - same module: the handshake did not complete
            link.transport.abort()
    return link
