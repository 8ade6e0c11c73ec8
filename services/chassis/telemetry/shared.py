"""One telemetry endpoint for many services of a process, itself hosted as a service."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from services.chassis.lifecycle import Lifecycle, Service
from services.chassis.telemetry.endpoint import TelemetryEndpoint
from services.chassis.telemetry.metrics import Metrics


class Measured(Service, Protocol):
    """A service that measures itself."""

    def measure(self, node: int) -> Metrics:
        """Return the started service's metrics; ``node`` tells it apart from others in the process."""


class SharedTelemetry:
    """Tells of all services of a process. Host it behind them: what is measured has started by then.

    Args:
        host: address to listen on.
        port: 0 for any free one; see ``endpoint.port`` once started.
        services: each with the small number of its node.

    Attributes:
        lifecycle: its own, which it does not tell of.
        endpoint: the server.
    """

    def __init__(self, host: str, port: int, services: Sequence[tuple[int, Measured]]) -> None:
        self.lifecycle = Lifecycle("telemetry")
        self.endpoint = TelemetryEndpoint(host, port, [], [])
        self._services = services
        self._shown = ExitStack()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is in use or not this machine's.
        """
        for node, service in self._services:
            self._shown.enter_context(self.endpoint.showing(service.measure(node), service.lifecycle))
        await self.endpoint.start()

    async def drain(self) -> None:
        """Go on telling how the others drain."""

    async def stop(self) -> None:
        """Stop listening."""
        await self.endpoint.close()
        self._shown.close()
