"""What is done to an installed network while it is under load. Each step returns once it has been done to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.cluster import connections
from tests.cluster.kubectl import CommandFailed, Installed, command

#: How long the operator is away in the middle of a drain.
AWAY_S = 120.0


class Step(NamedTuple):
    """One of them."""

    name: str
    do: Callable[[Installed], Awaitable[None]]


def scale(replicas: int) -> Step:
    """Change the number of nodes."""

    async def do(network: Installed) -> None:
        await network.kubectl("scale", "nodepool", network.release, f"--replicas={replicas}")

    return Step(f"scale to {replicas}", do)


async def drain_in_the_middle(network: Installed) -> None:
    """Let a node leave that is neither the first nor the last."""
    node = await _middle(network)
    await network.kubectl("annotate", "servicenode", node, "naisho.dev/drain=true")
    await network.until(f"{node} has left", lambda: _gone(network, "servicenode", node))


async def delete_a_pod(network: Installed) -> None:
    """End a node's pod."""
    await network.kubectl("delete", "pod", f"{await _middle(network)}-0", "--wait=true")


async def delete_a_pod_with_its_volume(network: Installed) -> None:
    """End a node's pod, and take what it stored."""
    node = await _middle(network)
    await network.kubectl("delete", "persistentvolumeclaim", f"data-{node}-0", "--wait=false")
    await network.kubectl("delete", "pod", f"{node}-0", "--wait=true")
    await network.until(f"{node} has another volume", lambda: _bound(network, f"data-{node}-0"))


async def restart_nats(network: Installed) -> None:
    """End the log's servers one by one, each once the one before is ready again."""
    for number in range(3):
        pod = f"{network.release}-nats-{number}"
        await network.kubectl("delete", "pod", pod, "--wait=true")
        await network.until(f"{pod} is ready", lambda pod=pod: _ready(network, pod))  # type: ignore[misc]  # bound early


async def kill_the_operator_in_a_drain(network: Installed) -> None:
    """Let a node leave, and end the operator before it has left; bring the operator back later."""
    node = await _middle(network)
    deployment = f"deployment/{network.release}-operator"
    await network.kubectl("annotate", "servicenode", node, "naisho.dev/drain=true")
    await network.kubectl("scale", deployment, "--replicas=0")
    pods = ("pods", "--selector", "app.kubernetes.io/component=operator")
    for pod in (await network.get(*pods))["items"]:
        await network.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    await asyncio.sleep(AWAY_S)
    await network.kubectl("scale", deployment, "--replicas=1")
    await network.until(f"{node} has left", lambda: _gone(network, "servicenode", node))


def upgrade(image: str) -> Step:
    """Bring everything to another image."""

    async def do(network: Installed) -> None:
        await network.install(image)

    return Step("upgrade to another image tag", do)


def install_again(image: str) -> Step:
    """Uninstall, see that nothing but keys and volumes is left, and install again on them."""

    async def do(network: Installed) -> None:
        await network.helm("uninstall", network.release, "--wait", "--timeout", "5m")
        # The pod of `helm test` is not the release's: it stays for whoever wants its log.
        await network.until("no pod is left", lambda: _none(network, "pods", "app.kubernetes.io/component!=test"))
        await network.until("no service node is left", lambda: _none(network, "servicenodes"))
        await network.install(image)

    return Step("uninstall, install again", do)


async def _middle(network: Installed) -> str:
    nodes = (await network.get("servicenodes"))["items"]
    staying = sorted(
        (item for item in nodes if item["spec"]["desired"] == "Active"), key=lambda item: int(item["spec"]["ordinal"])
    )
    return str(staying[len(staying) // 2]["metadata"]["name"])


async def _gone(network: Installed, kind: str, name: str) -> bool:
    return not (await network.kubectl("get", kind, name, "--ignore-not-found")).strip()


async def _none(network: Installed, kind: str, selector: str = "") -> bool:
    return not (await network.get(kind, "--selector", selector))["items"]


async def _bound(network: Installed, claim: str) -> bool:
    found = await network.get("persistentvolumeclaim", claim)
    return found["status"]["phase"] == "Bound" and "deletionTimestamp" not in found["metadata"]


async def _ready(network: Installed, pod: str) -> bool:
    found = await network.get("pod", pod)
    return any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in found["status"]["conditions"]
    )


async def destroy(network: Installed) -> None:
    """Uninstall, see that `naisho cluster destroy` alone erases keys and volumes, and that it leaves nothing."""
    await network.helm("uninstall", network.release, "--wait", "--timeout", "5m")
    await network.until("no pod is left", lambda: _none(network, "pods", "app.kubernetes.io/component!=test"))
    await network.until("no service node is left", lambda: _none(network, "servicenodes"))
    ours = ("--selector", "app.kubernetes.io/name=naisho")
    kept = {item["kind"] for item in (await network.get("secrets,configmaps,persistentvolumeclaims", *ours))["items"]}
    if kept != {"Secret", "ConfigMap", "PersistentVolumeClaim"}:
        raise CommandFailed(f"an uninstall keeps keys, register and volumes, but there is only {kept}")
    await network.kubectl("delete", "pod", "--selector", "app.kubernetes.io/component=test")
    naisho = (sys.executable, "-m", "naisho.cli.main", "cluster", "destroy", network.release)
    await command(*naisho, "--namespace", network.namespace, "--yes-erase-everything")
    for kind in ("secrets", "configmaps", "persistentvolumeclaims", "leases"):
        if left := (await network.get(kind, *ours))["items"]:
            raise CommandFailed(f"{len(left)} {kind} are left, such as {left[0]['metadata']['name']}")


async def evict_members(network: Installed) -> None:
    """Empty a machine as its keepers do: of one swarm one pod goes, and the next only when that one is whole again."""
    one, other = await _two_of_a_swarm(network)
    machine = (await network.get("pod", f"{one}-0"))["spec"]["nodeName"]
    try:
        await _empty(machine, one, patience_s=60)
        try:
            await _empty(machine, other, patience_s=10)
        except CommandFailed as refusal:
            if "disruption budget" not in str(refusal):
                raise
        else:
            raise CommandFailed(f"{other} was evicted while {one}, of the same swarm, was away")
    finally:
        await network.kubectl("uncordon", machine)
    await network.until(f"{one} is back", lambda: _ready(network, f"{one}-0"))
    await network.until("everything is whole", network.whole)
    try:
        await _empty(machine, other, patience_s=60)
    finally:
        await network.kubectl("uncordon", machine)


async def scale_by_an_autoscaler(network: Installed) -> None:
    """Let a HorizontalPodAutoscaler find that the nodes have too much to do."""
    target = {"apiVersion": "naisho.dev/v1alpha1", "kind": "NodePool", "name": network.release}
    busy = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1m"}}}
    await network.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": network.release},
            "spec": {"scaleTargetRef": target, "minReplicas": 15, "maxReplicas": 17, "metrics": [busy]},
        },
    )
    await network.until("the autoscaler wants 17 nodes", lambda: _wants(network, 17))
    await network.until("everything is whole", network.whole)
    await network.kubectl("delete", "horizontalpodautoscaler", network.release)
    await network.kubectl("scale", "nodepool", network.release, "--replicas=15")


async def scale_by_the_operator(network: Installed) -> None:
    """Let the operator's own policy find that the nodes have too much to do, and see who talks to whom meanwhile."""
    wish = {"enabled": True, "minReplicas": 15, "maxReplicas": 17, "targets": {"storesPerSecond": 0.2}}
    await network.patch("nodepool", network.release, {"spec": {"autoscaling": wish}})
    await network.until("the operator wants 17 nodes", lambda: _wants(network, 17))
    await network.until("everything is whole", network.whole)
    await connections.check(network)
    await network.patch("nodepool", network.release, {"spec": {"autoscaling": None, "replicas": 15}})


async def _two_of_a_swarm(network: Installed) -> tuple[str, str]:
    nodes = (await network.get("servicenodes"))["items"]
    swarms: dict[str, list[str]] = {}
    for node in nodes:
        swarms.setdefault(node["status"]["swarm"], []).append(node["metadata"]["name"])
    one, other, *_ = max(swarms.values(), key=len)
    return one, other


async def _empty(machine: str, node: str, *, patience_s: float) -> None:
    """Cordon a machine and evict one node's pod."""
    which = ("--pod-selector", f"naisho.dev/node={node}", "--ignore-daemonsets", "--delete-emptydir-data")
    await command("kubectl", "drain", machine, *which, "--timeout", f"{patience_s:.0f}s")


async def _wants(network: Installed, replicas: int) -> bool:
    return (await network.pool())["spec"]["replicas"] == replicas  # type: ignore[no-any-return]  # JSON
