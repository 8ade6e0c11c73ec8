"""Taps at every edge of a node's process, behind TLS: what it reads and writes, as it reads and writes it.

- HTTPS and the plain seed address: each connection's bytes both ways, and the client's address.
- Hop to hop: each stream's bytes both ways.
- Whatever else speaks gRPC: each message as serialised, and each call's metadata.
- NATS: the connection's bytes both ways.
- Requests of its own to other nodes' HTTPS: bytes both ways.
- Inside: what its layer key opens, and what passes between its public face and its mailboxes.

Only classes at these edges are replaced, by children that write down and then do as their parents do; nothing that
decides anything is touched. One address can be named for which the node is broken on purpose (`break_for`): that is how
the search is shown to find something.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

import grpc
import grpc.aio
import h11

from naisho.protocol.onion import encryption
from services.chassis.http2 import Stream as HopStream
from services.chassis.nats import link
from services.chassis.packed import Reply
from services.onion.adapters.peers import PeerStreams
from services.onion.api.http1 import server as http_server
from services.onion.api.http1.connection import Connection
from services.onion.api.layers import Layers
from services.onion.api.ports import Mailbox
from services.onion.api.site import NodeSite
from tests.integration.claims.tape import Tape, Write


def put(owner: Any, name: str, tapped: Any) -> None:
    """Put something tapped where the product looks its class or function up."""
    if not hasattr(owner, name):
        raise AttributeError(f"{owner!r} has no {name}: the tap is not at the product's edge any more")
    setattr(owner, name, tapped)


def tap_https(tape: Tape) -> None:
    """Tap the public HTTPS front and the plain seed."""

    class TappedConnection(Connection):
        __slots__ = ("_heard",)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._heard = tape.stream("https in")
            tape.stream("https peer")(self.peer.encode())
            super().connection_made(cast("asyncio.Transport", TappedTransport(transport, tape.stream("https out"))))

        def data_received(self, data: bytes) -> None:
            self._heard(data)
            super().data_received(data)

    put(http_server, "Connection", TappedConnection)


class TappedTransport:
    """A transport that writes down what is written."""

    def __init__(self, transport: asyncio.BaseTransport, said: Write) -> None:
        self._transport = transport
        self._said = said

    def write(self, data: bytes) -> None:
        self._said(bytes(data))
        cast("asyncio.Transport", self._transport).write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def tap_nats(tape: Tape) -> None:
    """Tap the connections to the event log's server."""

    class TappedLink(link.Link):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.heard, self.said = tape.stream("log in"), tape.stream("log out")
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            self.heard(data)
            super().data_received(data)

        def write(self, data: bytes) -> None:
            self.said(data)
            super().write(data)

    put(link, "Link", TappedLink)


def tap_hops(tape: Tape) -> None:
    """Tap the streams between nodes."""
    made, received = HopStream.connection_made, HopStream.data_received
    heard: WeakKeyDictionary[HopStream[Any], Write] = WeakKeyDictionary()

    def tapped_made(self: HopStream[Any], transport: asyncio.BaseTransport) -> None:
        heard[self] = tape.stream("hop in")
        made(self, cast("asyncio.Transport", TappedTransport(transport, tape.stream("hop out"))))

    def tapped_received(self: HopStream[Any], data: bytes) -> None:
        heard[self](data)
        received(self, data)

    put(HopStream, "connection_made", tapped_made)
    put(HopStream, "data_received", tapped_received)


def tap_grpc(tape: Tape) -> None:
    """Tap gRPC servers and channels: every message and all metadata."""
    plain_server = grpc.aio.server

    class ServerTap(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)
            if handler is None:
                return None
            tape.stream("hop metadata")(repr((details.method, details.invocation_metadata)).encode())
            return handler._replace(
                request_deserializer=_after(handler.request_deserializer, tape.stream("hop in")),
                response_serializer=_before(handler.response_serializer, tape.stream("hop out")),
            )

    put(grpc.aio, "server", partial(plain_server, interceptors=[ServerTap()]))
    channel = grpc.aio._channel.Channel  # type: ignore[attr-defined]  # both kinds of channel are one class
    for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        put(channel, kind, _tapped_calls(getattr(channel, kind), tape))


def _tapped_calls(make: Callable[..., Any], tape: Tape) -> Callable[..., Any]:
    def calls(
        channel: Any, method: str, request_serializer: Any = None, response_deserializer: Any = None, **options: Any
    ) -> Any:
        tape.stream("hop metadata")(method.encode())
        said, heard = tape.stream("hop out"), tape.stream("hop in")
        return make(channel, method, _before(request_serializer, said), _after(response_deserializer, heard), **options)

    return calls


def _before(serialise: Callable[[Any], bytes], write: Write) -> Callable[[Any], bytes]:
    def tapped(message: Any) -> bytes:
        data = serialise(message)
        write(data)
        return data

    return tapped


def _after(parse: Callable[[bytes], Any], write: Write) -> Callable[[bytes], Any]:
    def tapped(data: bytes) -> Any:
        write(data)
        return parse(data)

    return tapped


def tap_requests(tape: Tape) -> None:
    """Tap the requests that the node itself makes, to other nodes and to servers outside."""

    class TappedExchange(h11.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.heard, self.said = tape.stream("own https in"), tape.stream("own https out")

        def receive_data(self, data: bytes) -> None:
            self.heard(data)
            super().receive_data(data)

        def send(self, event: Any) -> Any:
            data: bytes | None = super().send(event)
            self.said(data or b"")
            return data

    put(h11, "Connection", TappedExchange)


def tap_layers(tape: Tape) -> None:
    """Write down every layer that the node's key opens."""
    write = tape.stream("layer")
    open_layer = encryption.LayerKey.open

    def tapped(self: Any, *arguments: Any) -> Any:
        opened = open_layer(self, *arguments)
        write(opened[0])
        return opened

    put(encryption.LayerKey, "open", tapped)


class TappedMailbox:
    """What passes between a node's public face and its mailboxes when both live in one process."""

    def __init__(self, mailbox: Mailbox, tape: Tape) -> None:
        self._mailbox = mailbox
        self._asked, self._answered = tape.stream("mailbox in"), tape.stream("mailbox out")

    @property
    def available(self) -> bool:
        return self._mailbox.available

    async def handle(self, call: int, body: bytes) -> Reply:
        self._asked(body)
        reply = await self._mailbox.handle(call, body)
        self._answered(reply.body)
        return reply

    def watch_directory(self) -> AsyncIterator[bytes]:
        return self._mailbox.watch_directory()

    async def report_peers(self, reports: Sequence[tuple[bytes, bool]]) -> None:
        await self._mailbox.report_peers(reports)


#: What a broken node adds to a layer that it passes on: a field that `OnionLayer` does not have.
_ORIGIN = re.compile(rb"\x7a.(origin [0-9.]+ [0-9a-f]{32})$", re.DOTALL)


def break_for(address: str) -> None:
    """Break the node for the client of one address, in two ways that careless code is broken in.

    Its log gets the client's address and the request, past the formatter that masks such things. And it tells the next
    node who asked, with an identifier for the request, as tracing would; a node that is told so passes it on.
    """
    origin: bytes | None = None
    answer, layer, forward = NodeSite.answer, Layers.layer, PeerStreams.forward
    connection: type[Connection] = vars(http_server)["Connection"]
    received = connection.data_received

    def careless_received(self: Connection, data: bytes) -> None:
        nonlocal origin
        origin = b"origin %b %b" % (address.encode(), secrets.token_hex(16).encode()) if self.peer == address else None
        received(self, data)
        origin = None

    def careless_answer(self: NodeSite, request: Any) -> Any:
        if origin is not None:
            print(f"request of {address}: {request.head.target} {request.body!r}", file=sys.stderr, flush=True)
        return answer(self, request)

    def careless_layer(self: Layers, code: int, body: bytes) -> Reply | Awaitable[Reply]:
        nonlocal origin
        told = _ORIGIN.search(body)
        origin = told[1] if told else None
        reply = layer(self, code, body)
        origin = None
        return reply

    def careless_forward(self: PeerStreams, destination: bytes, layer: bytes) -> Any:
        if origin is not None:
            layer += b"\x7a%c%b" % (len(origin), origin)
        return forward(self, destination, layer)

    put(connection, "data_received", careless_received)
    put(NodeSite, "answer", careless_answer)
    put(Layers, "layer", careless_layer)
    put(PeerStreams, "forward", careless_forward)
