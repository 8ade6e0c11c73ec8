"""Real sockets and TLS: limits in time and size, connections kept, nothing followed, nothing from the environment."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from naisho.network import transport as module
from naisho.network.transport import NodeTransport, Silent, Unreachable
from naisho.protocol.directory import Endpoint, Node, Transport
from naisho.testing import FakeNetwork

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]
NODE = FakeNetwork(1, swarms=1).directory.nodes[0]


@pytest.fixture(scope="module")
def server_context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("tls") / "node.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class Server:
    """A node's HTTPS address that answers as a test wants."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        self.node = NODE

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-le")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                await self._answer(reader, writer, self.requests[-1])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext) -> AsyncIterator[Server]:
    server = Server(answer)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(server.serve(reader, writer)))

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    server.node = replace(NODE, endpoints=(Endpoint(Transport.HTTPS, "127.0.0.1", port),))
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def plain(body: bytes, status: str = "200 OK", *headers: str) -> Answer:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
        writer.write(head.encode() + b"\r\n\r\n" + body)

    return answer


async def post(server: Server, *, seconds: float = 5, body: bytes = b"request") -> module.HttpAnswer:
    async with NodeTransport.open() as transport:
        return await transport.post(server.node, "/onion_req/v2", body, seconds=seconds)


async def test_a_self_signed_node_answers_over_one_kept_connection(server_context: ssl.SSLContext) -> None:
    async with serving(plain(b"answer"), server_context) as server, NodeTransport.open() as transport:
        for _ in range(5):
            answer = await transport.post(server.node, "/onion_req/v2", b"\x00body\xff", seconds=5)
            assert answer == (200, b"answer")
        assert server.connections == 1
        assert server.requests[0].startswith(b"POST /onion_req/v2 HTTP/1.1\r\n")
        assert server.requests[0].endswith(b"\r\n\r\n\x00body\xff")
        lines = server.requests[0].split(b"\r\n\r\n")[0].lower().split(b"\r\n")[1:]
        names = {line.split(b":")[0] for line in lines}
        assert names == {b"host", b"connection", b"content-length", b"user-agent", b"accept", b"accept-encoding"}


async def test_other_statuses_and_redirects_are_answers_and_are_not_followed(server_context: ssl.SSLContext) -> None:
    moved = plain(b"", "302 Found", "Location: https://192.0.2.1/elsewhere", "Set-Cookie: id=1")
    async with serving(moved, server_context) as server, NodeTransport.open() as transport:
        for _ in range(2):
            assert (await transport.post(server.node, "/x", b"", seconds=5)).status == 302
        assert len(server.requests) == 2


async def test_an_oversized_answer_is_cut_off(server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 100_000)
    sent = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"2710\r\n" + bytes(10_000) + b"\r\n")
            await writer.drain()
            sent += 10_000

    async with serving(endless, server_context) as server:
        with pytest.raises(Silent):
            await post(server)
        assert sent < 10_000_000


async def test_an_answer_that_drips_for_ever_ends_in_time(server_context: ssl.SSLContext) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(drip, server_context) as server:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Silent):
            await post(server, seconds=0.5)
        assert asyncio.get_running_loop().time() - began < 2


async def test_silence_cuts_and_nonsense_are_told_apart_from_nobody(server_context: ssl.SSLContext) -> None:
    async def nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _request: bytes) -> None:
        await reader.read()

    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        await writer.drain()
        writer.close()

    async def nonsense(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: bytes) -> None:
        writer.write(b"\x00\x01\x02 what?\r\n\r\n")

    for answer in (nothing, cut, nonsense):
        async with serving(answer, server_context) as server:
            with pytest.raises(Silent) as failure:
                await post(server, seconds=0.5)
            assert "127.0.0.1" not in str(failure.value)
    with pytest.raises(Unreachable) as refused:
        await post(server, seconds=0.5)
    assert "127.0.0.1" not in str(refused.value)


async def test_no_tls_is_nobody(server_context: ssl.SSLContext) -> None:
    async def plain_text(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(plain_text, "127.0.0.1", 0)
    async with listening, serving(plain(b""), server_context) as server:
        port = listening.sockets[0].getsockname()[1]
        server.node = replace(NODE, endpoints=(Endpoint(Transport.HTTPS, "127.0.0.1", port),))
        with pytest.raises(Unreachable):
            await post(server)


async def test_the_environment_changes_nothing(
    server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    async with serving(plain(b"answer"), server_context) as server:
        assert (await post(server)).body == b"answer"
        assert b"authorization" not in server.requests[0].lower()


async def test_a_proxy_that_is_set_carries_everything(server_context: ssl.SSLContext) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with listening, serving(plain(b"answer"), server_context) as server:
        proxy = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with NodeTransport.open(proxy=proxy) as transport:
            with pytest.raises(Unreachable):
                await transport.post(server.node, "/", b"", seconds=5)
        assert asked[0].startswith(b"CONNECT 127.0.0.1:")
        assert server.connections == 0


async def test_a_node_without_an_address_is_unreachable() -> None:
    nowhere: Node = replace(NODE, endpoints=())
    async with NodeTransport.open() as transport:
        with pytest.raises(Unreachable):
            await transport.post(nowhere, "/", b"", seconds=1)
