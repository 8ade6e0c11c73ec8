"""From what is there to what is to be done next: one level-based, pure step that may be repeated at any time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import Observed, SeenNode, Wish
from operators.membership.domain.pool.population import Resized, populate
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.rollout import disturbed, roll


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What is to be true of one node's objects.

    Attributes:
        wish: what its resource is to say.
        renew: bring its StatefulSet to the newest template.
        replace_pod: remove its pod; another comes.
        replace_volume: remove its volume claim; an empty one comes, and the node replays the log.
        labels: to be on its pod.
        waits: why it is not of the newest template; empty if it is, or may become so now.
    """

    wish: Wish
    renew: bool
    replace_pod: bool
    replace_volume: bool
    labels: Mapping[str, str]
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in this order; nothing in it does harm if it is done twice.

    Attributes:
        register: to be recorded before anything else.
        nodes: what is to be there of each node that has not left.
        retired: nodes that have left: their objects go, key and volume stay.
        drains: nodes that the authority is asked to let go.
        dismissals: nodes that the authority is told to forget.
        budgets: swarms whose disruption budget is to be made or changed, each with the nodes that it is to count.
        unbudgeted: swarms that have one and none of this pool's nodes.
        resized: what the NodePool is to say of its size; ``None`` if it stays.
        disturbed: swarms of which a member is not well, or is changed by this plan.
        paused: the pool is only watched: nothing at all is to be done.
    """

    register: Register
    nodes: Mapping[str, NodePlan]
    retired: tuple[str, ...] = ()
    drains: tuple[str, ...] = ()
    dismissals: tuple[str, ...] = ()
    budgets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unbudgeted: tuple[str, ...] = ()
    resized: Resized | None = None
    disturbed: frozenset[str] = frozenset()
    paused: bool = False


def reconcile(observed: Observed) -> Plan:
    """Return what is to be done now.

    A paused pool is only watched: its plan asks for what is there.
    """
    if observed.pool.paused:
        return _as_it_is(observed)
    population = populate(observed)
    nodes = {name: observed.nodes.get(name, SeenNode(name)) for name in population.wishes}
    rollout = roll(nodes, informed=observed.authority, elsewhere=observed.elsewhere)
    budgets = _swarms(nodes) if observed.pool.budgets else {}
    # Without a word from the log it is not known which swarms there are: budgets stay.
    known = observed.directory is not None or not observed.pool.budgets
    return Plan(
        population.register,
        {
            name: NodePlan(
                wish,
                renew=name in rollout.renew,
                replace_pod=name in rollout.replace_pods,
                replace_volume=name in rollout.replace_volumes,
                labels=_labels(nodes[name]),
                waits=rollout.waiting.get(name, ""),
            )
            for name, wish in population.wishes.items()
        },
        retired=tuple(
            name
            for name, entry in population.register.entries.items()
            if entry.drained and name in observed.nodes and observed.nodes[name].resource is not None
        ),
        drains=population.drains,
        dismissals=population.dismissals,
        budgets={swarm: names for swarm, names in budgets.items() if known and observed.budgets.get(swarm) != names},
        unbudgeted=tuple(sorted(observed.budgets.keys() - budgets.keys())) if known else (),
        resized=population.resized,
        disturbed=rollout.disturbed,
    )


def _as_it_is(observed: Observed) -> Plan:
    nodes = {
        name: NodePlan(node.resource.wish, renew=False, replace_pod=False, replace_volume=False, labels={})
        for name in observed.register.staying
        if (node := observed.nodes.get(name)) is not None and node.resource is not None
    }
    return Plan(observed.register, nodes, disturbed=disturbed(observed.nodes.values()), paused=True)


def _swarms(nodes: Mapping[str, SeenNode]) -> dict[str, frozenset[str]]:
    members: defaultdict[str, set[str]] = defaultdict(set)
    for name, node in nodes.items():
        if node.member is not None and node.member.swarm:
            members[node.member.swarm].add(name)
    return {swarm: frozenset(names) for swarm, names in sorted(members.items())}


def _labels(node: SeenNode) -> dict[str, str]:
    """Return what a node's pod says of the node's place; nothing while that is not known."""
    member = node.member
    if member is None:
        return {}
    state = "Drained" if member.life is Life.GONE and member.drained else member.life.name.capitalize()
    return {"naisho.dev/state": state} | ({"naisho.dev/swarm": member.swarm} if member.swarm else {})
