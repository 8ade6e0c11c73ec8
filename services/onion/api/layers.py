"""What this node does with an onion layer: opens it, once, and answers, forwards or relays (wire 5.3, 5.4)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from google.protobuf.message import DecodeError

from naisho.protocol.errors import BadEncoding, OnionError, TooManyHops
from naisho.protocol.limits import MAX_HOPS
from naisho.protocol.onion import framing
from naisho.protocol.onion.encryption import KEY_BYTES, ChannelKey, Encryption, LayerKey
from naisho.protocol.onion.reply import encode_reply, seal_reply
from naisho.protocol.onion.routing import Final as Destination
from naisho.protocol.onion.routing import ToNode, ToServer, decode_route
from naisho.wire.node.v1.node_pb2 import MAILBOX_CALL_ONION, OnionLayer
from services.chassis.clock import Clock
from services.chassis.packed import Reply
from services.onion.api.ports import Mailbox, Peers, Servers
from services.onion.domain import answers
from services.onion.domain.network import Network
from services.onion.domain.relay import RelayRefused
from services.onion.domain.replay import ReplayFilter

#: Code of a frame that carries an ``OnionLayer``.
LAYER: Final = 1

_INVALID: Final = Reply(400, answers.INVALID_CIPHERTEXT)


class Layers:
    """The onion roles of one node: entry, middle, exit and destination.

    A layer that was seen before gets the answer of one that does not open: whoever plays it learns nothing, not even
    that this node knows it.
    """

    def __init__(
        self,
        key: LayerKey,
        network: Network,
        replays: ReplayFilter,
        *,
        mailbox: Mailbox,
        peers: Peers,
        servers: Servers,
        clock: Clock,
    ) -> None:
        self._key = key
        self._network = network
        self._replays = replays
        self._mailbox = mailbox
        self._peers = peers
        self._servers = servers
        self._clock = clock
        self._not_ready = Reply(503, answers.hop_not_ready(network.own_key))

    def packet(self, body: bytes) -> Reply | Awaitable[Reply]:
        """Take the outermost layer, as clients send it over HTTPS."""
        if self._network.problem(self._clock.now_ms()):
            return self._not_ready
        try:
            outer = framing.decode_outer(body)
        except OnionError as error:
            return Reply(error.status, error.text.encode())
        return self._open(outer.encryption, outer.ephemeral_key, outer.blob, outer.hop)

    def layer(self, code: int, body: bytes) -> Reply | Awaitable[Reply]:
        """Take a layer from another node: a frame of ``HopService``."""
        if code != LAYER:
            return Reply(400, b"Error parsing onion request: unknown code")
        if self._network.problem(self._clock.now_ms()):
            return self._not_ready
        try:
            layer = OnionLayer.FromString(body)
            encryption = Encryption.parse(layer.encryption)
        except (DecodeError, BadEncoding):
            return Reply(400, b"Error parsing onion request: no onion layer")
        if len(layer.ephemeral_key) != KEY_BYTES:
            return Reply(400, b"Error parsing onion request: ephemeral_key must have 32 bytes")
        if layer.hop > MAX_HOPS:
            return _plain(TooManyHops())
        return self._open(encryption, layer.ephemeral_key, layer.ciphertext, layer.hop)

    def _open(
        self, encryption: Encryption, ephemeral_key: bytes, ciphertext: bytes, hop: int
    ) -> Reply | Awaitable[Reply]:
        mark = self._replays.mark(ephemeral_key, ciphertext)
        if self._replays.seen(mark):
            return _INVALID
        try:
            plaintext, key = self._key.open(encryption, ephemeral_key, ciphertext)
        except OnionError as error:
            return _plain(error)
        self._replays.add(mark, self._clock.monotonic())
        try:
            route = decode_route(plaintext)
        except OnionError as error:
            return _sealed(key, error.status, error.text)
        if isinstance(route, ToNode):
            return self._forward(route, hop + 1)
        if isinstance(route, Destination):
            return self._deliver(route, key) if self._mailbox.available else self._not_ready
        return self._relay(route, key)

    def _forward(self, route: ToNode, hop: int) -> Reply | Awaitable[Reply]:
        if hop > MAX_HOPS:
            return _plain(TooManyHops())
        if route.destination == self._network.own_key:
            return self._open(route.encryption, route.ephemeral_key, route.blob, hop)
        layer = OnionLayer(
            ciphertext=route.blob, ephemeral_key=route.ephemeral_key, encryption=route.encryption.value, hop=hop
        )
        return self._peers.forward(route.destination, layer.SerializeToString())

    async def _deliver(self, route: Destination, key: ChannelKey) -> Reply:
        reply = await self._mailbox.handle(MAILBOX_CALL_ONION, route.blob)
        plaintext = encode_reply(reply.status, reply.body, binary=reply.binary, json=route.json)
        return Reply(200, seal_reply(key, plaintext, base64=route.base64), binary=not route.base64)

    async def _relay(self, route: ToServer, key: ChannelKey) -> Reply:
        try:
            return await self._servers.relay(route)
        except RelayRefused as refusal:
            return _sealed(key, 403, refusal.text)


def _plain(error: OnionError) -> Reply:
    return Reply(error.status, error.text.encode())


def _sealed(key: ChannelKey, status: int, text: str) -> Reply:
    return Reply(200, seal_reply(key, encode_reply(status, text.encode()), base64=True))
