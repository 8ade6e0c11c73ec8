"""Put the swarm service together."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from naisho.protocol import network_file
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import Directory, Endpoint, Node, NodeState, Transport
from naisho.protocol.directory.statements import sign_certificate
from naisho.protocol.ring import INVALID_SWARM
from naisho.protocol.signing import SigningKey
from services.chassis.certificates import Identity
from services.chassis.clock import Clock, SystemClock
from services.chassis.lifecycle import Lifecycle
from services.chassis.nats.names import NetworkNames
from services.chassis.packed import Reply
from services.chassis.settings import Address, Duration
from services.chassis.telemetry import Metrics, TelemetryEndpoint
from services.swarm import instruments as table
from services.swarm.adapters.following import FollowingSettings, Wanted
from services.swarm.adapters.local_mailbox import LocalMailbox
from services.swarm.adapters.log_access import LogAccess
from services.swarm.adapters.mailbox_socket import MailboxSocket
from services.swarm.adapters.mailboxes import MailboxSettings
from services.swarm.adapters.membership import Membership, MembershipSettings
from services.swarm.adapters.runtime import MailRuntime, RuntimeSettings
from services.swarm.adapters.store.local import LocalStore, StoreBounds
from services.swarm.api.dispatch import RpcSettings, StorageRpc
from services.swarm.domain.policies import Quotas, Retention
from services.swarm.projections.projection import ProjectionSettings
from services.swarm.settings import AboutNode, SwarmSettings

#: What clients are told; they take newer features for granted from 2.11.0 on.
VERSION: Final = (2, 11, 0)
_NO_SWARM: Final = "no swarm yet"
_CATCHING_UP: Final = "catching up"
_MENDING: Final = "mending the log"


class SwarmService:
    """One node's mailboxes. Several live in one process.

    Attributes:
        lifecycle: starting, ready, draining, stopped; not ready while the node has no swarm or catches up.
        local: for an `onion` in this process.
        runtime: the node's mail, once started.
        membership: the node's place in the network, once started.
    """

    runtime: MailRuntime
    membership: Membership

    def __init__(self, settings: SwarmSettings, clock: Clock) -> None:
        self.lifecycle = Lifecycle("swarm")
        self.local = LocalMailbox(self.lifecycle, self._handle, self._directories, self._report_peers)
        self._settings = settings
        self._clock = clock
        self._key = SigningKey(bytes.fromhex(settings.node_key.text))
        self._mailbox_key = bytes.fromhex(settings.mailbox_key.text)
        self._network = network_file.parse(settings.network_file.read_bytes())
        self._names = NetworkNames(self._network.network_id)
        told = replace(settings.about, machine=_opaque(settings.about.machine, self._mailbox_key))
        self._about = about(told, self._key, Identity.read(settings.certificate), self._network.network_id)
        self._socket = MailboxSocket(self.local.handle, self._directories, self._report_peers, self.lifecycle)
        self._swarm = INVALID_SWARM
        self._members: tuple[str, ...] = ()
        self._main: frozenset[int] = frozenset()
        self._listed = self._has_left = False
        self._logs: LogAccess | None = None
        self._store: LocalStore | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._telemetry: TelemetryEndpoint | None = None

    async def start(self) -> None:
        """Connect, open the store, join the network, begin to follow and to answer.

        Raises:
            NatsError, EventLogError: the log did not answer for half a minute.
            OSError, sqlite3.Error: the store cannot be opened.
            RuntimeError: the socket cannot be made.
        """
        settings, clock = self._settings, self._clock
        self.lifecycle.withdraw(_NO_SWARM)
        self._logs = await LogAccess.open(settings.nats, self._key.public.hex(), self._names, clock)
        connection = self._logs.connection
        limits = runtime_settings(settings)
        self._store = await LocalStore.open(settings.data, limits.mailboxes.retention, limits.store)
        self.runtime = MailRuntime(
            store=self._store,
            mail=self._logs.mail,
            keys=self._logs.keys,
            connection=connection,
            names=self._names,
            node_key=self._key,
            mailbox_key=self._mailbox_key,
            members=lambda: self._members,
            clock=clock,
            settings=limits,
        )
        self.membership = Membership(
            connection,
            node=self._about,
            signer=self._key,
            network=self._network,
            clock=clock,
            settings=MembershipSettings(heartbeat_s=settings.heartbeat),
            cache=settings.data / "directory",
        )
        self._rpc = StorageRpc(
            self.runtime.mailboxes,
            self.membership.nodes,
            clock.now_ms,
            settings=RpcSettings(settings.load.requests, limits.mailboxes.retention, VERSION),
            unready=lambda: sorted(self.lifecycle.withdrawn),
        )
        self.membership.on_directory(self._on_directory)
        self.runtime.following.observe(self._on_progress)
        connection.on_reconnect(self.runtime.following.begin_again)
        self._tasks = [
            self.lifecycle.spawn(self.runtime.run(), "mail"),
            self.lifecycle.spawn(self.membership.run(), "membership"),
        ]
        if settings.mailbox is not None:
            await self._socket.start(settings.mailbox)
        if settings.telemetry is not None:
            self._telemetry = TelemetryEndpoint(*settings.telemetry, [self.measure(0)], [self.lifecycle])
            await self._telemetry.start()

    async def drain(self) -> None:
        """Take nothing new; finish what is in hand."""
        await asyncio.gather(self.local.drain(), self._socket.drain())

    async def stop(self) -> None:
        """Give everything back."""
        await self._socket.stop()
        if self._telemetry is not None:
            await self._telemetry.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._store is not None:
            await self._store.close()
            if self._has_left:
                await asyncio.to_thread(LocalStore.forget, self._settings.data)
        if self._logs is not None:
            await self._logs.close()

    def measure(self, node: int) -> Metrics:
        """Return the started service's metrics; ``node`` tells it apart from others in the process."""
        runtime = self.runtime
        metrics = Metrics("swarm", node, table.INSTRUMENTS)
        for outcome in table.OUTCOMES:
            metrics.watch(table.COMMANDS, partial(getattr, runtime.mailboxes, outcome), outcome=outcome)
        entrance = runtime.mailboxes.entrance
        metrics.watch(table.SHED, lambda: entrance.shed)
        metrics.watch(table.LIMIT, lambda: entrance.limit)
        metrics.watch(table.UNDER_WAY, lambda: entrance.in_flight)
        metrics.watch(table.IN_LINE, lambda: entrance.waiting)
        metrics.watch(table.SIGNED, lambda: runtime.witness.signed)
        metrics.watch(table.SILENT, lambda: runtime.inquiries.silent)
        metrics.watch(table.POSITION, lambda: runtime.projection.position)
        metrics.watch(table.BEHIND, lambda: runtime.projection.behind)
        metrics.watch(table.HELD, lambda: len(runtime.following.held))
        metrics.watch(table.STORED, lambda: runtime.tally.held_bytes)
        metrics.watch(table.MENDING, lambda: int(runtime.following.mending))
        metrics.watch(table.CHANGED_LOGS, lambda: runtime.following.changed_logs)
        metrics.watch(table.APPENDED_AGAIN, lambda: runtime.mender.appended)
        metrics.watch(table.UNREADABLE, lambda: runtime.projection.unreadable)
        metrics.watch(table.UNOPENED, lambda: runtime.mailboxes.unopened)
        return metrics

    # What the mailboxes are asked for.

    async def _handle(self, call: int, body: bytes) -> Reply:
        return await self._rpc.handle(call, body)

    def _directories(self) -> AsyncIterator[bytes]:
        return self.membership.directories()

    def _report_peers(self, reports: Iterable[tuple[bytes, bool]]) -> None:
        self.membership.report_peers(reports)

    # What moves the node.

    def _on_directory(self, directory: Directory) -> None:
        """Serve and follow what a newer directory says."""
        own = directory.by_key.get(self._key.public)
        self._has_left = own is None and (self._listed or self._has_left)
        self._listed = own is not None
        swarm = INVALID_SWARM if own is None else own.swarm_id
        followed = directory.followed(self._key.public)
        self._swarm, self._main = swarm, followed.main
        members = directory.members(swarm)
        self._members = tuple(node.key.hex() for node in members)
        self.runtime.inquiries.excuse(away(members))
        self.runtime.post.join(swarm)
        self.runtime.following.want(Wanted(followed.main, followed.extra))
        self._on_progress()

    def _on_progress(self) -> None:
        """Say how far the node is, and whether it can serve."""
        following = self.runtime.following
        reasons = {
            _NO_SWARM: self._swarm == INVALID_SWARM,
            _CATCHING_UP: not self._main <= following.held,
            _MENDING: following.mending,
        }
        for reason, holds in reasons.items():
            (self.lifecycle.withdraw if holds else self.lifecycle.restore)(reason)
        projection = self.runtime.projection
        self.membership.report(held=following.held, position=projection.position, lag=projection.behind)


def bootstrap(settings: SwarmSettings, *, clock: Clock | None = None) -> SwarmService:
    """Build the service; start it with ``chassis.hosting``.

    Args:
        settings: see there; files that it names are read here.
        clock: the real one if None.

    Raises:
        ValueError: a file's content is not what it should be.
        OSError: a file cannot be read.
    """
    return SwarmService(settings, clock or SystemClock())


def about(told: AboutNode, key: SigningKey, identity: Identity, network_id: str) -> Node:
    """Return the node as it announces itself."""
    places: list[tuple[Transport, Address | None]] = [
        (Transport.HTTPS, told.https),
        (Transport.HOP, told.hop),
        (Transport.SEED, told.seed),
    ]
    return Node(
        key=key.public,
        x25519=ed25519_to_x25519(key.public),
        endpoints=tuple(Endpoint(transport, *place) for transport, place in places if place is not None),
        family=told.family,
        country=told.country,
        version=VERSION,
        state=NodeState.JOINING,
        certificate=identity.certificate,
        certificate_signature=sign_certificate(identity.certificate, key, network_id=network_id),
        machine=told.machine,
    )


def _opaque(machine: str, mailbox_key: bytes) -> str:
    """Return a name by which nodes on one machine are known to be, and by which nobody outside finds the machine."""
    return hashlib.blake2b(machine.encode(), key=mailbox_key, digest_size=8).hexdigest() if machine else ""


def away(members: Iterable[Node]) -> frozenset[str]:
    """Return the members that the directory has as unreachable: nobody needs to find that out by waiting."""
    return frozenset(node.key.hex() for node in members if node.state is NodeState.UNREACHABLE)


def runtime_settings(settings: SwarmSettings) -> RuntimeSettings:
    """Return the bounds of the node's mail."""
    load, kept, quotas = settings.load, settings.retention, settings.quotas
    return RuntimeSettings(
        mailboxes=MailboxSettings(
            in_flight=load.commands,
            least=load.least,
            patience_s=load.patience,
            wait_s=load.wait,
            behind=load.behind,
            members_s=load.members,
            own_s=load.own,
            quotas=Quotas(
                quotas.namespace_messages, quotas.namespace_bytes, quotas.account_messages, quotas.account_bytes
            ),
            retention=Retention(_ms(kept.shortest), _ms(kept.public_inbox), _ms(kept.longest)),
        ),
        store=StoreBounds(
            writer_cache_bytes=settings.store.writer_cache, reader_cache_bytes=settings.store.reader_cache
        ),
        projection=ProjectionSettings(young_s=load.members + load.own),
        key_period_ms=_ms(settings.key_period),
        margin_s=math.ceil(settings.log_margin),
        following=FollowingSettings(check_s=settings.log_check),
        overwrite_within_s=settings.store.overwrite_within,
        sweep_s=settings.store.sweep,
    )


def _ms(duration: Duration) -> int:
    return round(duration * 1000)
