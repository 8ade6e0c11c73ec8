"""Which nodes may be changed now: one of a swarm at a time, and only while the others hold everything.

A node that is broken already has nothing to lose: it is changed at once, so that a failed change can be taken back by
taking the wish back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import SeenNode


@dataclass(frozen=True, slots=True)
class Rollout:
    """What happens to the nodes' objects.

    Attributes:
        renew: nodes whose StatefulSet is brought to the newest template.
        replace_pods: nodes whose pod is removed, since it would not be replaced otherwise.
        replace_volumes: nodes whose volume is gone for good; an empty one takes its place.
        waiting: why each of the others that are not of the newest template waits.
    """

    renew: frozenset[str]
    replace_pods: frozenset[str]
    replace_volumes: frozenset[str]
    waiting: Mapping[str, str]


def roll(nodes: Mapping[str, SeenNode], *, informed: bool) -> Rollout:
    """Return what may be changed now.

    Args:
        nodes: that have not left; newcomers with nothing yet are among them. Who leaves is kept up to date like
            everybody: it may take long.
        informed: whether it is known who serves which swarm. If not, only what serves nobody for sure is touched.
    """
    renew: set[str] = set()
    pods: set[str] = set()
    volumes: set[str] = set()
    waiting: dict[str, str] = {}
    disturbed = {swarm for node in nodes.values() if _disturbs(node) for swarm in _swarms(node)}
    for name, node in nodes.items():
        lost = node.volume == "Lost"
        if not node.placed:
            renew.add(name)
        elif lost or not _is_newest(node):
            if not _is_harmless(node, informed=informed) and (reason := _in_the_way(node, nodes, disturbed)):
                waiting[name] = reason
                continue
            disturbed |= _swarms(node)
            renew.add(name)
            if lost:
                volumes.add(name)
            if node.pod is not None and not node.pod.deleting and (lost or (node.current and not node.pod.current)):
                pods.add(name)
    return Rollout(frozenset(renew), frozenset(pods), frozenset(volumes), waiting)


def _is_newest(node: SeenNode) -> bool:
    return node.current and (node.pod is None or node.pod.current)


def _is_harmless(node: SeenNode, *, informed: bool) -> bool:
    """Tell whether a change costs nobody anything: the node does not serve, or cannot."""
    return node.pod is None or node.pod.broken or (informed and not _swarms(node))


def _disturbs(node: SeenNode) -> bool:
    """Tell whether a member of a swarm is not well, so that no other may be touched."""
    return not _is_well(node)


def _is_well(node: SeenNode) -> bool:
    pod, member = node.pod, node.member
    return (
        pod is not None
        and pod.ready
        and not pod.deleting
        and member is not None
        and member.life in {Life.ACTIVE, Life.DRAINING}
        and member.holds
    )


def _in_the_way(node: SeenNode, nodes: Mapping[str, SeenNode], disturbed: set[str]) -> str:
    """Return why a serving node may not be changed now; empty if it may."""
    swarms = _swarms(node)
    if not swarms:
        return "waits for the membership authority, which knows whom it serves"
    if not swarms & disturbed:
        return ""
    unwell = sorted(
        other.name for other in nodes.values() if other is not node and _swarms(other) & swarms and not _is_well(other)
    )
    if unwell:
        return "waits for " + ", ".join(unwell[:3])
    if not _is_well(node):
        return "is not well itself"
    return "waits for its turn"


def _swarms(node: SeenNode) -> frozenset[str]:
    member = node.member
    return frozenset() if member is None else frozenset({member.swarm, member.planned} - {""})
