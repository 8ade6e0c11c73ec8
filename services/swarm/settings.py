"""The swarm service's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from services.chassis.settings import DAY, HOUR, Address, Duration, Range, Secret, Size

MIB = 2**20


@dataclass(frozen=True, slots=True)
class NatsUserSettings:
    """The node's NATS user, and where its servers are."""

    #: ``nats://host:port``, tried in turn.
    servers: tuple[str, ...]
    #: The user's Ed25519 seed, 64 hexadecimal digits; absent for a server without users. This file and the two below
    #: are read at every connect, so that they may be renewed.
    user_key_file: Path | None = None
    #: The user's JWT; absent where the server's configuration lists the user's key.
    user_jwt: Path | None = None
    #: PEM file of the authority behind the servers' certificates; absent for plain TCP on loopback.
    tls_authority: Path | None = None
    request_timeout: Annotated[Duration, Range(0.1)] = field(default=Duration(5))


@dataclass(frozen=True, slots=True)
class AboutNode:
    """What the node says of itself when it asks to be listed. The addresses are those that others reach it by."""

    https: Address
    hop: Address
    #: Of the seed, if the node is one.
    seed: Address | None = None
    family: str = "unnamed"
    country: str = "ZZ"
    #: The machine it runs on, by any name; the directory tells a keyed hash of it.
    machine: str = ""


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long messages may live (wire 4.6)."""

    shortest: Annotated[Duration, Range(1)] = field(default=Duration(10))
    public_inbox: Annotated[Duration, Range(10)] = field(default=Duration(14 * DAY))
    longest: Annotated[Duration, Range(10)] = field(default=Duration(30 * DAY))


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """How much one account may hold; the account's own limits count twice, see ``domain.policies.Quotas``."""

    namespace_messages: Annotated[int, Range(1)] = 10_000
    namespace_bytes: Annotated[Size, Range(1)] = field(default=Size(64 * MIB))
    account_messages: Annotated[int, Range(1)] = 50_000
    account_bytes: Annotated[Size, Range(1)] = field(default=Size(256 * MIB))


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """Beyond these bounds requests are refused before any work.

    How many commands may be under way is learnt, between ``least`` and ``commands``: as many as are carried out within
    ``patience``; see ``domain.admission``.
    """

    #: Requests under way.
    requests: Annotated[int, Range(1)] = 2_000
    #: Commands under way, each waiting for the log or for the members.
    commands: Annotated[int, Range(1)] = 1_024
    #: Commands under way that are never too many, however slow the disk is.
    least: Annotated[int, Range(1)] = 128
    #: How long a command may take, the wait for other members left out, until fewer are let in.
    patience: Annotated[Duration, Range(0.01)] = field(default=Duration(0.4))
    #: How long a request waits to be let in.
    wait: Annotated[Duration, Range(0)] = field(default=Duration(1))
    #: Events that wait in the log to be folded.
    behind: Annotated[int, Range(1)] = 20_000
    #: How long other members' answers are waited for.
    members: Annotated[Duration, Range(0.05)] = field(default=Duration(2))
    #: How long this node's own commit is waited for.
    own: Annotated[Duration, Range(0.05)] = field(default=Duration(5))


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The local store."""

    writer_cache: Annotated[Size, Range(64 * 1024)] = field(default=Size(4 * MIB))
    reader_cache: Annotated[Size, Range(64 * 1024)] = field(default=Size(2 * MIB))
    #: Bytes of removed messages have left the node's files within this time.
    overwrite_within: Annotated[Duration, Range(0.1)] = field(default=Duration(10))
    #: How often expired messages are looked for; they are invisible at their second, whatever this is.
    sweep: Annotated[Duration, Range(0.05)] = field(default=Duration(1))


@dataclass(frozen=True, slots=True)
class SwarmSettings:
    """All of them."""

    #: What is known of the network beforehand (``naisho.protocol.network_file``).
    network_file: Path
    #: The node's Ed25519 seed, 64 hexadecimal digits.
    node_key: Secret
    #: The network's mailbox key, 64 hexadecimal digits, the same at every node.
    mailbox_key: Secret
    #: Folder of the certificate that the directory is to list.
    certificate: Path
    #: Folder of the local store; this node's alone.
    data: Path
    about: AboutNode
    nats: NatsUserSettings
    #: Unix socket to answer `onion` on; absent when both live in one process.
    mailbox: Path | None = None
    #: Where ``/metrics``, ``/livez`` and ``/readyz`` answer; nowhere if absent. Not a public address.
    telemetry: Address | None = None
    #: How long one body key is used: a message is sealed under the key of the period that its expiry lies in. The
    #: same at every node, for the life of the network.
    key_period: Annotated[Duration, Range(0.5)] = field(default=Duration(HOUR))
    #: What the log keeps events longer than they are needed.
    log_margin: Annotated[Duration, Range(1)] = field(default=Duration(60))
    #: How often the log is checked to be the one that is known.
    log_check: Annotated[Duration, Range(0.1)] = field(default=Duration(5))
    heartbeat: Annotated[Duration, Range(0.1)] = field(default=Duration(3))
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    quotas: QuotaSettings = field(default_factory=QuotaSettings)
    load: LoadSettings = field(default_factory=LoadSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
