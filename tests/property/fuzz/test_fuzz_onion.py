"""Every parser of bytes from outside that the onion service adds to the protocol's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.onion import framing
from naisho.protocol.onion.encryption import Encryption, LayerKey, agree_as_client
from naisho.protocol.signing import SigningKey
from naisho.wire.node.v1.node_pb2 import OnionLayer
from services.chassis.clock import ManualClock
from services.chassis.packed import Reply
from services.onion.api.http1 import Head, HttpLimits, Request
from services.onion.api.http1.connection import Connection
from services.onion.api.http1.parsing import ChunkedBody, RequestError, parse_head
from services.onion.api.layers import LAYER, Layers
from services.onion.api.seed import Seed
from services.onion.domain.replay import ReplayFilter
from tests.property.onion.played import PlayedServer, PlayedWire

SEED = b"\x07" * 32
OWN = SigningKey(SEED).public

HEADS = [
    b"POST /onion_req/v2 HTTP/1.1\r\nHost: 192.0.2.1:443\r\nContent-Length: 120\r\nConnection: keep-alive",
    b"GET /get_stats/v1?x=1 HTTP/1.0\r\nX-Loki-Long-Poll: 1\r\nTransfer-Encoding: chunked",
]
CHUNKS = [b"3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nTrailer: z\r\n\r\nnext", b"0\r\n\r\n"]
WORDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.1",
    b"0\r\n\r\n",
    b"Host: ",
]


def test_request_heads(fuzz: Callable[..., None]) -> None:
    def parse(data: bytes) -> None:
        head = parse_head(data, 16)
        assert head.target.isascii()
        assert len(head.headers) <= 16

    fuzz("HTTP heads", parse, HEADS, (RequestError,), WORDS)


def test_chunked_bodies(fuzz: Callable[..., None]) -> None:
    def parse(data: bytes) -> None:
        body = ChunkedBody(1000)
        rest = body.feed(data)
        assert len(body.body) <= 1000
        assert rest is None or data.endswith(rest)

    fuzz("chunked bodies", parse, CHUNKS, (RequestError,), WORDS)


def test_connections(fuzz: Callable[..., None]) -> None:
    def parse(data: bytes) -> None:
        server: Any = PlayedServer(HttpLimits(body=1000, head=1000, fields=16), most_held=300)
        wire: Any = PlayedWire()
        connection = Connection(server, "192.0.2.1")
        connection.connection_made(wire)
        for start in range(0, len(data), 200):
            if not wire.closed:
                connection.data_received(data[start : start + 200])
        connection.connection_lost(None)
        assert server.under_way == server.held == 0

    seeds = [HEADS[0] + b"\r\n\r\n" + b"x" * 120 + HEADS[0] + b"\r\n\r\n", HEADS[1] + b"\r\n\r\n" + CHUNKS[0]]
    fuzz("HTTP connections", parse, seeds, (), WORDS)


class _Behind:
    """What is behind a hop: nothing is ever asked of it in vain."""

    own_key = OWN
    available = True

    def problem(self, _now_ms: int) -> str:
        return ""

    async def handle(self, _call: int, _body: bytes) -> Reply:
        return Reply(200, b"{}")

    async def relay(self, _route: object) -> Reply:
        return Reply(200, b"")

    def forward(self, destination: bytes, layer: bytes) -> Reply:
        assert len(destination) == 32
        OnionLayer.FromString(layer)
        return Reply(200, b"")


def layers() -> Layers:
    behind: Any = _Behind()
    # Ever the same ciphertext comes here; only what is decrypted from it differs.
    filter_: Any = ReplayFilter(60, 2)
    filter_.seen = lambda _mark: False
    key = LayerKey.from_ed25519_seed(SEED)
    return Layers(key, behind, filter_, mailbox=behind, peers=behind, servers=behind, clock=ManualClock())


def check(answer: Any) -> None:
    if isinstance(answer, Reply):
        assert 200 <= answer.status < 600
    else:
        answer.close()


def packet(plaintext: bytes) -> bytes:
    ephemeral, key = agree_as_client(Encryption.AES_GCM, ed25519_to_x25519(OWN))
    return framing.encode(key.seal(plaintext), {"ephemeral_key": ephemeral.hex(), "enc_type": "aes-gcm", "hop_no": 1})


def test_packets_from_clients(fuzz: Callable[..., None]) -> None:
    hop = layers()
    seeds = [packet(framing.encode(b"{}", {"headers": ""})), packet(b"")]
    fuzz("onion packets", lambda data: check(hop.packet(data)), seeds, (), [b'"hop_no":15', b'"enc_type":"cbc"'])


def test_frames_from_nodes(fuzz: Callable[..., None]) -> None:
    hop = layers()
    layer = OnionLayer(ciphertext=b"x" * 40, ephemeral_key=b"k" * 32, encryption="xchacha20", hop=3)
    fuzz("onion frames", lambda data: check(hop.layer(LAYER, data)), [layer.SerializeToString()], ())


def test_decrypted_layers(fuzz: Callable[..., None]) -> None:
    """What a client with the right key may put inside."""
    hop = layers()
    hop._key = _OpenKey()  # type: ignore[assignment]  # the fuzzer cannot encrypt at this speed
    frame = {"ephemeral_key": "11" * 32, "enc_type": "aes-gcm"}

    def parse(data: bytes) -> None:
        check(hop.packet(framing.encode(data, frame)))

    seeds = [
        framing.encode(b"{}", {"headers": "", "json": True, "base64": False}),
        framing.encode(b"x", {"host": "a.example", "target": "/oxen/v4/lsrpc", "port": 80, "protocol": "http"}),
        framing.encode(b"x", frame | {"destination": "22" * 32}),
        framing.encode(b"x", frame | {"destination": OWN.hex()}),
    ]
    fuzz("decrypted layers", parse, seeds, (), [b'"headers"', b'"host"', b'"destination"', OWN.hex().encode()])


class _OpenKey:
    """A layer key under which everything is its own plaintext."""

    def open(self, _encryption: object, _ephemeral: bytes, ciphertext: bytes) -> tuple[bytes, Any]:
        return ciphertext, self

    def seal(self, plaintext: bytes, _random: object = None) -> bytes:
        return plaintext


class _NoList:
    directory = None


def test_seed_calls(fuzz: Callable[..., None]) -> None:
    network: Any = _NoList()
    seed = Seed(network)
    head = Head("POST", "/json_rpc", {}, 0, keep_alive=True)

    def parse(data: bytes) -> None:
        answer = seed.answer(Request(head, data))
        assert answer.status == 200
        assert orjson.loads(answer.body)["error"]

    call = {"jsonrpc": "2.0", "id": 1, "method": "get_service_nodes", "params": {"fields": ["all"], "limit": 5}}
    fuzz("seed calls", parse, [orjson.dumps(call)], (), [b'"method"', b'"id":'])
