"""The host of a share of a local network's nodes, with taps: ``python tapped_host.py HOME SHARE``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from operators.local import host
from operators.local.home import NetworkHome
from services.chassis.lifecycle import Lifecycle, Service
from services.chassis.telemetry import TelemetryEndpoint
from services.onion.bootstrap import OnionService
from services.onion.bootstrap import bootstrap as bootstrap_onion
from tests.integration.claims import taps
from tests.integration.claims.tape import Tape

TAPES = "CLAIMS_TAPES"
BROKEN_FOR = "CLAIMS_BROKEN_FOR"


class MetricsPage:
    """What the services of this process measure, on a page that the test can fetch."""

    def __init__(self, services: list[Service], told: Path) -> None:
        self.lifecycle = Lifecycle("page")
        self._services = services
        self._told = told

    async def start(self) -> None:
        # Begun last: what is measured has started by then.
        metrics = [measure(0) for service in self._services if (measure := getattr(service, "measure", None))]
        self._endpoint = TelemetryEndpoint("127.0.0.1", 0, metrics, [service.lifecycle for service in self._services])
        await self._endpoint.start()
        self._told.write_text(str(self._endpoint.port))

    async def drain(self) -> None:
        """Nothing is under way."""

    async def stop(self) -> None:
        await self._endpoint.close()


def main(arguments: list[str]) -> int:
    """Tap this process, then host as usual; return the exit code."""
    place = Path(os.environ[TAPES]) / arguments[1]
    tape = Tape(place.with_suffix(".tape"))
    for tap in (taps.tap_https, taps.tap_nats, taps.tap_hops, taps.tap_grpc, taps.tap_requests, taps.tap_layers):
        tap(tape)
    if address := os.environ.get(BROKEN_FOR):
        taps.break_for(address)

    def bootstrap(settings: Any, *, mailbox: Any) -> OnionService:
        return bootstrap_onion(settings, mailbox=taps.TappedMailbox(mailbox, tape))

    taps.put(host, "bootstrap_onion", bootstrap)
    build_services = host.build

    def build(home: NetworkHome, share: int) -> list[Service]:
        services = build_services(home, share)
        return [*services, MetricsPage(services, place.with_suffix(".port"))]

    taps.put(host, "build", build)
    return host.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
