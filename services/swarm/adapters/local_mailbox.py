"""The mailboxes as `onion` sees them when both live in one process: a call instead of a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final

from services.chassis.lifecycle import Lifecycle, State
from services.chassis.packed import Reply

_ENDING: Final = Reply(503, b"Service node is not ready: it is shutting down\n")


class LocalMailbox:
    """Counts what is under way, so that the service can end without cutting anything off.

    Args:
        lifecycle: the service's.
        handle: answers storage requests.
        directories: makes a reader of signed directories, the newest first.
        report_peers: takes what was seen of other nodes.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        handle: Callable[[int, bytes], Awaitable[Reply]],
        directories: Callable[[], AsyncIterator[bytes]],
        report_peers: Callable[[Iterable[tuple[bytes, bool]]], None],
    ) -> None:
        self._lifecycle = lifecycle
        self._handle = handle
        self._directories = directories
        self._report_peers = report_peers
        self._under_way = 0
        self._idle = asyncio.Event()
        self._ending = False

    @property
    def available(self) -> bool:
        """Whether calls are answered."""
        return self._lifecycle.state is State.READY and not self._ending

    async def handle(self, call: int, body: bytes) -> Reply:
        """Answer a storage request; ``call`` is a ``MailboxCall``."""
        if not self.available:
            return _ENDING
        self._under_way += 1
        try:
            return await self._handle(call, body)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def watch_directory(self) -> AsyncIterator[bytes]:
        """Yield the newest signed directory, then each newer one, for ever."""
        return self._directories()

    async def report_peers(self, reports: Sequence[tuple[bytes, bool]]) -> None:
        """Take which nodes (Ed25519 keys) answered at their public address."""
        self._report_peers(reports)

    async def drain(self) -> None:
        """Refuse new requests and finish those in hand."""
        self._ending = True
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()
