"""Relay to servers outside the network: listed ones only, at the address that was checked, once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

from naisho.protocol.onion import framing, v4
from naisho.protocol.onion.encryption import Encryption, LayerKey, agree_as_client
from naisho.protocol.onion.packet import Server, to_server
from naisho.protocol.onion.reply import NodeReply, open_reply
from services.chassis.certificates import Identity
from services.chassis.settings import Duration
from services.onion.adapters.servers import resolve
from services.onion.bootstrap import tls_context
from services.onion.domain.relay import Address, RelayRefused, RelayRules
from services.onion.settings import RelaySettings

LOOPBACK = ip_address("127.0.0.1")
TARGET = "/oxen/v4/lsrpc"
KEY = LayerKey(b"\x21" * 32)


@dataclass
class Outside:
    """A server outside the network."""

    port: int = 0
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    #: Returns the raw response to a head and body.
    answer: Callable[[bytes, bytes], bytes] = lambda _head, _body: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    silent: bool = False
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            body = await reader.readexactly(length)
            self.requests.append((head, body))
            if self.silent:
                await reader.read()
            writer.write(self.answer(head, body))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


@pytest.fixture
async def outside(request: pytest.FixtureRequest) -> AsyncIterator[Outside]:
    """A server on loopback; over TLS if the test says so."""
    server = Outside()
    context: ssl.SSLContext | None = getattr(request, "param", None)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


class Names:
    """A name service that a test plays; the first answer may differ from the second."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError("no such host")
        return [ip_address(address) for address in answer]


def relay(**options: Any) -> RelaySettings:
    given: dict[str, Any] = {"hosts": ("files.example",), "laboratory": True} | options
    return RelaySettings(**given)


async def ask(connect: Any, node: Any, **place: Any) -> tuple[int, bytes, NodeReply | None]:
    """Relay through one node; return status, body, and what is readable with the node's own layer key."""
    header = {"host": "files.example", "target": TARGET, "protocol": "http"} | place
    ephemeral, key = agree_as_client(Encryption.XCHACHA20, node.hop_key.x25519)
    data = framing.encode(
        key.seal(framing.encode(b"payload", header)), {"ephemeral_key": ephemeral.hex(), "enc_type": "xchacha20"}
    )
    client = await connect(node.service.https_port)
    answer = await client.ask("POST", "/onion_req/v2", data)
    try:
        inner = open_reply(key, answer.body, base64=True)
    except ValueError:
        inner = None
    return answer.status, answer.body, inner


async def node_with(lab: Any, names: Names, **options: Any) -> Any:
    (node,) = await lab.add(1, relay=relay(**options), resolver=names)
    await lab.publish()
    return node


async def test_a_v4_request_reaches_a_server_and_its_answer_comes_back(
    lab: Any, connect: Any, outside: Outside
) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]))

    def answer(_head: bytes, body: bytes) -> bytes:
        blob, header = framing.decode(body)
        encryption = Encryption.parse(header["enc_type"])
        request, key = KEY.open(encryption, bytes.fromhex(header["ephemeral_key"]), blob)
        assert v4.decode_request(request).endpoint == "/file/1"
        sealed = key.seal(v4.encode_response(v4.Response(200, {"content-type": "text/plain"}, b"hello")))
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%b" % (
            len(sealed),
            sealed,
        )

    outside.answer = answer
    server = Server("files.example", KEY.public, "http", outside.port)
    packet = to_server([node.hop_key], server, v4.encode_request(v4.Request("GET", "/file/1")))
    client = await connect(node.service.https_port)
    reply = await client.ask("POST", "/onion_req/v2", packet.data)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/octet-stream")
    assert packet.read(reply.body).body == b"hello"
    head = outside.requests[0][0].decode().lower()
    assert head.startswith(f"post {TARGET} http/1.1\r\n")
    assert f"host: files.example:{outside.port}\r\n" in head
    assert "user-agent" not in head


async def test_relay_is_off_by_default(lab: Any, connect: Any, outside: Outside) -> None:
    (node,) = await lab.add(1)
    await lab.publish()
    status, _, inner = await ask(connect, node, port=outside.port)
    assert (status, inner) == (
        200,
        NodeReply(403, "This node relays to no servers; use a node whose operator allows it"),
    )
    assert outside.connections == 0


async def test_only_listed_hosts_are_even_looked_up(lab: Any, connect: Any, outside: Outside) -> None:
    names = Names(["127.0.0.1"])
    node = await node_with(lab, names)
    for host in ("other.example", "127.0.0.1", "localhost", "[::1]", "2130706433", "files.example.evil"):
        _, _, inner = await ask(connect, node, host=host, port=outside.port)
        assert inner == NodeReply(403, "This node relays to listed servers only, and this is none of them")
    assert not names.asked
    assert outside.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["93.184.216.34", "127.0.0.1"],
    ],
    ids="+".join,
)
async def test_a_listed_name_that_leads_inside_is_refused(
    lab: Any, connect: Any, outside: Outside, addresses: list[str]
) -> None:
    node = await node_with(lab, Names(addresses), laboratory=False)
    status, _, inner = await ask(connect, node, port=outside.port)
    assert (status, inner) == (200, NodeReply(403, "This node relays to addresses of the public internet only"))
    assert outside.connections == 0


async def test_the_cluster_s_own_networks_are_refused_even_in_the_laboratory(
    lab: Any, connect: Any, outside: Outside
) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]), forbidden=("127.0.0.0/8",))
    _, _, inner = await ask(connect, node, port=outside.port)
    assert inner is not None
    assert inner.status == 403
    assert outside.connections == 0


async def test_a_name_is_looked_up_once(lab: Any, connect: Any, outside: Outside) -> None:
    names = Names(["127.0.0.1"], ["192.0.2.1"])  # the second answer, of a server that rebinds its name, is never used
    node = await node_with(lab, names)
    assert (await ask(connect, node, port=outside.port))[:2] == (200, b"ok")
    assert names.asked == [("files.example", outside.port)]


async def test_redirects_are_passed_back_and_not_followed(lab: Any, connect: Any, outside: Outside) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]))
    place = b"http://127.0.0.1:%d/secret" % outside.port
    outside.answer = lambda _head, _body: b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 4\r\n\r\nmove" % place
    assert (await ask(connect, node, port=outside.port))[:2] == (302, b"move")
    assert outside.connections == 1


async def test_a_server_that_is_not_there(lab: Any, connect: Any, outside: Outside) -> None:
    node = await node_with(lab, Names([], ["127.0.0.1"]))
    expected = b"The server could not be reached: "
    status, body, _ = await ask(connect, node, port=outside.port)
    assert (status, body) == (502, expected + b"OSError")
    status, body, _ = await ask(connect, node, port=1)
    assert (status, body) == (502, expected + b"ConnectionRefusedError")


async def test_a_server_that_does_not_answer_in_time(lab: Any, connect: Any, outside: Outside) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]), timeout=Duration(0.3))
    outside.silent = True
    status, body, _ = await ask(connect, node, port=outside.port)
    assert (status, body) == (504, b"Request time out")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 12582912\r\n\r\n" + b"x" * 12_582_912,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"100000\r\n" + b"x" * 2**20 + b"\r\n") * 12
        + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 12_582_912,
    ],
    ids=["declared", "chunked", "endless"],
)
async def test_an_answer_above_ten_mebibytes(lab: Any, connect: Any, outside: Outside, answer: bytes) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]))
    outside.answer = lambda _head, _body: answer
    status, text, _ = await ask(connect, node, port=outside.port)
    assert (status, text) == (502, b"The server's answer is larger than 10 MiB")


async def test_a_compressed_answer_is_passed_back_as_it_is(lab: Any, connect: Any, outside: Outside) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]))
    packed = b"\x1f\x8bnot really gzip"
    outside.answer = lambda _head, _body: (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    )
    assert (await ask(connect, node, port=outside.port))[:2] == (200, packed)


@pytest.mark.parametrize("answer", [b"", b"SMTP ready\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
async def test_an_answer_that_is_none(lab: Any, connect: Any, outside: Outside, answer: bytes) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]))
    outside.answer = lambda _head, _body: answer
    status, body, _ = await ask(connect, node, port=outside.port)
    assert (status, body) == (502, b"The server could not be reached: RemoteProtocolError")


@pytest.mark.parametrize("outside", [tls_context(Identity.make("files.example"))], indirect=True, ids=["tls"])
async def test_certificates_of_servers_are_checked_unless_the_operator_says_otherwise(
    lab: Any, connect: Any, outside: Outside
) -> None:
    strict = await node_with(lab, Names(["127.0.0.1"]))
    status, body, _ = await ask(connect, strict, port=outside.port, protocol="https")
    assert (status, body) == (502, b"The server could not be reached: SSLCertVerificationError")
    assert not outside.requests
    lenient = await node_with(lab, Names(["127.0.0.1"]), verify_tls=False)
    assert (await ask(connect, lenient, port=outside.port, protocol="https"))[:2] == (200, b"ok")


async def test_too_many_exchanges_at_once(lab: Any, connect: Any, outside: Outside) -> None:
    node = await node_with(lab, Names(["127.0.0.1"]), requests=2, timeout=Duration(5))
    outside.silent = True
    waiting = [asyncio.create_task(ask(connect, node, port=outside.port)) for _ in range(2)]
    async with asyncio.timeout(10):
        while len(outside.requests) < 2:  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0.01)
    assert (await ask(connect, node, port=outside.port))[:2] == (503, b"Server busy, try again later")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost"])
async def test_every_way_to_write_this_machine_is_seen_through(host: str) -> None:
    addresses = await resolve(host, 80)
    assert addresses
    with pytest.raises(RelayRefused):
        RelayRules([host]).check_addresses(addresses)
