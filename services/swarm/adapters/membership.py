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

from google.protobuf.message import DecodeError

from naisho.protocol.directory import Directory, DirectoryError, DirectoryOutdated, Freshness, Node, Signer
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
from services.swarm.adapters.belief import Belief
from services.swarm.adapters.directory_nodes import DirectoryNodes

log = logging.getLogger(__name__)

#: Nothing is sent more often than this, however much happens.
_PACE_S: Final = 0.05


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
        self._belief = Belief(node.key, network, clock, cache)
        self._belief.on_directory(self._on_newer)
        #: Why the authority refused the node's last announcement; empty if it did not.
        self.refusal = ""
        self._held: frozenset[int] = frozenset()
        self._position = self._lag = 0
        self._unreachable: frozenset[bytes] = frozenset()
        self._told_caught_up = False
        #: Shards that the newest directory wants the node to hold.
        self._wanted: frozenset[int] = frozenset()
        self._beat_now, self._announce_now = asyncio.Event(), asyncio.Event()
        self._look_now, self._keep_now = asyncio.Event(), asyncio.Event()

    # What others ask.

    @property
    def nodes(self) -> DirectoryNodes:
        """The node list, answered from the newest directory."""
        return self._belief.nodes

    @property
    def directory(self) -> Directory | None:
        """The newest directory believed, even if it has expired since."""
        return self._belief.directory

    @property
    def freshness(self) -> Freshness:
        """How old the directory is; none at all counts as expired."""
        return self._belief.freshness

    def on_directory(self, hook: Callable[[Directory], None]) -> None:
        """Have ``hook`` called with every newer directory; it must not block. At once, if there is one."""
        self._belief.on_directory(hook)

    def directories(self) -> AsyncGenerator[bytes, None]:
        """Yield the newest signed directory now, then newer ones; who reads slowly gets only the newest."""
        return self._belief.directories()

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
        if self.directory is not None:
            unreachable &= self.directory.by_key.keys()
        if unreachable != self._unreachable:
            self._unreachable = frozenset(unreachable)
            self._beat_now.set()

    # Work.

    async def run(self) -> None:
        """Announce, send heartbeats and follow the directory until cancelled."""
        await self._belief.recall()
        subscription = self._connection.subscribe(self._names.directory, self._on_directory)
        forget_hook = self._connection.on_reconnect(self._on_reconnect)
        self._announce_now.set()
        self._look_now.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_announced())
                tasks.create_task(self._keep_beating())
                tasks.create_task(self._keep_looking())
                tasks.create_task(self._keep_belief())
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

    def _on_newer(self, directory: Directory) -> None:
        self._wanted = directory.followed(self._node.key).all
        self._unreachable &= directory.by_key.keys()
        self._beat_now.set()
        self._keep_now.set()

    def _consider(self, signed: bytes) -> None:
        try:
            self._belief.learn(signed)
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
            newest_directory=self.directory.signed if self.directory else b"",
        )
        try:
            reply = await self._connection.request(self._names.announce, statement)
            self.refusal = wire.AnnouncementReply.FromString(reply.payload).refusal
        except NatsError as error:
            return f"no authority answers ({error})"
        except DecodeError:
            return "what answers is no authority"
        return self.refusal

    async def _keep_beating(self) -> None:
        while True:
            await sleep_unless(self._beat_now, self._clock, self._settings.heartbeat_s)
            self._beat_now.clear()
            self._beat()
            await self._clock.sleep(_PACE_S)

    def _beat(self) -> None:
        own = self.directory.by_key.get(self._node.key) if self.directory else None
        caught_up = self._caught_up()
        beat = Heartbeat(
            key=self._node.key,
            time_ms=self._clock.now_ms(),
            caught_up=caught_up,
            position=self._position,
            lag=self._lag,
            unreachable_peers=self._unreachable,
            epoch=self.directory.epoch if self.directory else 0,
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
        return bool(self._wanted) and self._wanted <= self._held

    async def _keep_belief(self) -> None:
        while True:
            await self._keep_now.wait()
            self._keep_now.clear()
            await self._belief.keep()

    async def _keep_looking(self) -> None:
        while True:
            await sleep_unless(self._look_now, self._clock, self._settings.look_s)
            self._look_now.clear()
            await self._look()
            if self.directory is not None and self._node.key not in self.directory.by_key:
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
