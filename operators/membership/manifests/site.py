"""What all objects of one install have in common, and how they are called (ADR 14)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

#: A Kubernetes object as the API takes it.
Manifest: TypeAlias = dict[str, Any]

GROUP: Final = "naisho.dev"
VERSION: Final = "v1alpha1"
API: Final = f"{GROUP}/{VERSION}"
MANAGER: Final = "naisho-operator"
#: Numeric user and group of every container.
USER: Final = 10001

POOL: Final = f"{GROUP}/pool"
NODE: Final = f"{GROUP}/node"
SWARM: Final = f"{GROUP}/swarm"
STATE: Final = f"{GROUP}/state"
REVISION: Final = f"{GROUP}/revision"
DRAIN: Final = f"{GROUP}/drain"
DRAIN_FIRST: Final = f"{GROUP}/drain-first"
SKIP_DRAIN: Final = f"{GROUP}/skip-drain"
NO_REPLACEMENT: Final = f"{GROUP}/no-replacement"


@dataclass(frozen=True, slots=True)
class Site:
    """One install.

    Attributes:
        install: its full name, with which every shared object's name begins.
        release: what ``app.kubernetes.io/instance`` says.
        namespace: where everything is.
        image: what nodes run unless their pool says otherwise.
        pull_policy: of the image.
        pull_secrets: names of Secrets for the image's registry.
        network_id: of the network; part of no name in Kubernetes.
        nats_servers: ``tls://host:port`` of each server of the log.
    """

    install: str
    release: str
    namespace: str
    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    network_id: str = ""
    nats_servers: tuple[str, ...] = ()

    def labels(self, component: str) -> dict[str, str]:
        """Return the labels of an object that the operator makes."""
        return {
            "app.kubernetes.io/name": "naisho",
            "app.kubernetes.io/instance": self.release,
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": "naisho",
            "app.kubernetes.io/managed-by": MANAGER,
        }

    def meta(self, name: str, component: str, *, owner: Mapping[str, Any] | None = None, **labels: str) -> Manifest:
        """Return an object's ``metadata``; keyword arguments are more labels, in our group."""
        meta: Manifest = {
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(component) | {f"{GROUP}/{label}": value for label, value in labels.items()},
        }
        if owner is not None:
            meta["ownerReferences"] = [dict(owner)]
        return meta


def owned_by(kind: str, name: str, uid: str) -> Manifest:
    """Return a reference by which an object goes when its owner, one of our resources, goes."""
    return {
        "apiVersion": API,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,  # it would need the right to change finalizers, and hold up deletions
    }


def revision_of(template: Mapping[str, Any]) -> str:
    """Return a short name of a pod template's content, fit for a label."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:12]


def node_keys(node: str) -> str:
    """Return the name of the Secret of a node's key and certificate."""
    return f"{node}-keys"


def node_nats(node: str) -> str:
    """Return the name of the Secret of a node's NATS user."""
    return f"{node}-nats"


def budget_of(pool: str, swarm: str) -> str:
    """Return the name of a swarm's disruption budget."""
    return f"{pool}-swarm-{swarm}"
