"""Which grade a network may claim."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product

from naisho.protocol.directory import Node
from naisho.protocol.grade import Grade


def earned_grade(wanted: Grade, nodes: Iterable[Node]) -> Grade:
    """Return the grade that the directory claims: the wanted one, or what the active nodes bear out.

    ``independent`` needs a path of three nodes of three operator families in three separate networks.
    """
    if wanted is Grade.INDEPENDENT and not has_independent_path(nodes):
        return Grade.SINGLE_OPERATOR
    return wanted


def has_independent_path(nodes: Iterable[Node]) -> bool:
    """Tell whether some three nodes differ in family and share no IPv4 /24 or IPv6 /48; those on DNS names never do."""
    families: dict[str, set[frozenset[str]]] = {}
    for node in nodes:
        if node.networks:
            families.setdefault(node.family, set()).add(node.networks)
    return any(
        one.isdisjoint(two) and one.isdisjoint(three) and two.isdisjoint(three)
        for path in combinations(families.values(), 3)
        for one, two, three in product(*path)
    )
