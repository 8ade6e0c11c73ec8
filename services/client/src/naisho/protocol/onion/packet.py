"""The packet that a client sends along a path, and how it reads the reply (wire 5.5)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.errors import BadKey, BadReply, Undecryptable
from naisho.protocol.limits import MAX_ONION_BYTES
from naisho.protocol.onion import framing, v4
from naisho.protocol.onion.encryption import ChannelKey, Encryption, agree_as_client
from naisho.protocol.onion.reply import NodeReply, open_reply
from naisho.protocol.onion.routing import DEFAULT_PORT, ServerProtocol
from naisho.protocol.randomness import Randomness

SERVER_TARGET: Final = "/oxen/v4/lsrpc"


class HopKey(NamedTuple):
    """A node's two public keys, 32 bytes each; keep it beside the node, converting is the dear part."""

    ed25519: bytes
    x25519: bytes

    @classmethod
    def from_ed25519(cls, key: bytes) -> HopKey:
        """Convert a listed node's key.

        Raises:
            BadKey: no such key.
        """
        return cls(key, ed25519_to_x25519(key))


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """A server outside the network."""

    host: str
    #: 32 bytes.
    x25519: bytes
    protocol: ServerProtocol = "https"
    port: int = DEFAULT_PORT


@dataclass(frozen=True, slots=True, repr=False)
class NodePacket:
    """A request to a node: the body for the first hop, and the way to read the reply."""

    data: bytes
    _key: ChannelKey

    def read(self, body: bytes) -> NodeReply:
        """Read the body of the first hop's answer with HTTP status 200.

        Raises:
            BadReply: not made by the destination.
        """
        return open_reply(self._key, body, base64=True)


@dataclass(frozen=True, slots=True, repr=False)
class ServerPacket:
    """A request to a server: the body for the first hop, and the way to read the reply."""

    data: bytes
    _key: ChannelKey

    def read(self, body: bytes) -> v4.Response:
        """Read the body of the first hop's answer with HTTP status 200.

        Raises:
            BadReply: not made by the server.
            BadServerPayload: decrypted, but no v4 response.
        """
        if len(body) > MAX_ONION_BYTES:
            raise BadReply("a reply is longer than 10 MiB")
        try:
            return v4.decode_response(self._key.open(body))
        except Undecryptable:
            raise BadReply("a reply cannot be decrypted") from None


def to_node(
    path: Sequence[HopKey],
    method: str,
    params: Mapping[str, Any],
    *,
    encryption: Encryption = Encryption.XCHACHA20,
    random: Randomness = os.urandom,
) -> NodePacket:
    """Wrap a storage RPC request for the last node of a path.

    Args:
        path: first hop to destination; three hops and a destination as a rule, at least the destination.
        method: storage RPC method.
        params: its parameters; JSON values.
        encryption: of every layer.
        random: source of ephemeral secrets and nonces; innermost layer first, secret before nonce.

    Raises:
        BadKey: the path is empty or a key in it is none.
    """
    if not path:
        raise BadKey("a path has at least one node")
    request = orjson.dumps({"method": method, "params": params})
    plaintext = framing.encode(request, {"headers": ""})
    layer, key = _seal_for(path[-1].x25519, plaintext, encryption, random)
    return NodePacket(_through(path, layer, encryption, random), key)


def to_server(
    path: Sequence[HopKey],
    server: Server,
    payload: bytes,
    *,
    encryption: Encryption = Encryption.XCHACHA20,
    random: Randomness = os.urandom,
) -> ServerPacket:
    """Wrap a v4 payload for a server behind the last node of a path (wire 5.6).

    Arguments as for ``to_node``; ``payload`` is what ``v4.encode_request`` returns.

    Raises:
        BadKey: the path is empty or a key in it, or the server's, is none.
    """
    if not path:
        raise BadKey("a path has at least one node")
    sealed, key = _seal_for(server.x25519, payload, encryption, random)
    place: dict[str, Any] = {"host": server.host, "target": SERVER_TARGET, "method": "POST"}
    if (server.protocol, server.port) != ("https", DEFAULT_PORT):
        place |= {"protocol": server.protocol, "port": server.port}
    plaintext = framing.encode(sealed.blob, place | sealed.beside)
    layer, _ = _seal_for(path[-1].x25519, plaintext, encryption, random)
    return ServerPacket(_through(path, layer, encryption, random), key)


class _Sealed(NamedTuple):
    blob: bytes
    #: The JSON members that its receiver needs to open it.
    beside: dict[str, str]


def _seal_for(
    public: bytes, plaintext: bytes, encryption: Encryption, random: Randomness
) -> tuple[_Sealed, ChannelKey]:
    ephemeral, key = agree_as_client(encryption, public, random)
    return _Sealed(key.seal(plaintext, random), {"ephemeral_key": ephemeral.hex(), "enc_type": encryption.value}), key


def _through(path: Sequence[HopKey], layer: _Sealed, encryption: Encryption, random: Randomness) -> bytes:
    """Wrap the last node's layer for every node before it; return the packet for the first."""
    for hop, after in zip(reversed(path[:-1]), reversed(path[1:]), strict=True):
        plaintext = framing.encode(layer.blob, {"destination": after.ed25519.hex()} | layer.beside)
        layer, _ = _seal_for(hop.x25519, plaintext, encryption, random)
    return framing.encode(layer.blob, layer.beside)
