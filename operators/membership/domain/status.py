"""What an operator wants to see of a network, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from naisho.protocol.directory import Directory, Node
from naisho.protocol.ring import INVALID_SWARM
from operators.membership.domain.life import Roster
from operators.membership.domain.signs import Sign


def status_of(
    directory: Directory | None,
    *,
    now_ms: int,
    roster: Roster | None = None,
    signs: Mapping[bytes, Sign] | None = None,
    waits: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return a network's state, ready for JSON: stable keys, ids as hex, times in milliseconds since 1970.

    Args:
        directory: the newest directory, verified; ``None`` before the first.
        now_ms: the present.
        roster: the authority's own view, if at hand: adds nodes that are not listed, and reasons.
        signs: what the authority heard last, if at hand: adds lag and clock offsets.
        waits: what a placement under way waits for.
    """
    shown = directory.by_key if directory else {}
    known = {key: member.node for key, member in (roster or {}).items()} | dict(shown)
    states = Counter(node.state.name.lower() for node in shown.values())
    return {
        "network_id": directory.network_id if directory else None,
        "epoch": directory.epoch if directory else 0,
        "grade": directory.grade.label if directory else None,
        "simulated": directory.simulated if directory else None,
        "freshness": directory.freshness(now_ms).value if directory else None,
        "issued_ms": directory.issued_ms if directory else None,
        "expires_ms": directory.expires_ms if directory else None,
        "states": dict(sorted(states.items())),
        "families": dict(sorted(Counter(node.family for node in shown.values()).items())),
        "countries": dict(sorted(Counter(node.country for node in shown.values()).items())),
        "swarms": _swarms(directory),
        "waits": list(waits),
        "nodes": [_node(known[key], roster, signs, listed=key in shown) for key in sorted(known)],
    }


def _swarms(directory: Directory | None) -> list[dict[str, Any]]:
    if directory is None:
        return []
    ids = sorted({*directory.swarm_ids, *directory.planned_swarm_ids})
    return [
        {
            "id": f"{swarm:016x}",
            "members": len(directory.members(swarm)),
            "active": sum(node in directory.active_nodes for node in directory.members(swarm)),
            "planned": sum(node.planned_swarm_id == swarm for node in directory.nodes),
            "families": len({node.family for node in directory.members(swarm)}),
        }
        for swarm in ids
    ]


def _node(node: Node, roster: Roster | None, signs: Mapping[bytes, Sign] | None, *, listed: bool) -> dict[str, Any]:
    member = roster.get(node.key) if roster else None
    sign = signs.get(node.key) if signs else None
    beat = sign.heartbeat if sign else None
    return {
        "key": node.key.hex(),
        "state": node.state.name.lower() if listed or member is None else member.life.name.lower(),
        "since_ms": member.since_ms if member else None,
        "reason": member.reason if member else None,
        "swarm": _hex(node.swarm_id) if listed else None,
        "next_swarm": _hex(node.next_swarm_id) if listed else None,
        "family": node.family,
        "country": node.country,
        "version": ".".join(map(str, node.version)),
        "machine": node.machine or None,
        "endpoints": [f"{e.transport.name.lower()} {e.host} {e.port}" for e in node.endpoints],
        "heard_ms": sign.heard_ms if sign and beat else None,
        "caught_up": beat.caught_up if beat else None,
        "position": beat.position if beat else None,
        "lag": beat.lag if beat else None,
        "clock_offset_ms": sign.offset_ms if sign and beat else None,
    }


def _hex(swarm_id: int) -> str | None:
    return None if swarm_id == INVALID_SWARM else f"{swarm_id:016x}"
