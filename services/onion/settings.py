"""The onion service's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from services.chassis.settings import HOUR, MINUTE, Address, Duration, Range, Secret, Size

MIB = 2**20


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Bounds of the public HTTPS front and of the plain-HTTP seed; see ``api.http1.HttpLimits``."""

    connections: Annotated[int, Range(1)] = 1024
    requests: Annotated[int, Range(1)] = 1024
    held: Annotated[Size, Range(MIB)] = field(default=Size(96 * MIB))
    handshake: Annotated[Duration, Range(0.1)] = field(default=Duration(10))
    head_time: Annotated[Duration, Range(0.1)] = field(default=Duration(10))
    body_time: Annotated[Duration, Range(0.1)] = field(default=Duration(10))
    answer_time: Annotated[Duration, Range(0.1)] = field(default=Duration(MINUTE))
    write_time: Annotated[Duration, Range(0.1)] = field(default=Duration(10))
    idle_time: Annotated[Duration, Range(0.1)] = field(default=Duration(MINUTE))
    slowest: Annotated[Size, Range(1)] = field(default=Size(4 * 1024))


@dataclass(frozen=True, slots=True)
class RateSettings:
    """How often one address may ask for storage (wire 4.1) or the node list directly."""

    burst: Annotated[float, Range(1)] = 600
    per_second: Annotated[float, Range(0.001)] = 300
    addresses: Annotated[int, Range(1)] = 65_536


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How long, and how many, onion layers are remembered, so that none is opened twice."""

    window: Annotated[Duration, Range(1)] = field(default=Duration(HOUR))
    entries: Annotated[int, Range(2)] = 100_000


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Streams to other nodes."""

    #: For an answer of the next node (wire 5.3).
    timeout: Annotated[Duration, Range(0.1)] = field(default=Duration(30))
    streams: Annotated[int, Range(1)] = 256
    idle: Annotated[Duration, Range(0.1)] = field(default=Duration(2 * MINUTE))
    #: Calls under way at most: on each stream outwards, and on all streams inwards together.
    calls: Annotated[int, Range(1)] = 1024
    queued: Annotated[Size, Range(11 * MIB)] = field(default=Size(48 * MIB))


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Relay to servers outside the network; off without hosts."""

    #: Names or addresses; ``*.example.org`` is every name below.
    hosts: tuple[str, ...] = ()
    timeout: Annotated[Duration, Range(0.1)] = field(default=Duration(25))
    requests: Annotated[int, Range(1)] = 32
    #: Further networks never to connect to: the cluster's pods and services.
    forbidden: tuple[str, ...] = ()
    #: Certificates of servers are checked as browsers do. What is relayed is encrypted for the server beneath TLS, so
    #: an operator may switch this off for servers with certificates of their own making.
    verify_tls: bool = True
    #: Connect to private and loopback addresses, too. For laboratories only.
    laboratory: bool = False


@dataclass(frozen=True, slots=True)
class ReachabilitySettings:
    """Tests of other nodes' public addresses (wire 3.5)."""

    #: Mean time between two tests; 0 tests nobody.
    interval: Annotated[Duration, Range(0)] = field(default=Duration(10))
    timeout: Annotated[Duration, Range(0.1)] = field(default=Duration(5))
    retest: Annotated[Duration, Range(0.01)] = field(default=Duration(10))
    longest_retest: Annotated[Duration, Range(0.01)] = field(default=Duration(2 * MINUTE))


@dataclass(frozen=True, slots=True)
class OnionSettings:
    """All of them."""

    #: What is known of the network beforehand (``naisho.protocol.network_file``).
    network_file: Path
    #: The node's Ed25519 seed, 64 hexadecimal digits.
    node_key: Secret
    #: Folder of the certificate that the directory lists, and of its key; shown on both public addresses.
    certificate: Path
    #: Where clients connect.
    https: Address
    #: Where other nodes connect.
    hop: Address
    #: Where the node list is told over plain HTTP; nowhere if absent.
    seed: Address | None = None
    #: Where the node's `swarm` listens; not needed when both live in one process.
    mailbox: Path | None = None
    #: Where metrics and readiness are told, for those who run the process; nowhere if absent. Never a public address.
    telemetry: Address | None = None
    http: HttpSettings = field(default_factory=HttpSettings)
    rate: RateSettings = field(default_factory=RateSettings)
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    peers: PeerSettings = field(default_factory=PeerSettings)
    relay: RelaySettings = field(default_factory=RelaySettings)
    reachability: ReachabilitySettings = field(default_factory=ReachabilitySettings)
