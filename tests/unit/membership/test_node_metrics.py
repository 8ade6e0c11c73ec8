"""Asking nodes for their metrics: real endpoints, broken ones, and ones that mean harm."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.membership.kube import node_metrics
from operators.membership.kube.node_metrics import MetricsPlace, NodeMetrics, ScrapeBounds, read_page
from services.chassis.telemetry import Metrics, TelemetryEndpoint
from services.onion import instruments as onion_table
from services.swarm import instruments as swarm_table

HOST = "127.0.0.1"
PAGE = (
    'naisho_swarm_commands_total{outcome="answered"} 5\nnaisho_swarm_commands_total{outcome="refused"} 2\n'
    'naisho_onion_layers_total{outcome="answered"} 7\nnaisho_swarm_stored_bytes 4096\n'
    "process_cpu_seconds_total 1.5\nprocess_start_time_seconds 1.7e+09\n"
)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def node(stores: int, layers: int, held: int) -> AsyncIterator[MetricsPlace]:
    """A node's two processes, as far as they tell metrics."""
    onion = Metrics("onion", 0, onion_table.INSTRUMENTS)
    swarm = Metrics("swarm", 0, swarm_table.INSTRUMENTS)
    for number, outcome in enumerate(onion_table.OUTCOMES):
        onion.counter(onion_table.LAYERS, outcome=outcome).add(layers if number == 0 else number)
    for number, outcome in enumerate(swarm_table.OUTCOMES):
        swarm.counter(swarm_table.COMMANDS, outcome=outcome).add(stores if number == 0 else number)
    swarm.watch(swarm_table.STORED, lambda: held)
    async with (
        TelemetryEndpoint(HOST, 0, [onion], []) as onion_end,
        TelemetryEndpoint(HOST, 0, [swarm], []) as swarm_end,
    ):
        yield MetricsPlace(HOST, onion_end.port, swarm_end.port)
    onion.close()
    swarm.close()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """A server that does with every connection what a test wants; yields its port."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def telling(body: bytes, head: str = "200 OK", *more: str) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = [f"HTTP/1.1 {head}", "Connection: close", *more, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


async def failure(answer: Answer, **bounds: float) -> str:
    """Return what is told of a node whose `onion` is well and whose `swarm` does this."""
    limits = ScrapeBounds(**({"page_s": 0.5} | bounds))  # type: ignore[arg-type]
    async with serving(telling(PAGE.encode())) as onion, serving(answer) as swarm, NodeMetrics(limits) as metrics:
        samples, failures = await metrics.scrape({"net-0": MetricsPlace(HOST, onion, swarm)})
    assert samples == {}
    return failures["net-0"]


async def test_what_real_endpoints_tell() -> None:
    async with AsyncExitStack() as stack:
        metrics = await stack.enter_async_context(NodeMetrics())
        places = {f"net-{n}": await stack.enter_async_context(node(10 * n, 100 * n, 1 << n)) for n in range(5)}
        samples, failures = await metrics.scrape(places)
        assert failures == {}
        assert {name: sample[:2] for name, sample in samples.items()} == {
            f"net-{n}": (10 * n + 1, 100 * n + 1 + 2) for n in range(5)
        }
        assert [samples[f"net-{n}"].held_bytes for n in range(5)] == [1, 2, 4, 8, 16]
        again = (await metrics.scrape(places)).samples["net-0"]
    assert again.cpu_s >= samples["net-0"].cpu_s > 0
    assert again.begun == samples["net-0"].begun
    assert min(again.begun) > 1_700_000_000


async def test_a_node_that_is_not_there_does_not_hide_the_others() -> None:
    with socket.socket() as reserved:
        reserved.bind((HOST, 0))  # and does not listen
        gone = MetricsPlace(HOST, reserved.getsockname()[1], reserved.getsockname()[1])
        async with node(1, 1, 1) as there, NodeMetrics() as metrics:
            half = there._replace(swarm_port=gone.swarm_port)
            samples, failures = await metrics.scrape({"net-0": gone, "net-1": there, "net-2": half})
    assert list(samples) == ["net-1"]
    assert failures == dict.fromkeys(("net-0", "net-2"), "cannot be asked: ConnectError")


async def test_what_is_wrong_is_told() -> None:
    page = PAGE.encode()
    assert (await failure(telling(b"", "503 Service Unavailable"))).endswith("answered with status 503")
    assert (await failure(telling(b"", "302 Found", "Location: http://192.0.2.1/"))).endswith("status 302")
    assert (await failure(telling(page * 40), page_bytes=5000)).endswith("answered with more than 5000 bytes")
    assert await failure(telling(page.replace(b"4096", b"NaN"))) == "naisho_swarm_stored_bytes is no amount"
    assert await failure(telling(page.replace(b"4096", b"-1"))) == "naisho_swarm_stored_bytes is no amount"
    assert await failure(telling(b"naisho_swarm_stored_bytes{ oh\n")) == "the page cannot be read"
    assert await failure(telling(b"\xff\xfe")) == "the page cannot be read"
    assert (await failure(telling(b"something else 1\n"))).startswith("does not tell naisho_swarm_commands_total, ")
    assert await failure(telling(page, "no status")) == "cannot be asked: RemoteProtocolError"


async def test_time_is_bounded_as_a_whole_and_not_by_piece() -> None:
    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def drop_by_drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"#")
            await writer.drain()
            await asyncio.sleep(0.02)

    assert await failure(never, page_s=0.2) == "did not answer in time"
    assert await failure(drop_by_drop, page_s=0.2) == "did not answer in time"


async def test_so_many_are_asked_at_once() -> None:
    open_now = most = 0
    full, release = asyncio.Event(), asyncio.Event()

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if open_now == 3:
            full.set()
        await release.wait()
        open_now -= 1
        await telling(PAGE.encode())(reader, writer)

    async with serving(held) as port, NodeMetrics(ScrapeBounds(at_once=3)) as metrics:
        places = {f"net-{n}": MetricsPlace(HOST, port, port) for n in range(10)}
        scrape = asyncio.create_task(metrics.scrape(places))
        await full.wait()
        release.set()
        samples, failures = await scrape
    assert (len(samples), failures, most) == (10, {}, 3)
    assert samples["net-9"] == (7, 7, 3.0, 4096, (1.7e9, 1.7e9))


async def test_who_would_be_asked_too_late_is_not_asked() -> None:
    async with node(1, 1, 1) as there, NodeMetrics(ScrapeBounds(begin_s=-1.0)) as metrics:
        _, failures = await metrics.scrape({"net-0": there, "net-1": there})
    assert failures == dict.fromkeys(("net-0", "net-1"), "was not asked: the others took too long")


async def test_nobody_to_ask() -> None:
    async with NodeMetrics() as metrics:
        assert await metrics.scrape({}) == ({}, {})


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:9")
    async with node(1, 1, 1) as there, NodeMetrics() as metrics:
        assert (await metrics.scrape({"net-0": there})).failures == {}


@given(st.one_of(st.binary(max_size=60), st.text('{}="\\, 0123.eNaInf-+#\n', max_size=40).map(str.encode)))
def test_a_page_is_read_or_refused_whatever_it_holds(tail: bytes) -> None:
    try:
        found = read_page(b"naisho_swarm_stored_bytes" + tail, {node_metrics.STORE_BYTES})
    except ValueError:
        return
    assert found[node_metrics.STORE_BYTES] >= 0
