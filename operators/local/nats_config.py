"""The configuration of a local nats-server: pure data in, text out (docs/adr/0005).

One NATS account holds a network's mail and membership; what each user may do in it is spelled out. Nodes may not make
consumers: whoever may, may have messages delivered to any subject of the account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.chassis.eventlog.subjects import check_name
from services.chassis.nats.names import NetworkNames

MAX_PAYLOAD: Final = 1024 * 1024
_MAX_PENDING: Final = 64 * 1024 * 1024  # bytes that the server keeps for one slow reader before it cuts it off


@dataclass(frozen=True, slots=True)
class NatsUser:
    """One user: the public half of its key, and what it may do.

    Attributes:
        public_key: text form, ``U…``.
        publish: patterns it may publish to.
        subscribe: patterns it may subscribe to.
        answers: whether it may answer requests, once each.
    """

    public_key: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False

    def render(self) -> dict[str, Any]:
        """Return the user as the configuration has it."""
        permissions: dict[str, Any] = {
            "publish": {"allow": list(self.publish)},
            "subscribe": {"allow": list(self.subscribe)},
        }
        if self.answers:
            permissions["allow_responses"] = {"max": 1, "expires": "10s"}
        return {"nkey": self.public_key, "permissions": permissions}


@dataclass(frozen=True, slots=True)
class NatsAccount:
    """One NATS account with a JetStream of its own and its users."""

    name: str
    users: tuple[NatsUser, ...]
    max_store_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsConfig:
    """One nats-server on 127.0.0.1.

    Attributes:
        server_name: shown in its logs and answers.
        port: of the NATS protocol.
        store: folder of the streams.
        log: file that the server logs to.
        max_store_bytes: most bytes that all streams may reserve together.
        monitor_port: of the HTTP status pages, which know all subjects; ``None`` for none.
        accounts: users and what they may; empty for a server that lets everybody do everything (tests).
        certificate: PEM files of the server's certificate and key; ``None`` for plain TCP on loopback.
    """

    server_name: str
    port: int
    store: Path
    log: Path
    max_store_bytes: int
    monitor_port: int | None = None
    accounts: tuple[NatsAccount, ...] = ()
    certificate: tuple[Path, Path] | None = None


def render(config: NatsConfig) -> str:
    """Return the configuration file's text: JSON, which nats-server reads as it is."""
    document: dict[str, Any] = {
        "server_name": config.server_name,
        "listen": f"127.0.0.1:{config.port}",
        "log_file": str(config.log),
        "logtime_utc": True,
        "max_payload": MAX_PAYLOAD,
        "max_pending": _MAX_PENDING,
        "write_deadline": "10s",
        "jetstream": {
            "store_dir": str(config.store),
            "sync_interval": "always",  # an acknowledged event is on the disk
            "max_memory_store": 1,
            "max_file_store": config.max_store_bytes,
        },
    }
    if config.monitor_port is not None:
        document["http"] = f"127.0.0.1:{config.monitor_port}"
    if config.certificate is not None:
        document["tls"] = {"cert_file": str(config.certificate[0]), "key_file": str(config.certificate[1])}
    if config.accounts:
        document["accounts"] = {
            account.name: {
                "jetstream": {"max_memory": 0, "max_file": account.max_store_bytes},
                "users": [user.render() for user in account.users],
            }
            for account in config.accounts
        }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def inbox_prefix(user: str) -> str:
    """Return where a user's answers arrive; one per user, so that nobody reads another's."""
    check_name(user)
    return f"_INBOX.{user}"


def node_user(
    names: NetworkNames,
    node: str,
    public_key: str,
    *,
    shards: Sequence[int] | None = None,
    followers: Sequence[str] | None = None,
) -> NatsUser:
    """Return the rights of a swarm node.

    It appends mailbox events and body keys, reads the three streams, pulls from the consumers that the authority made
    in its name, sends receipts and its own heartbeat. It neither makes consumers nor deletes.

    Args:
        names: the network's.
        node: the node's name in subjects, which is the hex of its key; its inbox is ``inbox_prefix(node)``.
        public_key: text form of the user's key.
        shards: the shards whose mailboxes it may append to; ``None`` for all.
        followers: names of its consumers; ``None`` for those that the authority makes for a node.
    """
    appends = (names.swarm,) if shards is None else tuple(names.shard(shard) for shard in shards)
    return NatsUser(
        public_key,
        publish=(
            *appends,
            names.keys,
            names.receipts,
            names.announce,
            names.heartbeat(node),
            *_follow(names, names.followers(node) if followers is None else followers),
            *_read(names),
        ),
        subscribe=(f"{inbox_prefix(node)}.>", *names.swarm_talk, names.receipts_for(node), names.directory),
    )


def authority_user(names: NetworkNames, public_key: str, *, user: str = "authority") -> NatsUser:
    """Return the rights of the membership authority: it makes streams and consumers, and writes the directory."""
    return NatsUser(
        public_key,
        publish=(
            names.directory,
            names.membership_events,
            *(f"$JS.API.STREAM.{call}.{stream}" for call in ("CREATE", "UPDATE") for stream in _streams(names)),
            *(
                f"$JS.API.CONSUMER.{call}.{stream}.*"
                for call in ("CREATE", "DELETE", "INFO", "RESET", "MSG.NEXT")
                for stream in _streams(names)
            ),
            *(f"$JS.API.CONSUMER.NAMES.{stream}" for stream in _streams(names)),
            *_read(names),
        ),
        subscribe=(f"{inbox_prefix(user)}.>", names.announce, names.heartbeats, names.drain, names.directory),
        answers=True,
    )


def custodian_user(names: NetworkNames, public_key: str, *, user: str = "custodian") -> NatsUser:
    """Return the rights of the custodian: it follows mail as ``user`` and alone may erase."""
    return NatsUser(
        public_key,
        publish=(
            *(f"$JS.API.STREAM.MSG.DELETE.{stream}" for stream in (names.mail_stream, names.keys_stream)),
            *_follow(names, (user,)),
            *_read(names),
        ),
        subscribe=(f"{inbox_prefix(user)}.>", names.directory),
    )


def network_account(
    names: NetworkNames,
    *,
    authority: str,
    custodian: str,
    nodes: Mapping[str, str],
    max_store_bytes: int,
) -> NatsAccount:
    """Return the account of one network.

    Args:
        names: the network's.
        authority: the membership authority's public key.
        custodian: the custodian's public key.
        nodes: public key by node name; each node has one follower, called as the node.
        max_store_bytes: most bytes that the network's streams may reserve together.
    """
    return NatsAccount(
        names.network,
        (
            authority_user(names, authority),
            custodian_user(names, custodian),
            *(node_user(names, node, key) for node, key in nodes.items()),
        ),
        max_store_bytes,
    )


def _streams(names: NetworkNames) -> tuple[str, str, str]:
    return names.mail_stream, names.keys_stream, names.membership_stream


def _read(names: NetworkNames) -> tuple[str, ...]:
    return tuple(
        f"$JS.API.{what}"
        for stream in _streams(names)
        for what in (f"STREAM.INFO.{stream}", f"DIRECT.GET.{stream}", f"DIRECT.GET.{stream}.>")
    )


def _follow(names: NetworkNames, followers: Sequence[str]) -> tuple[str, ...]:
    for follower in followers:
        check_name(follower)
    return tuple(
        f"$JS.API.CONSUMER.{call}.{stream}.{follower}"
        for call in ("MSG.NEXT", "RESET", "INFO")
        for stream in _streams(names)
        for follower in followers
    )
