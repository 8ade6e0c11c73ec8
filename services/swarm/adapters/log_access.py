"""One user's way to the logs: a connection, and the streams of mail and of body keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final, Self, TypeVar

from services.chassis.clock import Clock
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.jetstream_follower import FollowerBounds
from services.chassis.eventlog.port import EventLogError
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import from_files, trust_in
from services.chassis.nats.errors import NatsError
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.settings import NatsSettings
from services.swarm.settings import NatsUserSettings

#: How long the log's servers and streams are waited for at the start.
_PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.1

#: Many nodes may replay at the same time in one process: what each holds of its log in memory stays small. Where a
#: cluster's server ends that led a follower's consumer, nothing but the lack of heartbeats tells of it, and requests
#: wait meanwhile.
_FOLLOWER: Final = FollowerBounds(window=2048, pull_bytes=2 * 1024 * 1024, heartbeat_s=0.5)

T = TypeVar("T")


class LogAccess:
    """Made by ``open``, ended by ``close``.

    Attributes:
        connection: the user's.
        mail: the log of mailbox events.
        keys: the log of body keys.
    """

    def __init__(self, connection: NatsConnection, mail: JetStreamLog, keys: JetStreamLog) -> None:
        self.connection = connection
        self.mail = mail
        self.keys = keys

    @classmethod
    async def open(
        cls, settings: NatsUserSettings, user: str, names: NetworkNames, clock: Clock, *, rest_s: float = 0.0
    ) -> Self:
        """Connect and look the streams up; both may be about to be started, and are waited for.

        Args:
            settings: where to, with which key.
            user: the user's name in subjects: of a node the hex of its key.
            names: the network's.
            clock: the time.
            rest_s: see ``FollowerBounds``.

        Raises:
            NatsError, EventLogError: no answer for half a minute.
        """
        connection = await _patiently(partial(NatsConnection.connect, _settings(settings, user)), clock)
        try:
            bounds = replace(_FOLLOWER, rest_s=rest_s)
            opened = partial(JetStreamLog.open, connection, names.mail_stream, follower_bounds=bounds)
            mail = await _patiently(opened, clock)
            keys = await _patiently(partial(JetStreamLog.open, connection, names.keys_stream), clock)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, mail, keys)

    async def close(self) -> None:
        """Wait for what was written, then close."""
        await self.mail.close()
        await self.keys.close()
        await self.connection.close()


def _settings(settings: NatsUserSettings, user: str) -> NatsSettings:
    key, authority = settings.user_key_file, settings.tls_authority
    return NatsSettings(
        servers=settings.servers,
        name=f"swarm-{user[:8]}",
        credentials=None if key is None else from_files(key, settings.user_jwt),
        inbox_prefix=f"_INBOX.{user}",
        tls=None if authority is None else trust_in(authority),
        echo=False,  # a node knows what it tells the others
        request_timeout_s=settings.request_timeout,
    )


async def _patiently(attempt: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Repeat what fails because the log is not there yet."""
    give_up = clock.monotonic() + _PATIENCE_S
    while True:
        try:
            return await attempt()
        except (NatsError, EventLogError):
            if clock.monotonic() > give_up:
                raise
        await clock.sleep(_PAUSE_S)
