"""Where a decrypted layer goes next (wire 5.3, steps 3 and 4)."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from naisho.protocol.encoding import from_hex
from naisho.protocol.errors import BadEncoding, BadFrame, BadInnerLayer, BadUrl
from naisho.protocol.onion.encryption import KEY_BYTES, UNNAMED, Encryption
from naisho.protocol.onion.framing import decode

ServerProtocol: TypeAlias = Literal["http", "https"]

DEFAULT_PORT: typing.Final = 443

_MAX_PORT: typing.Final = 65_535
_MAX_HOST: typing.Final = 253
_MAX_TARGET: typing.Final = 1024
#: Names, IPv4 and bracketed IPv6: nothing that could end the host part of a URL.
_HOST: typing.Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
#: The wire wants the two ends and no question mark; the rest is ours: no fragment, escape or step upwards either.
_TARGET: typing.Final = re.compile(r"/(?:loki|oxen)/(?:[A-Za-z0-9_-]+/)*lsrpc")


@dataclass(frozen=True, slots=True, repr=False)
class Final:
    """This node is the destination."""

    #: JSON text of the request, ``{"method": ..., "params": ...}``; not parsed yet.
    blob: bytes
    #: The reply's body is to be a JSON value instead of text.
    json: bool = False
    #: The reply is to be base64.
    base64: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class ToServer:
    """The whole plaintext goes to a server outside the network, by POST."""

    host: str
    target: str
    port: int
    protocol: ServerProtocol
    plaintext: bytes

    @property
    def url(self) -> str:
        """``protocol://host:port/target``."""
        return f"{self.protocol}://{self.host}:{self.port}{self.target}"


@dataclass(frozen=True, slots=True, repr=False)
class ToNode:
    """The blob is the layer of another node."""

    #: The node's Ed25519 key, 32 bytes.
    destination: bytes
    #: 32 bytes.
    ephemeral_key: bytes
    encryption: Encryption
    blob: bytes


Route: TypeAlias = Final | ToServer | ToNode


def decode_route(plaintext: bytes) -> Route:
    """Read a decrypted layer; members of its JSON decide, in the order ``headers``, ``host``, anything else.

    Raises:
        BadInnerLayer: framing or JSON cannot be read, or a member is missing or of the wrong type.
        BadUrl: a server's address is not allowed.
    """
    try:
        blob, header = decode(plaintext)
        if "headers" in header:
            return Final(blob, json=_flag(header, "json", default=False), base64=_flag(header, "base64", default=True))
        if "host" in header:
            return _to_server(header, plaintext)
        return ToNode(
            from_hex(header.get("destination"), KEY_BYTES),
            from_hex(header.get("ephemeral_key"), KEY_BYTES),
            Encryption.parse(header.get("enc_type", UNNAMED)),
            blob,
        )
    except (BadFrame, BadEncoding):
        raise BadInnerLayer from None


def target_allowed(target: str) -> bool:
    """Say whether a path on a server may be asked for."""
    return len(target) <= _MAX_TARGET and _TARGET.fullmatch(target) is not None


def _to_server(header: dict[str, Any], plaintext: bytes) -> ToServer:
    host, target = header["host"], header.get("target")
    port, protocol = header.get("port", DEFAULT_PORT), header.get("protocol", "https")
    if not (isinstance(host, str) and isinstance(target, str) and isinstance(protocol, str)):
        raise BadInnerLayer
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= _MAX_PORT:
        raise BadInnerLayer
    if protocol not in ("http", "https") or not target_allowed(target):
        raise BadUrl
    if len(host) > _MAX_HOST or not _HOST.fullmatch(host):
        raise BadUrl
    return ToServer(host, target, port, "http" if protocol == "http" else "https", plaintext)


def _flag(header: dict[str, Any], name: str, *, default: bool) -> bool:
    value = header.get(name, default)
    if not isinstance(value, bool):
        raise BadInnerLayer
    return value
