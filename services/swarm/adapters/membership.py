"""The node's side of membership: announce, send heartbeats, and believe the newest directory (docs/adr/0008).

The node needs the authority only to change something: with the authority away it goes on by the directory it has until
that expires. It never believes an older, lower-graded or foreign one, whoever hands it over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from naisho.protocol.directory import Directory, DirectoryError, DirectoryOutdated, Freshness, Node, Signer, verify
from naisho.protocol.directory.statements import Heartbeat, announce, sign_heartbeat
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.ring import INVALID_SWARM
from naisho.wire.directory.v1 import directory_pb2 as wire
from services.chassis.clock import Clock, sleep_unless
from services.chassis.eventlog.jetstream_api import stored_event
from services.chassis.eventlog.port import EventLogError
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import NatsError
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.directory_nodes import DirectoryNodes

log = logging.getLogger(__name__)

#: Nothing is sent more often than this, however much happens.
_PACE_S: Final = 0.05
_SPLIT: Final = "two different directories of one epoch"


@dataclass(frozen=True, slots=True)
class MembershipSettings:
    """Times in seconds.

    Attributes:
        heartbeat_s: between two heartbeats; changes are told at once.
        announce_first_s: pause after a first failed announcement, doubled with each further one ...
        announce_most_s: ... up to this.
        look_s: the newest directory is asked for so often, should a live one have been missed; a node that is not in it
            announces itself again.
    """

    heartbeat_s: float = 3.0
    announce_first_s: float = 0.2
    announce_most_s: float = 30.0
    look_s: float = 30.0


class Membership:
    """One node's place in its network. Everything happens while ``run`` runs, save what is reported to it.

    Args:
        connection: the node's NATS user. Stays the caller's.
        node: the node as it describes itself; its certificate is signed already.
        signer: the node's key.
        network: what was known beforehand.
        clock: the time.
        settings: how often.
        cache: file that keeps the newest directory over a restart, so that an older one is refused then, too.
    """

    def __init__(
        self,
        connection: NatsConnection,
        *,
        node: Node,
        signer: Signer,
        network: NetworkFile,
        clock: Clock,
        settings: MembershipSettings | None = None,
        cache: Path | None = None,
    ) -> None:
        self._connection = connection
        self._node = node
        self._signer = signer
        self._network = network
        self._names = NetworkNames(network.network_id)
        self._clock = clock
        self._settings = settings or MembershipSettings()
        self._cache = cache
        #: The node list, answered from the newest directory.
        self.nodes: Final = DirectoryNodes(node.key, clock.now_ms)
        #: Why the authority refused the node's last announcement; empty if it did not.
        self.refusal = ""
        self._newest: Directory | None = None
        self._hooks: list[Callable[[Directory], None]] = []
        self._watchers: set[asyncio.Event] = set()
        self._held: frozenset[int] = frozenset()
        self._position = self._lag = 0
        self._unreachable: frozenset[bytes] = frozenset()
        self._told_caught_up = False
        self._beat_now, self._announce_now, self._look_now = asyncio.Event(), asyncio.Event(), asyncio.Event()

    # What others ask.

    @property
    def directory(self) -> Directory | None:
        """The newest directory believed, even if it has expired since."""
        return self._newest

    @property
    def freshness(self) -> Freshness:
        """How old the directory is; none at all counts as expired."""
        return self._newest.freshness(self._clock.now_ms()) if self._newest else Freshness.EXPIRED

    def on_directory(self, hook: Callable[[Directory], None]) -> None:
        """Have ``hook`` called with every newer directory; it must not block. At once, if there is one."""
        self._hooks.append(hook)
        if self._newest is not None:
            hook(self._newest)

    async def directories(self) -> AsyncGenerator[bytes, None]:
        """Yield the newest signed directory now, then newer ones; who reads slowly gets only the newest."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        given: Directory | None = None
        try:
            while True:
                changed.clear()
                if self._newest is not None and self._newest is not given:
                    given = self._newest
                    yield given.signed
                else:
                    await changed.wait()
        finally:
            self._watchers.discard(changed)

    # What others report.

    def report(self, *, held: frozenset[int], position: int, lag: int) -> None:
        """Say how far the node is; that it has caught up, or no longer has, is told at once.

        Args:
            held: shards of which the store holds all that the log held when the node began to follow them.
            position: highest log sequence in the store.
            lag: events that are known to wait behind it.
        """
        self._held, self._position, self._lag = held, position, lag
        if self._caught_up() != self._told_caught_up:
            self._beat_now.set()

    def report_peers(self, reports: Iterable[tuple[bytes, bool]]) -> None:
        """Say which nodes were reached at their public addresses, and which were not; the latest report counts."""
        reached = dict(reports)
        away = {key for key, reachable in reached.items() if not reachable}
        unreachable = (self._unreachable - reached.keys()) | away
        if self._newest is not None:
            unreachable &= self._newest.by_key.keys()
        if unreachable != self._unreachable:
            self._unreachable = frozenset(unreachable)
            self._beat_now.set()

    def learn(self, signed: bytes) -> bool:
        """Believe a signed directory, if it may be believed; tell whether it is a newer one.

        Raises:
            DirectoryError: it may not; what was believed before stays.
        """
        before = self._newest
        if before is not None and signed == before.signed:
            return False
        directory = verify(
            signed,
            network=self._network,
            now_ms=self._clock.now_ms(),
            newest_epoch_seen=before.epoch if before else 0,
        )
        if before is not None and directory.epoch == before.epoch:
            if directory.digest != before.digest:
                raise DirectoryOutdated(_SPLIT)
            return False
        self._newest = directory
        self.nodes.show(directory)
        self._unreachable &= directory.by_key.keys()
        self._beat_now.set()
        for hook in self._hooks:
            hook(directory)
        for watcher in self._watchers:
            watcher.set()
        return True

    # Work.

    async def run(self) -> None:
        """Announce, send heartbeats and follow the directory until cancelled."""
        await self._recall()
        subscription = self._connection.subscribe(self._names.directory, self._on_directory)
        forget_hook = self._connection.on_reconnect(self._on_reconnect)
        self._announce_now.set()
        self._look_now.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_announced())
                tasks.create_task(self._keep_beating())
                tasks.create_task(self._keep_looking())
        finally:
            forget_hook()
            self._connection.unsubscribe(subscription)

    def _on_reconnect(self) -> None:
        # The server may have lost what it knew; the authority may be another one.
        self._announce_now.set()
        self._look_now.set()
        self._beat_now.set()

    def _on_directory(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, reply, headers
        self._consider(payload)

    def _consider(self, signed: bytes) -> None:
        try:
            if self.learn(signed) and self._cache is not None:
                self._look_now.set()  # the looking task writes the cache
        except DirectoryOutdated:
            self._announce_now.set()  # the authority has forgotten: it is handed the newer one
        except DirectoryError as error:
            log.warning("a directory is refused: %s", error)

    async def _keep_announced(self) -> None:
        pause, said = self._settings.announce_first_s, ""
        while True:
            await self._announce_now.wait()
            self._announce_now.clear()
            problem = await self._announce()
            if problem and problem != said:
                log.warning("this node is not admitted yet, it tries again: %s", problem)
            said = problem
            if problem:
                await self._clock.sleep(pause)
                pause = min(2 * pause, self._settings.announce_most_s)
                self._announce_now.set()
            else:
                pause = self._settings.announce_first_s
                self._look_now.set()
                await self._clock.sleep(_PACE_S)

    async def _announce(self) -> str:
        """Announce once; return what stands against it."""
        statement = announce(
            self._node,
            self._signer,
            network_id=self._network.network_id,
            time_ms=self._clock.now_ms(),
            newest_directory=self._newest.signed if self._newest else b"",
        )
        try:
            reply = await self._connection.request(self._names.announce, statement)
            self.refusal = wire.AnnouncementReply.FromString(reply.payload).refusal
        except NatsError as error:
            return f"no authority answers ({error})"
        except ValueError:
            return "what answers is no authority"
        return self.refusal

    async def _keep_beating(self) -> None:
        while True:
            await sleep_unless(self._beat_now, self._clock, self._settings.heartbeat_s)
            self._beat_now.clear()
            self._beat()
            await self._clock.sleep(_PACE_S)

    def _beat(self) -> None:
        own = self._newest.by_key.get(self._node.key) if self._newest else None
        caught_up = self._caught_up()
        beat = Heartbeat(
            key=self._node.key,
            time_ms=self._clock.now_ms(),
            caught_up=caught_up,
            position=self._position,
            lag=self._lag,
            unreachable_peers=self._unreachable,
            epoch=self._newest.epoch if self._newest else 0,
            swarm_id=own.planned_swarm_id if own else INVALID_SWARM,
        )
        try:
            self._connection.publish(
                self._names.heartbeat(self._node.key.hex()),
                sign_heartbeat(beat, self._signer, network_id=self._network.network_id),
            )
        except NatsError:
            return  # the next one follows soon
        self._told_caught_up = caught_up

    def _caught_up(self) -> bool:
        """Tell whether the store holds everything that the newest directory wants it to hold."""
        wanted = self._newest.followed(self._node.key).all if self._newest else frozenset()
        return bool(wanted) and wanted <= self._held

    async def _keep_looking(self) -> None:
        cached: Directory | None = None
        while True:
            await sleep_unless(self._look_now, self._clock, self._settings.look_s)
            self._look_now.clear()
            await self._look()
            if self._cache is not None and self._newest is not None and self._newest is not cached:
                cached = self._newest
                await asyncio.to_thread(_write, self._cache, cached.signed)
            if self._newest is not None and self._node.key not in self._newest.by_key:
                self._announce_now.set()
            await self._clock.sleep(_PACE_S)

    async def _look(self) -> None:
        """Ask the log for the newest directory."""
        stream, subject = self._names.membership_stream, self._names.directory
        try:
            reply = await self._connection.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
            event = stored_event(reply.headers, reply.payload)
        except (NatsError, EventLogError):
            return  # asked again later; a live one may come before
        if event is not None:
            self._consider(event.payload)

    async def _recall(self) -> None:
        """Begin with the directory of the last run, if it is still good."""
        if self._cache is None:
            return
        try:
            self.learn(await asyncio.to_thread(self._cache.read_bytes))
        except FileNotFoundError:
            return
        except (OSError, DirectoryError) as error:
            log.warning("the directory kept from the last run is of no use: %s", error)


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.replace(path)
