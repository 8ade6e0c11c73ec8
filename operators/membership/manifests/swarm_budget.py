"""One swarm: the disruption budget by which its members are evicted one after the other."""

from __future__ import annotations

from collections.abc import Collection

from operators.membership.domain.pool.spec import PoolSpec
from operators.membership.manifests import site as naming
from operators.membership.manifests.site import NODE, POOL, Manifest, Site, owned_by


def budget(site: Site, pool: PoolSpec, swarm: str, members: Collection[str]) -> Manifest:
    """Return a swarm's disruption budget: one member at a time may be evicted, and only while all others are ready.

    It names its nodes and says how many must be ready. The swarm's label would not do: a pod made anew bears it only
    after the operator has looked. Nor would ``maxUnavailable``: whose pod is gone is not missed.

    Args:
        site: how things are called.
        pool: whose nodes it is about.
        swarm: id, 16 hex digits.
        members: names of the nodes in it, at least one.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": site.meta(
            naming.budget_of(pool.name, swarm),
            "node",
            owner=owned_by("NodePool", pool.name, pool.uid),
            pool=pool.name,
            swarm=swarm,
        ),
        "spec": {
            "minAvailable": len(members) - 1,
            "selector": {
                "matchLabels": {POOL: pool.name},
                "matchExpressions": [{"key": NODE, "operator": "In", "values": sorted(members)}],
            },
        },
    }


def counted(budget: Manifest) -> frozenset[str]:
    """Return the names of the nodes that a disruption budget counts; none if it is not as it was made."""
    spec = budget.get("spec") or {}
    rules = (spec.get("selector") or {}).get("matchExpressions") or []
    names = [name for rule in rules if rule.get("key") == NODE for name in rule.get("values") or ()]
    return frozenset(names) if spec.get("minAvailable") == len(names) - 1 else frozenset()
