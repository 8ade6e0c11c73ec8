"""Having a directory that may be believed: fetched, verified, kept, refreshed, and replaceable at any time.

A directory is taken from any source, because its signatures and not its sender make it true. Of several answers the
newest counts, so that one source cannot hold a client back. What is cached is verified again whenever it is read; if it
is expired, damaged or of another network it is dropped and fetched anew (a cache must never keep a client out).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from urllib.parse import urlsplit

from naisho.errors import DirectoryRefused, NoDirectory
from naisho.network.clock import NetworkClock
from naisho.network.transport import NodeTransport, Silent, Unreachable, node_url
from naisho.protocol.directory import Directory, DirectoryError, Node, Transport, verify
from naisho.protocol.directory.model import DIRECTORY_PATH
from naisho.protocol.network_file import NetworkFile
from naisho.store.network_cache import NetworkCache

FETCH_SECONDS = 5.0
REFRESH_AFTER_MS = 2 * 3_600_000
RETRY_AFTER_MS = 5 * 60_000
#: Valid answers that are enough, sources asked at once, and sources asked in all.
ENOUGH, AT_ONCE, MOST_SOURCES = 2, 3, 9
_DEFAULT_PORTS = {"http": 80, "https": 443}


class DirectoryKeeper:
    """The directory of one network.

    Args:
        network: the network file.
        transport: connections to nodes.
        cache: where the directory is kept between runs.
        clock: this device's time.
        random: for the order of sources.
        known: keys of nodes that know this device's address anyway (pinned entries), asked first.

    """

    def __init__(
        self,
        *,
        network: NetworkFile,
        transport: NodeTransport,
        cache: NetworkCache,
        clock: NetworkClock,
        random: Random,
        known: Callable[[], Iterable[bytes]] = tuple,
    ) -> None:
        self.network = network
        self._transport = transport
        self._cache = cache
        self._clock = clock
        self._random = random
        self.known = known
        self._current: Directory | None = None
        self._refresh_at_ms = self._fetched_ms = 0
        #: How many times a source gave a valid directory in this run.
        self.fetched = 0
        self._lock = asyncio.Lock()
        #: Host and port of everybody who is asked for directories: they learn this device's address.
        self._asked = {_place(seed) for seed in network.seeds}

    @property
    def acquainted(self) -> frozenset[bytes]:
        """Keys of the nodes that know this device's address: pinned entries, and whoever is asked for directories."""
        nodes = self._current.listed_nodes if self._current else ()
        asked = (node.key for node in nodes if any((at.host, at.port) in self._asked for at in node.endpoints))
        return frozenset(asked).union(self.known())

    async def get(self) -> Directory:
        """Return a directory that is valid now, refreshed if it is due.

        Raises:
            NoDirectory: no source answered and nothing valid is kept.
            DirectoryRefused: what came must not be believed, and nothing valid is kept.
        """
        async with self._lock:
            now_ms = self._clock.now_ms()
            if self._current is None:
                await self._load(now_ms)
            if self._valid(now_ms) is None or now_ms >= self._refresh_at_ms:
                await self._refresh(now_ms)
            return self._require(now_ms)

    async def refresh(self, *, unless_younger_ms: int = 0) -> Directory:
        """Fetch now, as evidence says that the directory is outdated; errors as for `get`.

        Args:
            unless_younger_ms: do nothing if it was fetched within that time, so that no node can make us fetch often.
        """
        async with self._lock:
            now_ms = self._clock.now_ms()
            if self._current is None:
                await self._load(now_ms)
            if now_ms - self._fetched_ms >= unless_younger_ms:
                await self._refresh(now_ms)
            return self._require(now_ms)

    async def _load(self, now_ms: int) -> None:
        kept = await self._cache.directory()
        if kept is None:
            return
        try:
            self._current = verify(kept[0], network=self.network, now_ms=now_ms)
        except DirectoryError:
            await self._cache.drop_directory()
            return
        self._refresh_at_ms = kept[1] + REFRESH_AFTER_MS if kept[1] <= now_ms else now_ms

    async def _refresh(self, now_ms: int) -> None:
        try:
            newest = await self._fetch(now_ms)
        except (NoDirectory, DirectoryRefused):
            self._refresh_at_ms = now_ms + RETRY_AFTER_MS
            if self._valid(now_ms) is None:
                raise
            return
        self._current, self._fetched_ms = newest, now_ms
        self.fetched += 1
        self._refresh_at_ms = now_ms + REFRESH_AFTER_MS
        await self._cache.keep_directory(newest.signed, now_ms)

    async def _fetch(self, now_ms: int) -> Directory:
        valid = self._valid(now_ms)
        seen = valid.epoch if valid else 0
        found: list[Directory] = []
        refusal: DirectoryError | None = None
        turns = self._turns()
        for turn in turns:
            asked = [asyncio.create_task(self._ask(url)) for url in turn]
            try:
                for answer in asyncio.as_completed(asked):
                    try:
                        found.append(verify(await answer, network=self.network, now_ms=now_ms, newest_epoch_seen=seen))
                    except (Unreachable, Silent):
                        continue
                    except DirectoryError as error:
                        refusal = error
                    if len(found) == ENOUGH:
                        break
            finally:
                for task in asked:
                    task.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
            if found:
                return max(found, key=lambda directory: directory.epoch)
        if refusal is not None:
            raise DirectoryRefused(reason=type(refusal).__name__) from refusal
        raise NoDirectory(asked=sum(map(len, turns)))

    async def _ask(self, url: str) -> bytes:
        self._asked.add(_place(url))
        answer = await self._transport.get(url, seconds=FETCH_SECONDS)
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise Silent("no directory there")
        return answer.body

    def _turns(self) -> list[list[str]]:
        """Return whom to ask at once, turn by turn: strangers, who would learn our address, after everybody else."""
        nodes = self._current.listed_nodes if self._current else ()
        known = set(self.known())
        seeds = [f"{seed}{DIRECTORY_PATH}" for seed in self.network.seeds]
        others = [node for node in nodes if node.key not in known and node.endpoint(Transport.HTTPS)]
        self._random.shuffle(seeds)
        self._random.shuffle(others)
        pinned = [_url(node) for node in nodes if node.key in known and node.endpoint(Transport.HTTPS)]
        familiar = [*pinned[:1], *seeds[: MOST_SOURCES // 2], *pinned[1:]][:MOST_SOURCES]
        strangers = [_url(node) for node in others[: MOST_SOURCES - len(familiar)]]
        return [urls[at : at + AT_ONCE] for urls in (familiar, strangers) for at in range(0, len(urls), AT_ONCE)]

    def _valid(self, now_ms: int) -> Directory | None:
        return self._current if self._current is not None and now_ms < self._current.expires_ms else None

    def _require(self, now_ms: int) -> Directory:
        directory = self._valid(now_ms)
        if directory is None:
            raise NoDirectory(asked=sum(map(len, self._turns())))
        return directory


def _url(node: Node) -> str:
    return node_url(node, Transport.HTTPS, DIRECTORY_PATH)


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
