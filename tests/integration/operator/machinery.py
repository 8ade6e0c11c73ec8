"""A small stand-in for controllers and kubelets: volumes and pods of StatefulSets, and what runs in them."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

from tests.integration.operator.api_store import ApiStore, Change, Manifest
from tests.integration.operator.played_nodes import PlayedNode

#: An image of this word cannot be pulled.
BROKEN: Final = "broken"
_MACHINES: Final = 3


class Machinery:
    """Makes of StatefulSets what real controllers make of them.

    Args:
        store: of the objects.

    Attributes:
        nodes: what runs, by pod.
        behind: nodes that hold nothing of what they should, by the name of their StatefulSet.
    """

    def __init__(self, store: ApiStore) -> None:
        self._store = store
        self._changes: asyncio.Queue[Change] = asyncio.Queue()
        self._placed = itertools.count()
        self.nodes: dict[str, PlayedNode] = {}
        self.behind: set[str] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        self._store.observers.append(self._changes.put_nowait)
        try:
            while True:
                await self._attend(await self._changes.get())
        finally:
            self._store.observers.remove(self._changes.put_nowait)
            for node in self.nodes.values():
                await node.stop()

    def set_behind(self, name: str, *, behind: bool) -> None:
        """Have a node fall behind, or catch up."""
        (self.behind.add if behind else self.behind.discard)(name)
        if (node := self.nodes.get(f"{name}-0")) is not None:
            node.set_behind(behind=behind)

    async def _attend(self, change: Change) -> None:
        name = change.there["metadata"]["name"]
        match change.plural, change.event:
            case "statefulsets", "ADDED" | "MODIFIED":
                self._tend(name)
            case "pods", "ADDED":
                self._begin(name)
            case "pods", "DELETED":
                if (node := self.nodes.pop(name, None)) is not None:
                    await node.stop()
                self._tend(name.removesuffix("-0"))

    def _tend(self, name: str) -> None:
        """Bring one StatefulSet's volume and pod to what it says."""
        there = self._store.find("statefulsets", name)
        if there is None:
            return
        spec, template = there["spec"], there["spec"]["template"]
        (claim,) = spec["volumeClaimTemplates"]
        if self._store.find("persistentvolumeclaims", f"data-{name}-0") is None:
            meta = {**claim["metadata"], "name": f"data-{name}-0"}
            self._store.create("persistentvolumeclaims", {"metadata": meta, "spec": claim["spec"]})
            self._store.put_status("persistentvolumeclaims", f"data-{name}-0", phase="Bound")
        pod = self._store.find("pods", f"{name}-0")
        if pod is None:
            self._place(there)
        elif pod["metadata"]["labels"] | template["metadata"]["labels"] != pod["metadata"]["labels"] and (
            spec["podManagementPolicy"] == "Parallel" or _is_ready(pod)
        ):
            self._store.delete("pods", f"{name}-0")

    def _place(self, owner: Manifest) -> None:
        meta, template = owner["metadata"], owner["spec"]["template"]
        reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": meta["name"], "uid": meta["uid"]}
        machine = f"machine-{next(self._placed) % _MACHINES}"
        self._store.create(
            "pods",
            {
                "metadata": {
                    "name": f"{meta['name']}-0",
                    "labels": dict(template["metadata"]["labels"]),
                    "ownerReferences": [reference],
                },
                "spec": {**template["spec"], "nodeName": machine},
            },
        )

    def _begin(self, name: str) -> None:
        pod = self._store.find("pods", name)
        if pod is None:
            return
        broken = any(BROKEN in container["image"] for container in pod["spec"]["containers"])
        state = {"waiting": {"reason": "ImagePullBackOff"}} if broken else {"running": {}}
        containers = [{"name": one["name"], "ready": False, "state": state} for one in pod["spec"]["containers"]]
        host_ip = f"192.0.2.{int(pod['spec']['nodeName'].rpartition('-')[2]) + 1}"
        self._store.put_status(
            "pods", name, phase="Pending" if broken else "Running", hostIP=host_ip, containerStatuses=containers
        )
        if not broken:
            uid = pod["metadata"]["uid"]
            self.nodes[name] = PlayedNode(
                self._store.get("pods", name),
                self._store,
                lambda ready: self._say_ready(name, uid, ready=ready),
                behind=name.removesuffix("-0") in self.behind,
            )

    def _say_ready(self, name: str, uid: str, *, ready: bool) -> None:
        pod = self._store.find("pods", name)
        if pod is not None and pod["metadata"]["uid"] == uid and _is_ready(pod) != ready:
            containers = [
                {**one, "ready": ready or one["name"] != "swarm"} for one in pod["status"]["containerStatuses"]
            ]
            conditions = [{"type": "Ready", "status": str(ready)}]
            self._store.put_status("pods", name, conditions=conditions, containerStatuses=containers)


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
