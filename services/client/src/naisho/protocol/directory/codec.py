"""Directory documents to bytes and back, within bounds (docs/adr/0008).

Decoding checks form alone; that a document may be believed is ``verification``'s business.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from naisho.protocol import ring
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import places
from naisho.protocol.directory.errors import MalformedDirectory
from naisho.protocol.directory.model import VALIDITY_MS, Directory, Endpoint, Node, NodeState, Transport
from naisho.protocol.directory.signatures import Signature
from naisho.protocol.errors import ProtocolError
from naisho.protocol.grade import Grade
from naisho.protocol.network_file import NETWORK_ID
from naisho.wire.directory.v1 import directory_pb2 as wire

#: A signed directory fits in one message of the event log (1 MiB, headers included).
MAX_BYTES: Final = 1_000_000
MAX_NODES: Final = 1024
MAX_ENDPOINTS: Final = 8
MAX_CERTIFICATE: Final = 1024
MAX_SIGNATURES: Final = 16
KEY: Final = 32
SIGNATURE: Final = 64
MAX_INTEGER: Final = 2**53 - 1  # what every JSON reader keeps exact

FAMILY: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
MACHINE: Final = re.compile(r"[A-Za-z0-9._-]{0,64}", re.ASCII)
VERSION: Final = re.compile(r"(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})", re.ASCII)
MAX_VERSION_PART: Final = 255  # one byte each in the binary node list (wire 2.4)

_M = TypeVar("_M", bound=Message)


def parse(kind: type[_M], data: bytes, *, what: str, most: int = MAX_BYTES) -> _M:
    """Parse a protobuf message of bounded size.

    Raises:
        MalformedDirectory: too long, or no such message.
    """
    if len(data) > most:
        raise MalformedDirectory(f"{what} has {len(data)} bytes; at most {most} are accepted")
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise MalformedDirectory(f"{what} cannot be parsed") from None
    return message


def require(condition: object, complaint: str) -> None:
    """Refuse a document.

    Raises:
        MalformedDirectory: the condition does not hold.
    """
    if not condition:
        raise MalformedDirectory(complaint)


def decode_signatures(signatures: Iterable[wire.Signature]) -> list[Signature]:
    """Read signatures; at most 16, each of the right lengths."""
    found = [Signature(each.key, each.signature) for each in signatures]
    require(len(found) <= MAX_SIGNATURES, f"more than {MAX_SIGNATURES} signatures")
    require(all(len(s.key) == KEY and len(s.signature) == SIGNATURE for s in found), "a signature has a wrong length")
    return found


def decode(document: bytes, *, signed: bytes = b"") -> Directory:
    """Read a directory document.

    Args:
        document: the serialised ``Directory`` message.
        signed: the signed bytes around it, kept verbatim in the result.

    Raises:
        MalformedDirectory: it breaks a rule of form or a bound; the text says which.
    """
    message = parse(wire.Directory, document, what="the directory")
    require(NETWORK_ID.fullmatch(message.network_id), "the network id is no lower-case token of 2 to 32 characters")
    require(message.grade in {grade.value for grade in Grade}, "the grade is unknown")
    require(0 < message.epoch <= MAX_INTEGER, "the epoch is out of range")
    require(0 < message.issued_ms <= MAX_INTEGER, "the time of issue is out of range")
    life = message.expires_ms - message.issued_ms
    require(0 < life <= VALIDITY_MS, "the validity is not between 0 and 7 days")
    require(len(message.previous) in {0, hashlib.sha256().digest_size}, "the hash of the document before is no SHA-256")
    require(len(message.nodes) <= MAX_NODES, f"more than {MAX_NODES} nodes")
    nodes = tuple(decode_node(node) for node in message.nodes)
    keys = [node.key for node in nodes]
    require(all(a < b for a, b in itertools.pairwise(keys)), "nodes are not in ascending order of key")
    require(len({node.x25519 for node in nodes}) == len(nodes), "two nodes share an X25519 key")
    contacts = [node.endpoint(Transport.HTTPS) for node in nodes]
    require(len(set(contacts)) == len(contacts), "two nodes share an HTTPS endpoint")
    return Directory(
        network_id=message.network_id,
        grade=Grade(message.grade),
        epoch=message.epoch,
        issued_ms=message.issued_ms,
        expires_ms=message.expires_ms,
        previous=message.previous,
        nodes=nodes,
        simulated=message.simulated,
        digest=hashlib.sha256(document).digest(),
        signed=signed,
    )


def decode_node(message: wire.Node, *, announced: bool = False) -> Node:
    """Read one node.

    Args:
        message: the node's message.
        announced: it stands in the node's own announcement, where state and swarms are empty; reads as joining.

    Raises:
        MalformedDirectory: it breaks a rule of form or a bound.
    """
    require(len(message.key) == KEY, "a node's key is not 32 bytes")
    try:
        x25519 = ed25519_to_x25519(message.key)
    except ProtocolError:
        raise MalformedDirectory("a node's key is no Ed25519 key") from None
    require(len(message.endpoints) <= MAX_ENDPOINTS, f"a node has more than {MAX_ENDPOINTS} endpoints")
    endpoints = tuple(_endpoint(endpoint) for endpoint in message.endpoints)
    require(any(e.transport is Transport.HTTPS for e in endpoints), "a node has no HTTPS endpoint")
    require(FAMILY.fullmatch(message.family), "a family is not 1 to 32 of a-z, 0-9 and inner hyphens")
    require(COUNTRY.fullmatch(message.country), "a country is not two capital letters")
    require(MACHINE.fullmatch(message.machine), "a machine's name is not up to 64 letters, digits, dots, hyphens")
    require(0 < len(message.certificate) <= MAX_CERTIFICATE, f"a certificate is not 1 to {MAX_CERTIFICATE} bytes")
    require(len(message.certificate_signature) == SIGNATURE, "a certificate's signature is not 64 bytes")
    state = NodeState.JOINING
    if announced:
        require(not (message.state or message.swarm_id or message.next_swarm_id), "a node announces its own state")
    else:
        require(message.state in {state.value for state in NodeState}, "a node's state is unknown")
        state = NodeState(message.state)
    swarm_id, next_swarm_id = _swarm(message.swarm_id), _swarm(message.next_swarm_id)
    require(
        swarm_id == ring.INVALID_SWARM or state is not NodeState.JOINING,
        "a joining node is a member of a swarm already",
    )
    return Node(
        key=message.key,
        x25519=x25519,
        endpoints=endpoints,
        family=message.family,
        country=message.country,
        version=_version(message.version),
        state=state,
        swarm_id=swarm_id,
        next_swarm_id=next_swarm_id,
        certificate=message.certificate,
        certificate_signature=message.certificate_signature,
        machine=message.machine,
    )


def encode(directory: Directory) -> bytes:
    """Return the document of a directory; ``digest`` and ``signed`` do not enter."""
    return wire.Directory(
        network_id=directory.network_id,
        grade=wire.Grade.ValueType(directory.grade),
        epoch=directory.epoch,
        issued_ms=directory.issued_ms,
        expires_ms=directory.expires_ms,
        previous=directory.previous,
        nodes=[encode_node(node) for node in sorted(directory.nodes, key=lambda node: node.key)],
        simulated=directory.simulated,
    ).SerializeToString(deterministic=True)


def encode_node(node: Node, *, announced: bool = False) -> wire.Node:
    """Return a node's message; in an announcement state and swarms stay empty."""
    message = wire.Node(
        key=node.key,
        endpoints=[
            wire.Endpoint(transport=wire.Transport.ValueType(e.transport.value), host=e.host, port=e.port)
            for e in node.endpoints
        ],
        family=node.family,
        country=node.country,
        version=".".join(map(str, node.version)),
        certificate=node.certificate,
        machine=node.machine,
        certificate_signature=node.certificate_signature,
    )
    if not announced:
        message.state = wire.NodeState.ValueType(node.state.value)
        message.swarm_id = 0 if node.swarm_id == ring.INVALID_SWARM else node.swarm_id
        message.next_swarm_id = 0 if node.next_swarm_id == ring.INVALID_SWARM else node.next_swarm_id
    return message


def _endpoint(message: wire.Endpoint) -> Endpoint:
    require(message.transport in {transport.value for transport in Transport}, "an endpoint's transport is unknown")
    require(places.is_host(message.host), "an endpoint's host is neither an IP address nor a DNS name")
    require(0 < message.port < 2**16, "an endpoint's port is out of range")
    return Endpoint(Transport(message.transport), message.host, message.port)


def _version(text: str) -> tuple[int, int, int]:
    match = VERSION.fullmatch(text)
    require(match, "a version is not major.minor.patch")
    assert match is not None
    major, minor, patch = (int(part) for part in match.groups())
    require(max(major, minor, patch) <= MAX_VERSION_PART, "a part of a version is above 255")
    return major, minor, patch


def _swarm(swarm_id: int) -> int:
    """Read a swarm id: 0 is none, all others are (2j+1) * 2^56 - 1 (docs/adr/0008)."""
    if swarm_id == 0:
        return ring.INVALID_SWARM
    require(swarm_id % 2**57 == 2**56 - 1, "a swarm id lies off the ring's grid")
    return swarm_id
