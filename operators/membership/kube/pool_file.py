"""The NodePool that an install brings along, for Helm cannot send one in the same breath as its definition.

It is made once. Later only what was changed in the install's values is taken over: what somebody has changed by
``kubectl scale`` in the meantime stays. It belongs to the ConfigMap that it came from, so an uninstall takes it along,
whether the operator is there or not.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final

from operators.membership.kube.cluster import CONFIG_MAPS, NODE_POOLS, Cluster
from operators.membership.kube.errors import Conflict
from operators.membership.manifests.patches import changed_leaves
from operators.membership.manifests.site import GROUP, Manifest, Site

log = logging.getLogger(__name__)

#: The values that were taken over last, on the NodePool.
VALUES: Final = f"{GROUP}/values"


def read_pool_file(file: Path) -> Manifest | None:
    """Return the NodePool that a file holds; ``None`` if there is no such file.

    Raises:
        ValueError: the file holds something else.
    """
    if not file.exists():
        return None
    wished: Manifest = json.loads(file.read_text(encoding="utf-8"))
    if wished.get("kind") != "NodePool" or not isinstance(wished.get("spec"), dict):
        raise ValueError(f"{file} holds no NodePool")
    return wished


async def bring_pool(cluster: Cluster, site: Site, wished: Manifest) -> None:
    """Make the NodePool that an install brings along, or take over what changed in it since.

    Raises:
        Conflict: the pool of an install before this one is not gone yet.
        KubeError: the API server does not answer, or refuses the pool.
    """
    name, spec = wished["metadata"]["name"], wished["spec"]
    values = json.dumps(spec, sort_keys=True)
    there = await cluster.get(NODE_POOLS, name)
    if there is None:
        await cluster.create(NODE_POOLS, await _owned(cluster, site, wished, values))
        log.info("the node pool %s is made, of %s nodes", name, spec.get("replicas", "the default number of"))
        return
    if await _belongs_to_another(cluster, site, there):
        raise Conflict(f"the node pool {name} is of an install before this one, and goes with it; it is waited for")
    before = json.loads((there["metadata"].get("annotations") or {}).get(VALUES, "{}"))
    if before != spec:
        patch: Manifest = {"metadata": {"annotations": {VALUES: values}}, "spec": changed_leaves(before, spec)}
        await cluster.merge(NODE_POOLS, name, patch)
        log.info("the node pool %s takes over: %s", name, json.dumps(patch["spec"]))


async def _belongs_to_another(cluster: Cluster, site: Site, there: Manifest) -> bool:
    """Tell whether a pool came with an install that is gone, so that it will be gone soon, too."""
    source = await cluster.get(CONFIG_MAPS, f"{site.install}-pool")
    owners = {owner["uid"] for owner in there["metadata"].get("ownerReferences") or ()}
    return "deletionTimestamp" in there["metadata"] or bool(
        owners and source is not None and source["metadata"]["uid"] not in owners
    )


async def _owned(cluster: Cluster, site: Site, wished: Manifest, values: str) -> Manifest:
    source = await cluster.get(CONFIG_MAPS, f"{site.install}-pool")
    meta = {**wished["metadata"], "annotations": {**(wished["metadata"].get("annotations") or {}), VALUES: values}}
    if source is not None:
        meta["ownerReferences"] = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": source["metadata"]["name"],
                "uid": source["metadata"]["uid"],
                "blockOwnerDeletion": False,
            }
        ]
    return {**wished, "metadata": meta}
