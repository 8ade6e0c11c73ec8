"""What a NodePool's status says: is it well, and if not, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from operators.membership.domain.life import Life
from operators.membership.domain.policy import SECOND_MS
from operators.membership.domain.pool.conditions import POOL_REASONS, Condition, some, written
from operators.membership.domain.pool.observed import Observed, SeenNode, Wish
from operators.membership.domain.pool.reconcile import Plan
from operators.membership.domain.pool.risks import risk
from operators.membership.domain.pool.spec import FEWEST

_WAITS_SHOWN: Final = 32
_WAIT_SHOWN: Final = 1024


def pool_status(
    observed: Observed,
    plan: Plan,
    *,
    refusal: str,
    problems: Mapping[str, str],
    selector: str,
    before: Mapping[str, Any],
    now: str,
) -> dict[str, Any]:
    """Return the status of a pool.

    Args:
        observed: what is there.
        plan: what is done about it.
        refusal: why the authority refused the last drain; empty if it did not.
        problems: what could not be done, by node.
        selector: labels of the pool's pods, for whoever scales by them.
        before: the status that it has.
        now: RFC 3339.
    """
    pool = observed.pool
    nodes = {name: observed.nodes.get(name, SeenNode(name)) for name in plan.nodes}
    staying = [name for name, node in plan.nodes.items() if node.wish is Wish.ACTIVE]
    conditions = (
        _ready(observed, nodes, staying),
        _progressing(observed, plan, nodes),
        _degraded(observed, nodes, problems),
        _agreed(observed, nodes),
        risk(observed, nodes, now_ms=round(datetime.fromisoformat(now).timestamp() * SECOND_MS)),
        Condition("DrainRefused", "TooFewNodes" if refusal else "NotAsked", refusal),
    )
    entries = written(POOL_REASONS, conditions, before.get("conditions") or (), generation=pool.generation, now=now)
    ready, progressing = entries[:2]
    return {
        "observedGeneration": pool.generation,
        "replicas": len(staying),
        "selector": selector,
        "readyReplicas": sum(_is_ready(nodes[name]) for name in staying),
        "drainingReplicas": len(plan.nodes) - len(staying),
        "updatedReplicas": sum(_is_updated(nodes[name]) for name in staying),
        "phase": progressing["reason"] if progressing["status"] == "True" else ready["reason"],
        **(_of_the_network(observed, [nodes[name] for name in staying]) if observed.authority else {}),
        "conditions": entries,
    }


def _of_the_network(observed: Observed, staying: list[SeenNode]) -> dict[str, Any]:
    """Return what only the log tells; while it is away, what was told last stays."""
    directory = observed.directory
    return {
        "activeReplicas": sum(_life(node) is Life.ACTIVE for node in staying),
        "networkId": directory.network_id if directory else None,
        "epoch": directory.epoch if directory else None,
        "grade": directory.grade if directory else None,
        "directoryExpires": _time(directory.expires_ms) if directory else None,
        "swarms": [
            {"id": swarm, "members": members, "active": active, "planned": planned}
            for swarm, members, active, planned in _swarms(observed)
        ],
        "waits": [wait[:_WAIT_SHOWN] for wait in directory.waits if wait][:_WAITS_SHOWN] if directory else [],
    }


def _ready(observed: Observed, nodes: Mapping[str, SeenNode], staying: list[str]) -> Condition:
    if observed.pool.paused:
        why = "no spec was accepted yet" if observed.broken else "spec.paused: the operator only watches"
        return Condition("Ready", "Paused", why)
    if not observed.authority:
        return Condition("Ready", "LogUnreachable", "NATS is away, or not ready yet")
    if observed.directory is None:
        return Condition("Ready", "NoDirectory", "nodes have yet to announce themselves")
    missing = [name for name in staying if not (_is_ready(nodes[name]) and _life(nodes[name]) is Life.ACTIVE)]
    if missing or len(staying) != observed.pool.replicas:
        return Condition("Ready", "NotAllActive", some("not active: ", missing))
    return Condition("Ready", "AllActive")


def _progressing(observed: Observed, plan: Plan, nodes: Mapping[str, SeenNode]) -> Condition:
    draining = [name for name, node in plan.nodes.items() if node.wish is Wish.DRAINING]
    creating = [name for name, node in nodes.items() if name not in draining and _comes(node, observed)]
    rolling = [name for name, node in nodes.items() if node.placed and not _is_updated(node)]
    waits = observed.directory.waits if observed.directory else ()
    for reason, names in (("DrainingNodes", draining), ("CreatingNodes", creating), ("RollingOut", rolling)):
        if names:
            return Condition("Progressing", reason, some("", names))
    if waits:
        return Condition("Progressing", "MovingSwarms", "; ".join(waits[:3]))
    return Condition("Progressing", "Stable")


def _comes(node: SeenNode, observed: Observed) -> bool:
    """Tell whether a node is about to become a member; without the log, only that it has no pod yet is known."""
    if not observed.authority:
        return node.pod is None
    return _life(node) in {None, Life.ANNOUNCED, Life.JOINING, Life.GONE}


def _degraded(observed: Observed, nodes: Mapping[str, SeenNode], problems: Mapping[str, str]) -> Condition:
    if lost := [name for name, node in nodes.items() if node.volume == "Lost"]:
        return Condition("Degraded", "VolumeLost", some("", lost))
    if away := [name for name, node in nodes.items() if _life(node) is Life.UNREACHABLE]:
        return Condition("Degraded", "NodesUnreachable", some("", away))
    if short := _short(observed, nodes):
        return Condition("Degraded", "SwarmShort", some("swarms ", short))
    if problems:
        return Condition("Degraded", "NodeFailed", ": ".join(min(problems.items())))
    return Condition("Degraded", "Whole" if observed.authority else "LogUnreachable")


def _short(observed: Observed, nodes: Mapping[str, SeenNode]) -> list[str]:
    """Return the swarms that members are missing of. Who leaves is not missing: the others are on their way."""
    leaving = Counter(
        node.member.swarm for node in nodes.values() if node.member is not None and node.member.life is Life.DRAINING
    )
    return [swarm for swarm, members, active, _ in _swarms(observed) if active + leaving[swarm] < max(members, FEWEST)]


def _agreed(observed: Observed, nodes: Mapping[str, SeenNode]) -> Condition:
    if observed.directory is None:
        return Condition("MembershipAgreed", "NoDirectory" if observed.authority else "LogUnreachable")
    behind = [
        name for name, node in nodes.items() if node.member is not None and node.member.swarm and not node.member.holds
    ]
    if behind:
        return Condition("MembershipAgreed", "NodesBehind", some("", behind))
    return Condition("MembershipAgreed", "Agreed")


def _swarms(observed: Observed) -> tuple[tuple[str, int, int, int], ...]:
    return observed.directory.swarms if observed.directory else ()


def _is_ready(node: SeenNode) -> bool:
    return node.pod is not None and node.pod.ready


def _is_updated(node: SeenNode) -> bool:
    return node.current and (node.pod is None or node.pod.current)


def _life(node: SeenNode) -> Life | None:
    return node.member.life if node.member is not None else None


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // SECOND_MS, UTC).isoformat().replace("+00:00", "Z")
