"""Reading what ``naisho cluster status`` shows."""

from __future__ import annotations

from typing import Any

from operators.cluster.description import Seen, describe
from operators.cluster.errors import ClusterForbids, NoPool, NotFound, UnknownPool
from operators.cluster.kube import Cluster
from operators.cluster.names import LEASE, NODE_POOL, OURS, POD, SERVICE_NODE, Kind, Object, name_of


async def gather(cluster: Cluster, pool: str | None) -> dict[str, Any]:
    """Return the status of a pool, or of all pools in the namespace.

    Raises:
        NotInstalled: the cluster does not know our kinds.
        NoPool, UnknownPool: there is no pool, or none of that name.
    """
    return describe(await observe(cluster, pool))


async def observe(cluster: Cluster, pool: str | None) -> Seen:
    """Read what a status is made of; raises as `gather`."""
    pools = await choose_pools(cluster, pool)
    nodes = await cluster.list(SERVICE_NODE)
    pods, leases = await _list_if_allowed(cluster, POD), await _list_if_allowed(cluster, LEASE)
    return Seen(cluster.namespace, pools, nodes, pods, leases, at=cluster.time)


async def choose_pools(cluster: Cluster, wanted: str | None) -> list[Object]:
    """Return the pool of that name, or all; raises as `gather`."""
    pools = await cluster.list(NODE_POOL)
    if not pools:
        raise NoPool(namespace=cluster.namespace)
    chosen = [pool for pool in pools if wanted in (None, name_of(pool))]
    if not chosen:
        known = ", ".join(sorted(map(name_of, pools)))
        raise UnknownPool(pool=str(wanted), namespace=cluster.namespace, known=known)
    return chosen


async def _list_if_allowed(cluster: Cluster, kind: Kind) -> list[Object] | None:
    """Return the network's objects of a kind; None for a user who may look at pools only."""
    try:
        return await cluster.list(kind, OURS)
    except (ClusterForbids, NotFound):
        return None
