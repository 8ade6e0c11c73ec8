"""Starts a whole network on this machine, watches it, and ends it cleanly.

The supervisor's own process is the network's operator: membership and the custodian live in it. nats-server and the
nodes are its children, several nodes to a process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

from naisho.protocol.directory import Directory
from naisho.protocol.network_file import NetworkFile
from operators.local import ports, preparation
from operators.local.children import Child
from operators.local.errors import LocalNetworkError, StartFailed
from operators.local.home import NetworkHome, Running
from operators.local.identities import LocalIdentities
from operators.local.keeper import keep
from operators.local.nats_server import NatsServer
from operators.local.plan import OPERATOR, NetworkPlan
from operators.local.roles import ProcessRole, custodian_environment, process_roles
from operators.local.screen import Steps
from operators.local.status import describe, fetch_directory
from operators.membership.authority import Authority
from operators.membership.instruments import INSTRUMENTS, watch
from operators.membership.keys import obtain_keys
from operators.membership.nats_rights import inbox_prefix
from services.chassis.clock import SystemClock
from services.chassis.hosting import running
from services.chassis.lifecycle import Lifecycle, State
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import known_key
from services.chassis.nats.settings import NatsSettings
from services.chassis.settings import SettingsError, read_settings
from services.chassis.telemetry import Metrics, TelemetryEndpoint
from services.swarm.custodian import CustodySettings
from services.swarm.custodian import bootstrap as bootstrap_custodian

log = logging.getLogger(__name__)

START_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.05
_CUSTODIAN_PAUSE_S: Final = 1.0
_NO_CUSTODIAN: Final = "nobody erases"


class Supervisor:
    """One run of one local network.

    Args:
        home: its data directory, locked by the caller.
        plan: what it consists of; its ports are free.
        steps: hears how the start goes on.
    """

    def __init__(self, home: NetworkHome, plan: NetworkPlan, steps: Steps) -> None:
        self._home = home
        self._plan = plan
        self._steps = steps
        self._clock = SystemClock()
        self._started_ms = self._clock.now_ms()
        #: Of what runs in this process.
        self._lifecycle = Lifecycle(OPERATOR)
        self._lifecycle.withdraw(_NO_CUSTODIAN)
        self._telemetry = TelemetryEndpoint(ports.HOST, plan.telemetry[OPERATOR], [], [])
        self._children: dict[str, Child] = {}
        self._vital: list[asyncio.Task[None]] = []
        self._nats: NatsServer
        self._authority: Authority
        self._network: NetworkFile

    async def run(self, ready: Callable[[dict[str, Any]], None], end: asyncio.Event) -> None:
        """Start everything, call ``ready`` with the status, and stop everything once ``end`` is set.

        Raises:
            LocalNetworkError: a part did not come up; what had started is stopped.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._home.clear_running)
            self._steps.begin("keys")
            identities = await asyncio.to_thread(LocalIdentities.obtain, self._home, self._plan)
            self._network = await asyncio.to_thread(
                preparation.obtain_network_file, self._home, self._plan, self._clock.now_ms()
            )
            await self._start_telemetry(stack)
            await self._start_log(identities, stack)
            await self._start_authority(identities, stack)
            self._own(self._keep_custodian(self._custody()), stack)
            await self._start_nodes(stack)
            ready(await self._until_active(end))
            await self._until_ended(end)

    async def _start_telemetry(self, stack: AsyncExitStack) -> None:
        try:
            await stack.enter_async_context(self._telemetry)
        except OSError as error:  # its port was free a moment ago
            raise StartFailed(f"the metrics page cannot listen ({error}); start the network again") from error

    async def _start_log(self, identities: LocalIdentities, stack: AsyncExitStack) -> None:
        self._steps.begin("log")
        self._nats = NatsServer(self._home.nats, preparation.nats_config(self._home, self._plan, identities))
        await self._nats.start_async()
        stack.push_async_callback(asyncio.to_thread, self._nats.stop)
        self._own(keep("nats-server", self._log_ended, self._restart_log), stack)

    async def _start_authority(self, identities: LocalIdentities, stack: AsyncExitStack) -> None:
        self._steps.begin("membership")
        connection = await NatsConnection.connect(self._user("authority", identities.authority_nkey))
        stack.push_async_callback(connection.close)
        self._authority = Authority(
            connection,
            network=self._network,
            keys=lambda: obtain_keys(self._home.membership_keys, network=self._network, now_ms=self._clock.now_ms()),
            policy=preparation.policy(identities),
            clock=self._clock,
        )
        await self._authority.start()
        stack.push_async_callback(self._authority.stop)
        metrics = Metrics("membership", 0, INSTRUMENTS)
        watch(lambda: self._authority, metrics, self._clock)
        self._lifecycle.move_to(State.READY)
        stack.enter_context(self._telemetry.showing(metrics, self._lifecycle))
        self._vital.append(self._own(self._authority.run(), stack))

    def _custody(self) -> CustodySettings:
        environment = custodian_environment(self._home, self._plan)
        try:
            return read_settings(CustodySettings, prefix="NAISHO_CUSTODIAN", environ=environment)
        except SettingsError as error:
            raise StartFailed(str(error)) from error

    async def _keep_custodian(self, settings: CustodySettings) -> None:
        """Host what erases; if it fails, host it anew."""
        while True:
            custodian = bootstrap_custodian(settings, clock=self._clock)
            try:
                async with running([custodian]):
                    with self._telemetry.showing(custodian.measure(0), custodian.lifecycle):
                        self._lifecycle.restore(_NO_CUSTODIAN)
                        await custodian.lifecycle.wait_until(lambda life: life.failure is not None)
            except Exception as error:  # noqa: BLE001 - whatever it was, the next attempt follows
                log.warning("the custodian has ended (%s); it is started again", type(error).__name__)
            self._lifecycle.withdraw(_NO_CUSTODIAN)
            await asyncio.sleep(_CUSTODIAN_PAUSE_S)

    async def _start_nodes(self, stack: AsyncExitStack) -> None:
        roles = process_roles(self._home, self._plan)
        self._steps.begin("processes", total=len(roles))
        stack.push_async_callback(self._stop_children)
        for number, role in enumerate(roles):
            await self._start_child(role)
            self._own(self._keep_child(role), stack)
            self._steps.advance(number + 1)

    async def _until_active(self, end: asyncio.Event) -> dict[str, Any]:
        """Wait until every node is active and the seeds say so; return the status."""
        total = len(self._plan.nodes)
        self._steps.begin("active", total=total)
        give_up = time.monotonic() + START_WITHIN_S
        while not end.is_set():
            directory = self._authority.directory
            active = len(self._authority.holding())
            self._steps.advance(active)
            if active == total and await asyncio.to_thread(self._seed_is_current, directory):
                running = self._record()
                assert directory is not None
                return describe(self._home, running, self._plan, directory)
            if dead := [child for child in self._children.values() if not child.alive]:
                raise StartFailed(f"{dead[0].name} ended before the network was ready{dead[0].tail()}")
            if time.monotonic() > give_up:
                raise StartFailed(f"only {active} of {total} nodes became active within {START_WITHIN_S:.0f} s")
            await asyncio.sleep(_LOOK_EVERY_S)
        raise StartFailed("ended before it was ready")

    async def _until_ended(self, end: asyncio.Event) -> None:
        """Wait for the wish to end, or for a part that may not fail to fail."""
        ended = asyncio.create_task(end.wait())
        done, _ = await asyncio.wait({ended, *self._vital}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        for task in done - {ended}:
            raise StartFailed(f"membership ended: {task.exception()}")

    def _seed_is_current(self, newest: Directory | None) -> bool:
        try:
            return newest is not None and fetch_directory(self._seed, self._network).epoch >= newest.epoch
        except LocalNetworkError:
            return False

    @property
    def _seed(self) -> str:
        return self._network.seeds[0]

    def _user(self, name: str, seed: bytes) -> NatsSettings:
        return NatsSettings(
            servers=(f"nats://{ports.HOST}:{self._plan.nats_port}",),
            name=name,
            credentials=known_key(seed),
            inbox_prefix=inbox_prefix(name),
        )

    def _record(self) -> Running:
        pids = {"nats": self._nats.pid} | {name: child.pid for name, child in self._children.items()}
        running = Running(self._home.own_pid, self._started_ms, pids, self._seed)
        self._home.write_running(running)
        return running

    # Keeping parts alive.

    def _own(self, work: Coroutine[Any, Any, None], stack: AsyncExitStack) -> asyncio.Task[None]:
        task = asyncio.create_task(work)

        async def cancel() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stack.push_async_callback(cancel)
        return task

    async def _start_child(self, role: ProcessRole) -> None:
        self._children[role.name] = await Child.start(
            role.name, role.arguments, log=role.log, environment=role.environment
        )

    async def _keep_child(self, role: ProcessRole) -> None:
        async def ended() -> None:
            await self._children[role.name].ended()

        async def restart() -> None:
            await self._start_child(role)
            self._record()

        await keep(role.name, ended, restart)

    async def _log_ended(self) -> None:
        while self._nats.running:  # noqa: ASYNC110 - a process that nobody can await
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _restart_log(self) -> None:
        await self._nats.start_async()
        self._record()

    async def _stop_children(self) -> None:
        for child in self._children.values():
            child.terminate()
        stopped = await asyncio.gather(*(child.stop() for child in self._children.values()))
        for name, in_order in zip(self._children, stopped, strict=True):
            if not in_order:
                log.warning("%s did not stop in time and was killed", name)
