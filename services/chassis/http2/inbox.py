"""gRPC's messages, cut out of a stream's data as it comes, and kept until they are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

from services.chassis.http2.frames import PREFIX, message_size

M = TypeVar("M", bound=Message)


class Inbox(Generic[M]):
    """Messages that came and were not read.

    Args:
        message: their type.

    Attributes:
        held: bytes of those messages.
        taker: is offered each message that finds no other waiting; one that it refuses waits to be read.
    """

    def __init__(self, message: type[M]) -> None:
        self.held = 0
        self.taker: Callable[[M], bool] | None = None
        self._parse = message.FromString
        #: A message whose end is missing.
        self._partial = bytearray()
        self._messages: deque[tuple[M, int]] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, data: bytes) -> None:
        """Take data.

        Raises:
            ProtocolError: a message is compressed, or too large.
            DecodeError: it is none of this type.
        """
        if self._partial:
            self._partial += data
            data = b""
            if len(self._partial) >= PREFIX.size + message_size(self._partial):
                data, self._partial = bytes(self._partial), bytearray()
        at = 0
        while len(data) - at >= PREFIX.size:
            end = at + PREFIX.size + message_size(data, at)
            if end > len(data):
                break
            self._put(self._parse(data[at + PREFIX.size : end]), end - at)
            at = end
        self._partial += data[at:]

    def _put(self, message: M, size: int) -> None:
        if self.taker is None or self._messages or not self.taker(message):
            self._messages.append((message, size))
            self.held += size

    def pop(self) -> M:
        """Return the oldest message; there is one."""
        message, size = self._messages.popleft()
        self.held -= size
        return message
