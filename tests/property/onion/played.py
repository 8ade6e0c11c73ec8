"""What is around a connection of the HTTP front, without sockets."""

from __future__ import annotations

from typing import Any

from services.onion.api.http1 import Head, HttpLimits, Request, Response


class PlayedServer:
    """What a connection asks of its server, which is its own site.

    Args:
        limits: of requests.
        most_held: bytes that it holds at the most.
    """

    draining = False
    date = b"now"

    def __init__(self, limits: HttpLimits, most_held: int = 2**30) -> None:
        self.site = self
        self.limits = limits
        self.seen: list[tuple[Head, bytes]] = []
        self.under_way = 0
        self.held = 0
        self.connections: set[Any] = set()
        self._most_held = most_held

    def time(self) -> float:
        return 0.0

    def admit(self, head: Head, _peer: str) -> Response | None:
        return Response(404) if "404" in head.target else None

    def answer(self, request: Request) -> Response:
        assert len(request.body) <= self.limits.body
        self.seen.append((request.head, request.body))
        return Response(200, b"x" * (len(request.body) % 7))

    def begin(self) -> bool:
        self.under_way += 1
        return True

    def end(self) -> None:
        self.under_way -= 1
        assert self.under_way >= 0

    def hold(self, size: int) -> bool:
        if size > 0 and self.held + size > self._most_held:
            return False
        self.held += size
        assert self.held >= 0
        return True

    def count(self, _status: int) -> None:
        pass

    def keep(self, connection: Any) -> None:
        self.connections.add(connection)

    def forget(self, connection: Any) -> None:
        self.connections.discard(connection)

    def report(self, error: BaseException) -> None:
        raise error


class PlayedWire:
    """A transport whose client takes everything at once."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        assert data.startswith(b"HTTP/1.1 "), "an answer is written whole"
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    pause_reading = resume_reading
