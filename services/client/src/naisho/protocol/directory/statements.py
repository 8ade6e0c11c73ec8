"""What nodes say of themselves to the authority: announcements and heartbeats, signed with the node's own key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from naisho.protocol.directory.codec import (
    KEY,
    MAX_BYTES,
    MAX_INTEGER,
    MAX_NODES,
    SIGNATURE,
    decode_node,
    encode_node,
    parse,
    require,
)
from naisho.protocol.directory.errors import BadDirectorySignature, WrongNetwork
from naisho.protocol.directory.model import Node
from naisho.protocol.directory.signatures import Purpose, Signer, certificate_body, is_signed, sign
from naisho.protocol.ring import INVALID_SWARM
from naisho.wire.directory.v1 import directory_pb2 as wire

MAX_ANNOUNCEMENT: Final = MAX_BYTES + 16_384  # a node may hand back the directory it has
MAX_HEARTBEAT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Announcement:
    """A node that wants to be listed."""

    #: As it describes itself; reads as joining, in no swarm.
    node: Node
    #: When it signed, by its own clock.
    time_ms: int
    #: The newest signed directory that it has, not verified; empty if none.
    newest_directory: bytes = b""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A node lives, and this is how far it is."""

    #: 32 bytes, Ed25519.
    key: bytes
    #: By the node's own clock.
    time_ms: int
    #: Its store holds all that the log held of the shards it follows, when it began to follow them.
    caught_up: bool = False
    #: Highest log sequence in its store, and how far behind the log's end that is.
    position: int = 0
    lag: int = 0
    #: Keys of the nodes that it cannot reach at their public addresses, by its latest tests.
    unreachable_peers: frozenset[bytes] = frozenset()
    #: Epoch of the directory that says which shards it follows; 0 before the first.
    epoch: int = 0
    #: The swarm that it is a member of, or will be.
    swarm_id: int = INVALID_SWARM


def announce(node: Node, signer: Signer, *, network_id: str, time_ms: int, newest_directory: bytes = b"") -> bytes:
    """Return a serialised, signed ``Announcement`` of a node whose certificate is signed already."""
    body = encode_node(node, announced=True).SerializeToString(deterministic=True)
    signature = sign(signer, Purpose.ANNOUNCEMENT, network_id, _announcement_body(time_ms, body))
    message = wire.Announcement(
        network_id=network_id, node=body, time_ms=time_ms, signature=signature, newest_directory=newest_directory
    )
    return message.SerializeToString(deterministic=True)


def read_announcement(data: bytes, *, network_id: str) -> Announcement:
    """Read and verify an announcement.

    Raises:
        MalformedDirectory: it breaks a rule of form or a bound.
        WrongNetwork: it names another network.
        BadDirectorySignature: the node's key has not signed it, or not its certificate.
    """
    message = parse(wire.Announcement, data, what="the announcement", most=MAX_ANNOUNCEMENT)
    if message.network_id != network_id:
        raise WrongNetwork("the announcement is for another network")
    require(0 < message.time_ms <= MAX_INTEGER, "the time of the announcement is out of range")
    node = decode_node(parse(wire.Node, message.node, what="the announced node"), announced=True)
    body = _announcement_body(message.time_ms, message.node)
    if not is_signed(node.key, message.signature, Purpose.ANNOUNCEMENT, network_id, body):
        raise BadDirectorySignature("the announcement is not signed by the node's key")
    fingerprint = certificate_body(node.certificate)
    if not is_signed(node.key, node.certificate_signature, Purpose.CERTIFICATE, network_id, fingerprint):
        raise BadDirectorySignature("the certificate is not signed by the node's key")
    return Announcement(node, message.time_ms, message.newest_directory)


def sign_certificate(certificate: bytes, signer: Signer, *, network_id: str) -> bytes:
    """Return the node's signature over its certificate (DER), 64 bytes."""
    return sign(signer, Purpose.CERTIFICATE, network_id, certificate_body(certificate))


def sign_heartbeat(heartbeat: Heartbeat, signer: Signer, *, network_id: str) -> bytes:
    """Return a serialised ``SignedHeartbeat``."""
    body = wire.Heartbeat(
        key=heartbeat.key,
        time_ms=heartbeat.time_ms,
        caught_up=heartbeat.caught_up,
        position=heartbeat.position,
        lag=heartbeat.lag,
        unreachable_peers=sorted(heartbeat.unreachable_peers),
        epoch=heartbeat.epoch,
        swarm_id=0 if heartbeat.swarm_id == INVALID_SWARM else heartbeat.swarm_id,
    ).SerializeToString(deterministic=True)
    signature = sign(signer, Purpose.HEARTBEAT, network_id, body)
    return wire.SignedHeartbeat(heartbeat=body, signature=signature).SerializeToString(deterministic=True)


def read_heartbeat(data: bytes, *, network_id: str) -> Heartbeat:
    """Read and verify a heartbeat.

    Raises:
        MalformedDirectory: it breaks a rule of form or a bound.
        BadDirectorySignature: the key that it names has not signed it.
    """
    signed = parse(wire.SignedHeartbeat, data, what="the heartbeat", most=MAX_HEARTBEAT)
    body = parse(wire.Heartbeat, signed.heartbeat, what="the heartbeat")
    require(len(body.key) == KEY and len(signed.signature) == SIGNATURE, "a key or signature has a wrong length")
    require(0 < body.time_ms <= MAX_INTEGER, "the time of the heartbeat is out of range")
    require(max(body.epoch, body.position, body.lag) <= MAX_INTEGER, "a number of the heartbeat is out of range")
    peers = body.unreachable_peers
    require(len(peers) <= MAX_NODES and all(len(peer) == KEY for peer in peers), "the list of peers breaks its rules")
    if not is_signed(body.key, signed.signature, Purpose.HEARTBEAT, network_id, signed.heartbeat):
        raise BadDirectorySignature("the heartbeat is not signed by the node's key")
    return Heartbeat(
        key=body.key,
        time_ms=body.time_ms,
        caught_up=body.caught_up,
        position=body.position,
        lag=body.lag,
        unreachable_peers=frozenset(peers),
        epoch=body.epoch,
        swarm_id=body.swarm_id or INVALID_SWARM,
    )


def _announcement_body(time_ms: int, node: bytes) -> bytes:
    return b"%d\0%b" % (time_ms, node)
