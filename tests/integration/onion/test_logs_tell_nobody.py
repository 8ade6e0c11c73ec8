"""Whatever clients do, with logging at its most talkative, no line tells who they are or what they asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from naisho.protocol.onion.packet import to_node
from services.chassis.packed import Reply
from services.chassis.settings import Duration
from services.onion.settings import HttpSettings, RateSettings
from tests.networks import anonymous_tls

CLIENT = "127.0.0.77"
ACCOUNT = bytes.fromhex("05" + "ab12cd34" * 8)
QUICK = HttpSettings(handshake=Duration(0.5), body_time=Duration(0.5), head_time=Duration(0.5))
TRACES = [
    CLIENT,
    ACCOUNT.hex(),
    ACCOUNT.hex()[2:18],
    base64.b64encode(ACCOUNT).decode()[:20],
    repr(ACCOUNT)[2:-1][:24],
    "onion_req",
    "storage_rpc",
    "retrieve",
]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Everything that is logged, rendered with its exceptions."""
    rendered: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            rendered.append(logging.Formatter("%(name)s %(message)s %(args)s").format(record))

    keeper = Keeper()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().addHandler(keeper)
        yield rendered
        logging.getLogger().removeHandler(keeper)


def traces_in(lines: list[str]) -> list[str]:
    return [line for line in lines if any(trace in line for trace in TRACES)]


async def client(port: int, *, tls: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=anonymous_tls() if tls else None, local_addr=(CLIENT, 0)
    )


def post(target: str, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (target.encode(), len(body), body)


async def misbehave(port: int, packets: list[bytes]) -> None:
    """Do everything that a client should not."""
    rpc = post("/storage_rpc/v1", b'{"method":"retrieve","params":{"pubkey":"%b"}}' % ACCOUNT.hex().encode())
    requests = [rpc, *(post("/onion_req/v2", packet) for packet in packets), post("/" + ACCOUNT.hex(), b"")]
    requests += [b"GET / HTTP/1.1\r\nAccount: " + ACCOUNT + b"\r\n\r\n", b"GET / HTTP/3\r\n\r\n", rpc[:-9], rpc[:20]]
    for request in requests:
        reader, writer = await client(port)
        writer.write(request)
        if request is not rpc[:20]:
            async with asyncio.timeout(10):
                await reader.read(100)
        # Some leave with a reset.
        if (wire := writer.get_extra_info("socket")) is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()
    for junk in (ACCOUNT, b"\x16\x03\x01\x00\x02\x01\x00", rpc):
        reader, writer = await client(port, tls=False)
        writer.write(junk)
        async with asyncio.timeout(10):
            with contextlib.suppress(OSError):
                await reader.read(100)
        writer.transport.abort()


async def test_no_line_tells_of_a_client(lab: Any, lines: list[str]) -> None:
    nodes = await lab.add(3, http=QUICK, rate=RateSettings(burst=3, per_second=0.001))
    await lab.publish()

    async def break_down(_call: int, body: bytes) -> Reply:
        raise ValueError(body)

    path = [node.hop_key for node in nodes]
    packets = [to_node(path, "retrieve", {"pubkey": ACCOUNT.hex()}).data for _ in range(2)]
    await misbehave(nodes[0].service.https_port, [*packets, packets[0], packets[0][:-50], packets[0][9:]])
    nodes[0].mailbox.answer = nodes[2].mailbox.answer = break_down
    await misbehave(nodes[0].service.https_port, [to_node(path, "retrieve", {"pubkey": ACCOUNT.hex()}).data])
    assert any("ValueError at " in line for line in lines)
    assert not traces_in(lines)


async def test_a_node_that_logs_its_clients_is_caught(lab: Any, lines: list[str]) -> None:
    (node,) = await lab.add(1, http=QUICK)
    await lab.publish()
    site = node.service.https.site
    admit = site.admit

    def tell(head: Any, peer: str) -> Any:
        logging.getLogger("services.onion").debug("a request from %s", peer)
        return admit(head, peer)

    site.admit = tell
    await misbehave(node.service.https_port, [])
    assert traces_in(lines)
