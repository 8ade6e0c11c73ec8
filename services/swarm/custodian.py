"""The custodian as a service of its own: ``python -m services.swarm.custodian [settings.toml]``.

One for a network, beside the membership authority. It alone has the right to erase, and no other right but to read.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from services.chassis.clock import Clock, SystemClock
from services.chassis.lifecycle import Lifecycle
from services.chassis.nats.names import NetworkNames
from services.chassis.own_process import main
from services.chassis.settings import HOUR, Address, Duration, Range
from services.chassis.telemetry import Metrics, TelemetryEndpoint
from services.swarm import instruments as table
from services.swarm.adapters.custody.custodian import Custodian, CustodianSettings
from services.swarm.adapters.custody.ledger import Ledger
from services.swarm.adapters.log_access import LogAccess
from services.swarm.settings import NatsUserSettings


@dataclass(frozen=True, slots=True)
class CustodySettings:
    """All of the custodian's settings."""

    #: The network's id.
    network: str
    #: Folder of its ledger; its alone.
    data: Path
    nats: NatsUserSettings
    #: Where ``/metrics``, ``/livez`` and ``/readyz`` answer; nowhere if absent. Not a public address.
    telemetry: Address | None = None
    #: Copies of messages erased per second, at most: each costs the log milliseconds, and everybody waits meanwhile.
    per_second: Annotated[float, Range(0.1, 1000)] = 20.0
    #: As every node has it.
    key_period: Annotated[Duration, Range(0.5)] = field(default=Duration(HOUR))
    #: A key is erased so long after its period, for clocks that differ.
    key_grace: Annotated[Duration, Range(0.05)] = field(default=Duration(10))


class CustodianService:
    """The custodian, hosted.

    Attributes:
        lifecycle: starting, ready, draining, stopped.
        custodian: what it does, once started.
    """

    custodian: Custodian

    def __init__(self, settings: CustodySettings, clock: Clock) -> None:
        self.lifecycle = Lifecycle("custodian")
        self._settings = settings
        self._clock = clock
        self._logs: LogAccess | None = None
        self._ledger: Ledger | None = None
        self._task: asyncio.Task[None] | None = None
        self._telemetry: TelemetryEndpoint | None = None

    async def start(self) -> None:
        """Connect and begin to follow.

        Raises:
            NatsError, EventLogError: the log did not answer for half a minute.
            OSError, sqlite3.Error: the ledger cannot be opened.
        """
        settings, names = self._settings, NetworkNames(self._settings.network)
        pace = CustodianSettings(
            per_second=settings.per_second,
            key_period_ms=round(settings.key_period * 1000),
            key_grace_ms=round(settings.key_grace * 1000),
        )
        self._logs = await LogAccess.open(settings.nats, names.custodian, names, self._clock, rest_s=pace.read_every_s)
        self._ledger = Ledger(settings.data)
        self.custodian = Custodian(
            mail=self._logs.mail,
            keys=self._logs.keys,
            names=names,
            ledger=self._ledger,
            clock=self._clock,
            settings=pace,
        )
        self._logs.connection.on_reconnect(self.custodian.begin_again)
        self._task = self.lifecycle.spawn(self.custodian.run(), "custody")
        if settings.telemetry is not None:
            self._telemetry = TelemetryEndpoint(*settings.telemetry, [self.measure(0)], [self.lifecycle])
            await self._telemetry.start()

    async def drain(self) -> None:
        """Nothing is in hand that would not wait."""

    async def stop(self) -> None:
        """Give everything back."""
        if self._telemetry is not None:
            await self._telemetry.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._ledger is not None:
            self._ledger.close()
        if self._logs is not None:
            await self._logs.close()

    def measure(self, node: int) -> Metrics:
        """Return the started service's metrics; ``node`` tells it apart from others in the process."""
        custodian = self.custodian
        metrics = Metrics("custodian", node, table.CUSTODY)
        metrics.watch(table.BACKLOG, lambda: custodian.backlog)
        metrics.watch(table.COPIES, lambda: custodian.copies_erased)
        metrics.watch(table.KEYS, lambda: custodian.keys_erased)
        metrics.watch(table.SPARED, lambda: custodian.spared)
        return metrics


def bootstrap(settings: CustodySettings, *, clock: Clock | None = None) -> CustodianService:
    """Build the service; start it with ``chassis.hosting``.

    Args:
        settings: see there.
        clock: the real one if None.
    """
    return CustodianService(settings, clock or SystemClock())


if __name__ == "__main__":
    sys.exit(main(CustodySettings, bootstrap, prefix="NAISHO_CUSTODIAN"))
