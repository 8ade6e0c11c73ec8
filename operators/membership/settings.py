"""The authority's settings when it runs without Kubernetes: ``NAISHO_MEMBERSHIP_…`` or a TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from naisho.protocol.grade import Grade
from operators.membership.authority import AuthoritySettings
from operators.membership.domain.assignment import SwarmSizes
from operators.membership.domain.policy import Policy
from operators.membership.streams import MIB, StreamSizes
from services.chassis.nats.credentials import from_files, trust_in
from services.chassis.nats.settings import NatsSettings
from services.chassis.settings import DAY, HOUR, MINUTE, Address, Duration, Range, Size


@dataclass(frozen=True, slots=True)
class NatsAccess:
    """Where NATS is, and who the authority is there."""

    servers: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    #: The user's Ed25519 seed, 64 hex digits; absent for a server without users. This file and the two below are read
    #: at every connect, so that they may be renewed.
    key_file: Path | None = None
    #: The user's JWT; absent where the server's configuration lists the user's key.
    user_jwt: Path | None = None
    #: PEM file of the authority behind the servers' certificates; absent for plain TCP on loopback.
    tls_authority: Path | None = None
    #: Where answers arrive; what the user may subscribe to.
    inbox: str = "_INBOX.authority"

    def settings(self, name: str) -> NatsSettings:
        """Return how the connection called ``name`` is made."""
        return NatsSettings(
            servers=self.servers,
            name=name,
            credentials=None if self.key_file is None else from_files(self.key_file, self.user_jwt),
            tls=None if self.tls_authority is None else trust_in(self.tls_authority),
            inbox_prefix=self.inbox,
        )


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How much the event log may hold."""

    mail: Annotated[Size, Range(MIB)] = field(default=Size(8 * 1024 * MIB))
    keys: Annotated[Size, Range(64 * 1024)] = field(default=Size(16 * MIB))
    membership: Annotated[Size, Range(MIB)] = field(default=Size(64 * MIB))
    replicas: Annotated[int, Range(1, 5)] = 1


@dataclass(frozen=True, slots=True)
class MembershipServiceSettings:
    """Everything an operator may set; defaults suit a public network of many machines."""

    network_file: Path
    #: Folder of ``signing.key`` and ``signing-keys.bin``.
    keys: Path
    nats: NatsAccess = field(default_factory=NatsAccess)
    streams: StreamSettings = field(default_factory=StreamSettings)
    #: ``single-operator`` or ``independent``: claimed if the nodes bear it out.
    grade: str = Grade.SINGLE_OPERATOR.label
    #: File of the node keys that may join, 64 hex digits a line; without it everybody may.
    admit: Path | None = None
    private_addresses: bool = False
    swarm_minimum: Annotated[int, Range(3, 64)] = 5
    swarm_ideal: Annotated[int, Range(4, 128)] = 6
    missed: Annotated[Duration, Range(1)] = field(default=Duration(15))
    confirmations: Annotated[int, Range(1)] = 2
    clock_tolerance: Annotated[Duration, Range(1)] = field(default=Duration(10))
    unreachable: Annotated[Duration, Range(MINUTE)] = field(default=Duration(2 * HOUR))
    patience: Annotated[Duration, Range(1)] = field(default=Duration(10 * MINUTE))
    sign_again: Annotated[Duration, Range(MINUTE, 2 * DAY)] = field(default=Duration(DAY))
    first_nodes: Annotated[int, Range(1)] = 12
    first_wait: Annotated[Duration, Range(0)] = field(default=Duration(30))
    smallest_network: Annotated[int, Range(3)] = 12
    #: Where ``/metrics``, ``/livez`` and ``/readyz`` answer; nowhere if absent. Not a public address.
    telemetry: Address | None = None
    #: Longest and shortest pause between two looks around.
    tick: Annotated[Duration, Range(0.01)] = field(default=Duration(1))
    pace: Annotated[Duration, Range(0.01)] = field(default=Duration(0.2))

    def policy(self, *, simulated: bool) -> Policy:
        """Return what the domain is told.

        Raises:
            ValueError: the grade is unknown, the sizes exclude each other, or the list of keys cannot be read.
        """
        return Policy(
            sizes=SwarmSizes(self.swarm_minimum, self.swarm_ideal),
            grade=Grade.parse(self.grade),
            simulated=simulated,
            missed_ms=_ms(self.missed),
            confirmations=self.confirmations,
            clock_tolerance_ms=_ms(self.clock_tolerance),
            unreachable_ms=_ms(self.unreachable),
            patience_ms=_ms(self.patience),
            sign_again_ms=_ms(self.sign_again),
            first_nodes=self.first_nodes,
            first_wait_ms=_ms(self.first_wait),
            smallest_network=self.smallest_network,
            private_addresses=self.private_addresses,
            allowed=None if self.admit is None else read_allowed(self.admit),
        )

    def authority(self) -> AuthoritySettings:
        """Return how the authority works."""
        sizes = StreamSizes(self.streams.mail, self.streams.keys, self.streams.membership, self.streams.replicas)
        return AuthoritySettings(tick_s=self.tick, pace_s=self.pace, streams=sizes)


def read_allowed(path: Path) -> frozenset[bytes]:
    """Read the keys of the nodes that may join: 64 hex digits a line; ``#`` begins a comment.

    Raises:
        ValueError: the file cannot be read, or a line holds something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a list of keys") from error
    keys = set()
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                key = bytes.fromhex(text)
            except ValueError:
                key = b""
            if len(key) != 32:  # noqa: PLR2004 - bytes of an Ed25519 key
                raise ValueError(f"{path}, line {number}: a node's key has 64 hex digits")
            keys.add(key)
    return frozenset(keys)


def _ms(duration: Duration) -> int:
    return round(duration * 1000)
