"""The directory as data: who is in the network, where, and in which swarm. Pure; made by ``verification``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final, NamedTuple

from naisho.protocol import ring
from naisho.protocol.directory.places import address_of, network_of
from naisho.protocol.grade import Grade

#: Where nodes and seeds hand out the signed directory: GET, bytes as signed.
DIRECTORY_PATH: Final = "/naisho/directory/v1"

HOUR_MS: Final = 3_600_000
VALIDITY_MS: Final = 7 * 24 * HOUR_MS
#: Signed anew daily and on change; two hours of grace before anybody is warned.
STALE_AFTER_MS: Final = 26 * HOUR_MS


class NodeState(enum.Enum):
    """Where a listed node is in its life; values as on the wire."""

    #: Catching up with its swarm's mailboxes; serves nobody yet.
    JOINING = 1
    ACTIVE = 2
    #: Missed by the authority and by its peers; keeps its place for a while.
    UNREACHABLE = 3
    #: Leaving: still serves what it holds, takes no new part.
    DRAINING = 4


class Transport(enum.Enum):
    """What is spoken at an endpoint; values as on the wire."""

    #: Public HTTPS: ``/storage_rpc/v1``, ``/onion_req/v2``, ``/ping_test/v1``.
    HTTPS = 1
    #: Node to node.
    HOP = 2
    #: The seed's JSON-RPC over plain HTTP.
    SEED = 3


class Freshness(enum.Enum):
    """How old a directory is."""

    FRESH = "fresh"
    #: Older than the daily signature should let it become: usable, but the user is told.
    STALE = "stale"
    #: Must not be used.
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to reach a node."""

    transport: Transport
    #: An IPv4 or IPv6 address or a lower-case DNS name.
    host: str
    #: 1 to 65535.
    port: int


@dataclass(frozen=True)
class Node:
    """One node, as the directory lists it."""

    #: 32 bytes, Ed25519.
    key: bytes
    #: 32 bytes, the key of the onion layers: the conversion of ``key``.
    x25519: bytes
    endpoints: tuple[Endpoint, ...]
    #: Operator family and country (ISO 3166 alpha-2), as the operator declares them; nobody has checked.
    family: str
    country: str
    version: tuple[int, int, int]
    state: NodeState
    #: The swarm whose mailboxes the node serves; ``ring.INVALID_SWARM`` is none.
    swarm_id: int = ring.INVALID_SWARM
    #: The swarm that it is catching up with and will serve next; ``ring.INVALID_SWARM`` is none.
    next_swarm_id: int = ring.INVALID_SWARM
    #: X.509, DER, P-256: who it is to other nodes; and its own signature over that.
    certificate: bytes = b""
    certificate_signature: bytes = b""
    #: The machine that it runs on, by an opaque name; empty if unknown.
    machine: str = ""

    @property
    def listed(self) -> bool:
        """Whether clients are told of the node: it serves a swarm, or lately did and is missed."""
        return self.swarm_id != ring.INVALID_SWARM

    @property
    def planned_swarm_id(self) -> int:
        """The swarm that the node will serve once the placement under way is done; none if it is leaving."""
        if self.state is NodeState.DRAINING:
            return ring.INVALID_SWARM
        return self.swarm_id if self.next_swarm_id == ring.INVALID_SWARM else self.next_swarm_id

    def endpoint(self, transport: Transport, *, ip_version: int | None = None) -> Endpoint | None:
        """Return the first endpoint of a kind, or of a kind on IPv4 or IPv6 only; ``None`` without one."""
        for endpoint in self.endpoints:
            if endpoint.transport is transport:
                address = address_of(endpoint.host)
                if ip_version is None or (address is not None and address.version == ip_version):
                    return endpoint
        return None

    @cached_property
    def networks(self) -> frozenset[str]:
        """The IPv4 /24 and IPv6 /48 networks of its endpoints (path rules)."""
        found = (network_of(endpoint.host) for endpoint in self.endpoints)
        return frozenset(network for network in found if network is not None)


class Followed(NamedTuple):
    """The shards that a node holds, 0 to 255 each, in two parts that it follows apart from each other."""

    #: Those that it serves; of a node that serves none yet, those that it will serve.
    main: frozenset[int]
    #: Those that it will serve besides, once it has caught up with them.
    extra: frozenset[int]

    @property
    def all(self) -> frozenset[int]:
        """Both parts."""
        return self.main | self.extra


@dataclass(frozen=True)
class Directory:
    """A verified directory."""

    network_id: str
    grade: Grade
    epoch: int
    issued_ms: int
    expires_ms: int
    #: SHA-256 of the document before; empty in the first.
    previous: bytes
    #: In ascending order of key.
    nodes: tuple[Node, ...]
    #: Nodes and families stand for others; no real party is behind them.
    simulated: bool = False
    #: SHA-256 of this document.
    digest: bytes = b""
    #: The signed bytes, verbatim, to hand on.
    signed: bytes = field(default=b"", repr=False)

    @cached_property
    def by_key(self) -> Mapping[bytes, Node]:
        """All nodes by their Ed25519 key."""
        return MappingProxyType({node.key: node for node in self.nodes})

    @cached_property
    def by_x25519(self) -> Mapping[bytes, Node]:
        """All nodes by the key of their onion layers."""
        return MappingProxyType({node.x25519: node for node in self.nodes})

    @cached_property
    def active_nodes(self) -> tuple[Node, ...]:
        """Nodes that new paths may use."""
        return tuple(node for node in self.nodes if node.state is NodeState.ACTIVE)

    @cached_property
    def listed_nodes(self) -> tuple[Node, ...]:
        """Nodes that clients are told of: all that serve a swarm, those lately missed and those leaving included."""
        return tuple(node for node in self.nodes if node.listed)

    @cached_property
    def swarm_ids(self) -> tuple[int, ...]:
        """Ids of the swarms that serve now, ascending: what accounts are mapped by."""
        return tuple(sorted({node.swarm_id for node in self.nodes if node.listed}))

    @cached_property
    def planned_swarm_ids(self) -> tuple[int, ...]:
        """Ids of the swarms once the placement under way is done, ascending."""
        return tuple(sorted({node.planned_swarm_id for node in self.nodes} - {ring.INVALID_SWARM}))

    def members(self, swarm_id: int) -> tuple[Node, ...]:
        """Return the listed nodes of a swarm."""
        return tuple(node for node in self.nodes if node.listed and node.swarm_id == swarm_id)

    def followed(self, key: bytes) -> Followed:
        """Return the shards that a node must hold."""
        node = self.by_key.get(key)
        if node is None:
            return Followed(frozenset(), frozenset())
        serving = _shards(node.swarm_id, self.swarm_ids)
        planned = _shards(node.planned_swarm_id, self.planned_swarm_ids)
        return Followed(serving or planned, planned - serving if serving else frozenset())

    def freshness(self, now_ms: int) -> Freshness:
        """Tell how old the directory is."""
        if now_ms >= self.expires_ms:
            return Freshness.EXPIRED
        return Freshness.STALE if now_ms - self.issued_ms > STALE_AFTER_MS else Freshness.FRESH


def _shards(swarm_id: int, ids: tuple[int, ...]) -> frozenset[int]:
    return frozenset(ring.shards_of(swarm_id, ids)) if swarm_id in ids else frozenset()
