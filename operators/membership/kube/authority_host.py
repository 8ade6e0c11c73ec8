"""The membership authority inside the operator: started as soon as the log can be reached, and kept."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from naisho.protocol.directory import Directory
from naisho.protocol.network_file import NetworkFile
from operators.membership.authority import Authority, AuthoritySettings
from operators.membership.domain.errors import KeyFileError
from operators.membership.domain.policy import Policy
from operators.membership.keys import AuthorityKeys, obtain_keys
from operators.membership.kube.users import User
from operators.membership.kube.vault import Content
from operators.membership.nats_rights import inbox_prefix
from services.chassis.clock import Clock
from services.chassis.eventlog.port import EventLogError
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import Credentials
from services.chassis.nats.errors import NatsError
from services.chassis.nats.settings import NatsSettings

log = logging.getLogger(__name__)

_PAUSE_S: Final = 1.0
_USER: Final = "authority"


class KeyMirror:
    """The authority's keys as files that only this process can read, as they came from their Secret.

    The files are where keys are renewed; what was renewed is handed back by ``renewed``.

    Args:
        folder: in memory, this process' alone.
        network: whose keys they are.
        clock: the time.
    """

    def __init__(self, folder: Path, network: NetworkFile, clock: Clock) -> None:
        self._folder = folder
        self._network = network
        self._clock = clock
        self._known: Content = {}

    def take(self, content: Content) -> None:
        """Write the files as the Secret has them now."""
        files = {name: value for name, value in content.items() if name.endswith((".key", ".bin"))}
        if files == self._known:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, value in files.items():
            descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(value)
        for name in self._known.keys() - files.keys():  # the root key has been taken elsewhere
            (self._folder / name).unlink(missing_ok=True)
        self._known = files

    def keys(self) -> AuthorityKeys:
        """Return what to sign with; renewed with the root key if that is due.

        Raises:
            KeyFileError: there is nothing to sign with.
        """
        return obtain_keys(self._folder, network=self._network, now_ms=self._clock.now_ms())

    def renewed(self) -> Content:
        """Return the files that have been changed since they were taken."""
        return {
            name: content
            for name, known in self._known.items()
            if (content := (self._folder / name).read_bytes()) != known
        }


class AuthorityHost:
    """Runs the authority.

    Args:
        network: the network file.
        servers: of the log.
        user: who the authority is there.
        trust: PEM of what stands behind the servers' certificates.
        keys: returns what to sign with.
        clock: the time.
        settings: how the authority works.
        changed: is called with each newly published directory.
    """

    def __init__(
        self,
        network: NetworkFile,
        *,
        servers: tuple[str, ...],
        user: Callable[[], User],
        trust: bytes,
        keys: Callable[[], AuthorityKeys],
        clock: Clock,
        settings: AuthoritySettings,
        changed: Callable[[Directory], None],
    ) -> None:
        self._network = network
        self._servers = servers
        self._user = user
        self._trust = trust
        self._keys = keys
        self._clock = clock
        self._settings = settings
        self._changed = changed
        self._policy = Policy(allowed=frozenset(), assigned={})
        self._told = asyncio.Event()
        self._authority: Authority | None = None
        #: The authority that is at work, or was last.
        self.latest: Authority | None = None
        self._connection: NatsConnection | None = None

    @property
    def authority(self) -> Authority | None:
        """The authority while it is at work and can reach the log; without it, it knows nothing new."""
        return self._authority if self._connection is not None and self._connection.connected else None

    def go_by(self, policy: Policy) -> None:
        """Have the authority decide by another policy."""
        self._policy = policy
        self._told.set()
        if self._authority is not None:
            self._authority.policy = policy

    async def run(self) -> None:
        """Work until cancelled, as soon as there is a policy: by another one it would move nodes, and move them back.

        Raises:
            TakenOver: another authority writes in this network.
        """
        await self._told.wait()
        said = ""
        while True:
            try:
                connection = await NatsConnection.connect(self._nats())
            except NatsError as error:
                said = _say(said, f"the log cannot be reached yet: {error}")
            else:
                try:
                    await self._work(connection)
                except (NatsError, EventLogError, KeyFileError) as error:
                    said = _say(said, f"the membership authority cannot begin yet: {error}")
                finally:
                    self._authority = self._connection = None
                    await connection.close()
            await self._clock.sleep(_PAUSE_S)

    async def _work(self, connection: NatsConnection) -> None:
        authority = Authority(
            connection,
            network=self._network,
            keys=self._keys,
            policy=self._policy,
            clock=self._clock,
            settings=self._settings,
        )
        await authority.start()
        authority.on_directory(self._changed)
        self._authority, self._connection, self.latest = authority, connection, authority
        log.info("the membership authority is at work")
        try:
            await authority.run()
        finally:
            await authority.stop()

    def _nats(self) -> NatsSettings:
        return NatsSettings(
            servers=self._servers,
            name="membership",
            credentials=self._credentials,
            inbox_prefix=inbox_prefix(_USER),
            tls=self._tls,
        )

    def _credentials(self) -> Credentials:
        user = self._user()
        return Credentials(user.seed, user.jwt)

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._trust.decode())


def _say(before: str, now: str) -> str:
    """Log what is new; the same again and again is not."""
    if now != before:
        log.warning("%s", now)
    return now
