"""The lean transport against a TLS server that behaves in every way a node may."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from naisho.network.transport import Silent, Unreachable
from naisho.protocol.directory import Endpoint, Node, NodeState, Transport
from operators.load import wire
from operators.load.wire import Cut, LeanTransport, open_wire
from services.chassis.certificates import Identity

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers each request as it is told; counts connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.answer: Answer = plain(b"hello")
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not reader.at_eof():
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                await self.answer(self.requests[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def node(self) -> Node:
        at = Endpoint(Transport.HTTPS, "127.0.0.1", self.port)
        return Node(bytes(32), bytes(32), (at,), "", "", (2, 11, 0), NodeState.ACTIVE)


def plain(body: bytes, *, status: int = 200, more: str = "") -> Answer:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Whatever\r\ncontent-LENGTH: {len(body)}\r\n{more}\r\n".encode())
        for at in range(0, len(body), 50_000):  # in pieces
            writer.write(body[at : at + 50_000])
            await writer.drain()

    return answer


def raw(data: bytes, *, close: bool = False) -> Answer:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()

    return answer


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    Identity.make("node").write(tmp_path)
    certificate, key = sorted(tmp_path.glob("*.pem"))
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(certificate, key)
    return made


@pytest.fixture
async def server(tls: ssl.SSLContext) -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[Callable[..., Awaitable[tuple[int, bytes]]]]:
    async with open_wire() as transport:

        async def ask(body: bytes = b"{}", seconds: float = 5.0) -> tuple[int, bytes]:
            return await transport.post(server.node, "/storage_rpc/v1", body, seconds=seconds)

        yield ask


async def test_requests_one_after_the_other_share_a_connection(server: Server) -> None:
    async with asking(server) as ask:
        for status in (200, 404, 503):
            server.answer = plain(b"x" * status, status=status)
            assert await ask(b"body") == (status, b"x" * status)
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /storage_rpc/v1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port)
    assert server.requests[0].endswith(b"\r\n\r\nbody")


async def test_requests_at_once_have_a_connection_each(server: Server) -> None:
    async with asking(server) as ask:
        answers = await asyncio.gather(*(ask() for _ in range(5)))
        assert answers == [(200, b"hello")] * 5
        await ask()
    assert server.connections == 5


async def test_no_more_connections_are_kept_than_may_be(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_IDLE", 2)
    async with asking(server) as ask:
        for _ in range(2):
            await asyncio.gather(*(ask() for _ in range(5)))
    assert server.connections == 8


async def test_large_answers_come_whole(server: Server) -> None:
    server.answer = plain(bytes(3_000_000))
    async with asking(server) as ask:
        assert await ask() == (200, bytes(3_000_000))


async def test_a_connection_that_its_server_closes_is_not_used_again(server: Server) -> None:
    server.answer = plain(b"bye", more="Connection: close\r\n")
    async with asking(server) as ask:
        assert (await ask(), await ask()) == ((200, b"bye"), (200, b"bye"))
    assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(server) as ask:
        await ask()
        monkeypatch.setattr(wire, "IDLE_SECONDS", 0.0)
        await ask()
    assert server.connections == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ntoo much",
        b"SSH-2.0-whatever\r\nContent-Length: 0\r\n\r\n",
        b"x" * 40_000,
    ],
)
async def test_what_is_no_whole_answer_is_a_cut(server: Server, data: bytes) -> None:
    server.answer = raw(data, close=True)
    async with asking(server) as ask:
        with pytest.raises(Cut):
            await ask()
        server.answer = plain(b"again")
        assert await ask() == (200, b"again")


async def test_an_answer_that_does_not_come_in_time_is_a_silence_and_no_cut(server: Server) -> None:
    server.answer = raw(b"HTTP/1.1 200 OK\r\nContent-")
    async with asking(server) as ask:
        with pytest.raises(Silent) as silence:
            await ask(seconds=0.2)
        assert not isinstance(silence.value, Cut)
        server.answer = plain(b"again")
        assert await ask() == (200, b"again")
    assert server.connections == 2, "what was late must not be taken for the next answer"


async def test_nobody_there_is_unreachable(server: Server) -> None:
    server.port = 1
    async with asking(server) as ask:
        with pytest.raises(Unreachable):
            await ask()


async def test_a_node_without_address_is_unreachable(server: Server) -> None:
    nowhere = Node(bytes(32), bytes(32), (), "", "", (2, 11, 0), NodeState.ACTIVE)
    async with LeanTransport.open() as transport:
        with pytest.raises(Unreachable):
            await transport.post(nowhere, "/", b"", seconds=1)
    assert server.connections == 0
