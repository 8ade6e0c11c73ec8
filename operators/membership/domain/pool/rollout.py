"""Which nodes may be changed now: one of a swarm at a time, and only while the others hold everything.

A node of which nothing runs has nothing to lose: it is changed at once, so that a failed change can be taken back by
taking the wish back. One that runs and is not well may be changed if it alone is not; and if it has been so for long,
other such ones do not hold it up, since no waiting would make them better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        disturbed: swarms of which a member is not well, or is changed now: nobody else may touch them.
    """

    renew: frozenset[str]
    replace_pods: frozenset[str]
    replace_volumes: frozenset[str]
    waiting: Mapping[str, str]
    disturbed: frozenset[str] = frozenset()


def roll(nodes: Mapping[str, SeenNode], *, informed: bool, elsewhere: frozenset[str] = frozenset()) -> Rollout:
    """Return what may be changed now.

    Args:
        nodes: that have not left; newcomers with nothing yet are among them. Who leaves is kept up to date like
            everybody: it may take long.
        informed: whether it is known who serves which swarm. If not, only that of which nothing runs is touched.
        elsewhere: swarms that nodes of other pools disturb.
    """
    renew: set[str] = set()
    pods: set[str] = set()
    volumes: set[str] = set()
    waiting: dict[str, str] = {}
    touched = set(elsewhere)
    for name, node in nodes.items():
        lost = node.volume == "Lost"
        if not node.placed:
            renew.add(name)
        elif lost or not _is_newest(node):
            if not _is_idle(node, informed=informed):
                if reason := _in_the_way(node, nodes, touched, informed=informed):
                    waiting[name] = reason
                    continue
                touched |= _swarms(node)
            renew.add(name)
            if lost:
                volumes.add(name)
            if node.pod is not None and not node.pod.deleting and (lost or (node.current and not node.pod.current)):
                pods.add(name)
        elif _waits_for_a_volume(node):
            pods.add(name)
    return Rollout(
        frozenset(renew), frozenset(pods), frozenset(volumes), waiting, disturbed(nodes.values()) | frozenset(touched)
    )


def disturbed(nodes: Iterable[SeenNode]) -> frozenset[str]:
    """Return the swarms of which a member is not well."""
    return frozenset(swarm for node in nodes if not _is_well(node) for swarm in _swarms(node))


def _is_newest(node: SeenNode) -> bool:
    return node.current and (node.pod is None or node.pod.current)


def _waits_for_a_volume(node: SeenNode) -> bool:
    """Tell whether a pod waits in vain for a claim that was taken away: only a new pod brings a new claim along."""
    return node.volume is None and node.pod is not None and node.pod.unscheduled and not node.pod.deleting


def _is_idle(node: SeenNode, *, informed: bool) -> bool:
    """Tell whether a change costs nobody anything: the node does not serve, or cannot."""
    pod = node.pod
    return pod is None or pod.broken or not pod.started or (informed and not _swarms(node))


def _is_well(node: SeenNode) -> bool:
    pod, member = node.pod, node.member
    return (
        pod is not None
        and pod.ready
        and not pod.deleting
        and not _is_being_changed(node)
        and member is not None
        and member.life in {Life.ACTIVE, Life.DRAINING}
        and member.holds
    )


def _is_being_changed(node: SeenNode) -> bool:
    """Tell whether a node's pod is about to go, however well it still looks: what it belongs to says so, or is gone."""
    return node.pod is not None and (node.resource is None or not node.placed or not node.pod.current)


def _stays_unwell(node: SeenNode) -> bool:
    """Tell whether a node is not well, and nothing under way will make it so.

    One that runs and that others cannot reach is among them: its address may be what is to be changed.
    """
    pod, member = node.pod, node.member
    if pod is None or pod.deleting or _is_being_changed(node):
        return False
    return pod.stuck or pod.broken or (pod.ready and member is not None and member.life is Life.UNREACHABLE)


def _in_the_way(node: SeenNode, nodes: Mapping[str, SeenNode], touched: set[str], *, informed: bool) -> str:
    """Return why a node that may serve cannot be changed now; empty if it can."""
    if not informed:
        return "waits for the membership authority, which knows whom it serves"
    swarms = _swarms(node)
    alike = _stays_unwell(node)
    unwell = [
        other.name
        for other in nodes.values()
        if other is not node
        and _swarms(other) & swarms
        and not _is_well(other)
        and not (alike and _stays_unwell(other))
    ]
    if unwell:
        return "waits for " + ", ".join(sorted(unwell)[:3])
    return "waits for its turn" if swarms & touched else ""


def _swarms(node: SeenNode) -> frozenset[str]:
    member = node.member
    return frozenset() if member is None else frozenset({member.swarm, member.planned} - {""})
