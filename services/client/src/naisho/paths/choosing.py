"""Which three nodes make a path. Pure: nodes and a source of randomness in, nodes out.

In a network of grade ``independent``, two hops of one path never share an operator family or a network (IPv4 /24, IPv6
/48), and nodes that declare no family or no address take no part. In one of grade ``single-operator`` all hops are one
party anyway: three distinct nodes, on distinct machines and of distinct families where possible (design 5).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import NamedTuple, TypeAlias

from naisho.errors import TooFewNodes
from naisho.protocol.directory import Grade, Node

#: Tells whether two different nodes may be hops of one path.
Rule: TypeAlias = Callable[[Node, Node], bool]


class Route(NamedTuple):
    """Three distinct nodes, in the order in which a request meets them."""

    entry: Node
    middle: Node
    exit: Node


def are_independent(one: Node, other: Node) -> bool:
    """Tell whether two nodes are different parties on different networks, as far as they declare it."""
    return (
        bool(one.family and other.family and one.networks and other.networks)
        and one.family != other.family
        and one.networks.isdisjoint(other.networks)
    )


def rules(grade: Grade) -> tuple[Rule, ...]:
    """Return the rules for two hops of one path, strictest first; a later one is for want of nodes."""
    if grade is Grade.INDEPENDENT:
        return (are_independent,)
    return (_apart, _on_two_machines, _of_two_families, _are_two)


def choose_route(
    nodes: Sequence[Node], grade: Grade, entry: Node, random: Random, *, avoid: Collection[bytes] = ()
) -> Route:
    """Return a path that starts at a given entry; middle and exit are drawn afresh.

    Args:
        nodes: active nodes, in any order.
        grade: the directory's.
        entry: the pinned first hop.
        random: where the draw comes from; `random.SystemRandom` outside of tests.
        avoid: keys of nodes that may be neither middle nor exit (failing ones, or the destination).

    Raises:
        TooFewNodes: no two nodes fit.
    """
    others = [node for node in nodes if node.key != entry.key and node.key not in avoid]
    for fits in rules(grade):
        candidates = _partners(others, fits, entry)
        random.shuffle(candidates)
        for exit_node in candidates:
            middle = next((node for node in candidates if node.key != exit_node.key and fits(node, exit_node)), None)
            if middle is not None:
                return Route(entry, middle, exit_node)
    raise TooFewNodes(left=len(others) + 1)


def can_enter(nodes: Sequence[Node], grade: Grade, entry: Node) -> bool:
    """Tell whether any path can start at a node."""
    return any(_pairs(nodes, rule, entry) for rule in rules(grade))


def choose_entry(
    nodes: Sequence[Node], grade: Grade, random: Random, *, avoid: Collection[bytes] = (), pinned: Sequence[Node] = ()
) -> Node:
    """Return a node to pin as a further entry, if possible not akin to those pinned already.

    Raises:
        TooFewNodes: no node is left at which a path could start.
    """
    taken = {*avoid, *(node.key for node in pinned)}
    candidates = [node for node in nodes if node.key not in taken]
    random.shuffle(candidates)
    candidates.sort(key=lambda node: sum(not _apart(node, other) for other in pinned))
    for candidate in candidates:
        if can_enter(nodes, grade, candidate):
            return candidate
    raise TooFewNodes(left=len(candidates))


def order_members(
    members: Sequence[Node], route: Route, random: Random, *, acquainted: Collection[bytes] = ()
) -> list[Node]:
    """Return the members of a swarm that a path may go to, best first, ties in random order.

    A hop of the path is never its destination. Nor is a node that knows the client's address from elsewhere, for it
    would see both the address and the mailbox; unless the swarm has no other members. Members of the entry's family
    come last: that family would see both.

    Args:
        members: the swarm.
        route: the path.
        random: where the draw comes from.
        acquainted: keys of nodes that the client speaks to itself.
    """
    hops = {hop.key for hop in route}
    allowed = [member for member in suitable_members(members, acquainted) if member.key not in hops]
    random.shuffle(allowed)
    allowed.sort(key=lambda member: bool(member.family) and member.family == route.entry.family)
    return allowed


def suitable_members(members: Sequence[Node], acquainted: Collection[bytes]) -> Sequence[Node]:
    """Return the members of a swarm that may be asked, by whatever path; arguments as for `order_members`."""
    return [member for member in members if member.key not in acquainted] or members


def _pairs(nodes: Sequence[Node], fits: Rule, entry: Node) -> bool:
    candidates = _partners(nodes, fits, entry)
    return any(fits(one, other) for at, one in enumerate(candidates) for other in candidates[at + 1 :])


def _partners(nodes: Sequence[Node], fits: Rule, entry: Node) -> list[Node]:
    """Return the nodes that fit an entry; none if no two of them can fit each other, because they are one family."""
    partners = [node for node in nodes if node.key != entry.key and fits(entry, node)]
    one_family = len({node.family for node in partners}) < 2  # noqa: PLR2004 - middle and exit
    return [] if one_family and fits is are_independent else partners


def _apart(one: Node, other: Node) -> bool:
    return _on_two_machines(one, other) and _of_two_families(one, other)


def _on_two_machines(one: Node, other: Node) -> bool:
    return one.key != other.key and (one.machine != other.machine or not one.machine)


def _of_two_families(one: Node, other: Node) -> bool:
    return one.key != other.key and (one.family != other.family or not one.family)


def _are_two(one: Node, other: Node) -> bool:
    return one.key != other.key
