"""Objects of an imagined network on Kubernetes, as the operator and the chart write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

RELEASE = "prod"
FULL = "prod-naisho"
NAMESPACE = "mail"
NOW = datetime(2026, 8, 22, 12, 0, 0, tzinfo=UTC)
AT = NOW.timestamp()
SWARMS = ("00ffffffffffffff", "80ffffffffffffff")
Made = dict[str, Any]


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def labels(component: str, release: str = RELEASE) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "naisho",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "naisho",
    }


def condition(kind: str, status: str, reason: str, message: str = "as it should be") -> Made:
    since = stamp(NOW - timedelta(minutes=5))
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}


def thing(name: str, component: str = "node", **parts: Any) -> Made:
    metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "labels": labels(component)}
    return {"metadata": {**metadata, **parts.pop("metadata", {})}, **parts}


def key(ordinal: int) -> str:
    return f"{ordinal:02x}ab" * 16


def node(ordinal: int, phase: str = "Active", **status: Any) -> Made:
    told = {
        "phase": phase,
        "swarm": SWARMS[ordinal % 2],
        "lag": 0,
        "caughtUp": True,
        "address": f"10.96.0.{ordinal + 1}:8443",
        "machine": f"worker-{ordinal % 3}",
        "pod": f"{FULL}-{ordinal}-0",
        "conditions": [
            condition("Ready", "True", "Serving"),
            condition("Drained", "False", "NotAsked"),
            condition("UpToDate", "True", "Current"),
        ],
    }
    spec = {"pool": FULL, "ordinal": ordinal, "key": key(ordinal), "desired": "Active", "storage": "10Gi"}
    return {
        "apiVersion": "naisho.dev/v1alpha1",
        "kind": "ServiceNode",
        **thing(f"{FULL}-{ordinal}", spec=spec, status={**told, **status}),
    }


def pool(**status: Any) -> Made:
    told = {
        "observedGeneration": 3,
        "replicas": 6,
        "activeReplicas": 6,
        "readyReplicas": 6,
        "drainingReplicas": 0,
        "updatedReplicas": 6,
        "swarms": [{"id": swarm, "members": 3, "active": 3, "planned": 3} for swarm in SWARMS],
        "epoch": 41,
        "grade": "single-operator",
        "networkId": "n-0123456789ab",
        "directoryExpires": stamp(NOW + timedelta(days=6, hours=20)),
        "waits": [],
        "conditions": [
            condition("Ready", "True", "AllActive", "6 of 6 nodes are active"),
            condition("Progressing", "False", "Stable"),
            condition("Degraded", "False", "Whole"),
            condition("MembershipAgreed", "True", "Agreed"),
            condition("ConfigurationWarning", "False", "None"),
            condition("DrainRefused", "False", "NotAsked"),
        ],
    }
    return {
        "apiVersion": "naisho.dev/v1alpha1",
        "kind": "NodePool",
        **thing(FULL, metadata={"generation": 3}, spec={"replicas": 6}, status={**told, **status}),
    }


def with_condition(made: Made, changed: Made) -> Made:
    conditions = [c for c in made["status"]["conditions"] if c["type"] != changed["type"]]
    return {**made, "status": {**made["status"], "conditions": [*conditions, changed]}}


def pod(name: str, component: str, *, ready: bool = True, restarts: int = 0, **spec: Any) -> Made:
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"name": component, "restartCount": restarts, "image": "naisho:1"}],
    }
    containers = [{"name": component, "image": "naisho:1"}]
    return thing(name, component, spec={"nodeName": "worker-0", "containers": containers, **spec}, status=status)


def lease(renewed_s_ago: float = 2.0, holder: str = f"{FULL}-operator-1") -> Made:
    renewed = (NOW - timedelta(seconds=renewed_s_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}
    return thing(f"{FULL}-operator", "operator", spec=spec)


def servers() -> list[Made]:
    return [
        *(pod(f"{FULL}-nats-{number}", "nats") for number in range(3)),
        pod(f"{FULL}-custodian-0", "custodian"),
        pod(f"{FULL}-operator-1", "operator"),
    ]
