"""What a NodePool's status says: is it well, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from operators.membership.domain.life import Life
from operators.membership.domain.policy import SECOND_MS
from operators.membership.domain.pool.conditions import Condition, written
from operators.membership.domain.pool.observed import Observed, SeenNode, Wish
from operators.membership.domain.pool.reconcile import Plan
from operators.membership.domain.pool.spec import FEW

_WAITS_SHOWN = 32


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
    pool, directory = observed.pool, observed.directory
    nodes = {name: observed.nodes.get(name, SeenNode(name)) for name in plan.nodes}
    staying = [name for name, node in plan.nodes.items() if node.wish is Wish.ACTIVE]
    conditions = (
        _ready(observed, nodes, staying),
        _progressing(observed, plan, nodes),
        _degraded(observed, nodes, problems),
        _agreed(observed, nodes),
        _warning(observed, nodes),
        Condition("DrainRefused", bool(refusal), "TooFewNodes" if refusal else "NotRefused", refusal),
    )
    return {
        "observedGeneration": pool.generation,
        "replicas": len(staying),
        "selector": selector,
        "readyReplicas": sum(_is_ready(nodes[name]) for name in staying),
        "activeReplicas": sum(_life(nodes[name]) is Life.ACTIVE for name in staying),
        "drainingReplicas": len(plan.nodes) - len(staying),
        "updatedReplicas": sum(nodes[name].current for name in staying),
        "phase": conditions[1].reason if conditions[1].holds else conditions[0].reason,
        "networkId": directory.network_id if directory else None,
        "epoch": directory.epoch if directory else None,
        "grade": directory.grade if directory else None,
        "directoryExpires": _time(directory.expires_ms) if directory else None,
        "swarms": [
            {"id": swarm, "members": members, "active": active, "planned": planned}
            for swarm, members, active, planned in (directory.swarms if directory else ())
        ],
        "waits": list(directory.waits[:_WAITS_SHOWN]) if directory else [],
        "conditions": written(conditions, before.get("conditions") or (), generation=pool.generation, now=now),
    }


def _ready(observed: Observed, nodes: Mapping[str, SeenNode], staying: list[str]) -> Condition:
    if observed.pool.paused:
        return Condition("Ready", holds=False, reason="Paused", message="spec.paused: the operator only watches")
    if not observed.authority:
        return Condition("Ready", holds=False, reason="LogUnreachable", message="NATS is away, or not ready yet")
    if observed.directory is None:
        return Condition("Ready", holds=False, reason="NoDirectory", message="nodes have yet to announce themselves")
    missing = [name for name in staying if not (_is_ready(nodes[name]) and _life(nodes[name]) is Life.ACTIVE)]
    if missing or len(staying) != observed.pool.replicas:
        return Condition("Ready", holds=False, reason="NotAllActive", message=_some("not active: ", missing))
    return Condition("Ready", holds=True, reason="AllActive")


def _progressing(observed: Observed, plan: Plan, nodes: Mapping[str, SeenNode]) -> Condition:
    draining = [name for name, node in plan.nodes.items() if node.wish is Wish.DRAINING]
    creating = [name for name, node in nodes.items() if _life(node) in {None, Life.ANNOUNCED, Life.JOINING}]
    rolling = [name for name, node in nodes.items() if node.placed and not node.current]
    waits = observed.directory.waits if observed.directory else ()
    for reason, names in (("DrainingNodes", draining), ("CreatingNodes", creating), ("RollingOut", rolling)):
        if names:
            return Condition("Progressing", holds=True, reason=reason, message=_some("", names))
    if waits:
        return Condition("Progressing", holds=True, reason="MovingSwarms", message="; ".join(waits[:3]))
    return Condition("Progressing", holds=False, reason="Stable")


def _degraded(observed: Observed, nodes: Mapping[str, SeenNode], problems: Mapping[str, str]) -> Condition:
    if lost := [name for name, node in nodes.items() if node.volume == "Lost"]:
        return Condition("Degraded", holds=True, reason="VolumeLost", message=_some("", lost))
    short = [swarm for swarm, members, active, _ in _swarms(observed) if active < members]
    if away := [name for name, node in nodes.items() if _life(node) is Life.UNREACHABLE]:
        return Condition("Degraded", holds=True, reason="NodesUnreachable", message=_some("", away))
    if short:
        return Condition("Degraded", holds=True, reason="SwarmShort", message=_some("swarms ", short))
    if problems:
        first = min(problems.items())
        return Condition("Degraded", holds=True, reason="NodeFailed", message=": ".join(first))
    return Condition("Degraded", holds=False, reason="Whole")


def _agreed(observed: Observed, nodes: Mapping[str, SeenNode]) -> Condition:
    if observed.directory is None:
        return Condition("MembershipAgreed", holds=False, reason="NoDirectory")
    behind = [
        name for name, node in nodes.items() if node.member is not None and node.member.swarm and not node.member.holds
    ]
    if behind:
        return Condition("MembershipAgreed", holds=False, reason="NodesBehind", message=_some("", behind))
    return Condition("MembershipAgreed", holds=True, reason="Agreed")


def _warning(observed: Observed, nodes: Mapping[str, SeenNode]) -> Condition:
    pool = observed.pool
    machines = {node.pod.machine for node in nodes.values() if node.pod is not None and node.pod.machine}
    if pool.unsafe:
        text = f"{pool.replicas} nodes form no swarm; set spec.allowUnsafe if that is meant. Nothing is changed"
        return Condition("ConfigurationWarning", holds=True, reason="UnsafeReplicas", message=text)
    if pool.replicas < FEW:
        text = f"clients of others refuse networks of fewer than {FEW} nodes"
        return Condition("ConfigurationWarning", holds=True, reason="FewNodes", message=text)
    if len(nodes) > 1 and len(machines) == 1:
        text = "all nodes run on one machine: it alone sees every hop, and its loss is the network's"
        return Condition("ConfigurationWarning", holds=True, reason="SingleMachine", message=text)
    return Condition("ConfigurationWarning", holds=False, reason="None")


def _swarms(observed: Observed) -> tuple[tuple[str, int, int, int], ...]:
    return observed.directory.swarms if observed.directory else ()


def _is_ready(node: SeenNode) -> bool:
    return node.pod is not None and node.pod.ready


def _life(node: SeenNode) -> Life | None:
    return node.member.life if node.member is not None else None


def _some(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{what}{shown}" + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else ""  # noqa: PLR2004 - five


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // SECOND_MS, UTC).isoformat().replace("+00:00", "Z")
