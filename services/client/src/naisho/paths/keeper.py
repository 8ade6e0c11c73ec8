"""The path in use: built, kept, blamed, built anew, with back-off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from random import Random

from naisho.errors import EntryUnreachable, NaishoError, NetworkError, TooFewNodes
from naisho.network.clock import NetworkClock
from naisho.network.directory import DirectoryKeeper
from naisho.network.strikes import LIMIT, Strikes
from naisho.paths import entries
from naisho.paths.choosing import Route, choose_route
from naisho.paths.failures import Failure
from naisho.paths.status import Light, Path, PathStatus
from naisho.protocol import ring
from naisho.protocol.account import AccountId
from naisho.protocol.directory import Directory, Node, NodeState
from naisho.store.network_cache import NetworkCache
from naisho.store.records import PinnedEntry

#: Seconds after which middle and exit are drawn afresh although they work.
LIFETIME = 1800.0
#: Seconds to wait before the n-th path in a row that failed is replaced, at most the last.
BACKOFF = (0.0, 0.0, 0.25, 0.5, 1.0, 2.0)
#: After that many failed paths in a row their common entry is suspected; just before, the last good path is retried.
SUSPICION = 4
#: Seconds for which a proof holds.
PROOF_LASTS = 15.0


class PathKeeper:
    """Gives out the current path and learns from what happens on it.

    Args:
        directory: the network's nodes.
        cache: where pinned entries are kept.
        strikes: failures per node, shared with everything that talks to nodes.
        clock: this device's time.
        random: `random.SystemRandom` outside of tests.
        monotonic: seconds.
        sleep: `asyncio.sleep` outside of tests.

    Attributes:
        own: the client's account, once it has one; the nodes that keep its mailbox are not pinned.

    """

    def __init__(
        self,
        *,
        directory: DirectoryKeeper,
        cache: NetworkCache,
        strikes: Strikes,
        clock: NetworkClock,
        random: Random,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._directory = directory
        self._cache = cache
        self._strikes = strikes
        self._clock = clock
        self._random = random
        self._monotonic = monotonic
        self._sleep = sleep
        self.own: AccountId | None = None
        self._lock = asyncio.Lock()
        self._pinned: list[PinnedEntry] | None = None
        self._path: Path | None = None
        self._last_good: Route | None = None
        #: Neither middle nor exit of the next path.
        self._kept_free: frozenset[bytes] = frozenset()
        self._built = self._failed_in_row = 0
        self._status = PathStatus(Light.ORANGE)
        self._proved_at = 0.0
        self._changed = asyncio.Event()

    def pinned(self) -> list[bytes]:
        """Return the keys of the pinned entries, as far as they are known yet."""
        return [pin.node for pin in self._pinned or ()]

    @property
    def status(self) -> PathStatus:
        """The light now; green needs a proof that is younger than 15 seconds."""
        status = self._status
        if status.light is Light.GREEN and self._monotonic() - self._proved_at > PROOF_LASTS:
            return PathStatus(Light.ORANGE, status.path)
        return status

    async def changed(self, seen: PathStatus) -> PathStatus:
        """Wait until the status is another than the one seen, and return it."""
        while self._status == seen:
            self._changed.clear()
            await self._changed.wait()
        return self._status

    async def path(self) -> Path:
        """Return the current path, built anew if there is none or it is old.

        Raises:
            NetworkError: there are no nodes to build it from.
            EntryUnreachable: every pinned entry fails; try again later.
        """
        async with self._lock:
            if self._path is None or not await self._still_good(self._path):
                try:
                    await self._sleep(BACKOFF[min(self._failed_in_row, len(BACKOFF) - 1)])
                    self._path = await self._build()
                except NaishoError as error:
                    self._show(PathStatus(Light.ORANGE, None, error))
                    raise
                self._show(PathStatus(Light.ORANGE, self._path, self._status.cause))
            return self._path

    def proved(self, path: Path, took_ms: int) -> None:
        """A request to our own mailbox came back through a path."""
        self.worked(path)
        if self._path is not None and path.number == self._path.number:
            self._proved_at = self._monotonic()
            self._show(PathStatus(Light.GREEN, path, None, took_ms))

    def worked(self, path: Path) -> None:
        """Some request came back through a path."""
        for node in path.route:
            self._strikes.forgive(node.key)
        self._last_good = path.route
        self._failed_in_row = 0

    def failed(self, path: Path, failure: Failure) -> None:
        """Nothing came back: blame nodes, and drop the path unless its destination alone is to blame."""
        for node in failure.blamed:
            self._strikes.add(node, LIMIT if failure.fatal else 1)
        if failure.of_destination or self._path is None or path.number != self._path.number:
            return
        self._path = None
        if not isinstance(failure.error, EntryUnreachable):  # the next entry may be tried at once
            self._failed_in_row += 1
            if self._failed_in_row % SUSPICION == 0:
                self._strikes.add(path.route.entry.key, LIMIT)
        self._show(PathStatus(Light.ORANGE, path, failure.error))

    def doubted(self, path: Path, error: NaishoError) -> None:
        """A proof did not come back, though no node of the path is to blame."""
        if self._path is not None and path.number == self._path.number:
            self._show(PathStatus(Light.ORANGE, path, error))

    async def renew(self, *, keep_free: Collection[bytes] = ()) -> None:
        """Drop the current path; the next one has a fresh middle and exit.

        Args:
            keep_free: keys of nodes that are to be neither, if possible: destinations that the current path covers.
        """
        async with self._lock:
            self._path = None
            self._kept_free = frozenset(keep_free)

    async def _build(self) -> Path:
        directory = await self._directory.get()
        entry, until_ms = await self._entry(directory)
        out = self._strikes.out() | self._kept_free
        route = self._again(directory, entry.key, out) or self._fresh(directory, entry, out)
        self._kept_free = frozenset()
        self._built += 1
        return Path(self._built, route, directory.grade, directory.simulated, until_ms, self._monotonic())

    def _fresh(self, directory: Directory, entry: Node, out: set[bytes]) -> Route:
        try:
            return choose_route(directory.active_nodes, directory.grade, entry, self._random, avoid=out)
        except TooFewNodes:
            # Better a node that failed lately than no path at all.
            return choose_route(directory.active_nodes, directory.grade, entry, self._random)

    async def _entry(self, directory: Directory) -> tuple[Node, int]:
        """Return the first hop and until when it is pinned."""
        now_ms = self._clock.device_ms()
        if self._pinned is None:
            self._pinned = await self._cache.entries()
        own_swarm = self._own_swarm(directory)
        pinned = await self._pin(entries.renew(self._pinned, directory, now_ms, self._random, own_swarm=own_swarm))
        found = entries.usable(pinned, directory, self._strikes.out())
        if not found:
            # Everybody we know fails. If somebody else answers, it is they and not our connection.
            before = self._directory.fetched
            directory = await self._directory.refresh()
            if self._directory.fetched == before:
                for pin in pinned:  # it was not their fault: they are tried again as soon as anybody asks
                    self._strikes.forgive(pin.node)
                raise EntryUnreachable
            try:
                pinned = await self._pin(entries.extend(pinned, directory, now_ms, self._random, own_swarm=own_swarm))
            except TooFewNodes as error:
                raise EntryUnreachable from error
            found = entries.usable(pinned, directory, self._strikes.out())
        if not found:
            raise EntryUnreachable
        return found[0], next(pin.until_ms for pin in pinned if pin.node == found[0].key)

    def _own_swarm(self, directory: Directory) -> set[bytes]:
        swarm_id = ring.choose_swarm(ring.position(self.own.key), directory.swarm_ids) if self.own else None
        return set() if swarm_id is None else {node.key for node in directory.members(swarm_id)}

    async def _pin(self, pinned: list[PinnedEntry]) -> list[PinnedEntry]:
        if pinned != self._pinned:
            self._pinned = pinned
            await self._cache.keep_entries(pinned)
        return pinned

    def _again(self, directory: Directory, entry: bytes, out: set[bytes]) -> Route | None:
        """Return the last path that worked, when new ones keep failing and its nodes are not to blame."""
        good = self._last_good
        if good is None or self._failed_in_row != SUSPICION - 1 or good.entry.key != entry:
            return None
        keys = [node.key for node in good]
        listed = all(key in directory.by_key and directory.by_key[key].state is NodeState.ACTIVE for key in keys)
        return good if listed and out.isdisjoint(keys) else None

    async def _still_good(self, path: Path) -> bool:
        if self._monotonic() - path.built_at > LIFETIME:
            return False
        try:
            directory = await self._directory.get()
        except NetworkError:
            return False
        return directory.grade == path.grade and all(
            (listed := directory.by_key.get(node.key)) is not None and listed.state is NodeState.ACTIVE
            for node in path.route
        )

    def _show(self, status: PathStatus) -> None:
        self._status = status
        self._changed.set()
