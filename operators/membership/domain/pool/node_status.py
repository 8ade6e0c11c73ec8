"""What a ServiceNode's status says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.membership.domain.life import Life
from operators.membership.domain.pool.conditions import Condition, written
from operators.membership.domain.pool.observed import SeenNode, Wish
from operators.membership.domain.pool.reconcile import NodePlan

_PHASES = {life: life.name.capitalize() for life in Life}


def node_status(
    node: SeenNode,
    plan: NodePlan | None,
    *,
    problem: str,
    epoch: int,
    before: Mapping[str, Any],
    generation: int,
    now: str,
) -> dict[str, Any]:
    """Return the status of one node. What changes all the time (its exact lag) is left out until it catches up.

    Args:
        node: what is there of it.
        plan: what is planned with it; ``None`` once it has left.
        problem: what could not be done.
        epoch: of the newest directory.
        before: the status that it has.
        generation: of its spec.
        now: RFC 3339.
    """
    member, pod = node.member, node.pod
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "phase": phase_of(node),
        "reason": (member.reason if member else "") or None,
        "swarm": (member.swarm if member else "") or None,
        "nextSwarm": member.planned if member and member.planned not in {"", member.swarm} else None,
        "epoch": epoch,
        "caughtUp": member is not None and member.holds,
        "lag": 0 if member is not None and member.holds else member.lag if member else None,
        "address": node.address or None,
        "machine": (pod.machine if pod else "") or None,
        "conditions": written(
            _conditions(node, plan, problem), before.get("conditions") or (), generation=generation, now=now
        ),
    }
    return status


def phase_of(node: SeenNode) -> str:
    """Return where a node is in its life, in one word."""
    member = node.member
    if member is None:
        return "Pending"
    if member.life is Life.GONE and member.drained:
        return "Drained"
    return _PHASES[member.life]


def _conditions(node: SeenNode, plan: NodePlan | None, problem: str) -> tuple[Condition, ...]:
    return (_ready(node, problem), _joined(node), _drained(node, plan, problem), _up_to_date(node, plan))


def _ready(node: SeenNode, problem: str) -> Condition:
    pod = node.pod
    if node.volume == "Lost":
        return Condition(
            "Ready", holds=False, reason="VolumeLost", message="the volume is gone; it is replaced by replay"
        )
    if pod is None:
        return Condition("Ready", holds=False, reason="Failed" if problem else "PodMissing", message=problem)
    if pod.broken:
        return Condition(
            "Ready", holds=False, reason="PodFailing", message=f"look at: kubectl describe pod {node.name}-0"
        )
    if not pod.ready:
        return Condition("Ready", holds=False, reason="NotReady", message="it starts, or is behind the log")
    return Condition("Ready", holds=True, reason="Serving")


def _joined(node: SeenNode) -> Condition:
    member = node.member
    if member is None:
        return Condition("Joined", holds=False, reason="NotAnnounced", message="the node has not announced itself")
    match member.life:
        case Life.ACTIVE | Life.DRAINING:
            return Condition("Joined", holds=True, reason="Listed")
        case Life.JOINING:
            return Condition("Joined", holds=False, reason="CatchingUp", message=member.reason)
        case Life.UNREACHABLE:
            return Condition("Joined", holds=False, reason="Unreachable", message=member.reason)
    return Condition("Joined", holds=False, reason="NotAnnounced", message=member.reason)


def _drained(node: SeenNode, plan: NodePlan | None, problem: str) -> Condition:
    if node.member is not None and node.member.drained:
        return Condition("Drained", holds=True, reason="HandedOver", message="the others hold everything")
    if plan is None or plan.wish is not Wish.DRAINING:
        return Condition("Drained", holds=False, reason="NotAsked")
    if problem and (node.member is None or node.member.life is not Life.DRAINING):
        return Condition("Drained", holds=False, reason="Refused", message=problem)
    return Condition("Drained", holds=False, reason="WaitingForSwarm", message="the others do not hold everything yet")


def _up_to_date(node: SeenNode, plan: NodePlan | None) -> Condition:
    if node.current and (node.pod is None or node.pod.current):
        return Condition("UpToDate", holds=True, reason="Current")
    waits = plan.waits if plan else ""
    return Condition("UpToDate", holds=False, reason="Waiting" if waits else "Rolling", message=waits)
