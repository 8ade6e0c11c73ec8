"""One node's mail, put together: store, followers, receipts, mailboxes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from naisho.protocol.signing import SigningKey
from services.chassis.clock import Clock
from services.chassis.eventlog.port import EventLog, EventLogError
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.agreement import Agreement
from services.swarm.adapters.drafts import Drafter
from services.swarm.adapters.following import EXTRA, MAIN, Following, FollowingSettings
from services.swarm.adapters.inquiries import Inquiries
from services.swarm.adapters.mailbox_subjects import MailboxSubjects, arrive
from services.swarm.adapters.mailboxes import MailboxSettings, SwarmMailboxes
from services.swarm.adapters.mending import Mender
from services.swarm.adapters.receipt_post import ReceiptPost
from services.swarm.adapters.sealing import PeriodKeys
from services.swarm.adapters.store.local import LocalStore, StoreBounds
from services.swarm.adapters.store.tally import Tally
from services.swarm.adapters.witness import Witness
from services.swarm.domain.evolve import Changes
from services.swarm.projections.arrivals import Arrivals, FirstStores
from services.swarm.projections.projection import Projection, ProjectionSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Bounds and paces of a node's mail.

    Attributes:
        mailboxes: of commands.
        store: of the local store.
        projection: of following the log.
        key_period_ms: length of a sealing period; a network constant.
        margin_s: what the log keeps events longer than they are needed.
        agree_s: how long the other members are waited for after the log was mended.
        overwrite_within_s: when bytes of removed messages have left the node's files.
        sweep_s: how often expired messages are looked for.
        settle_s: how often stores that raced each other are settled.
        following: of watching the log.
    """

    mailboxes: MailboxSettings = field(default_factory=MailboxSettings)
    store: StoreBounds = field(default_factory=StoreBounds)
    projection: ProjectionSettings = field(default_factory=ProjectionSettings)
    key_period_ms: int = 3_600_000
    margin_s: int = 60
    agree_s: float = 10.0
    overwrite_within_s: float = 10.0
    sweep_s: float = 1.0
    settle_s: float = 3.0
    following: FollowingSettings = field(default_factory=FollowingSettings)


class MailRuntime:
    """Everything of one node that has to do with mail. Works while ``run`` runs.

    Args:
        store: the node's own, open; stays the caller's.
        mail: the log of mailbox events.
        keys: the log of body keys.
        connection: the node's NATS user, for receipts.
        names: the network's.
        node_key: signs results.
        mailbox_key: the network's, 32 bytes.
        members: names all members of the node's swarm, by the hex of their key.
        clock: the time.
        settings: bounds and paces.

    Attributes:
        mailboxes: executes commands and reads.
        following: which shards, and since when they are whole.
        projection: of the shards that are served.
        post: receipts; joins a swarm.
        mender: gives the log what it lacks.
        witness: this member's results.
        inquiries: what other members are asked for.
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
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        bounds = settings.mailboxes
        own = node_key.public.hex()
        projections = {
            name: Projection(name, mail, store, arrive, clock=clock, settings=settings.projection)
            for name in (MAIN, EXTRA)
        }
        self.projection = projections[MAIN]
        self.tally = Tally(store.reader)
        self.witness = Witness(
            store.reader, self.projection, node_key, clock, remember_s=bounds.members_s + bounds.own_s
        )
        self.post = ReceiptPost(connection, names, node_key.public)
        self.inquiries = Inquiries(own, self.witness, self.post.send_note)
        self._keys = PeriodKeys(keys, names.key, settings.key_period_ms, store.keep_key)
        drafter = Drafter(store.reader, self._keys, clock, bounds.retention, margin_s=settings.margin_s)
        self.mailboxes = SwarmMailboxes(
            reader=store.reader,
            sync=store.sync,
            projection=self.projection,
            log=mail,
            drafter=drafter,
            keys=self._keys,
            subjects=MailboxSubjects(names, mailbox_key),
            inquiries=self.inquiries,
            members=members,
            clock=clock,
            settings=bounds,
        )
        self.mender = Mender(
            log=mail,
            store=store,
            projections=list(projections.values()),
            drafter=drafter,
            names=names,
            clock=clock,
            margin_s=settings.margin_s,
        )
        self.following = Following(
            mail=mail,
            store=store,
            projections=projections,
            follower_names=dict(zip((MAIN, EXTRA), names.followers(own), strict=True)),
            patterns=names.shards,
            mend=self._mend,
            clock=clock,
            settings=settings.following,
        )
        self._mended = False
        self._agreement = Agreement(own, members, self.post.ask_level, self.following.look)
        self.post.deliver_to(
            on_note=self.witness.take,
            on_receipt=self._on_receipt,
            on_question=self._agreement.take_question,
        )
        for projection in projections.values():
            projection.observe(self._on_folded)
        self.projection.observe(self.witness.folded)
        self.projection.sync_if(self.witness.is_asked_here)
        self.following.observe(self._on_following)

    async def run(self) -> None:
        """Follow the log and keep the store tidy until cancelled."""
        self._keys.recall(await self._store.kept_keys())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.following.run())
            tasks.create_task(self._tidy())
            tasks.create_task(self._overwrite())
            tasks.create_task(self._settle())

    def _on_folded(self, arrivals: Arrivals, changes: Sequence[Changes | None]) -> None:
        del changes
        events = arrivals.events
        periods = events.periods if isinstance(events, FirstStores) else [e.period for e in events if e.sealed]
        for period in set(periods):
            self._keys.want(period)

    def _on_receipt(self, member: str, token: bytes, answer: bytes) -> None:
        if not self._agreement.hear(member, token):
            self.inquiries.hear(member, token, answer)

    def _on_following(self) -> None:
        # Whoever has mended and only waits for the others is level: else all would wait for each other.
        if self._mended or not self.following.mending:
            self._agreement.level(self.projection.position)

    async def _mend(self) -> None:
        """Give the logs what they lost, and wait until the members that are present have it, too."""
        await self._keys.restore(self._clock.now_ms())
        await self.mender.mend()
        self._mended = True
        self.following.look()
        try:
            if not await self._agreement.reach(self.projection.position, self._settings.agree_s):
                log.warning("the log is mended, but not every member says so; serving all the same")
        finally:
            self._mended = False

    async def _settle(self) -> None:
        """Append again what the log lacks although nobody lost it: stores that raced each other."""
        while True:
            pause = self._settings.settle_s
            await self._clock.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - keeps members apart, no secret
            if self.following.held and not self.following.mending and self.mender.needed:
                with contextlib.suppress(EventLogError, TimeoutError):
                    await self.mender.mend()

    async def _tidy(self) -> None:
        """Remove what has expired, and fetch keys of bodies that have come."""
        while True:
            await self._clock.sleep(self._settings.sweep_s)
            now = self._clock.now_ms()
            self._keys.forget(now)
            await self._store.drop_keys(self._keys.period_of(now))
            await self._store.sweep(self.projection.swept_until_ms(now))
            self.tally.count_on()
            with contextlib.suppress(EventLogError):
                await self._keys.learn_wanted()

    async def _overwrite(self) -> None:
        """Have removed bytes leave the files in time."""
        while True:
            await self._clock.sleep(self._settings.overwrite_within_s / 2)
            await self._store.overwrite()
