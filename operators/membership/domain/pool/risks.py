"""What is risky about a pool though nothing is broken: the condition ``ConfigurationWarning``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from operators.membership.domain.policy import HOUR_MS, SECOND_MS
from operators.membership.domain.pool.conditions import Condition, some
from operators.membership.domain.pool.observed import Observed, SeenNode
from operators.membership.domain.pool.spec import FEW, FEWEST

_TYPE: Final = "ConfigurationWarning"
#: Renewed keys last for months; with less left than this, nobody has renewed them.
KEYS_END_SOON_MS: Final = 21 * 24 * HOUR_MS


def risk(observed: Observed, nodes: Mapping[str, SeenNode], *, now_ms: int) -> Condition:
    """Return the gravest of them.

    Args:
        observed: what is there.
        nodes: those that have not left.
        now_ms: the present.
    """
    pool, keys_end_ms = observed.pool, observed.directory.keys_end_ms if observed.directory else None
    if observed.broken:
        return Condition(_TYPE, "RuleBroken", "; ".join(observed.broken))
    if pool.unsafe:
        text = f"{pool.replicas} nodes form no swarm; set spec.allowUnsafe if that is meant. Nothing is changed"
        return Condition(_TYPE, "RuleBroken", text)
    if keys_end_ms is not None and keys_end_ms - now_ms < KEYS_END_SOON_MS:
        day = datetime.fromtimestamp(keys_end_ms // SECOND_MS, UTC).date()
        return Condition(_TYPE, "DelegationEnds", f"no directory can be signed after {day}; the root key is needed")
    if observed.directory is not None and observed.directory.cramped:
        return Condition(_TYPE, "LogCramped", some("no room in the log to enlarge ", observed.directory.cramped))
    if pool.replicas < FEWEST:
        return Condition(_TYPE, "UnsafeReplicas", "one disk that breaks takes messages with it")
    if pool.replicas < FEW:
        return Condition(_TYPE, "FewNodes", f"clients of others refuse networks of fewer than {FEW} nodes")
    if together := _on_one_machine(nodes):
        return Condition(_TYPE, "SingleMachine", some("all members run on one machine: swarms ", together))
    return Condition(_TYPE, "None")


def _on_one_machine(nodes: Mapping[str, SeenNode]) -> list[str]:
    """Return the swarms that one machine's loss takes away."""
    machines: dict[str, list[str]] = defaultdict(list)
    for node in nodes.values():
        if node.member is not None and node.member.swarm and node.pod is not None and node.pod.machine:
            machines[node.member.swarm].append(node.pod.machine)
    return sorted(swarm for swarm, used in machines.items() if len(used) > 1 and len(set(used)) == 1)
