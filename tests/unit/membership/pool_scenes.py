"""Pools on paper: nodes that serve, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import (
    Observed,
    SeenDirectory,
    SeenMember,
    SeenNode,
    SeenPod,
    SeenResource,
)
from operators.membership.domain.pool.register import Entry, Register
from operators.membership.domain.pool.spec import PoolSpec

NOW = "2027-01-15T08:00:00Z"
NOW_MS = 1_800_000_000_000
A, B = "0000000000000000", "8000000000000000"


def member(swarm: str = A, life: Life = Life.ACTIVE, **more: Any) -> SeenMember:
    return SeenMember(life, **{"swarm": swarm, "planned": swarm, "holds": True, **more})


def node(ordinal: int, swarm: str = A, **more: Any) -> SeenNode:
    """Return a node that serves, but for what is said."""
    parts: dict[str, Any] = {
        "resource": SeenResource(f"u-{ordinal}"),
        "address": "10.0.0.1:8443",
        "placed": True,
        "current": True,
        "pod": SeenPod(ready=True, machine=f"m-{ordinal % 3}"),
        "volume": "Bound",
        "member": member(swarm),
    }
    return SeenNode(f"p-{ordinal}", **{**parts, **more})


def with_pod(seen: SeenNode, **pod: Any) -> SeenNode:
    assert seen.pod is not None
    return replace(seen, pod=replace(seen.pod, **pod))


def with_resource(seen: SeenNode, **resource: Any) -> SeenNode:
    assert seen.resource is not None
    return replace(seen, resource=replace(seen.resource, **resource))


def serving(count: int) -> list[SeenNode]:
    """Return nodes that serve, the first half in swarm A, the others in swarm B."""
    return [node(ordinal, A if ordinal < count // 2 else B) for ordinal in range(count)]


def register(nodes: Iterable[SeenNode]) -> Register:
    entries = {seen.name: Entry(int(seen.name[2:]), seen.name.encode().hex()) for seen in nodes}
    return Register(entries, max((entry.ordinal for entry in entries.values()), default=-1) + 1)


def directory(nodes: Iterable[SeenNode] = (), **more: Any) -> SeenDirectory:
    lives = [(seen.member.swarm, seen.member.life) for seen in nodes if seen.member is not None and seen.member.swarm]
    swarms = tuple(
        (swarm, sum(each == swarm for each, _ in lives), lives.count((swarm, Life.ACTIVE)), 6)
        for swarm in sorted({swarm for swarm, _ in lives})
    )
    parts: dict[str, Any] = {"issued_ms": NOW_MS, "expires_ms": NOW_MS + 10**8, "swarms": swarms}
    return SeenDirectory("n-3f9c2a", 7, "single-operator", **{**parts, **more})


def budgets(nodes: Iterable[SeenNode]) -> dict[str, frozenset[str]]:
    """Return the swarms, each with its nodes."""
    members: dict[str, set[str]] = {}
    for seen in nodes:
        if seen.member is not None and seen.member.swarm:
            members.setdefault(seen.member.swarm, set()).add(seen.name)
    return {swarm: frozenset(names) for swarm, names in members.items()}


def observed(
    nodes: Iterable[SeenNode], replicas: int | None = None, *, pool: PoolSpec | None = None, **more: Any
) -> Observed:
    """Return what is seen of a pool that wants as many nodes as there are, unless another number is said."""
    known = {seen.name: seen for seen in nodes}
    wanted = replace(pool or PoolSpec("p", generation=4), replicas=len(known) if replicas is None else replicas)
    parts: dict[str, Any] = {"directory": directory(known.values()), "authority": True}
    parts["budgets"] = budgets(known.values())
    return Observed(wanted, register(known.values()), known, **{**parts, **more})
