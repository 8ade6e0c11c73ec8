"""Follows the signed directory and tells everybody in this service about changes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from naisho.protocol.directory import Directory, DirectoryError, Freshness
from services.chassis.certificates import CertificateError, TrustedPeers, check_pinnable
from services.chassis.clock import Clock
from services.chassis.lifecycle import Lifecycle
from services.onion.domain.network import Network

log = logging.getLogger(__name__)

#: Seconds between looks at the directory's age.
_LOOK: Final = 30.0
UNUSABLE: Final = "no usable directory of the network"


class DirectoryFollower:
    """Believes directories, and keeps certificates and readiness in step with them.

    Args:
        network: what is believed.
        trusted: the certificates that the hop server accepts.
        lifecycle: is not ready without a usable directory.
        clock: tells how old the directory is.
        changed: called after each change.
    """

    def __init__(
        self, network: Network, trusted: TrustedPeers, lifecycle: Lifecycle, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.refused = 0
        self._network = network
        self._trusted = trusted
        self._lifecycle = lifecycle
        self._clock = clock
        self._changed = changed
        self._freshness = Freshness.EXPIRED
        lifecycle.withdraw(UNUSABLE)

    async def follow(self, directories: AsyncIterator[bytes]) -> None:
        """Take in signed directories as they come."""
        async for signed in directories:
            self.take(signed)

    def take(self, signed: bytes) -> None:
        """Take in one signed directory; one that may not be believed changes nothing."""
        try:
            changed = self._network.learn(signed, self._clock.now_ms())
        except DirectoryError as error:
            self.refused += 1
            log.warning("a directory was refused: %s: %s", type(error).__name__, error)
            return
        directory = self._network.directory
        if changed and directory is not None:
            self._trusted.replace(_certificates(directory))
            self._changed()
            log.info("the directory of epoch %d is in use: %d nodes", directory.epoch, len(directory.nodes))
        self.look()

    async def watch_age(self) -> None:
        """Look at the directory's age now and then, for ever."""
        while True:
            self.look()
            await self._clock.sleep(_LOOK)

    def look(self) -> None:
        """Warn of a stale directory, refuse to go on with an expired one."""
        freshness = self._network.freshness(self._clock.now_ms())
        if freshness is not self._freshness and freshness is Freshness.STALE:
            log.warning("the directory has not been signed anew for over a day; it will be refused once it expires")
        self._freshness = freshness
        if freshness is Freshness.EXPIRED:
            self._lifecycle.withdraw(UNUSABLE)
        else:
            self._lifecycle.restore(UNUSABLE)


def _certificates(directory: Directory) -> list[bytes]:
    usable = []
    for node in directory.nodes:
        try:
            check_pinnable(node.certificate, node.key.hex())
        except CertificateError as error:
            log.warning("the certificate of a listed node cannot be pinned: %s", error)
        else:
            usable.append(node.certificate)
    return usable
