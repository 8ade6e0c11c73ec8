"""Flow control (RFC 9113, 5.2): how much we may send, how much we let the other end send."""

from __future__ import annotations

from typing import Final

from services.chassis.http2.frames import SMALLEST_FRAME

_WIDEST: Final = 2**31 - 1


class Window:
    """How much we may send: on the connection, on the stream, and in one frame."""

    #: Before anybody says otherwise.
    INITIAL: Final = 65_535

    def __init__(self) -> None:
        #: The largest frame that the other end takes.
        self.frame = SMALLEST_FRAME
        #: What a stream's window begins with.
        self.initial = self.INITIAL
        self._connection = self._stream = self.INITIAL

    @property
    def available(self) -> int:
        """Bytes that may leave in one frame now."""
        return max(0, min(self._connection, self._stream, self.frame))

    def use(self, size: int) -> None:
        """Count bytes as sent."""
        self._connection -= size
        self._stream -= size

    def widen(self, stream: int, more: int) -> bool:
        """Take an update, of the connection if `stream` is 0; false if it goes too far."""
        if stream:
            self._stream += more
        else:
            self._connection += more
        return more > 0 and self._connection <= _WIDEST and self._stream <= _WIDEST

    def begin_with(self, initial: int) -> bool:
        """Take the setting that streams begin with, also the one that has begun; false if it goes too far."""
        self._stream += initial - self.initial
        self.initial = initial
        return self._stream <= _WIDEST


class Allowance:
    """How much the other end may send; the same for the connection and its one stream."""

    FULL: Final = 2 * 2**20

    def __init__(self) -> None:
        self._used = 0

    def take(self, size: int) -> bool:
        """Count bytes as received; false if they were not allowed."""
        self._used += size
        return self._used <= self.FULL

    def renew(self) -> int:
        """Return what to allow anew; 0 if there is enough left."""
        if self._used < self.FULL // 2:
            return 0
        used, self._used = self._used, 0
        return used
