"""What the HTTP server serves in these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from services.onion.api.http1 import Head, Request, Response

MIB = 2**20
#: ``serve(**limits)``: a context of (server, site, connect).
Serve = Callable[..., Any]


@dataclass
class Site:
    """Answers with the size of the body; some paths behave on purpose."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0
    requests: list[Request] = field(default_factory=list)

    def admit(self, head: Head, peer: str) -> Response | None:
        assert peer == "127.0.0.1"
        return Response(429, b"Too Many Requests") if head.target == "/refused" else None

    def answer(self, request: Request) -> Response | Awaitable[Response]:
        self.requests.append(request)
        if request.head.target == "/big":
            return Response(200, b"x" * (10 * MIB), "application/octet-stream")
        if request.head.target == "/breaks":
            raise ValueError("secret")
        if request.head.target.startswith("/later"):
            return self.later(request)
        return Response(200, b"%d" % len(request.body))

    async def later(self, request: Request) -> Response:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if request.head.target == "/later-breaks":
            raise ValueError("secret")
        return Response(200, request.head.target.encode())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - counters have no events
            await asyncio.sleep(0.01)
