"""The operator as a service: waits for the lease, lays the foundation, then looks and acts until it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from pathlib import Path
from typing import Final

from naisho.protocol.directory import Directory
from operators.membership.authority import Authority, AuthoritySettings
from operators.membership.domain.errors import KeyFileError
from operators.membership.instruments import INSTRUMENTS as AUTHORITY_INSTRUMENTS
from operators.membership.instruments import watch as watch_authority
from operators.membership.kube import instruments as table
from operators.membership.kube.act import Actor
from operators.membership.kube.authority_host import AuthorityHost, KeyMirror
from operators.membership.kube.cluster import Cluster
from operators.membership.kube.errors import KubeError
from operators.membership.kube.foundation import Foundation, lay_foundation
from operators.membership.kube.instruments import INSTRUMENTS, Pulse
from operators.membership.kube.lease import Leadership, lease_of
from operators.membership.kube.node_metrics import NodeMetrics
from operators.membership.kube.node_secrets import NodeSecrets
from operators.membership.kube.pool_file import bring_pool, read_pool_file
from operators.membership.kube.reconciler import Reconciler
from operators.membership.kube.registers import Registers
from operators.membership.kube.scaler import Scaler
from operators.membership.kube.settings import OperatorSettings
from operators.membership.kube.users import User, Users
from operators.membership.kube.vault import Vault
from operators.membership.kube.watching import Watch
from operators.membership.manifests.site import Site
from operators.membership.nats_rights import authority_user, custodian_user
from services.chassis.clock import Clock, SystemClock, sleep_unless
from services.chassis.lifecycle import Lifecycle
from services.chassis.nats.names import NetworkNames
from services.chassis.telemetry import Metrics, TelemetryEndpoint

log = logging.getLogger(__name__)

_RETRY_S: Final = 2.0
#: How long the work in hand may take to end.
_END_WITHIN_S: Final = 5.0
_NO_NETWORK: Final = "no node serves yet"
#: Without a carried-out look for so long, or without hearing of any change, the process is of no use: it ends.
_DEAF_AFTER_S: Final = 900.0
_WATCH_EVERY_S: Final = 15.0
#: Users of the log and renewed keys are looked after so often.
_TEND_EVERY_S: Final = 3600.0


class OperatorService:
    """One operator; of several only the one that holds the lease works.

    Attributes:
        lifecycle: ready while it waits in good order for the lease, and once the network that it works for serves.
        metrics: of its own work.
    """

    def __init__(self, settings: OperatorSettings, clock: Clock) -> None:
        self.lifecycle = Lifecycle("operator")
        self.metrics = Metrics("operator", 0, INSTRUMENTS)
        self._authority_metrics = Metrics("membership", 0, AUTHORITY_INSTRUMENTS)
        self._settings = settings
        self._clock = clock
        self._pool = read_pool_file(settings.pool_file)
        self._wake = asyncio.Event()
        now = clock.monotonic()
        self._pulse = Pulse(now, now, now)
        self._leadership: Leadership | None = None
        self._cluster: Cluster | None = None
        self._working: asyncio.Task[None] | None = None
        self._authority_shown = False
        self._users: dict[str, User] = {}
        self._telemetry = TelemetryEndpoint(
            *settings.telemetry, [self.metrics, self._authority_metrics], [self.lifecycle]
        )

    async def start(self) -> None:
        """Answer probes, and begin to wait for the lease.

        Raises:
            OSError: the address for telemetry is not to be had.
        """
        table.watch(self._pulse, self.metrics, self._clock)
        self._took = self.metrics.distribution(table.TURN_SECONDS)
        self.metrics.watch(table.LEADER, lambda: bool(self._leadership and self._leadership.held))
        await self._telemetry.start()
        self._working = self.lifecycle.spawn(self._work(), "operate")

    async def drain(self) -> None:
        """Nothing is in hand that would not be taken up by the next one."""

    async def stop(self) -> None:
        """End the work, and only then give the lease back."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working], timeout=_END_WITHIN_S)
        if self._leadership is not None:
            with contextlib.suppress(KubeError, TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await self._leadership.release()
        if self._cluster is not None:
            await self._cluster.close()
        await self._telemetry.close()
        self.metrics.close()
        self._authority_metrics.close()

    async def _work(self) -> None:
        settings = self._settings
        self._cluster = cluster = await self._connect()
        site = Site(
            settings.install, settings.release or settings.install, settings.namespace, settings.image,
            settings.image_pull_policy, settings.image_pull_secrets, nats_servers=settings.nats.servers,
        )  # fmt: skip
        self.metrics.watch(table.API_ERRORS, lambda: cluster.failures)
        lease = settings.lease
        self._leadership = Leadership(
            cluster, site, settings.pod, self._clock, lasts_s=lease.lasts, renew_s=lease.renew
        )
        await self._lead(cluster, site, self._leadership)

    async def _connect(self) -> Cluster:
        while True:
            try:
                return await Cluster.connect(self._settings.namespace, url=self._settings.kubernetes or None)
            except KubeError as error:
                log.warning("%s; it is tried again", error)
            await self._clock.sleep(_RETRY_S)

    async def _lead(self, cluster: Cluster, site: Site, leadership: Leadership) -> None:
        while True:
            try:
                await leadership.acquire()
                break
            except KubeError as error:
                log.warning("the lease cannot be looked at: %s", error)
            await self._clock.sleep(_RETRY_S)
        log.info("this operator holds the lease")
        self.lifecycle.withdraw(_NO_NETWORK)
        now = self._clock.monotonic()
        self._pulse.last_turn_at = self._pulse.last_event_at = now
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leadership.keep())
            tasks.create_task(self._operate(cluster, site, tasks))

    async def _operate(self, cluster: Cluster, site: Site, tasks: asyncio.TaskGroup) -> None:
        vault = Vault(cluster, site)
        foundation = await self._foundation(vault, cluster, site)
        network, names = foundation.network, NetworkNames(foundation.network.network_id)
        users = Users(vault, foundation.account)
        with tempfile.TemporaryDirectory() as folder:
            mirror = KeyMirror(Path(folder) / "authority", network, self._clock)
            await self._tend(vault, users, names, mirror)
            host = AuthorityHost(
                network,
                servers=self._settings.nats.servers,
                user=lambda: self._users["authority"],
                trust=foundation.account.authority,
                keys=mirror.keys,
                clock=self._clock,
                settings=AuthoritySettings(streams=self._settings.sizes()),
                changed=self._on_directory,
            )
            registers = Registers(cluster, site)
            secrets = NodeSecrets(vault, users, network.network_id)
            metrics = NodeMetrics()
            scaler = Scaler(cluster, self._settings.membership, metrics)
            self.metrics.watch(table.AT_MAXIMUM, lambda: len(scaler.at_maximum))
            reconciler = Reconciler(
                cluster,
                site,
                actor=Actor(cluster, site, secrets, registers),
                registers=registers,
                host=host,
                rules=self._settings.membership,
                scaler=scaler,
                clock=self._clock,
            )
            tasks.create_task(host.run())
            watch = Watch(site.namespace, lease=lease_of(site), changed=self._wake.set, alive=self._on_word)
            tasks.create_task(watch.run())
            tasks.create_task(self._keep_tending(vault, users, names, mirror))
            tasks.create_task(self._watchdog())
            async with metrics:
                await self._keep_looking(reconciler, host)

    async def _foundation(self, vault: Vault, cluster: Cluster, site: Site) -> Foundation:
        while True:
            try:
                foundation = await lay_foundation(vault, self._settings, now_ms=self._clock.now_ms())
                if self._pool is not None:
                    await bring_pool(cluster, site, self._pool)
            except (KubeError, KeyFileError) as error:
                log.error("the network's foundation is not whole: %s", error)  # noqa: TRY400 - the text says it all
            else:
                return foundation
            await self._clock.sleep(_RETRY_S)

    # What runs while this operator works.

    async def _keep_looking(self, reconciler: Reconciler, host: AuthorityHost) -> None:
        pulse, settings = self._pulse, self._settings
        while True:
            self._wake.clear()
            began = self._clock.monotonic()
            try:
                turn = await reconciler.turn()
            except KubeError as error:
                pulse.outcomes["failed"] += 1
                log.warning("a look was cut short: %s", error)
            else:
                pulse.last, pulse.last_turn_at = turn, self._clock.monotonic()
                pulse.writes += turn.writes
                pulse.outcomes["changed" if turn.writes else "unchanged"] += 1
                self._took.record(pulse.last_turn_at - began)
            self._show(host)
            directory = host.authority.directory if host.authority is not None else None
            if not pulse.last.pools or (directory is not None and directory.active_nodes):
                self.lifecycle.restore(_NO_NETWORK)  # for good: what happens to it later is no matter of readiness
            await self._clock.sleep(settings.pace)
            await sleep_unless(self._wake, self._clock, settings.look)

    async def _keep_tending(self, vault: Vault, users: Users, names: NetworkNames, mirror: KeyMirror) -> None:
        while True:
            await self._clock.sleep(_TEND_EVERY_S)
            try:
                await self._tend(vault, users, names, mirror)
            except KubeError as error:
                log.warning("keys and users could not be looked after: %s", error)

    async def _tend(self, vault: Vault, users: Users, names: NetworkNames, mirror: KeyMirror) -> None:
        """Keep the log's users of this install valid, and the authority's keys the same in memory and Secret."""
        install, now_s = self._settings.install, self._clock.now_ms() // 1000
        self._users["authority"] = await users.obtain(
            f"{install}-authority-nats", "operator", lambda key: authority_user(names, key), now_s=now_s
        )
        await users.obtain(
            f"{install}-custodian-nats", "custodian", lambda key: custodian_user(names, key), now_s=now_s
        )
        if renewed := mirror.renewed():
            await vault.write(f"{install}-authority", renewed)
        mirror.take(await vault.read(f"{install}-authority") or {})

    async def _watchdog(self) -> None:
        """End the process if it does nothing, or hears nothing, for long: another one may do better."""
        while True:
            await self._clock.sleep(_WATCH_EVERY_S)
            now = self._clock.monotonic()
            if now - self._pulse.last_turn_at > _DEAF_AFTER_S or now - self._pulse.last_event_at > _DEAF_AFTER_S:
                raise RuntimeError("the operator has heard of nothing, or done nothing, for too long")

    def _on_word(self) -> None:
        self._pulse.last_event_at = self._clock.monotonic()

    def _on_directory(self, directory: Directory) -> None:
        del directory  # it is looked at in the turn that follows
        self._wake.set()

    def _show(self, host: AuthorityHost) -> None:
        if host.latest is None or self._authority_shown:
            return

        def latest() -> Authority:
            assert host.latest is not None
            return host.latest

        watch_authority(latest, self._authority_metrics, self._clock)
        self._authority_shown = True


def bootstrap(settings: OperatorSettings, *, clock: Clock | None = None) -> OperatorService:
    """Build the operator; start it with ``chassis.hosting``.

    Raises:
        ValueError: the file of the NodePool holds something else.
    """
    return OperatorService(settings, clock or SystemClock())
