"""Erasing what survives an uninstall; nothing else in the project does."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from operators.cluster.erasure import Doomed, Leftovers, find_leftovers, still_installed
from operators.cluster.errors import EraseIncomplete, NotFound, NotInstalled, StillInstalled
from operators.cluster.kube import Cluster
from operators.cluster.names import (
    DEPLOYMENT,
    NODE_POOL,
    OURS,
    POD,
    SECRET,
    STATEFUL_SET,
    SURVIVING,
    Object,
    name_of,
)

LOOK_EVERY_S: Final = 1.0
_NAMED: Final = 10


async def look(cluster: Cluster, release: str) -> Leftovers:
    """Return what a release has left in the namespace. Secrets are listed without their data."""
    return find_leftovers(release, {kind: await cluster.list(kind, metadata_only=True) for kind in SURVIVING})


async def refuse_if_installed(cluster: Cluster, release: str, *, ask_helm: bool = True) -> None:
    """Make sure that nothing runs that the erased objects belong to.

    Args:
        cluster: the namespace.
        release: the release's name.
        ask_helm: whether Helm's own record of the release counts as well.

    Raises:
        StillInstalled: a node pool, a workload, a pod, or Helm's record of the release is there.
    """
    workloads = {kind: await cluster.list(kind, OURS) for kind in (DEPLOYMENT, STATEFUL_SET, POD)}
    records = await cluster.list(SECRET, "owner=helm", metadata_only=True) if ask_helm else []
    found = still_installed(release, await _pools(cluster), workloads, records)
    if found:
        shown = ", ".join(found[:_NAMED]) + (" …" if found[_NAMED:] else "")
        raise StillInstalled(release=release, namespace=cluster.namespace, found=shown)


async def erase(
    cluster: Cluster, release: str, leftovers: Leftovers, timeout_s: float, look_every_s: float = LOOK_EVERY_S
) -> list[dict[str, Any]]:
    """Delete exactly what was listed, wait until it is gone, and return it.

    Raises:
        EraseIncomplete: something is still there when the time is over.
    """
    for doomed in leftovers.doomed:
        await _delete(cluster, doomed)
    give_up = time.monotonic() + timeout_s
    while left := await _still_there(cluster, leftovers.doomed):
        if time.monotonic() >= give_up:
            names = ", ".join(map(str, left[:_NAMED]))
            raise EraseIncomplete(release=release, count=len(left), seconds=round(timeout_s), left=names)
        await asyncio.sleep(look_every_s)
    return [doomed.describe() for doomed in leftovers.doomed]


async def _delete(cluster: Cluster, doomed: Doomed) -> None:
    try:
        await cluster.delete(doomed.kind, doomed.thing)
    except NotFound:
        return


async def _still_there(cluster: Cluster, erased: list[Doomed]) -> list[Doomed]:
    """Return those that are still there; one that was made anew under the same name is another object."""
    there = {
        (kind, name_of(thing), thing["metadata"].get("uid"))
        for kind in {doomed.kind for doomed in erased}
        for thing in await cluster.list(kind, metadata_only=True)
    }
    return [one for one in erased if (one.kind, name_of(one.thing), one.thing["metadata"].get("uid")) in there]


async def _pools(cluster: Cluster) -> list[Object]:
    try:
        return await cluster.list(NODE_POOL)
    except NotInstalled:  # somebody removed the definitions as well, and with them all pools
        return []
