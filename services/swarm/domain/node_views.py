"""What this network's nodes look like to clients: ``get_swarm`` and ``active_nodes_bin`` (wire 2.4, 4.10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from naisho.protocol import node_list
from naisho.protocol.ring import INVALID_SWARM, choose_swarm, position
from services.swarm.domain.ports import NodeContact, NodeList

_BASE32Z: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
_KEY_CHARACTERS: Final = 52


def swarm_of(account: bytes, nodes: NodeList) -> int:
    """Return the id of the swarm that keeps an account (33 bytes); ``INVALID_SWARM`` while there is none."""
    chosen = choose_swarm(position(account[1:]), nodes.swarm_ids())
    return INVALID_SWARM if chosen is None else chosen


def swarm_view(swarm_id: int, nodes: NodeList) -> dict[str, Any]:
    """Return the answer of ``get_swarm``, which is also the body of a 421, without ``t`` and ``hf``."""
    return {"snodes": [_contact(node) for node in nodes.members(swarm_id)], "swarm": f"{swarm_id:x}"}


def active_nodes_bin(nodes: Iterable[NodeContact]) -> bytes:
    """Return the binary node list: 51 bytes for each active node."""
    return node_list.encode(
        node_list.NodeRecord(n.ed25519, n.swarm_id, n.ip, n.https_port, n.quic_port, n.version)
        for n in nodes
        if n.swarm_id != INVALID_SWARM
    )


def snode_address(key: bytes) -> str:
    """Return the ``.snode`` name of a node's 32-byte key: base32z, most significant bits first."""
    bits = int.from_bytes(key, "big") << 4
    return "".join(_BASE32Z[bits >> 5 * at & 31] for at in reversed(range(_KEY_CHARACTERS))) + ".snode"


def _contact(node: NodeContact) -> dict[str, Any]:
    key = node.ed25519.hex()
    return {
        "address": snode_address(node.ed25519),
        "pubkey_legacy": key,
        "pubkey_x25519": node.x25519.hex(),
        "pubkey_ed25519": key,
        "port": str(node.https_port),
        "port_https": node.https_port,
        "port_omq": node.quic_port,
        "port_quic": node.quic_port,
        "ip": node.ip,
    }
