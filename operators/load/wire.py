"""HTTPS to nodes for very many requests: what the SDK's transport does, at a tenth of its CPU.

A client of the SDK sends a few requests and may take its time about each; here the time is the measurement's. One
HTTP/1.1 connection carries one request at a time, is kept for the next one, and is given up when it was idle for long,
since a node may close it just then. Certificates of nodes are not checked; see `naisho.network.transport`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

from naisho.network.transport import (
    CONNECT_SECONDS,
    MAX_ANSWER_BYTES,
    HttpAnswer,
    NodeTransport,
    Silent,
    Unreachable,
)
from naisho.protocol.directory import Node, Transport

if TYPE_CHECKING:
    import httpx

#: Well below the minute after which nodes close idle connections.
IDLE_SECONDS: Final = 20.0
#: Kept for each node; further ones are closed once they are not needed.
MOST_IDLE: Final = 64
_LONGEST_HEAD: Final = 16 * 1024
_HEAD: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Cut(Silent):
    """The connection ended in the middle, or what came was no answer."""


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._received = bytearray()
        self._body_at = self._end = -1
        self.reusable = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.reusable = True

    async def ask(self, request: bytes) -> HttpAnswer:
        """Send a request and return its answer; the connection is not to be used again if that fails."""
        assert self._transport is not None
        self.reusable = False
        self._received.clear()
        self._body_at = self._end = -1
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or self._answer.done():
            self.close()  # something that nobody asked for
            return
        if self._end < 0 and not self._read_head():
            return
        if len(self._received) >= self._end:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._fail(type(exc).__name__ if exc else "the connection was closed")

    def close(self) -> None:
        """End the connection now."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > _LONGEST_HEAD:
                self._fail("an endless head")
            return False
        length = _LENGTH.search(self._received, 0, end + 2)
        if length is None or int(length[1]) > MAX_ANSWER_BYTES:
            self._fail("an answer without length, or with too large a one")
            return False
        self._body_at = end + 4
        self._end = self._body_at + int(length[1])
        return True

    def _finish(self) -> None:
        status = _HEAD.match(self._received)
        if status is None or len(self._received) > self._end:
            self._fail("no HTTP")
            return
        self.reusable = _CLOSE.search(self._received, 0, self._body_at) is None
        if self._answer is not None:
            self._answer.set_result(HttpAnswer(int(status[1]), bytes(self._received[self._body_at : self._end])))

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Cut(why))
            self.close()


class LeanTransport(NodeTransport):
    """Connections to nodes, as many as there are requests under way; directories are fetched as by any client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        super().__init__(client)
        self._idle: dict[tuple[str, int], list[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def post(self, node: Node, path: str, body: bytes, *, seconds: float) -> HttpAnswer:
        """Send a body to a node's HTTPS address; see `NodeTransport.post`."""
        endpoint = node.endpoint(Transport.HTTPS)
        if endpoint is None:
            raise Unreachable("no such address")
        place = (endpoint.host, endpoint.port)
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        head = f"POST {path} HTTP/1.1\r\nHost: {host}:{endpoint.port}\r\nContent-Length: {len(body)}\r\n\r\n"
        give_up = time.monotonic() + seconds
        connection = self._kept(place) or await self._connect(place, min(CONNECT_SECONDS, seconds))
        try:
            async with asyncio.timeout(max(0.0, give_up - time.monotonic())):
                answer = await connection.ask(head.encode() + body)
        except TimeoutError:
            raise Silent("no whole answer in time") from None
        finally:
            kept = self._idle.setdefault(place, [])
            if connection.reusable and len(kept) < MOST_IDLE:
                connection.idle_since = time.monotonic()
                kept.append(connection)
            else:
                self._drop(connection)
        return answer

    async def close(self) -> None:
        """End all connections."""
        for connection in list(self._open):
            self._drop(connection)
        self._idle.clear()
        await asyncio.sleep(0)  # what was aborted is told so in the next turn of the loop

    def _kept(self, place: tuple[str, int]) -> _Connection | None:
        kept, now = self._idle.get(place, []), time.monotonic()
        while kept:
            connection = kept.pop()
            if connection.reusable and now - connection.idle_since < IDLE_SECONDS:
                return connection
            self._drop(connection)
        return None

    async def _connect(self, place: tuple[str, int], seconds: float) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(
                    _Connection, *place, ssl=self._tls, server_hostname=place[0], ssl_handshake_timeout=seconds
                )
        except (OSError, TimeoutError) as error:
            raise Unreachable(type(error).__name__) from None
        self._open.add(connection)
        return connection

    def _drop(self, connection: _Connection) -> None:
        connection.close()
        self._open.discard(connection)


@asynccontextmanager
async def open_wire() -> AsyncIterator[LeanTransport]:
    """Open a transport for the length of a ``with`` block."""
    async with LeanTransport.open() as transport:
        try:
            yield transport
        finally:
            await transport.close()
