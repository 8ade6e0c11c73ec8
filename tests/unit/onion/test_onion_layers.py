"""Every answer of a hop, byte-exact (wire 5.3, 5.4, 5.7), without a network."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.onion import framing
from naisho.protocol.onion.encryption import ChannelKey, Encryption, LayerKey, agree_as_client
from naisho.protocol.onion.reply import NodeReply, open_reply
from naisho.protocol.onion.routing import ToServer
from naisho.protocol.signing import SigningKey
from naisho.wire.node.v1.node_pb2 import MAILBOX_CALL_ONION, OnionLayer
from services.chassis.clock import ManualClock
from services.chassis.packed import Reply
from services.onion.api.layers import LAYER, Layers
from services.onion.domain.relay import RelayRefused
from services.onion.domain.replay import ReplayFilter

SEED = b"\x07" * 32
OWN = SigningKey(SEED).public
OWN_X25519 = ed25519_to_x25519(OWN)
OTHER = SigningKey(b"\x08" * 32).public
GCM, XCHACHA = Encryption.AES_GCM, Encryption.XCHACHA20


@dataclass
class World:
    """Everything behind a node, played by the test."""

    own_key: bytes = OWN
    trouble: str = ""
    available: bool = True
    mail: Reply = field(default_factory=lambda: Reply(200, b'{"a":1}'))
    calls: list[tuple[int, bytes]] = field(default_factory=list)
    forwarded: list[tuple[bytes, OnionLayer]] = field(default_factory=list)
    relayed: list[ToServer] = field(default_factory=list)
    refusal: RelayRefused | None = None

    def problem(self, _now_ms: int) -> str:
        return self.trouble

    async def handle(self, call: int, body: bytes) -> Reply:
        self.calls.append((call, body))
        return self.mail

    def watch_directory(self) -> AsyncIterator[bytes]:
        raise AssertionError("no layer asks for this")

    async def report_peers(self, reports: Sequence[tuple[bytes, bool]]) -> None:
        raise AssertionError(f"no layer reports {reports}")

    def forward(self, destination: bytes, layer: bytes) -> Reply | Awaitable[Reply]:
        self.forwarded.append((destination, OnionLayer.FromString(layer)))
        return Reply(200, b"from the next node")

    async def relay(self, route: ToServer) -> Reply:
        self.relayed.append(route)
        if self.refusal is not None:
            raise self.refusal
        return Reply(200, b"from the server", binary=True)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def layers(world: World) -> Layers:
    node: Any = world
    clock = ManualClock()
    key = LayerKey.from_ed25519_seed(SEED)
    return Layers(key, node, ReplayFilter(60, 100), mailbox=node, peers=node, servers=node, clock=clock)


def packet(plaintext: bytes, encryption: Encryption = GCM, **header: Any) -> tuple[bytes, ChannelKey]:
    """Return a packet for this node and the key of its reply."""
    ephemeral, key = agree_as_client(encryption, OWN_X25519)
    return framing.encode(
        key.seal(plaintext), {"ephemeral_key": ephemeral.hex(), "enc_type": encryption.value} | header
    ), key


async def ask(layers: Layers, data: bytes) -> Reply:
    reply = layers.packet(data)
    return await reply if inspect.isawaitable(reply) else reply


async def ask_sealed(layers: Layers, plaintext: bytes, **options: Any) -> NodeReply:
    data, key = packet(plaintext, **options)
    reply = await ask(layers, data)
    assert reply.status == 200
    return open_reply(key, reply.body, base64=not reply.binary)


@pytest.mark.parametrize("encryption", list(Encryption))
async def test_a_request_for_this_node_goes_to_its_mailboxes(
    layers: Layers, world: World, encryption: Encryption
) -> None:
    reply = await ask_sealed(layers, framing.encode(b'{"method":"info"}', {"headers": ""}), encryption=encryption)
    assert reply == NodeReply(200, '{"a":1}')
    assert world.calls == [(MAILBOX_CALL_ONION, b'{"method":"info"}')]


async def test_json_and_raw_replies(layers: Layers) -> None:
    reply = await ask_sealed(layers, framing.encode(b"{}", {"headers": "", "json": True}))
    assert reply == NodeReply(200, {"a": 1})
    data, key = packet(framing.encode(b"{}", {"headers": "", "base64": False}))
    raw = await ask(layers, data)
    assert raw.binary
    assert orjson.loads(key.open(raw.body)) == {"status": 200, "body": '{"a":1}'}


@pytest.mark.parametrize("mail", [Reply(406, b"clock"), Reply(421, b'{"snodes":[]}'), Reply(401, b"who?")])
async def test_errors_of_the_mailboxes_stay_inside_the_encryption(layers: Layers, world: World, mail: Reply) -> None:
    world.mail = mail
    assert await ask_sealed(layers, framing.encode(b"{}", {"headers": ""})) == NodeReply(
        mail.status, mail.body.decode()
    )


async def test_not_ready(layers: Layers, world: World) -> None:
    data, _ = packet(framing.encode(b"{}", {"headers": ""}))
    text = b"Snode not ready: " + OWN.hex().encode()
    world.available = False
    assert await ask(layers, data) == Reply(503, text)
    world.trouble = "no directory"
    assert await ask(layers, b"whatever") == Reply(503, text)
    assert layers.layer(LAYER, b"whatever") == Reply(503, text)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "unexpected payload size"),
        (b"\x01\x00", "unexpected payload size"),
        (b"\xff\xff\xff\xff{}", "unexpected payload size"),
        (b"\x01\x00\x00\x00x", "invalid json"),
        (b"\x01\x00\x00\x00x[]", "json part is no object"),
        (b"\x01\x00\x00\x00x{}", "ephemeral_key missing"),
        (b'\x01\x00\x00\x00x{"ephemeral_key":"00"}', "ephemeral_key must be 64 hex digits"),
    ],
)
async def test_an_outer_layer_that_cannot_be_read(layers: Layers, data: bytes, detail: str) -> None:
    assert await ask(layers, data) == Reply(400, f"Error parsing onion request: {detail}".encode())


@pytest.mark.parametrize("encryption", list(Encryption))
async def test_truncated_and_changed_ciphertexts(layers: Layers, world: World, encryption: Encryption) -> None:
    ephemeral, key = agree_as_client(encryption, OWN_X25519)
    sealed = key.seal(framing.encode(b"{}", {"headers": ""}))
    header = {"ephemeral_key": ephemeral.hex(), "enc_type": encryption.value}
    for length in (0, 1, 11, 12, 15, 16, 27, 28, 31, 39, 40, len(sealed) - 1):
        assert await ask(layers, framing.encode(sealed[:length], header)) == Reply(400, b"Invalid ciphertext")
    if encryption is not Encryption.AES_CBC:
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        assert await ask(layers, framing.encode(changed, header)) == Reply(400, b"Invalid ciphertext")
    assert not world.calls
    assert (await ask(layers, framing.encode(sealed, header))).status == 200


async def test_keys_of_small_order_are_refused(layers: Layers) -> None:
    data = framing.encode(b"x" * 64, {"ephemeral_key": "00" * 32})
    assert await ask(layers, data) == Reply(400, b"Invalid ciphertext")


async def test_a_replay_is_answered_like_a_layer_that_does_not_open(layers: Layers, world: World) -> None:
    data, _ = packet(framing.encode(b"{}", {"headers": ""}))
    assert (await ask(layers, data)).status == 200
    assert await ask(layers, data) == Reply(400, b"Invalid ciphertext")
    assert len(world.calls) == 1
    again = OnionLayer(
        ciphertext=framing.decode(data)[0],
        ephemeral_key=bytes.fromhex(framing.decode(data)[1]["ephemeral_key"]),
        encryption="aes-gcm",
    )
    assert layers.layer(LAYER, again.SerializeToString()) == Reply(400, b"Invalid ciphertext")


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"{}",
        framing.encode(b"x", {}),
        framing.encode(b"x", {"destination": OTHER.hex()}),
        framing.encode(b"x", {"headers": "", "json": "yes"}),
        framing.encode(b"x", {"host": 5, "target": "/oxen/v4/lsrpc"}),
    ],
)
async def test_an_inner_layer_that_cannot_be_read_is_told_to_the_client_alone(layers: Layers, plaintext: bytes) -> None:
    assert await ask_sealed(layers, plaintext) == NodeReply(400, "Invalid json")


@pytest.mark.parametrize(
    "target", ["/other/v4/lsrpc", "/oxen/v4/lsrpc?x", "/oxen/v4/other", "oxen/lsrpc", "/oxen/../lsrpc"]
)
async def test_an_address_that_is_not_allowed_is_told_to_the_client_alone(
    layers: Layers, world: World, target: str
) -> None:
    reply = await ask_sealed(layers, framing.encode(b"x", {"host": "a.example", "target": target}))
    assert reply == NodeReply(400, "Invalid url")
    assert not world.relayed


async def test_a_layer_for_another_node_goes_there(layers: Layers, world: World) -> None:
    header = {"destination": OTHER.hex(), "ephemeral_key": "11" * 32, "enc_type": "xchacha20-poly1305"}
    data, _ = packet(framing.encode(b"blob", header), hop_no=3)
    assert await ask(layers, data) == Reply(200, b"from the next node")
    layer = OnionLayer(ciphertext=b"blob", ephemeral_key=b"\x11" * 32, encryption="xchacha20", hop=4)
    assert world.forwarded == [(OTHER, layer)]


async def test_sixteen_hops_are_too_many(layers: Layers, world: World) -> None:
    refused = Reply(400, b"onion request max path length exceeded")
    plaintext = framing.encode(b"blob", {"destination": OTHER.hex(), "ephemeral_key": "11" * 32})
    assert await ask(layers, packet(plaintext, hop_no=14)[0]) == Reply(200, b"from the next node")
    assert world.forwarded[-1][1].hop == 15
    assert await ask(layers, packet(plaintext, hop_no=15)[0]) == refused
    assert await ask(layers, packet(plaintext, hop_no=16)[0]) == refused
    assert (
        layers.layer(LAYER, OnionLayer(ephemeral_key=b"1" * 32, encryption="gcm", hop=16).SerializeToString())
        == refused
    )
    assert len(world.forwarded) == 1


async def test_a_path_that_loops_through_this_node_ends_at_the_hop_limit(layers: Layers, world: World) -> None:
    def wrap(times: int) -> bytes:
        plaintext = framing.encode(b"{}", {"headers": ""})
        for _ in range(times):
            ephemeral, key = agree_as_client(GCM, OWN_X25519)
            header = {"destination": OWN.hex(), "ephemeral_key": ephemeral.hex()}
            plaintext = framing.encode(key.seal(plaintext), header)
        return packet(plaintext)[0]

    assert (await ask(layers, wrap(15))).status == 200
    assert await ask(layers, wrap(16)) == Reply(400, b"onion request max path length exceeded")
    assert len(world.calls) == 1
    assert not world.forwarded


async def test_relay_to_a_server_passes_its_answer_back_as_it_is(layers: Layers, world: World) -> None:
    plaintext = framing.encode(
        b"payload", {"host": "a.example", "target": "/oxen/v4/lsrpc", "ephemeral_key": "11" * 32}
    )
    data, _ = packet(plaintext, XCHACHA)
    assert await ask(layers, data) == Reply(200, b"from the server", binary=True)
    assert world.relayed[0].plaintext == plaintext


async def test_a_refused_server_is_told_to_the_client_alone(layers: Layers, world: World) -> None:
    world.refusal = RelayRefused("not listed")
    reply = await ask_sealed(layers, framing.encode(b"p", {"host": "a.example", "target": "/oxen/v4/lsrpc"}))
    assert reply == NodeReply(403, "not listed")


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (0, b""),
        (2, b""),
        (LAYER, b"\xff\xff"),
        (LAYER, OnionLayer(ephemeral_key=b"1" * 32, encryption="rot13").SerializeToString()),
        (LAYER, OnionLayer(ephemeral_key=b"1" * 31, encryption="aes-gcm").SerializeToString()),
    ],
)
def test_frames_of_other_nodes_that_cannot_be_read(layers: Layers, code: int, body: bytes) -> None:
    reply = layers.layer(code, body)
    assert isinstance(reply, Reply)
    assert reply.status == 400
    assert reply.body.startswith(b"Error parsing onion request: ")
