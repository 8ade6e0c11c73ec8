"""What a ServiceNode's status says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.membership.domain.life import Life
from operators.membership.domain.pool.conditions import NODE_REASONS, Condition, written
from operators.membership.domain.pool.observed import SeenNode, SeenPod, Wish
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
    refusal: str = "",
    informed: bool = True,
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
        refusal: why the authority does not let it leave.
        informed: whether the authority was asked; otherwise what was told last of its membership stays.
    """
    conditions = (
        _ready(node, plan, problem),
        _joined(node, plan, informed=informed),
        _drained(node, plan, refusal),
        _up_to_date(node, plan),
    )
    return {
        "observedGeneration": generation,
        **(_membership(node, epoch) if informed else {"phase": before.get("phase") or "Pending"}),
        "address": node.address or None,
        "machine": (node.pod.machine if node.pod else "") or None,
        "conditions": written(NODE_REASONS, conditions, before.get("conditions") or (), generation=generation, now=now),
    }


def _membership(node: SeenNode, epoch: int) -> dict[str, Any]:
    member = node.member
    status: dict[str, Any] = {"phase": phase_of(node), "epoch": epoch}
    if member is None:
        return status | {"reason": None, "swarm": None, "nextSwarm": None, "caughtUp": False, "lag": None}
    return status | {
        "reason": member.reason or None,
        "swarm": member.swarm or None,
        "nextSwarm": member.planned if member.planned not in {"", member.swarm} else None,
        "caughtUp": member.holds,
        "lag": 0 if member.holds else member.lag,
    }


def phase_of(node: SeenNode) -> str:
    """Return where a node is in its life, in one word."""
    member = node.member
    if member is None:
        return "Pending"
    if member.life is Life.GONE and member.drained:
        return "Drained"
    return _PHASES[member.life]


def _has_left(node: SeenNode, plan: NodePlan | None) -> bool:
    return plan is None or (node.member is not None and node.member.drained)


def _ready(node: SeenNode, plan: NodePlan | None, problem: str) -> Condition:
    if _has_left(node, plan):
        return Condition("Ready", "Left")
    if node.volume == "Lost":
        return Condition("Ready", "VolumeLost", "the volume is gone; it is replaced by replay")
    if problem and (node.pod is None or not node.pod.ready):
        return Condition("Ready", "Failed", problem)
    if node.pod is None:
        return Condition("Ready", "PodMissing")
    return _ready_pod(node.name, node.pod)


def _ready_pod(name: str, pod: SeenPod) -> Condition:
    if pod.broken:
        return Condition("Ready", "PodFailing", f"look at: kubectl describe pod {name}-0")
    if pod.deleting or not pod.started:
        return Condition("Ready", "Starting", "its pod is replaced" if pod.deleting else "its containers start")
    if pod.ready:
        return Condition("Ready", "Serving")
    if pod.behind:
        return Condition("Ready", "Behind", "it follows the log up to the end")
    return Condition("Ready", "NotReady", f"look at: kubectl logs {name}-0 --all-containers")


def _joined(node: SeenNode, plan: NodePlan | None, *, informed: bool) -> Condition:
    member = node.member
    if _has_left(node, plan):
        return Condition("Joined", "Left")
    if not informed:
        return Condition("Joined", "LogUnreachable")
    if member is None:
        return Condition("Joined", "NotAnnounced", "the node has not announced itself")
    match member.life:
        case Life.ACTIVE | Life.DRAINING:
            return Condition("Joined", "Listed")
        case Life.JOINING:
            return Condition("Joined", "CatchingUp", member.reason)
        case Life.UNREACHABLE:
            return Condition("Joined", "Unreachable", member.reason)
    return Condition("Joined", "NotAnnounced", member.reason)


def _drained(node: SeenNode, plan: NodePlan | None, refusal: str) -> Condition:
    if node.resource is not None and node.resource.skip_drain and _has_left(node, plan):
        return Condition("Drained", "Skipped", "what only it held is read from the log by the others")
    if _has_left(node, plan):
        return Condition("Drained", "HandedOver", "the others hold everything")
    if plan is None or plan.wish is not Wish.DRAINING:
        return Condition("Drained", "NotAsked")
    if refusal:
        return Condition("Drained", "Refused", refusal)
    return Condition("Drained", "WaitingForSwarm", "the others do not hold everything yet")


def _up_to_date(node: SeenNode, plan: NodePlan | None) -> Condition:
    if node.current and (node.pod is None or node.pod.current):
        return Condition("UpToDate", "Current")
    waits = plan.waits if plan else ""
    return Condition("UpToDate", "Waiting" if waits else "Rolling", waits)
