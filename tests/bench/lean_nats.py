"""The leanest NATS client that Python allows: the ceiling that our own client is held against.

No reconnect, no authentication, no limits, no headers read: only what a publish with acknowledgement and a pull need.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

Callback = Callable[[bytes, bytes], None]


class LeanNats(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._callbacks: dict[bytes, Callback] = {}
        self._queue: list[bytes] = []
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._next = 0
        self._ready = self._loop.create_future()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, port: int) -> LeanNats:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, "127.0.0.1", port)
        await client._ready
        client.write(b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n')
        client.subscribe(b"_IN.*", client._answered)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def write(self, data: bytes) -> None:
        if not self._queue:
            self._loop.call_soon(self._flush)
        self._queue.append(data)

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._queue))
        self._queue.clear()

    def subscribe(self, subject: bytes, callback: Callback) -> bytes:
        self._next += 1
        sid = b"%d" % self._next
        self._callbacks[sid] = callback
        self.write(b"SUB %b %b\r\n" % (subject, sid))
        return sid

    def request(self, subject: bytes, payload: bytes) -> asyncio.Future[bytes]:
        self._next += 1
        token = b"%x" % self._next
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting[token] = future
        self.write(b"PUB %b _IN.%b %d\r\n%b\r\n" % (subject, token, len(payload), payload))
        return future

    def publish(self, subject: bytes, reply: bytes, payload: bytes) -> None:
        self.write(b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, len(payload), payload))

    async def api(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = json.loads(await self.request(b"$JS.API." + subject.encode(), json.dumps(body).encode()))
        if "error" in answer:
            raise RuntimeError(f"{subject}: {answer['error']}")
        assert isinstance(answer, dict)
        return answer

    def _answered(self, subject: bytes, payload: bytes) -> None:
        future = self._waiting.pop(subject[4:], None)
        if future is not None and not future.done():
            future.set_result(payload)

    def data_received(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        at, size = 0, len(buffer)
        while (end := buffer.find(b"\r\n", at)) >= 0:
            first = buffer[at]
            if first in (77, 72):  # MSG, HMSG
                words = buffer[at:end].split(b" ")
                length = int(words[-1])
                if end + 4 + length > size:
                    break
                skip = int(words[-2]) if first == 72 else 0
                self._callbacks[words[2]](words[1], buffer[end + 2 + skip : end + 2 + length])
                at = end + 4 + length
                continue
            if first == 73 and not self._ready.done():  # INFO
                self._ready.set_result(None)
            elif buffer[at:end] == b"PING":
                self.write(b"PONG\r\n")
            at = end + 2
        self._rest = buffer[at:]

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()
