"""Requests that wait for an answer: one inbox and one sweep for all of a connection's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from itertools import count
from typing import Any, Final, NamedTuple, Protocol

from services.chassis.nats.errors import NatsError, NoResponders, PermissionDenied, RequestTimedOut, Unavailable

#: How exactly time-outs are kept, in seconds.
SWEEP_S: Final = 0.05
_NO_RESPONDERS: Final = b"NATS/1.0 503"


class Reply(NamedTuple):
    """What answered a request."""

    #: From ``NATS/1.0`` to the empty line, or ``None``.
    headers: bytes | None
    payload: bytes


class Waiter(Protocol):
    """Turns an answer, or the lack of one, into the outcome of a future. Called exactly once per request."""

    def answer(self, future: asyncio.Future[Any], headers: bytes | None, payload: bytes) -> None:
        """Take the answer; the future may be cancelled already."""
        ...

    def fail(self, future: asyncio.Future[Any], error: NatsError) -> None:
        """Take the failure; the future may be cancelled already."""
        ...


class PlainWaiter:
    """The waiter of ordinary requests: the future gets the ``Reply`` or the error as it is."""

    def answer(self, future: asyncio.Future[Any], headers: bytes | None, payload: bytes) -> None:
        """Hand the reply on."""
        if not future.done():
            future.set_result(Reply(headers, payload))

    def fail(self, future: asyncio.Future[Any], error: NatsError) -> None:
        """Hand the error on."""
        if not future.done():
            future.set_exception(error)


#: Who gets the answer, the future to put it into, the subject asked, and the loop's time by which it must come.
_Pending = tuple[Waiter, "asyncio.Future[Any]", bytes, float]


class PendingRequests:
    """All unanswered requests of one connection.

    Args:
        inbox_prefix: what the user may subscribe to; a random token makes this connection's inbox of it.
    """

    def __init__(self, inbox_prefix: str) -> None:
        self.inbox: Final = b"%b.%b" % (inbox_prefix.encode(), secrets.token_hex(8).encode())
        self._prefix = self.inbox + b"."
        self._pending: dict[bytes, _Pending] = {}
        self._numbers = count(1)
        self._loop = asyncio.get_running_loop()
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, waiter: Waiter, future: asyncio.Future[Any], subject: bytes, timeout_s: float) -> bytes:
        """Register a request and return its reply subject."""
        reply = self._prefix + b"%x" % next(self._numbers)
        loop = self._loop
        self._pending[reply] = (waiter, future, subject, loop.time() + timeout_s)
        if self._sweep is None:
            self._sweep = loop.call_later(SWEEP_S, self._on_sweep)
        return reply

    def forget(self, reply: bytes) -> None:
        """Drop a request that could not be written."""
        self._pending.pop(reply, None)

    def on_message(self, subject: bytes, _reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        """Give an arriving answer to its waiter; late ones find nobody."""
        pending = self._pending.pop(subject, None)
        if pending is None:
            return
        waiter, future, _, _ = pending
        if headers is not None and headers.startswith(_NO_RESPONDERS):
            waiter.fail(future, NoResponders("nobody answers on the subject of this request"))
        else:
            waiter.answer(future, headers, payload)

    def fail_all(self, make_error: Callable[[], NatsError]) -> None:
        """Fail everything that waits."""
        pending, self._pending = self._pending, {}
        for waiter, future, _, _ in pending.values():
            waiter.fail(future, make_error())

    def fail_denied(self, denied: PermissionDenied) -> bool:
        """Fail what waits on a refused subject; false if nothing did."""
        refused = denied.subject.encode()
        found = [reply for reply, (_, _, subject, _) in self._pending.items() if subject == refused]
        for reply in found:
            waiter, future, _, _ = self._pending.pop(reply)
            waiter.fail(future, PermissionDenied(str(denied), denied.subject))
        return bool(found)

    def close(self) -> None:
        """Stop the sweep and fail what still waits."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self.fail_all(lambda: Unavailable("the connection was closed before the answer came", maybe_sent=True))

    def _on_sweep(self) -> None:
        now = self._loop.time()
        overdue = [reply for reply, (_, _, _, deadline) in self._pending.items() if deadline <= now]
        for reply in overdue:
            pending = self._pending.pop(reply, None)
            if pending is not None:  # a waiter may have failed others meanwhile
                pending[0].fail(pending[1], RequestTimedOut("no answer from the NATS server within the bound"))
        self._sweep = self._loop.call_later(SWEEP_S, self._on_sweep) if self._pending else None
