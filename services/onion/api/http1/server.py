"""The listening side: accepts connections, enforces the limits, ends what takes too long."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from email.utils import formatdate
from types import TracebackType
from typing import Any, Final

from services.chassis.packed import Reply
from services.onion.api.http1.connection import Connection, Phase
from services.onion.api.http1.messages import Head, HttpLimits, Response, Site

log = logging.getLogger(__name__)

#: Seconds between looks at all deadlines.
_SWEEP: Final = 0.25
#: When all memory is held, whoever has been sending or taking for longer than this makes room.
_PATIENCE: Final = 5.0
#: When all places are taken, whoever has been in its handshake, or sending or being refused, for longer makes way.
_DAWDLING: Final = 1.0
_OUTSIDE: Final = frozenset((Phase.HEAD, Phase.BODY, Phase.LINGER, Phase.CLOSING))
#: Connections accepted in one turn of the loop, and those that the kernel keeps waiting.
_ACCEPTS: Final = 64
_BACKLOG: Final = 1024


class HttpServer:
    """Serves one site on one address, in the loop that it was made in.

    Args:
        site: what it serves.
        limits: bounds on everything.
        tls: the server's certificate; None serves plain HTTP.
    """

    def __init__(self, site: Site, limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.site = site
        self.limits = limits or HttpLimits()
        self.draining = False
        #: Requests under way, and bytes of their bodies held.
        self.under_way = 0
        self.held = 0
        #: Answers given, by hundreds of their status code.
        self.answers: dict[int, int] = {}
        #: Connections refused or ended for want of room.
        self.crowded_out = 0
        self.date = b""
        self._tls = tls
        self._connections: set[Connection] = set()
        #: Those in their handshake, and the tasks that lead them through it.
        self._newcomers: dict[Connection, asyncio.Task[None]] = {}
        self._greetings: set[asyncio.Task[None]] = set()
        #: Answers that nobody waits for any more, until they have ended.
        self._given_up: set[asyncio.Future[Response | Reply]] = set()
        self._listener: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one if `port` is 0).

        Raises:
            OSError: the address is not to be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._listen(on=True)
        self._sweep()
        return int(self._listener.getsockname()[1])

    async def drain(self) -> None:
        """Accept nothing new, close idle connections, wait for the requests under way."""
        self._close_listener()
        for connection in list(self._connections):
            connection.close()
        await self._idle.wait()

    async def stop(self) -> None:
        """Cut everything off."""
        self._close_listener()
        for task in self._greetings:
            task.cancel()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*self._greetings, return_exceptions=True)
        if self._connections:  # their transports tell them in the next turns of the loop
            await self._empty.wait()
        await asyncio.gather(*self._given_up, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    def _close_listener(self) -> None:
        self.draining = True
        self._listen(on=False)
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @property
    def connections(self) -> int:
        """Open connections, those still in their handshake included."""
        return len(self._connections) + len(self._newcomers)

    # What connections ask.

    def time(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    def admit(self, head: Head, peer: str) -> Response | None:
        """Let the site refuse a request by its head."""
        return self.site.admit(head, peer)

    def begin(self) -> bool:
        """Count a request as under way; false if there are too many."""
        if self.under_way >= self.limits.requests:
            return False
        self.under_way += 1
        self._idle.clear()
        return True

    def end(self) -> None:
        """Count it as done."""
        self.under_way -= 1
        if not self.under_way:
            self._idle.set()

    def hold(self, size: int) -> bool:
        """Count bytes as held (or, negative, as let go); false if there is no room and nobody slow makes any."""
        if size > 0 and self.held + size > self.limits.held and not self._make_room(size):
            return False
        self.held += size
        return True

    def count(self, status: int) -> None:
        """Count an answer."""
        kind = status // 100
        self.answers[kind] = self.answers.get(kind, 0) + 1

    def report(self, error: BaseException) -> None:
        """Log that the site failed: the error's type and place, never its text, which may quote the request."""
        log.error("a request failed: %s at %s", type(error).__name__, _place(error.__traceback__))

    def give_up(self, answer: asyncio.Future[Response | Reply]) -> None:
        """Cancel an answer that nobody waits for any more."""
        answer.cancel()
        self._given_up.add(answer)
        answer.add_done_callback(self._given_up.discard)

    def forget(self, connection: Connection) -> None:
        """Drop a closed connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def keep(self, connection: Connection) -> None:
        """Take in a connection whose handshake is done."""
        self._newcomers.pop(connection, None)
        self._connections.add(connection)
        self._empty.clear()

    # Connections.

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            try:
                wire, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors, most likely: let some connections end first
                log.warning("no connection can be accepted for now: %s", error.strerror)
                self._listen(on=False)
                self._loop.call_later(_SWEEP, lambda: self._listen(on=not self.draining))
                return
            if not self._place_left():
                self.crowded_out += 1
                wire.close()
                continue
            connection = Connection(self, str(address[0]))
            task = self._loop.create_task(self._greet(wire, connection))
            self._newcomers[connection] = task
            self._greetings.add(task)
            task.add_done_callback(self._greetings.discard)

    async def _greet(self, wire: socket.socket, connection: Connection) -> None:
        wire.setblocking(False)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options: dict[str, Any] = {}
        if self._tls is not None:
            limits = self.limits
            options = {
                "ssl": self._tls,
                "ssl_handshake_timeout": limits.handshake,
                "ssl_shutdown_timeout": limits.linger_time,
            }
        try:
            await self._loop.connect_accepted_socket(lambda: connection, wire, **options)
        except OSError:
            return  # the client left, or failed the handshake: errors of TLS are OSErrors, too
        finally:
            self._newcomers.pop(connection, None)

    def _listen(self, *, on: bool) -> None:
        if self._listener is None:
            return
        if on:
            self._loop.add_reader(self._listener, self._accept, self._listener)
        else:
            self._loop.remove_reader(self._listener)

    def _place_left(self) -> bool:
        """Tell whether one more may come in; whoever idles, or has long been at it without a request, makes way."""
        if self.connections < self.limits.connections:
            return True
        since = self.time() - _DAWDLING
        waiting = [c for c in self._connections if c.phase is Phase.IDLE or (c.phase in _OUTSIDE and c.begun < since)]
        if waiting:
            min(waiting, key=lambda c: (c.phase is not Phase.IDLE, c.begun)).abort()
        else:
            oldest, task = next(iter(self._newcomers.items()), (None, None))  # in the order of their coming
            if oldest is None or task is None or oldest.begun > since:
                return False
            del self._newcomers[oldest]
            task.cancel()
        self.crowded_out += 1
        return True

    def _make_room(self, size: int) -> bool:
        since = self.time() - _PATIENCE
        slow = [c for c in self._connections if c.phase in {Phase.WRITE, Phase.BODY} and c.begun < since]
        for connection in sorted(slow, key=lambda connection: connection.begun):
            self.crowded_out += 1
            connection.give_up()
            if self.held + size <= self.limits.held:
                return True
        return False

    def _sweep(self) -> None:
        self.date = formatdate(usegmt=True).encode()
        now = self._loop.time()
        for connection in list(self._connections):
            if connection.deadline <= now:
                connection.expire(now)
        self._timer = self._loop.call_later(_SWEEP, self._sweep)


def _place(trace: TracebackType | None) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}" if trace is not None else "?"
