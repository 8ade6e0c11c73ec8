"""The one parser of what a NATS server sends. Pure: bytes in, calls out; bounded in lines and sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from services.chassis.nats.errors import ProtocolViolation

#: Longest line that is not a payload, in bytes. The longest in practice is INFO with a list of servers.
MAX_LINE: Final = 64 * 1024
_HMSG: Final = ord("H")
_CARRIAGE_RETURN: Final = ord("\r")

#: Called with subject, reply subject, header block (from ``NATS/1.0`` to the empty line) and payload.
MessageCallback = Callable[[bytes, bytes | None, bytes | None, bytes], None]


class Parser:
    """Cuts the stream of a server into messages and operations, in one pass and without a queue.

    Args:
        subscriptions: callback per subscription id; read at every message, so it may change at any time. Messages of
            unknown subscriptions are skipped (they cross with an unsubscription).
        on_operation: called with every other line (``INFO …``, ``PING``, ``PONG``, ``+OK``, ``-ERR …``), without end.
        on_fault: called with whatever a message callback raised; the stream goes on behind that message.
        max_message: most bytes of one message, headers included.
    """

    __slots__ = ("_chunks", "_held", "_max_message", "_needed", "_on_fault", "_on_operation", "_subscriptions")

    def __init__(
        self,
        subscriptions: Mapping[bytes, MessageCallback],
        on_operation: Callable[[bytes], None],
        on_fault: Callable[[Exception], None],
        *,
        max_message: int,
    ) -> None:
        self._subscriptions = subscriptions
        self._on_operation = on_operation
        self._on_fault = on_fault
        self._max_message = max_message
        self._chunks: list[bytes] = []
        self._held = 0
        self._needed = 0

    @property
    def held(self) -> int:
        """Bytes of an incomplete message or line that wait for the rest."""
        return self._held

    def feed(self, data: bytes) -> None:
        """Take what the socket gave, and deliver all that is complete.

        Raises:
            ProtocolViolation: the stream cannot be understood any more; the connection must go.
        """
        if self._chunks:
            self._chunks.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return  # joining once when all is there keeps a large message linear
            data = b"".join(self._chunks)
            self._chunks.clear()
        rest, self._needed = self._parse(data)
        if rest < len(data):
            self._chunks.append(data[rest:] if rest else data)
            self._held = len(data) - rest
        else:
            self._held = 0

    def _parse(self, data: bytes) -> tuple[int, int]:  # noqa: C901 - one loop: a call per part would cost every message
        """Return where the first incomplete item starts, and how many bytes it needs as far as known."""
        callbacks = self._subscriptions
        position, end = 0, len(data)
        while position < end:
            line_end = data.find(b"\r\n", position, position + MAX_LINE)
            if line_end < 0:
                if end - position >= MAX_LINE:
                    raise ProtocolViolation("a line of the server is too long")
                return position, 0
            kind = data[position]
            if kind not in b"MH":
                self._on_operation(data[position:line_end])
                position = line_end + 2
                continue
            fields = data[
                position:line_end
            ].split()  # MSG subject sid [reply] size, HMSG subject sid [reply] headers size
            has_reply = len(fields) - (5 if kind == _HMSG else 4)
            try:
                headers_size = int(fields[-2]) if kind == _HMSG else 0
                size = int(fields[-1])
            except (ValueError, IndexError) as error:
                raise ProtocolViolation("a message of the server has no sizes") from error
            start = line_end + 2
            stop = start + size
            if not 0 <= has_reply <= 1 or not 0 <= headers_size <= size <= self._max_message:
                raise ProtocolViolation("a message of the server has impossible sizes")
            if stop + 2 > end:
                return position, stop + 2 - position
            if data[stop] != _CARRIAGE_RETURN:
                raise ProtocolViolation("a message of the server does not end where it says")
            callback = callbacks.get(fields[2])
            if callback is not None:
                body = start + headers_size
                try:
                    callback(
                        fields[1],
                        fields[3] if has_reply else None,
                        data[start:body] if headers_size else None,
                        data[body:stop],
                    )
                except Exception as error:  # noqa: BLE001 - one subscriber's fault must not cost the others the stream
                    self._on_fault(error)
            position = stop + 2
        return position, 0
