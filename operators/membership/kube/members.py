"""Between the membership authority and decisions about a pool: what it knows of the nodes, and what it is to go by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from naisho.protocol.directory import Directory
from naisho.protocol.ring import INVALID_SWARM
from operators.membership.authority import Authority
from operators.membership.domain.life import Life, Member
from operators.membership.domain.policy import Policy
from operators.membership.domain.pool.observed import Observed, SeenDirectory, SeenMember
from operators.membership.domain.pool.spec import FEW
from operators.membership.kube.settings import MembershipRules
from operators.membership.manifests.node import HOP


def members(authority: Authority) -> dict[str, SeenMember]:
    """Return what the authority knows of each node, by the hex of its key."""
    holders, directory = authority.holders(), authority.directory
    return {
        key.hex(): _member(authority, directory, member, holds=key in holders)
        for key, member in authority.roster.items()
    }


def _member(authority: Authority, directory: Directory | None, member: Member, *, holds: bool) -> SeenMember:
    key = member.node.key
    shown = directory.by_key.get(key) if directory else None
    sign = authority.signs.get(key)
    beat = sign.heartbeat if sign else None
    life = member.life
    if life is Life.ACTIVE and (shown is None or shown.swarm_id == INVALID_SWARM):
        life = Life.JOINING  # so it is recorded; that it serves is true once the directory says so
    return SeenMember(
        life,
        swarm=_hex(shown.swarm_id) if shown else "",
        planned=_hex(shown.planned_swarm_id) if shown else "",
        holds=holds,
        lag=beat.lag if beat else None,
        reason=member.reason,
        drained=member.drained and member.life is Life.GONE,
    )


def seen_directory(authority: Authority) -> SeenDirectory | None:
    """Return what a pool's status tells of the newest directory."""
    directory = authority.directory
    if directory is None:
        return None
    active = {node.key for node in directory.active_nodes}
    planned = Counter(node.planned_swarm_id for node in directory.nodes)
    swarms = tuple(
        (
            _hex(swarm),
            len(directory.members(swarm)),
            sum(node.key in active for node in directory.members(swarm)),
            planned[swarm],
        )
        for swarm in directory.swarm_ids
    )
    return SeenDirectory(
        directory.network_id,
        directory.epoch,
        directory.grade.label,
        directory.issued_ms,
        directory.expires_ms,
        swarms,
        authority.waits,
        authority.keys_end_ms,
        authority.cramped,
    )


def policy(rules: MembershipRules, pools: Iterable[tuple[Observed, Mapping[str, tuple[str, str]]]]) -> Policy:
    """Return what the authority is to go by: only the pools' own nodes may join, each where it was put.

    Args:
        rules: the operator's settings.
        pools: each with the places of its nodes by name: address for clients (``host:port``), and for nodes (``host``).
    """
    allowed: set[bytes] = set()
    assigned: dict[bytes, frozenset[tuple[str, int]]] = {}
    wanted = 0
    for observed, places in pools:
        wanted += observed.pool.replicas
        keys = {name: bytes.fromhex(entry.key) for name, entry in observed.register.staying.items() if entry.key}
        allowed |= set(keys.values())
        for name in keys.keys() & places.keys():
            https, hop = places[name]
            host, _, port = https.rpartition(":")
            assigned[keys[name]] = frozenset({(host, int(port)), (hop, HOP)})
    return Policy(
        sizes=rules.sizes,
        missed_ms=_ms(rules.missed),
        confirmations=rules.confirmations,
        clock_tolerance_ms=_ms(rules.clock_tolerance),
        unreachable_ms=_ms(rules.unreachable),
        patience_ms=_ms(rules.patience),
        sign_again_ms=_ms(rules.sign_again),
        first_nodes=max(wanted, 1),
        first_wait_ms=_ms(rules.first_wait),
        smallest_network=FEW,
        private_addresses=True,
        allowed=frozenset(allowed),
        assigned=assigned,
    )


def _hex(swarm: int) -> str:
    return "" if swarm == INVALID_SWARM else f"{swarm:016x}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
