"""Put the onion service together."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from random import SystemRandom

from naisho.protocol import network_file
from naisho.protocol.onion.encryption import LayerKey
from naisho.protocol.signing import SigningKey
from services.chassis.certificates import Identity, TrustedPeers
from services.chassis.clock import Clock, SystemClock
from services.chassis.http2.tls import load_identity
from services.chassis.lifecycle import Lifecycle
from services.chassis.limits import TokenBuckets
from services.chassis.packed import Limits
from services.chassis.telemetry import Metrics, TelemetryEndpoint
from services.onion import instruments as table
from services.onion.adapters.directory import UNUSABLE, DirectoryFollower
from services.onion.adapters.mailbox import UnixMailbox
from services.onion.adapters.peers import PeerStreams
from services.onion.adapters.reachability import PeerTester
from services.onion.adapters.servers import OutsideServers, Resolver
from services.onion.api.hop_service import HopServer
from services.onion.api.http1 import HttpLimits, HttpServer
from services.onion.api.layers import Layers
from services.onion.api.ports import Mailbox
from services.onion.api.seed import Seed, SeedSite
from services.onion.api.site import NodeSite
from services.onion.domain.network import Network
from services.onion.domain.reachability import TestPlan
from services.onion.domain.relay import RelayRules
from services.onion.domain.replay import ReplayFilter
from services.onion.settings import OnionSettings

#: What clients are told; they take newer features for granted from 2.11.0 on.
VERSION = (2, 11, 0)


class OnionService:
    """One node's public face. Several live in one process.

    Attributes:
        lifecycle: starting, ready, draining, stopped.
        https_port, hop_port, seed_port: where it listens, once started.
    """

    def __init__(
        self,
        settings: OnionSettings,
        mailbox: Mailbox | None,
        clock: Clock,
        resolver: Resolver | None,
    ) -> None:
        self.lifecycle = Lifecycle("onion")
        self.https_port = 0
        self.hop_port = 0
        self.seed_port = 0
        self._settings = settings
        self._clock = clock
        self._identity = Identity.read(settings.certificate)
        seed = bytes.fromhex(settings.node_key.text)
        own_key = SigningKey(seed).public
        self.network = Network(network_file.parse(settings.network_file.read_bytes()), own_key)
        self._unix_mailbox = None if mailbox is not None else _unix_mailbox(settings)
        self._mailbox: Mailbox = mailbox if mailbox is not None else self._require_mailbox()
        streams = Limits(calls=settings.peers.calls, queued_bytes=settings.peers.queued)
        reach = settings.reachability
        self._plan = plan = TestPlan(reach.interval, reach.retest, reach.longest_retest, SystemRandom())
        self._tester = PeerTester(self.network, plan, self._mailbox.report_peers, timeout=reach.timeout, clock=clock)
        self.peers = PeerStreams(
            self.network,
            self._identity,
            timeout=settings.peers.timeout,
            most=settings.peers.streams,
            idle=settings.peers.idle,
            limits=streams,
            failing=plan.failing,
        )
        relay = settings.relay
        servers = OutsideServers(
            RelayRules(relay.hosts, relay.forbidden, anywhere=relay.laboratory),
            timeout=relay.timeout,
            most=relay.requests,
            verify_tls=relay.verify_tls,
            resolver=resolver,
        )
        self.replays = ReplayFilter(settings.replay.window, settings.replay.entries)
        layers = Layers(
            LayerKey.from_ed25519_seed(seed),
            self.network,
            self.replays,
            mailbox=self._mailbox,
            peers=self.peers,
            servers=servers,
            clock=clock,
        )
        trusted = TrustedPeers()
        self.hops = HopServer(layers, trusted, streams)
        self._directory = DirectoryFollower(self.network, trusted, self.lifecycle, clock, self.peers.follow_directory)
        rate = settings.rate
        self._buckets = TokenBuckets[str](rate.burst, rate.per_second, rate.addresses, clock.monotonic)
        told = Seed(self.network)
        site = NodeSite(
            own_key,
            VERSION,
            layers=layers,
            mailbox=self._mailbox,
            seed=told,
            buckets=self._buckets,
            not_ready=self._not_ready,
        )
        limits = _http_limits(settings)
        self.https = HttpServer(site, limits, tls_context(self._identity))
        self._telemetry = None
        if settings.telemetry is not None:
            self._telemetry = TelemetryEndpoint(*settings.telemetry, [self.measure(0)], [self.lifecycle])
        self.plain = HttpServer(SeedSite(told, self._buckets), limits) if settings.seed is not None else None

    async def start(self) -> None:
        """Listen, connect to the mailboxes, follow the directory.

        Raises:
            OSError, RuntimeError: an address is not to be had.
        """
        if self._unix_mailbox is not None:
            await self._unix_mailbox.start()
        self.hop_port = await self.hops.start(*self._settings.hop, self._identity)
        self.https_port = await self.https.start(*self._settings.https)
        if self.plain is not None and self._settings.seed is not None:
            self.seed_port = await self.plain.start(*self._settings.seed)
        if self._telemetry is not None:
            await self._telemetry.start()
        self.lifecycle.spawn(self._directory.follow(self._mailbox.watch_directory()), "follow the directory")
        self.lifecycle.spawn(self._directory.watch_age(), "watch the directory's age")
        self.lifecycle.spawn(self.peers.close_idle(), "close idle streams")
        if self._settings.reachability.interval:
            self.lifecycle.spawn(self._tester.run(), "test other nodes")

    async def drain(self) -> None:
        """Take nothing new; finish what is in hand."""
        fronts = [front.drain() for front in self._fronts()]
        await asyncio.gather(*fronts, self.hops.drain())

    async def stop(self) -> None:
        """Cut off what is left and close everything."""
        await asyncio.gather(*(front.stop() for front in self._fronts()))
        await self.hops.stop()
        await self.peers.close()
        if self._unix_mailbox is not None:
            await self._unix_mailbox.close()
        if self._telemetry is not None:
            await self._telemetry.close()

    def measure(self, node: int) -> Metrics:
        """Return the service's metrics; `node` tells it apart from others in the process."""
        metrics = Metrics("onion", node, table.INSTRUMENTS)
        for name, hundreds in table.STATUSES.items():
            metrics.watch(table.ANSWERS, partial(self._answers, hundreds), status=name)
        for outcome in table.OUTCOMES:
            metrics.watch(table.LAYERS, partial(getattr, self.hops.load, outcome), outcome=outcome)
        metrics.watch(table.CONNECTIONS, lambda: self.https.connections)
        metrics.watch(table.UNDER_WAY, lambda: self.https.under_way)
        metrics.watch(table.HELD, lambda: self.https.held)
        metrics.watch(table.CROWDED_OUT, lambda: self.https.crowded_out)
        metrics.watch(table.THROTTLED, lambda: self._buckets.refused)
        metrics.watch(table.REPLAYS, lambda: self.replays.caught)
        metrics.watch(table.REMEMBERED, lambda: len(self.replays))
        metrics.watch(table.STREAMS, lambda: len(self.peers))
        metrics.watch(table.FAILING, lambda: self._plan.failures)
        metrics.watch(table.EPOCH, lambda: self.network.epoch)
        metrics.watch(table.DIRECTORIES_REFUSED, lambda: self._directory.refused)
        return metrics

    def _answers(self, hundreds: int) -> int:
        return self.https.answers.get(hundreds, 0)

    def _fronts(self) -> list[HttpServer]:
        return [self.https] if self.plain is None else [self.https, self.plain]

    def _not_ready(self) -> str:
        reasons = sorted(self.lifecycle.withdrawn - {UNUSABLE})
        if problem := self.network.problem(self._clock.now_ms()):
            reasons.append(problem)
        if not self._mailbox.available:
            reasons.append("its mailboxes are away")
        return ", ".join(reasons)

    def _require_mailbox(self) -> UnixMailbox:
        assert self._unix_mailbox is not None
        return self._unix_mailbox


def bootstrap(
    settings: OnionSettings,
    *,
    mailbox: Mailbox | None = None,
    clock: Clock | None = None,
    resolver: Resolver | None = None,
) -> OnionService:
    """Build the service; start it with ``chassis.hosting``.

    Args:
        settings: see there; files that it names are read here.
        mailbox: the node's mailboxes in this process; without them, those behind ``settings.mailbox``.
        clock: the real one if None.
        resolver: finds addresses of servers to relay to; the system's if None.

    Raises:
        ValueError: neither `mailbox` nor ``settings.mailbox`` is given, or a file's content is not what it should be.
        OSError: a file cannot be read.
    """
    return OnionService(settings, mailbox, clock or SystemClock(), resolver)


def _unix_mailbox(settings: OnionSettings) -> UnixMailbox:
    if settings.mailbox is None:
        raise ValueError("mailbox is missing: name the unix socket of this node's mailboxes")
    return UnixMailbox(settings.mailbox)


def _http_limits(settings: OnionSettings) -> HttpLimits:
    http = settings.http
    return HttpLimits(
        connections=http.connections,
        requests=http.requests,
        held=http.held,
        handshake=http.handshake,
        head_time=http.head_time,
        body_time=http.body_time,
        answer_time=http.answer_time,
        write_time=http.write_time,
        idle_time=http.idle_time,
        slowest=http.slowest,
    )


def tls_context(identity: Identity) -> ssl.SSLContext:
    """Return the context of a server that shows an identity to whoever asks, and asks nobody for his."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_identity(context, identity)
    return context
