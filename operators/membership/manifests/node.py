"""One node: its resource, its Service, its StatefulSet of one pod with two containers and a volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from operators.membership.domain.pool.observed import Wish
from operators.membership.domain.pool.reserved import is_reserved, variable_of
from operators.membership.domain.pool.spec import PoolSpec
from operators.membership.manifests import site as naming
from operators.membership.manifests.site import API, NODE, POOL, REVISION, USER, Manifest, Site, owned_by, revision_of

HTTPS: Final = 8443
HOP: Final = 8444
SEED: Final = 8080
ONION_METRICS: Final = 9101
SWARM_METRICS: Final = 9102

_ABOUT_HTTPS: Final = "ABOUT_HTTPS"
#: The variable with the address that a node tells clients, and what stands in it for that of the pod's machine.
TOLD: Final = f"NAISHO_SWARM_{_ABOUT_HTTPS}"
HOST_IP: Final = "$(NAISHO_HOST_IP)"
#: What of a Service says how it is reached.
_EXPOSING: Final = frozenset({"type", "externalTrafficPolicy", "ports"})
_ETC: Final = "/etc/naisho"
_DATA: Final = "/var/lib/naisho"
_RUN: Final = "/run/naisho"
#: Requests in hand may finish, and the store is closed in order.
_GRACE_S: Final = 45
_MODE: Final = 0o440


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is reached, as the cluster assigned it.

    Attributes:
        cluster_ip: of its Service; the address between nodes.
        https_host: what clients are told; ``$(NAISHO_HOST_IP)`` for the address of whatever machine runs the pod.
        https_port: the same.
    """

    cluster_ip: str
    https_host: str
    https_port: int


def resource(site: Site, pool: PoolSpec, name: str, *, ordinal: int, key: str, wish: Wish) -> Manifest:
    """Return the ServiceNode."""
    owner = owned_by("NodePool", pool.name, pool.uid)
    spec: Manifest = {"pool": pool.name, "ordinal": ordinal, "desired": wish.value, "storage": pool.storage_size}
    if key:
        spec["key"] = key
    return {
        "apiVersion": API,
        "kind": "ServiceNode",
        "metadata": site.meta(name, "node", owner=owner, pool=pool.name, node=name),
        "spec": spec,
    }


def service(site: Site, pool: PoolSpec, name: str, uid: str) -> Manifest:
    """Return the node's Service: one lasting address, also while the pod is not ready, for it must be heard to join."""
    kind = pool.exposure.kind
    meta = site.meta(name, "node", owner=owned_by("ServiceNode", name, uid), pool=pool.name, node=name)
    spec: Manifest = {
        "type": kind if kind in {"NodePort", "LoadBalancer"} else "ClusterIP",
        "selector": {POOL: pool.name, NODE: name},
        "publishNotReadyAddresses": True,
        "ports": [
            {"name": port, "port": number, "targetPort": port, "protocol": "TCP"}
            for port, number in (("https", HTTPS), ("hop", HOP))
        ],
    }
    # Another machine's port would hide who asks, and add a hop. Without exposure there must be no such policy.
    spec["externalTrafficPolicy"] = "Local" if spec["type"] != "ClusterIP" else None
    if kind == "LoadBalancer":
        meta["annotations"] = dict(pool.exposure.annotations)
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def as_exposed(wanted: Manifest, there: Manifest) -> Manifest:
    """Return a node's Service that is reached as it is now: by addresses that the running node has told everybody."""
    kept = {name: there["spec"][name] for name in _EXPOSING if name in there["spec"]}
    spec = {name: value for name, value in wanted["spec"].items() if name not in _EXPOSING}
    return {**wanted, "spec": spec | kept}


def is_exposed(there: Manifest, wanted: Manifest) -> bool:
    """Tell whether a node's Service is reached as it should be."""
    return bool(there["spec"].get("type", "ClusterIP") == wanted["spec"]["type"])


def stateful_set(site: Site, pool: PoolSpec, name: str, *, ordinal: int, uid: str, place: Place) -> Manifest:
    """Return the node's StatefulSet; its pod template carries the name of its own content."""
    template = _template(site, pool, name, ordinal=ordinal, place=place)
    template["metadata"]["labels"][REVISION] = revision_of(template)
    claim: Manifest = {
        "metadata": {"name": "data", "labels": {POOL: pool.name, NODE: name} | site.labels("node")},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": pool.storage_size}}},
    }
    if pool.storage_class is not None:
        claim["spec"]["storageClassName"] = pool.storage_class
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": site.meta(name, "node", owner=owned_by("ServiceNode", name, uid), pool=pool.name, node=name),
        "spec": {
            "serviceName": name,
            "replicas": 1,
            # A pod that never became ready would otherwise stand in the way of its own correction.
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {POOL: pool.name, NODE: name}},
            "template": template,
            "volumeClaimTemplates": [claim],
        },
    }


def _template(site: Site, pool: PoolSpec, name: str, *, ordinal: int, place: Place) -> Manifest:
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": pool.scheduling.topology_key,
                "whenUnsatisfiable": pool.scheduling.when_unsatisfiable,
                "labelSelector": {"matchLabels": {POOL: pool.name}},
            }
        ],
        "containers": [_onion(site, pool, ordinal), _swarm(site, pool, place)],
        "volumes": [
            {"name": "network", "configMap": {"name": f"{site.install}-network", "defaultMode": 0o444}},
            _secret("keys", naming.node_keys(name)),
            _secret("mailbox", f"{site.install}-mailbox"),
            _secret("nats", naming.node_nats(name)),
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        ],
    }
    if site.pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in site.pull_secrets]
    if pool.scheduling.node_selector:
        spec["nodeSelector"] = dict(pool.scheduling.node_selector)
    if pool.scheduling.tolerations:
        spec["tolerations"] = [dict(toleration) for toleration in pool.scheduling.tolerations]
    if pool.scheduling.priority_class:
        spec["priorityClassName"] = pool.scheduling.priority_class
    labels = site.labels("node") | {POOL: pool.name, NODE: name}
    return {"metadata": {"labels": labels}, "spec": spec}


def _onion(site: Site, pool: PoolSpec, ordinal: int) -> Manifest:
    ports: list[Manifest] = [
        {"name": "https", "containerPort": HTTPS, "protocol": "TCP"},
        {"name": "hop", "containerPort": HOP, "protocol": "TCP"},
        {"name": "seed", "containerPort": SEED, "protocol": "TCP"},
        {"name": "metrics-onion", "containerPort": ONION_METRICS, "protocol": "TCP"},
    ]
    if pool.exposure.kind == "HostPort":
        ports[0]["hostPort"] = pool.exposure.first_port + ordinal
    environment = {
        "NETWORK_FILE": f"{_ETC}/network/network.json",
        "NODE_KEY_FILE": f"{_ETC}/keys/node.key",
        "CERTIFICATE": f"{_ETC}/keys",
        "HTTPS": f"0.0.0.0:{HTTPS}",
        "HOP": f"0.0.0.0:{HOP}",
        "SEED": f"0.0.0.0:{SEED}",
        "MAILBOX": f"{_RUN}/mailbox.sock",
        "TELEMETRY": f"0.0.0.0:{ONION_METRICS}",
    }
    return _container(
        site,
        pool,
        "onion",
        environment=_variables("onion", environment, pool.settings.get("onion", {})),
        ports=ports,
        mounts={"network": f"{_ETC}/network", "keys": f"{_ETC}/keys", "run": _RUN, "tmp": "/tmp"},  # noqa: S108 - a volume of its own
        metrics="metrics-onion",
    )


def _swarm(site: Site, pool: PoolSpec, place: Place) -> Manifest:
    environment = {
        "NETWORK_FILE": f"{_ETC}/network/network.json",
        "NODE_KEY_FILE": f"{_ETC}/keys/node.key",
        "MAILBOX_KEY_FILE": f"{_ETC}/mailbox/mailbox.key",
        "CERTIFICATE": f"{_ETC}/keys",
        "DATA": f"{_DATA}/store",
        "MAILBOX": f"{_RUN}/mailbox.sock",
        _ABOUT_HTTPS: f"{place.https_host}:{place.https_port}",
        "ABOUT_HOP": f"{place.cluster_ip}:{HOP}",
        "ABOUT_FAMILY": pool.family,
        "ABOUT_COUNTRY": pool.country,
        "ABOUT_MACHINE": "$(NAISHO_MACHINE)",
        "NATS_SERVERS": ",".join(site.nats_servers),
        "NATS_USER_KEY_FILE": f"{_ETC}/nats/user.key",
        "NATS_USER_JWT": f"{_ETC}/nats/user.jwt",
        "NATS_TLS_AUTHORITY": f"{_ETC}/nats/ca.crt",
        "TELEMETRY": f"0.0.0.0:{SWARM_METRICS}",
    }
    from_the_pod = [
        {"name": "NAISHO_HOST_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}}},
        {"name": "NAISHO_MACHINE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
    ]
    return _container(
        site,
        pool,
        "swarm",
        environment=from_the_pod + _variables("swarm", environment, pool.settings.get("swarm", {})),
        ports=[{"name": "metrics-swarm", "containerPort": SWARM_METRICS, "protocol": "TCP"}],
        mounts={
            "network": f"{_ETC}/network",
            "keys": f"{_ETC}/keys",
            "mailbox": f"{_ETC}/mailbox",
            "nats": f"{_ETC}/nats",
            "data": _DATA,
            "run": _RUN,
            "tmp": "/tmp",  # noqa: S108 - a volume of its own
        },
        metrics="metrics-swarm",
    )


def _container(
    site: Site,
    pool: PoolSpec,
    role: str,
    *,
    environment: list[Manifest],
    ports: list[Manifest],
    mounts: Mapping[str, str],
    metrics: str,
) -> Manifest:
    container: Manifest = {
        "name": role,
        "image": pool.image or site.image,
        "imagePullPolicy": site.pull_policy,
        "command": ["python", "-m", f"services.{role}"],
        "env": [{"name": "GRPC_VERBOSITY", "value": "NONE"}, *environment],
        "ports": ports,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": name, "mountPath": path} | ({} if name in {"data", "run", "tmp"} else {"readOnly": True})
            for name, path in mounts.items()
        ],
        # Three questions (ADR 14): does it start, is it alive, may it be given work? Who is behind is not ready.
        "startupProbe": _probe("/livez", metrics, period=2, failures=60),
        "livenessProbe": _probe("/livez", metrics, period=10, failures=6),
        "readinessProbe": _probe("/readyz", metrics, period=5, failures=2),
    }
    if resources := pool.resources.get(role):
        container["resources"] = dict(resources)
    return container


def _probe(path: str, port: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _variables(role: str, environment: Mapping[str, str], settings: Mapping[str, str]) -> list[Manifest]:
    """Return environment variables; of what the pool sets, nothing is taken that the operator needs."""
    wished = {variable_of(name): value for name, value in settings.items() if not is_reserved(role, name)}
    said = {**wished, **environment}
    return [{"name": f"NAISHO_{role.upper()}_{name}", "value": value} for name, value in said.items() if value]


def _secret(name: str, secret: str) -> dict[str, Any]:
    return {"name": name, "secret": {"secretName": secret, "defaultMode": _MODE}}
