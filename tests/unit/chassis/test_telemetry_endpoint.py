from __future__ import annotations

import asyncio
import contextlib

import pytest

from services.chassis.hosting import running
from services.chassis.lifecycle import Lifecycle, State
from services.chassis.telemetry import Instrument, Kind, Metrics, SharedTelemetry, TelemetryEndpoint

SEEN = Instrument(Kind.COUNTER, "naisho_test_seen", "Seen")


async def get(port: int, request: bytes = b"") -> tuple[int, str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split(" ")[1]), head, body


async def page(port: int, path: str) -> tuple[int, str]:
    status, head, body = await get(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert f"Content-Length: {len(body.encode())}" in head
    return status, body


def lifecycle(name: str = "swarm") -> Lifecycle:
    life = Lifecycle(name)
    life.move_to(State.READY)
    return life


async def test_metrics_are_served_in_prometheus_format() -> None:
    metrics = Metrics("test", 1, [SEEN])
    metrics.counter(SEEN).add(3)
    async with TelemetryEndpoint("127.0.0.1", 0, [metrics], []) as endpoint:
        status, head, body = await get(endpoint.port, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert status == 200
    assert "Content-Type: text/plain; version=" in head
    assert 'naisho_test_seen_total{node="1",service="test"} 3.0' in body


async def test_readiness_says_why_not() -> None:
    swarm, onion = lifecycle("swarm"), lifecycle("onion")
    async with TelemetryEndpoint("127.0.0.1", 0, [], [swarm, onion]) as endpoint:
        assert await page(endpoint.port, "/readyz") == (200, "ready\n")
        swarm.withdraw("catching up")
        assert await page(endpoint.port, "/readyz") == (503, "swarm: ready, catching up\n")
        swarm.restore("catching up")
        onion.move_to(State.DRAINING)
        assert await page(endpoint.port, "/readyz?verbose") == (503, "onion: draining\n")
        assert (await page(endpoint.port, "/livez"))[0] == 200


async def test_a_failed_service_is_not_alive() -> None:
    life = lifecycle()
    async with TelemetryEndpoint("127.0.0.1", 0, [], [life]) as endpoint:
        assert await page(endpoint.port, "/livez") == (200, "alive\n")
        life.fail(OSError("broken"))
        assert await page(endpoint.port, "/livez") == (503, "failed\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../x HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"\r\n\r\n", 405),
    ],
)
async def test_other_requests_are_refused(request_: bytes, status: int) -> None:
    async with TelemetryEndpoint("127.0.0.1", 0, [], []) as endpoint:
        assert (await get(endpoint.port, request_))[0] == status


@pytest.mark.parametrize("nonsense", [b"\xff\xfe\r\n\r\n", b"GET /" + b"x" * 100_000])
async def test_nonsense_is_hung_up_on_and_hurts_nobody(nonsense: bytes) -> None:
    async with TelemetryEndpoint("127.0.0.1", 0, [], []) as endpoint:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(nonsense)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert (await page(endpoint.port, "/livez"))[0] == 200


async def test_connections_are_bounded_and_dropped_at_the_end() -> None:
    endpoint = TelemetryEndpoint("127.0.0.1", 0, [], [])
    await endpoint.start()
    idle = [await asyncio.open_connection("127.0.0.1", endpoint.port) for _ in range(16)]
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    async with asyncio.timeout(3):  # at once, not when patience ends
        assert await reader.read() == b""
    writer.close()
    async with asyncio.timeout(3):
        await endpoint.close()
    for reader, writer in idle:
        assert await reader.read() == b""
        writer.close()
    await endpoint.close()


async def test_an_address_in_use_is_an_error() -> None:
    async with TelemetryEndpoint("127.0.0.1", 0, [], []) as endpoint:
        with pytest.raises(OSError, match="in use"):
            await TelemetryEndpoint("127.0.0.1", endpoint.port, [], []).start()


async def test_services_that_come_and_go_are_shown_meanwhile() -> None:
    async with TelemetryEndpoint("127.0.0.1", 0, [], []) as endpoint:
        for count in (3, 5):
            metrics, life = Metrics("test", 1, [SEEN]), lifecycle("custodian")
            metrics.counter(SEEN).add(count)
            with endpoint.showing(metrics, life):
                assert (
                    f'naisho_test_seen_total{{node="1",service="test"}} {count}.0'
                    in (await page(endpoint.port, "/metrics"))[1]
                )
                life.withdraw("away")
                assert await page(endpoint.port, "/readyz") == (503, "custodian: ready, away\n")
            assert "naisho_test" not in (await page(endpoint.port, "/metrics"))[1]
            assert await page(endpoint.port, "/readyz") == (200, "ready\n")


class Measured:
    """A service that can be measured from its start on."""

    def __init__(self, name: str) -> None:
        self.lifecycle = Lifecycle(name)
        self.started = False

    async def start(self) -> None:
        self.started = True

    async def drain(self) -> None:
        """Nothing is in hand."""

    async def stop(self) -> None:
        """Nothing to give back."""

    def measure(self, node: int) -> Metrics:
        assert self.started
        metrics = Metrics("test", node, [SEEN])
        metrics.counter(SEEN).add(100 + node)
        return metrics


async def test_many_services_of_a_process_share_an_endpoint_and_are_told_apart() -> None:
    services = [(node, Measured(f"node-{node} test")) for node in (3, 12)]
    telemetry = SharedTelemetry("127.0.0.1", 0, services)
    async with running([*(service for _, service in services), telemetry]):
        port = telemetry.endpoint.port
        _, text = await page(port, "/metrics")
        for node, _ in services:
            assert f'naisho_test_seen_total{{node="{node}",service="test"}} {100 + node}.0' in text
        assert text.count("# TYPE naisho_test_seen_total counter") == 1
        services[1][1].lifecycle.withdraw("catching up")
        assert await page(port, "/readyz") == (503, "node-12 test: ready, catching up\n")
        assert await page(port, "/livez") == (200, "alive\n")
    with pytest.raises(OSError, match=r".*"):
        await asyncio.open_connection("127.0.0.1", port)
