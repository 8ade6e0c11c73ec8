"""The node list as seeds and nodes tell it in JSON: ``get_service_nodes`` and its other names (wire 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any, Final

from naisho.protocol.directory.model import Directory, Transport
from naisho.protocol.errors import ProtocolError
from naisho.protocol.ring import INVALID_SWARM

#: Hard fork and revision that our nodes say they follow; clients look for features by it.
HARD_FORK: Final = (19, 6)


class BadListRequest(ProtocolError):
    """Parameters that ``get_service_nodes`` does not take; the text says which and what would be right."""


@dataclass(frozen=True, slots=True)
class ServiceNode:
    """One node as lists tell it to clients: it has an IPv4 address."""

    #: 32 bytes; stands for the wire protocol's legacy key, too.
    ed25519: bytes
    #: 32 bytes, the conversion of ``ed25519``.
    x25519: bytes
    #: Dotted IPv4.
    ip: str
    https_port: int
    #: Port that the wire document calls OMQ and QUIC; never zero, because clients drop such nodes.
    quic_port: int
    #: ``INVALID_SWARM`` if the node is not active.
    swarm_id: int
    version: tuple[int, int, int]


#: Each field of a node's state and where it comes from. Stakes, decommissioning and uptime credit have no counterpart
#: here: every node is as good as the directory says that it is.
_FIELDS: Final[Mapping[str, Callable[[ServiceNode, int], Any]]] = {
    "service_node_pubkey": lambda node, _: node.ed25519.hex(),
    "pubkey_ed25519": lambda node, _: node.ed25519.hex(),
    "pubkey_x25519": lambda node, _: node.x25519.hex(),
    "public_ip": lambda node, _: node.ip,
    "storage_port": lambda node, _: node.https_port,
    "storage_lmq_port": lambda node, _: node.quic_port,
    "quorumnet_port": lambda node, _: node.quic_port,
    "active": lambda node, _: node.swarm_id != INVALID_SWARM,
    "funded": lambda _node, _: True,
    "swarm_id": lambda node, _: node.swarm_id,
    "swarm": lambda node, _: f"{node.swarm_id:x}",
    "requested_unlock_height": lambda _node, _: 0,
    "registration_height": lambda _node, _: 0,
    "state_height": lambda _node, height: height,
    "decommission_count": lambda _node, _: 0,
    "earned_downtime_blocks": lambda _node, _: 0,
    "last_uptime_proof": lambda _node, _: 0,
    "storage_server_version": lambda node, _: list(node.version),
    "lokinet_version": lambda _node, _: [0, 0, 0],
    "service_node_version": lambda node, _: list(node.version),
    "storage_server_reachable": lambda node, _: node.swarm_id != INVALID_SWARM,
}


def listed(directory: Directory) -> list[ServiceNode]:
    """Return a directory's nodes that lists tell of: all that serve a swarm and have an IPv4 address.

    QUIC is spoken nowhere yet; the port told for it is HTTPS's own number.
    """
    found = ((node, node.endpoint(Transport.HTTPS, ip_version=4)) for node in directory.listed_nodes)
    return [
        ServiceNode(node.key, node.x25519, endpoint.host, endpoint.port, endpoint.port, node.swarm_id, node.version)
        for node, endpoint in found
        if endpoint is not None
    ]


def block_hash(height: int) -> str:
    """Return 64 hex digits that stand for the block at a height: here, the directory's epoch."""
    return blake2b(b"naisho epoch %d" % height, digest_size=32).hexdigest()


def service_nodes_result(
    nodes: Sequence[ServiceNode], params: Mapping[str, Any], *, height: int, rng: Random
) -> dict[str, Any]:
    """Return the ``result`` of ``get_n_service_nodes``, ``get_service_nodes`` and ``get_all_service_nodes``.

    Args:
        nodes: all listed nodes, in the directory's order.
        params: what the caller sent; unknown members are ignored.
        height: the directory's epoch.
        rng: draws the sample that ``limit`` asks for.

    Raises:
        BadListRequest: a parameter of a wrong type.
    """
    fields = _chosen_fields(params.get("fields"))
    result: dict[str, Any] = {
        "status": "OK",
        "height": height,
        "target_height": height,
        "block_hash": block_hash(height),
        "hardfork": HARD_FORK[0],
        "snode_revision": HARD_FORK[1],
    }
    if (polled := params.get("poll_block_hash")) is not None:
        result["unchanged"] = polled == result["block_hash"]
        if result["unchanged"]:
            return result
    chosen = _limited(_filtered(nodes, params), _integer(params, "limit"), rng)
    result["service_node_states"] = [{name: _FIELDS[name](node, height) for name in fields} for node in chosen]
    return result


def _filtered(nodes: Iterable[ServiceNode], params: Mapping[str, Any]) -> list[ServiceNode]:
    active_only = params.get("active_only")
    if active_only is not None and not isinstance(active_only, bool):
        raise BadListRequest("Invalid value given for 'active_only': expected boolean")
    keys = params.get("service_node_pubkeys")
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise BadListRequest("Invalid value given for 'service_node_pubkeys': expected array of strings")
    wanted = {key.lower() for key in keys or ()}
    return [
        node
        for node in nodes
        if (not active_only or node.swarm_id != INVALID_SWARM) and (not wanted or node.ed25519.hex() in wanted)
    ]


def _limited(nodes: list[ServiceNode], limit: int, rng: Random) -> list[ServiceNode]:
    if limit == 0:
        return nodes
    return rng.sample(nodes, len(nodes) if limit < 0 else min(limit, len(nodes)))


def _chosen_fields(fields: Any) -> Iterable[str]:
    """Return names of ``_FIELDS`` that a caller wants; those that no node has are ignored."""
    if not fields and (fields is None or isinstance(fields, list | dict)):
        return _FIELDS
    if isinstance(fields, dict):
        return _FIELDS if fields.get("all") else [name for name in _FIELDS if fields.get(name)]
    if isinstance(fields, list) and all(isinstance(name, str) for name in fields):
        names = set(fields)
        return [name for name in _FIELDS if (f"-{name}" not in names if "all" in names else name in names)]
    raise BadListRequest("Invalid value given for 'fields': expected object or array of strings")


def _integer(params: Mapping[str, Any], name: str) -> int:
    value = params.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadListRequest(f"Invalid value given for '{name}': expected integer")
    return value
