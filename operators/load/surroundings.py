"""What a run knows of its network: the directory, fetched again and again, since nodes come and go under load.

The SDK's own keeper refreshes every two hours and when evidence says so; under a test in which nodes are added, drained
and killed the run asks every few seconds. When no source answers (everything restarts), the last directory stays in
use, and the next turn asks again: seeds first, then the nodes that were known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import NamedTuple, Self

from naisho.errors import NetworkError
from naisho.network.clock import NetworkClock
from naisho.network.directory import DirectoryKeeper
from naisho.network.transport import NodeTransport
from naisho.protocol import ring
from naisho.protocol.directory import Directory, Node
from naisho.protocol.network_file import NetworkFile
from naisho.store.network_cache import NetworkCache
from naisho.store.records import PinnedEntry
from operators.load.errors import NotJoined
from operators.load.population import Simulated

REFRESH_SECONDS = 10.0
#: However many members send us elsewhere, the directory is asked for no more often.
SHORTEST_PAUSE = 1.0
JOIN_TRIES = 6


class Place(NamedTuple):
    """Who keeps a mailbox; ``name`` is the swarm's id in hex."""

    name: str
    members: tuple[Node, ...]


NOWHERE = Place("", ())


class ForgetfulCache(NetworkCache):
    """Keeps nothing beyond the run: a simulated client has no device."""

    def __init__(self) -> None:
        self._pins: list[PinnedEntry] = []

    async def directory(self) -> tuple[bytes, int] | None:
        """Return nothing."""
        return None

    async def keep_directory(self, signed: bytes, fetched_ms: int) -> None:
        """Keep nothing."""

    async def drop_directory(self) -> None:
        """Drop nothing."""

    async def entries(self) -> list[PinnedEntry]:
        """Return what was pinned in this run."""
        return self._pins

    async def keep_entries(self, entries: list[PinnedEntry]) -> None:
        """Keep it for this run."""
        self._pins = entries


class Surroundings:
    """The network as of now.

    Attributes:
        network: the network file.
        keeper: fetches and verifies directories.
        clock: network time.
        transport: connections to nodes.
        refreshed: how many times the directory was asked for, and how many of these nobody answered.

    """

    def __init__(self, network: NetworkFile, transport: NodeTransport, random: Random) -> None:
        self.network = network
        self.transport = transport
        self.clock = NetworkClock()
        self.keeper = DirectoryKeeper(
            network=network, transport=transport, cache=ForgetfulCache(), clock=self.clock, random=random
        )
        self.refreshed = self.unanswered = 0
        self._directory: Directory | None = None
        self._places: dict[int, Place] = {}
        self._asked_at = 0.0
        self._lock = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, network: NetworkFile, transport: NodeTransport, random: Random, *, refresh_s: float = REFRESH_SECONDS
    ) -> AsyncIterator[Self]:
        """Join a network and know it for the length of a ``with`` block.

        Args:
            network: the network file.
            transport: connections.
            random: for the order of sources.
            refresh_s: how often the directory is asked for.

        Raises:
            NotJoined: no source gave a directory that may be believed.
        """
        known = cls(network, transport, random)
        await known._join()
        task = asyncio.create_task(known._refresh_for_ever(refresh_s))
        try:
            yield known
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def directory(self) -> Directory:
        """The newest directory that was believed."""
        assert self._directory is not None, "joined before"
        return self._directory

    def place(self, account: Simulated) -> Place:
        """Return who keeps an account's mailbox now."""
        swarm_id = ring.choose_swarm(account.position, self.directory.swarm_ids)
        if swarm_id is None:
            return NOWHERE
        if (place := self._places.get(swarm_id)) is None:
            place = self._places[swarm_id] = Place(f"{swarm_id:x}", self.directory.members(swarm_id))
        return place

    async def refresh(self, *, unless_younger_s: float = SHORTEST_PAUSE) -> bool:
        """Ask for the directory, unless somebody just did; return whether another one is in use now."""
        async with self._lock:
            if time.monotonic() - self._asked_at < unless_younger_s:
                return False
            before, fetched = self._directory, self.keeper.fetched
            try:
                self._directory = await self.keeper.refresh()
            except NetworkError:
                self.unanswered += 1
            else:
                self.unanswered += self.keeper.fetched == fetched
            self.refreshed += 1
            self._asked_at = time.monotonic()
            if self._directory is not before:
                self._places = {}
            return self._directory is not before

    async def _join(self) -> None:
        for turn in range(JOIN_TRIES):
            await asyncio.sleep(min(turn, 3))
            if await self.refresh(unless_younger_s=0):
                return
        raise NotJoined("no seed of the network file gave a directory that may be believed")

    async def _refresh_for_ever(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self.refresh(unless_younger_s=seconds / 2)


class SharedDirectory(DirectoryKeeper):
    """What path keepers take for theirs: the newest directory at once, though somebody may be asking for a newer one.

    Nobody is left out as a destination for knowing our address: every node learns the load generator's anyway.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.network = surroundings.network
        self._surroundings = surroundings

    @property
    def acquainted(self) -> frozenset[bytes]:
        """Nobody."""
        return frozenset()

    @property
    def fetched(self) -> int:  # type: ignore[override]  # read only here
        """How many times a source gave a valid directory."""
        return self._surroundings.keeper.fetched

    async def get(self) -> Directory:
        """Return the newest directory."""
        return self._surroundings.directory

    async def refresh(self, *, unless_younger_ms: int = 0) -> Directory:
        """Ask for a newer one, unless somebody just did."""
        await self._surroundings.refresh(unless_younger_s=max(SHORTEST_PAUSE, unless_younger_ms / 1000))
        return self._surroundings.directory
