"""The directory that this node believes: the newest that may be believed, kept over restarts, told to whoever asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

from naisho.protocol.directory import Directory, DirectoryError, DirectoryOutdated, Freshness, verify
from naisho.protocol.network_file import NetworkFile
from services.chassis.clock import Clock
from services.swarm.adapters.directory_nodes import DirectoryNodes

log = logging.getLogger(__name__)


class Belief:
    """The newest directory, and who wants to hear of newer ones.

    Args:
        own_key: this node's Ed25519 public key.
        network: what was known beforehand.
        clock: the time.
        cache: file that keeps the newest directory over a restart, so that an older one is refused then, too.
    """

    def __init__(self, own_key: bytes, network: NetworkFile, clock: Clock, cache: Path | None) -> None:
        self._network = network
        self._clock = clock
        self._cache = cache
        self._cached: Directory | None = None
        self._hooks: list[Callable[[Directory], None]] = []
        self._watchers: set[asyncio.Event] = set()
        #: The newest directory, even if it has expired since.
        self.directory: Directory | None = None
        #: The node list, answered from it.
        self.nodes: Final = DirectoryNodes(own_key, clock.now_ms)

    @property
    def freshness(self) -> Freshness:
        """How old the directory is; none at all counts as expired."""
        return self.directory.freshness(self._clock.now_ms()) if self.directory else Freshness.EXPIRED

    def learn(self, signed: bytes) -> bool:
        """Believe a signed directory, if it may be believed; tell whether it is a newer one.

        Raises:
            DirectoryError: it may not; what was believed before stays.
        """
        before = self.directory
        if before is not None and signed == before.signed:
            return False
        newest = before.epoch if before else 0
        directory = verify(signed, network=self._network, now_ms=self._clock.now_ms(), newest_epoch_seen=newest)
        if before is not None and directory.epoch == before.epoch:
            if directory.digest != before.digest:
                raise DirectoryOutdated("two different directories of one epoch")
            return False
        if before is not None and directory.epoch == before.epoch + 1 and directory.previous != before.digest:
            log.warning("the directory of epoch %d does not follow on the one before it", directory.epoch)
        self.directory = directory
        self.nodes.show(directory)
        for hook in self._hooks:
            hook(directory)
        for watcher in self._watchers:
            watcher.set()
        return True

    def on_directory(self, hook: Callable[[Directory], None]) -> None:
        """Have ``hook`` called with every newer directory; it must not block. At once, if there is one."""
        self._hooks.append(hook)
        if self.directory is not None:
            hook(self.directory)

    async def directories(self) -> AsyncGenerator[bytes, None]:
        """Yield the newest signed directory now, then newer ones; who reads slowly gets only the newest."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        given: Directory | None = None
        try:
            while True:
                changed.clear()
                if self.directory is not None and self.directory is not given:
                    given = self.directory
                    yield given.signed
                else:
                    await changed.wait()
        finally:
            self._watchers.discard(changed)

    async def recall(self) -> None:
        """Begin with the directory of the last run, if it is still good."""
        if self._cache is None:
            return
        try:
            self.learn(await asyncio.to_thread(self._cache.read_bytes))
        except FileNotFoundError:
            return
        except (OSError, DirectoryError) as error:
            log.warning("the directory kept from the last run is of no use: %s", error)

    async def keep(self) -> None:
        """Write the directory for the next run, if it is another one than is written."""
        if self._cache is None or self.directory is None or self.directory is self._cached:
            return
        directory = self.directory
        try:
            await asyncio.to_thread(_write, self._cache, directory.signed)
        except OSError as error:
            log.warning("the directory cannot be kept for the next run: %s", error.strerror)
        self._cached = directory


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.replace(path)
