"""From Kubernetes objects, as the API server tells them, to what decisions are made of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from operators.membership.domain.pool.observed import SeenNode, SeenPod, SeenResource, Wish
from operators.membership.domain.pool.register import Entry
from operators.membership.domain.pool.spec import ROLES, PoolSpec
from operators.membership.kube.cluster import (
    BUDGETS,
    PODS,
    SERVICE_NODES,
    SERVICES,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    Cluster,
)
from operators.membership.manifests import node as objects
from operators.membership.manifests.covers import says
from operators.membership.manifests.node import Place
from operators.membership.manifests.site import (
    DRAIN,
    DRAIN_FIRST,
    NO_REPLACEMENT,
    NODE,
    POOL,
    REVISION,
    SKIP_DRAIN,
    SWARM,
    Manifest,
    Site,
)

#: A pod that has not been ready for so long will not become so by itself.
STUCK_AFTER_S: Final = 300
#: What a container waits for that no waiting helps.
_HOPELESS: Final = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "ErrImageNeverPull",
    }
)


@dataclass(frozen=True, slots=True)
class Scenery:
    """All objects of one pool, by node (budgets by swarm), as the API server told them."""

    resources: Mapping[str, Manifest] = field(default_factory=dict)
    services: Mapping[str, Manifest] = field(default_factory=dict)
    sets: Mapping[str, Manifest] = field(default_factory=dict)
    pods: Mapping[str, Manifest] = field(default_factory=dict)
    claims: Mapping[str, Manifest] = field(default_factory=dict)
    budgets: Mapping[str, Manifest] = field(default_factory=dict)


async def look(cluster: Cluster, pool: str) -> Scenery:
    """Return everything that belongs to a pool.

    Raises:
        KubeError: the API server does not answer, or refuses.
    """
    kinds = (SERVICE_NODES, SERVICES, STATEFUL_SETS, PODS, VOLUME_CLAIMS, BUDGETS)
    found = await asyncio.gather(*(cluster.list(kind, f"{POOL}={pool}") for kind in kinds))
    resources, services, sets, pods, claims = (_by_label(items, NODE) for items in found[:-1])
    return Scenery(resources, services, sets, pods, claims, budgets=_by_label(found[-1], SWARM))


def cluster_ip(service: Manifest | None) -> str:
    """Return a Service's address inside the cluster; empty while it has none."""
    ip: str = ((service or {}).get("spec") or {}).get("clusterIP") or ""
    return "" if ip == "None" else ip


def place_of(pool: PoolSpec, ordinal: int, service: Manifest | None) -> Place | None:
    """Return where a node is to be reached; ``None`` while the cluster has not assigned it yet."""
    ip = cluster_ip(service)
    if service is None or not ip:
        return None
    spec = service["spec"]
    match pool.exposure.kind:
        case "NodePort":
            number = next((port.get("nodePort") for port in spec["ports"] if port["name"] == "https"), None)
            return None if not number else Place(ip, objects.HOST_IP, number)
        case "HostPort":
            return Place(ip, objects.HOST_IP, pool.exposure.first_port + ordinal)
        case "LoadBalancer":
            points = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
            host = next((point.get("ip") or point.get("hostname") for point in points), None)
            return None if not host else Place(ip, host, objects.HTTPS)
        case _:
            return Place(ip, ip, objects.HTTPS)


def see(site: Site, pool: PoolSpec, name: str, entry: Entry, scenery: Scenery, *, now_ms: int) -> SeenNode:
    """Return what is there of one node; what the membership authority knows of it is left to others."""
    resource = scenery.resources.get(name)
    service = scenery.services.get(name)
    place = place_of(pool, entry.ordinal, service)
    there = scenery.sets.get(name)
    pod = scenery.pods.get(name)
    current = False
    if there is not None and resource is not None and service is not None and place is not None:
        uid = resource["metadata"]["uid"]
        wanted = objects.stateful_set(site, pool, name, ordinal=entry.ordinal, uid=uid, place=place)
        exposed = objects.is_exposed(service, objects.service(site, pool, name, uid))
        current = exposed and says(there, without_claims(wanted))
    seen_pod = None if pod is None else _see_pod(pod, _revision(there), now_ms)
    host_ip = seen_pod.host_ip if seen_pod else ""
    return SeenNode(
        name,
        resource=None if resource is None else _see_resource(resource),
        address=_told_address(pod, host_ip) or _address(place, host_ip),
        placed=there is not None and (resource is None or _belongs(there, resource)),
        current=current,
        pod=seen_pod,
        volume=((scenery.claims.get(name) or {}).get("status") or {}).get("phase"),
    )


def without_claims(stateful_set: Manifest) -> Manifest:
    """Return a StatefulSet without its volume claims, which nobody may change once it is there."""
    spec = {name: value for name, value in stateful_set["spec"].items() if name != "volumeClaimTemplates"}
    return {**stateful_set, "spec": spec}


def _told_address(pod: Manifest | None, host_ip: str) -> str:
    """Return the address that a node's pod tells clients, which need not be the one that it is to tell."""
    for container in (pod or {}).get("spec", {}).get("containers") or ():
        for variable in container.get("env") or ():
            if variable["name"] == objects.TOLD:
                said: str = variable.get("value") or ""
                return said.replace(objects.HOST_IP, host_ip) if host_ip or objects.HOST_IP not in said else ""
    return ""


def _address(place: Place | None, host_ip: str) -> str:
    if place is None or (place.https_host.startswith("$") and not host_ip):
        return ""
    host = host_ip if place.https_host.startswith("$") else place.https_host
    return f"{host}:{place.https_port}"


def _see_resource(resource: Manifest) -> SeenResource:
    meta, spec = resource["metadata"], resource.get("spec") or {}
    notes = meta.get("annotations") or {}
    return SeenResource(
        uid=meta["uid"],
        wish=Wish.ACTIVE if spec.get("desired", Wish.ACTIVE.value) == Wish.ACTIVE.value else Wish.DRAINING,
        drain=notes.get(DRAIN) == "true",
        skip_drain=notes.get(SKIP_DRAIN) == "true",
        drain_first=notes.get(DRAIN_FIRST) == "true",
        no_replacement=notes.get(NO_REPLACEMENT) == "true",
        deleting="deletionTimestamp" in meta,
    )


def _see_pod(pod: Manifest, revision: str, now_ms: int) -> SeenPod:
    meta, status = pod["metadata"], pod.get("status") or {}
    labels = meta.get("labels") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    containers = {container["name"]: container for container in status.get("containerStatuses") or ()}
    ready = conditions.get("Ready", {}).get("status") == "True"
    started = ready or (set(containers) >= set(ROLES) and all(map(_has_started, containers.values())))
    unready = {name for name, container in containers.items() if not container.get("ready")}
    unscheduled = conditions.get("PodScheduled", {}).get("status") == "False"
    stuck = not ready and _since_ms(pod, conditions) < now_ms - STUCK_AFTER_S * 1000
    return SeenPod(
        ready=ready,
        started=started,
        behind=not ready and started and unready == {"swarm"},
        broken=_is_broken(status, containers.values()) or (stuck and not started),
        stuck=stuck,
        unscheduled=unscheduled,
        current=not revision or labels.get(REVISION) == revision,
        deleting="deletionTimestamp" in meta,
        host_ip=status.get("hostIP") or "",
        machine=(pod.get("spec") or {}).get("nodeName") or "",
        labels=labels,
    )


def _belongs(thing: Manifest, owner: Manifest) -> bool:
    """Tell whether an object is owned by this very one; otherwise it goes when its own owner is found to be gone."""
    owners = thing["metadata"].get("ownerReferences") or ()
    return any(reference["uid"] == owner["metadata"]["uid"] for reference in owners)


def _revision(stateful_set: Manifest | None) -> str:
    """Return the revision of a StatefulSet's pods to come; empty if it says none, as one that is not ours."""
    template = {} if stateful_set is None else stateful_set["spec"].get("template") or {}
    return str(((template.get("metadata") or {}).get("labels") or {}).get(REVISION, ""))


def _has_started(container: Mapping[str, Any]) -> bool:
    """Tell whether a container runs and its startup probe has passed, as far as the kubelet tells."""
    return "running" in (container.get("state") or {}) and container.get("started") is not False


def _is_broken(status: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> bool:
    if status.get("phase") in {"Failed", "Unknown"}:
        return True
    waiting = ((container.get("state") or {}).get("waiting") or {} for container in containers)
    return any(state.get("reason") in _HOPELESS for state in waiting)


def _since_ms(pod: Manifest, conditions: Mapping[str, Mapping[str, Any]]) -> int:
    """Return since when a pod is not ready; one without a machine was never asked, and counts from its making."""
    since = conditions.get("Ready", {}).get("lastTransitionTime") or pod["metadata"].get("creationTimestamp")
    return sys.maxsize if since is None else _ms(since)


def _ms(time: str) -> int:
    return round(datetime.fromisoformat(time).astimezone(UTC).timestamp() * 1000)


def _by_label(items: Iterable[Manifest], label: str) -> dict[str, Manifest]:
    return {name: item for item in items if (name := (item["metadata"].get("labels") or {}).get(label)) is not None}
