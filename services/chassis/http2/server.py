"""The end that listens: one task for each connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Generic

import grpc
import grpc.aio

from services.chassis.certificates import Identity, TrustedPeers
from services.chassis.http2.connection import M, Stream
from services.chassis.http2.frames import END_HEADERS, END_STREAM, HEADERS, STREAM, frame
from services.chassis.http2.hpack import encode
from services.chassis.http2.tls import certificate_of, context_of

log = logging.getLogger(__name__)

_HANDSHAKE: Final = 10.0
#: Connections whose client has not been recognised yet; further ones wait in the kernel.
_STRANGERS: Final = 64
_BACKLOG: Final = 1024
_PAUSE: Final = 0.25
_CONTENT: Final = (b":status", b"200"), (b"content-type", b"application/grpc")


class Incoming(Stream[M]):
    """A stream that a client opened."""

    def __init__(self, message: type[M]) -> None:
        super().__init__(message, client=False)
        #: The certificate (DER) of the client.
        self.certificate = b""
        self._requested: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        #: Done when the connection has ended, however it did.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note whose connection it is."""
        self.certificate = certificate_of(transport) or b""
        super().connection_made(transport)

    async def requested(self) -> str:
        """Wait for the request; return its path."""
        return (await self._requested).decode(errors="replace")

    def begin(self) -> None:
        """Begin the response."""
        self._speak(_CONTENT)

    def finish(self, code: grpc.StatusCode) -> None:
        """End the response; the connection ends with it."""
        trailers = encode((*(_CONTENT if self._mute else ()), (b"grpc-status", str(code.value[0]).encode())))
        self._send(frame(HEADERS, END_HEADERS | END_STREAM, STREAM, trailers))
        if self._transport is not None:
            self._transport.close()

    def _end(self, reason: grpc.aio.AioRpcError) -> None:
        super()._end(reason)
        if not self.ended.done():
            self.ended.set_result(None)

    def _on_block(self, headers: dict[bytes, bytes], *, ends: bool) -> None:
        if not self._requested.done():
            self._requested.set_result(headers.get(b":path", b""))
            self._opened = True
        if ends:
            self._input_ends()


class Listener(Generic[M]):
    """Accepts streams from clients whose certificate is listed.

    Args:
        path: ``/package.Service/Method``; no other is served.
        message: type of the messages that clients send.
        handle: serves a stream; its end ends the stream. Cancelled when the client is gone.
        identity: our own certificate.
        trusted: whom to accept; read at each handshake.
    """

    def __init__(
        self,
        path: str,
        message: type[M],
        handle: Callable[[Incoming[M]], Awaitable[None]],
        identity: Identity,
        trusted: TrustedPeers,
    ) -> None:
        self._path = path
        self._message = message
        self._handle = handle
        self._identity = identity
        self._trusted = trusted
        self._seen = -1
        self._context: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._strangers = asyncio.Semaphore(_STRANGERS)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one if `port` is 0).

        Raises:
            OSError: the address is not to be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._socket))
        return int(self._socket.getsockname()[1])

    async def stop(self) -> None:
        """Cut every stream off."""
        tasks = [*self._serving, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._strangers.acquire()
            try:
                wire, _ = await loop.sock_accept(listener)
            except OSError as problem:  # out of descriptors, most likely: let some connections end first
                log.warning("no connection can be accepted for now: %s", problem.strerror)
                self._strangers.release()
                await asyncio.sleep(_PAUSE)
                continue
            task = asyncio.create_task(self._serve(wire))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, wire: socket.socket) -> None:
        stream = Incoming(self._message)
        try:
            try:
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                path = await self._welcome(stream, wire)
            finally:
                self._strangers.release()
            stream.finish(await self._answer(stream, path))
            async with asyncio.timeout(_HANDSHAKE):
                await stream.ended
        except (OSError, grpc.aio.AioRpcError):
            return  # the client left, or failed the handshake: errors of TLS and time-outs are OSErrors, too
        finally:
            stream.cancel()

    async def _welcome(self, stream: Incoming[M], wire: socket.socket) -> str:
        async with asyncio.timeout(_HANDSHAKE):
            await asyncio.get_running_loop().connect_accepted_socket(lambda: stream, wire, ssl=self._tls())
            return await stream.requested()

    async def _answer(self, stream: Incoming[M], path: str) -> grpc.StatusCode:
        if not self._trusted.holds(stream.certificate):
            return grpc.StatusCode.UNAUTHENTICATED
        if path != self._path:
            return grpc.StatusCode.UNIMPLEMENTED
        stream.begin()
        work = asyncio.ensure_future(self._handle(stream))
        try:
            await asyncio.wait((work, stream.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        failure = None if work.cancelled() else work.exception()
        if failure is None:
            return grpc.StatusCode.OK
        if not isinstance(failure, grpc.aio.AioRpcError):
            # The type, never the text: that may quote a request.
            log.error("a stream's handler failed: %s", type(failure).__name__)
        return grpc.StatusCode.INTERNAL

    def _tls(self) -> ssl.SSLContext:
        if self._context is None or self._trusted.version != self._seen:
            self._context = context_of(self._identity, ssl.PROTOCOL_TLS_SERVER, self._trusted.pem)
            self._seen = self._trusted.version
        return self._context
