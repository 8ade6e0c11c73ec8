"""The operator's settings: a TOML file that the chart renders, and a few variables of its pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from operators.membership.domain.assignment import SwarmSizes
from operators.membership.streams import MIB, StreamSizes
from services.chassis.settings import DAY, HOUR, MINUTE, Address, Duration, Range, Size


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where NATS is, and who makes its users."""

    #: ``tls://host:port`` of each server.
    servers: tuple[str, ...]
    replicas: Annotated[int, Range(1, 5)] = 3
    #: The servers are this install's own: the operator makes their account and says so in a Secret that they read.
    managed: bool = True
    #: Secret of an account that somebody else made: ``account.signing.seed``, ``account.public``, ``ca.crt``.
    account_secret: str = ""


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """Who makes the certificates of the log's servers."""

    #: The operator; otherwise somebody else fills the Secret.
    self_made: bool = True


@dataclass(frozen=True, slots=True)
class LogSizes:
    """How much the event log may hold, counted once however many copies are kept."""

    mail: Annotated[Size, Range(MIB)] = field(default=Size(8 * 1024 * MIB))
    keys: Annotated[Size, Range(64 * 1024)] = field(default=Size(16 * MIB))
    membership: Annotated[Size, Range(MIB)] = field(default=Size(64 * MIB))


@dataclass(frozen=True, slots=True)
class MembershipRules:
    """What the membership authority goes by; see ``domain.policy``."""

    swarm_minimum: Annotated[int, Range(3, 64)] = 5
    swarm_ideal: Annotated[int, Range(4, 128)] = 6
    missed: Annotated[Duration, Range(1)] = field(default=Duration(15))
    confirmations: Annotated[int, Range(1)] = 2
    clock_tolerance: Annotated[Duration, Range(1)] = field(default=Duration(10))
    unreachable: Annotated[Duration, Range(MINUTE)] = field(default=Duration(2 * HOUR))
    patience: Annotated[Duration, Range(1)] = field(default=Duration(10 * MINUTE))
    sign_again: Annotated[Duration, Range(MINUTE, 2 * DAY)] = field(default=Duration(DAY))
    first_wait: Annotated[Duration, Range(0)] = field(default=Duration(2 * MINUTE))

    @property
    def sizes(self) -> SwarmSizes:
        """How large swarms are kept."""
        return SwarmSizes(self.swarm_minimum, self.swarm_ideal)


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """How soon another operator may take over from one that is silent."""

    lasts: Annotated[Duration, Range(3)] = field(default=Duration(30))
    renew: Annotated[Duration, Range(1)] = field(default=Duration(10))

    def __post_init__(self) -> None:
        """Refuse a lease that ends before it is renewed."""
        if self.renew * 2 > self.lasts:
            raise ValueError("lease.renew must be at most half of lease.lasts")


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """All of them."""

    #: Full name of the install: every shared object's name begins with it.
    install: str
    #: Where everything is.
    namespace: str
    #: This pod's name: who holds the lease.
    pod: str
    #: What nodes run unless their pool says otherwise.
    image: str
    nats: LogSettings
    #: What ``app.kubernetes.io/instance`` says; the install's name if empty.
    release: str = ""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    network_name: str = ""
    #: Drawn at random if empty; counts for a network that does not exist yet.
    network_id: str = ""
    #: Further ``http(s)://host:port`` of seeds, for clients outside of the cluster.
    seeds: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    #: A NodePool to make, as JSON; none if there is no such file.
    pool_file: Path = Path("/etc/naisho/nodepool.json")
    #: Where ``/metrics``, ``/livez`` and ``/readyz`` answer.
    telemetry: Address = field(default=Address("0.0.0.0", 9100))  # noqa: S104 - within the pod's own network
    #: The API server's address, for trials; found by itself if empty.
    kubernetes: str = ""
    #: Everything is looked at so often, whether or not anything seems to have changed; and at most so often.
    look: Annotated[Duration, Range(1)] = field(default=Duration(20))
    pace: Annotated[Duration, Range(0.05)] = field(default=Duration(1))
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    streams: LogSizes = field(default_factory=LogSizes)
    membership: MembershipRules = field(default_factory=MembershipRules)
    lease: LeaseSettings = field(default_factory=LeaseSettings)

    def sizes(self) -> StreamSizes:
        """Return what the log's streams are to be."""
        held = self.streams
        return StreamSizes(held.mail, held.keys, held.membership, self.nats.replicas)
