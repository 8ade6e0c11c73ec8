"""One node's mail, put together: store, followers, receipts, mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from naisho.protocol.signing import SigningKey
from services.chassis.clock import Clock
from services.chassis.eventlog.port import EventLog
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.drafts import Drafter
from services.swarm.adapters.following import EXTRA, MAIN, Following
from services.swarm.adapters.inquiries import Inquiries
from services.swarm.adapters.mailbox_subjects import MailboxSubjects, arrive
from services.swarm.adapters.mailboxes import MailboxSettings, SwarmMailboxes
from services.swarm.adapters.receipt_post import ReceiptPost
from services.swarm.adapters.sealing import PeriodKeys
from services.swarm.adapters.store.local import LocalStore, StoreBounds
from services.swarm.adapters.witness import Witness
from services.swarm.projections.projection import Projection, ProjectionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Bounds and paces of a node's mail.

    Attributes:
        mailboxes: of commands.
        store: of the local store.
        projection: of following the log.
        key_period_ms: length of a sealing period; a network constant.
        margin_s: what the log keeps events longer than they are needed.
        log_check_s: how often the log is checked to be the one that is known.
        overwrite_within_s: when bytes of removed messages have left the node's files.
        sweep_s: how often expired messages are looked for.
    """

    mailboxes: MailboxSettings = field(default_factory=MailboxSettings)
    store: StoreBounds = field(default_factory=StoreBounds)
    projection: ProjectionSettings = field(default_factory=ProjectionSettings)
    key_period_ms: int = 3_600_000
    margin_s: int = 60
    log_check_s: float = 5.0
    overwrite_within_s: float = 10.0
    sweep_s: float = 1.0


class MailRuntime:
    """Everything of one node that has to do with mail. Made by ``open``, works while ``run`` runs.

    Attributes:
        mailboxes: executes commands and reads.
        following: which shards, and since when they are whole.
        projection: of the shards that are served.
        store: the local store.
        keys: the network's body keys.
    """

    def __init__(
        self,
        *,
        store: LocalStore,
        mail: EventLog,
        keys: EventLog,
        connection: NatsConnection,
        names: NetworkNames,
        node_key: SigningKey,
        mailbox_key: bytes,
        members: Callable[[], Sequence[str]],
        clock: Clock,
        settings: RuntimeSettings,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self._settings = settings
        self._clock = clock
        bounds = settings.mailboxes
        own = node_key.public.hex()
        self.projection = Projection(MAIN, mail, store, arrive, clock=clock, settings=settings.projection)
        extra = Projection(EXTRA, mail, store, arrive, clock=clock, settings=settings.projection)
        witness = Witness(store.reader, self.projection, node_key, clock, remember_s=bounds.members_s + bounds.own_s)
        self.projection.observe(witness.folded)
        self.post = ReceiptPost(connection, names, node_key.public)
        inquiries = Inquiries(own, witness, self.post.send_note)
        self.post.deliver_to(on_note=witness.take, on_receipt=inquiries.hear)
        self.keys = PeriodKeys(keys, names.key, settings.key_period_ms)
        self.mailboxes = SwarmMailboxes(
            reader=store.reader,
            projection=self.projection,
            log=mail,
            drafter=Drafter(store.reader, self.keys, clock, bounds.retention, margin_s=settings.margin_s),
            keys=self.keys,
            subjects=MailboxSubjects(names, mailbox_key),
            inquiries=inquiries,
            members=members,
            clock=clock,
            settings=bounds,
        )
        self.following = Following(
            log_port=mail,
            store=store,
            projections={MAIN: self.projection, EXTRA: extra},
            follower_names=dict(zip((MAIN, EXTRA), names.followers(own), strict=True)),
            pattern=names.shard,
            clock=clock,
            on_change=on_change,
        )

    async def run(self) -> None:
        """Follow the log and keep the store tidy until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.following.run())
            tasks.create_task(self._sweep())
            tasks.create_task(self._overwrite())

    async def close(self) -> None:
        """Give everything back; ``run`` has ended."""
        self.post.close()
        await self.store.close()

    async def _sweep(self) -> None:
        """Remove what has expired, as far as nothing that the log stored earlier can still arrive."""
        while True:
            await self._clock.sleep(self._settings.sweep_s)
            await self.store.sweep(self._clock.now_ms())

    async def _overwrite(self) -> None:
        while True:
            await self._clock.sleep(self._settings.overwrite_within_s / 2)
            await self.store.overwrite()
