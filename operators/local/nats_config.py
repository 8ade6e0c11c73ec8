"""The configuration of a local nats-server: pure data in, text out (docs/adr/0005).

One NATS account holds a network's mail and membership; what each user may do in it is spelled out. Nodes may not make
consumers: whoever may, may have messages delivered to any subject of the account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from operators.membership.nats_rights import ANSWER_WITHIN_S, NatsUser, authority_user, custodian_user, node_user
from services.chassis.nats.names import NetworkNames

MAX_PAYLOAD: Final = 1024 * 1024
_MAX_PENDING: Final = 64 * 1024 * 1024  # bytes that the server keeps for one slow reader before it cuts it off


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
                "users": [_user(user) for user in account.users],
            }
            for account in config.accounts
        }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


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


def _user(user: NatsUser) -> dict[str, Any]:
    """Return a user as the configuration has it."""
    permissions: dict[str, Any] = {
        "publish": {"allow": list(user.publish)},
        "subscribe": {"allow": list(user.subscribe)},
    }
    if user.answers:
        permissions["allow_responses"] = {"max": 1, "expires": f"{ANSWER_WITHIN_S}s"}
    return {"nkey": user.public_key, "permissions": permissions}
