"""What ``naisho cluster status`` knows of a network, put together from objects as they were read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from operators.cluster.names import (
    COMPONENT_LABEL,
    DRAIN,
    INSTANCE_LABEL,
    LEASE,
    Object,
    annotations_of,
    condition_of,
    labels_of,
    name_of,
    status_of,
    survives,
)
from operators.cluster.times import parse_time
from operators.cluster.wellness import judge

_LEFT: Final = ("Drained", "Gone")
#: The API server tells whole seconds, and a list takes a moment.
_LEASE_SLACK_S: Final = 3.0


class Seen(NamedTuple):
    """What was read of a namespace.

    Attributes:
        namespace: its name.
        pools: the NodePools asked for.
        nodes: all ServiceNodes.
        pods: all pods of ours; None if the user may not see pods.
        leases: all Leases of ours; None if the user may not see Leases.
        at: when, in Unix seconds.

    """

    namespace: str
    pools: Sequence[Object]
    nodes: Sequence[Object]
    pods: Sequence[Object] | None
    leases: Sequence[Object] | None
    at: float


def describe(seen: Seen) -> dict[str, Any]:
    """Return the status as JSON values; ``well`` is the answer to the question behind it."""
    pools = [_describe_pool(pool, seen) for pool in sorted(seen.pools, key=name_of)]
    unseen = [name for name, found in (("pods", seen.pods), ("leases", seen.leases)) if found is None]
    well = all(not pool["problems"] for pool in pools)
    return {"namespace": seen.namespace, "well": well, "pools": pools, "unseen": unseen}


def _describe_pool(pool: Object, seen: Seen) -> dict[str, Any]:
    status = status_of(pool)
    spec: Mapping[str, Any] = pool.get("spec") or {}
    members = [node for node in seen.nodes if (node.get("spec") or {}).get("pool") == name_of(pool)]
    nodes = [_describe_node(node) for node in sorted(members, key=lambda node: int(node["spec"].get("ordinal", 0)))]
    expires = parse_time(status.get("directoryExpires"))
    generation = int(pool["metadata"].get("generation", 0))
    found: dict[str, Any] = {
        "name": name_of(pool),
        "release": labels_of(pool).get(INSTANCE_LABEL),
        "phase": status.get("phase"),
        "paused": bool(spec.get("paused")),
        "desired": spec.get("replicas"),
        "active": status.get("activeReplicas", 0),
        "ready": status.get("readyReplicas", 0),
        "draining": status.get("drainingReplicas", 0),
        "updated": status.get("updatedReplicas", 0),
        "heard_of": bool(status) and int(status.get("observedGeneration") or 0) >= generation,
        "reported": bool(status),
        "network": status.get("networkId"),
        "epoch": status.get("epoch"),
        "grade": status.get("grade"),
        "directory_expires": status.get("directoryExpires"),
        "directory_expires_in_s": None if expires is None else round(expires - seen.at),
        "conditions": [_describe_condition(condition) for condition in status.get("conditions") or ()],
        "swarms": [_describe_swarm(swarm, nodes) for swarm in status.get("swarms") or ()],
        "nodes": nodes,
        "drains": [_describe_drain(node) for node in members if _is_leaving(node)],
        "waits": list(status.get("waits") or ()),
        "autoscaling": status.get("autoscaling"),
        **_describe_rest(pool, seen),
    }
    return {**found, **judge(found)}


def _describe_condition(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": condition.get("type"),
        "status": condition.get("status"),
        "reason": condition.get("reason"),
        "message": condition.get("message", ""),
        "since": condition.get("lastTransitionTime"),
    }


def _describe_swarm(swarm: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "id": swarm.get("id"),
        "members": swarm.get("members"),
        "active": swarm.get("active"),
        "planned": swarm.get("planned"),
        "nodes": [node["name"] for node in nodes if swarm.get("id") in (node["swarm"], node["next_swarm"])],
    }


def _describe_node(node: Object) -> dict[str, Any]:
    status = status_of(node)
    ready = condition_of(node, "Ready")
    return {
        "name": name_of(node),
        "state": status.get("phase") or "Pending",
        "desired": node["spec"].get("desired", "Active"),
        "reason": status.get("reason") or "",
        "swarm": status.get("swarm"),
        "next_swarm": status.get("nextSwarm"),
        "lag": status.get("lag"),
        "caught_up": status.get("caughtUp"),
        "ready": ready.get("status") == "True",
        "ready_reason": ready.get("reason"),
        "address": status.get("address"),
        "machine": status.get("machine"),
        "pod": status.get("pod"),
        "up_to_date": condition_of(node, "UpToDate").get("status") != "False",
    }


def _is_leaving(node: Object) -> bool:
    phase = status_of(node).get("phase")
    asked = annotations_of(node).get(DRAIN) == "true" or node["spec"].get("desired", "Active") != "Active"
    return phase == "Draining" or (asked and phase not in _LEFT)


def _describe_drain(node: Object) -> dict[str, Any]:
    condition = condition_of(node, "Drained")
    return {
        "node": name_of(node),
        "state": status_of(node).get("phase"),
        "reason": condition.get("reason") or "NotSeenYet",
        "message": condition.get("message") or status_of(node).get("reason") or "",
        "since": condition.get("lastTransitionTime"),
    }


def _describe_rest(pool: Object, seen: Seen) -> dict[str, Any]:
    """Describe what serves the pool: NATS, custodian, operator, of the pool's release if it names one."""
    release = labels_of(pool).get(INSTANCE_LABEL)

    def parts(component: str) -> list[dict[str, Any]] | None:
        if seen.pods is None:
            return None
        mine = [p for p in seen.pods if labels_of(p).get(COMPONENT_LABEL) == component and _is_of(p, release)]
        return [_describe_pod(pod) for pod in sorted(mine, key=name_of)]

    leases = [lease for lease in seen.leases or () if survives(LEASE, name_of(lease)) and _is_of(lease, release)]
    leader = None if seen.leases is None else _describe_leader(leases, seen.at)
    return {
        "nats": parts("nats"),
        "custodian": parts("custodian"),
        "operator": parts("operator"),
        "leader": leader,
    }


def _is_of(thing: Object, release: str | None) -> bool:
    return release is None or labels_of(thing).get(INSTANCE_LABEL, release) == release


def _describe_pod(pod: Object) -> dict[str, Any]:
    status = status_of(pod)
    return {
        "name": name_of(pod),
        "phase": status.get("phase"),
        "ready": condition_of(pod, "Ready").get("status") == "True",
        "restarts": sum(c.get("restartCount", 0) for c in status.get("containerStatuses") or ()),
        "machine": (pod.get("spec") or {}).get("nodeName"),
    }


def _describe_leader(leases: Sequence[Object], at: float) -> dict[str, Any]:
    """Say who holds the operator's Lease, and whether it still renews it."""
    specs = [lease.get("spec") or {} for lease in leases]
    newest = max(specs, key=lambda spec: parse_time(spec.get("renewTime")) or 0.0, default={})
    renewed = parse_time(newest.get("renewTime"))
    ago = None if renewed is None else max(0.0, at - renewed)
    return {
        "holder": newest.get("holderIdentity") or None,
        "renewed_s_ago": None if ago is None else round(ago),
        "active": bool(newest.get("holderIdentity"))
        and ago is not None
        and ago <= float(newest.get("leaseDurationSeconds") or 0) + _LEASE_SLACK_S,
    }
