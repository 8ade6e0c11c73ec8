"""How objects of a network are called and labelled: the part of the contract (ADR 14) that this command reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

#: An object as the API server gives it.
Object: TypeAlias = Mapping[str, Any]

APP: Final = "naisho"
NAME_LABEL: Final = "app.kubernetes.io/name"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
POOL_LABEL: Final = "naisho.dev/pool"
OURS: Final = f"{NAME_LABEL}={APP}"

DRAIN: Final = "naisho.dev/drain"
SKIP_DRAIN: Final = "naisho.dev/skip-drain"
NO_REPLACEMENT: Final = "naisho.dev/no-replacement"


class Kind(NamedTuple):
    """A kind of object: its name for people, its API version, and its name in addresses."""

    name: str
    version: str
    plural: str


NODE_POOL: Final = Kind("NodePool", "naisho.dev/v1alpha1", "nodepools")
SERVICE_NODE: Final = Kind("ServiceNode", "naisho.dev/v1alpha1", "servicenodes")
POD: Final = Kind("Pod", "v1", "pods")
SECRET: Final = Kind("Secret", "v1", "secrets")
CONFIG_MAP: Final = Kind("ConfigMap", "v1", "configmaps")
VOLUME_CLAIM: Final = Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims")
LEASE: Final = Kind("Lease", "coordination.k8s.io/v1", "leases")
EVENT: Final = Kind("Event", "v1", "events")
SERVICE: Final = Kind("Service", "v1", "services")
STATEFUL_SET: Final = Kind("StatefulSet", "apps/v1", "statefulsets")
DEPLOYMENT: Final = Kind("Deployment", "apps/v1", "deployments")
BUDGET: Final = Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets")
NETWORK_POLICY: Final = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
SERVICE_ACCOUNT: Final = Kind("ServiceAccount", "v1", "serviceaccounts")
ROLE: Final = Kind("Role", "rbac.authorization.k8s.io/v1", "roles")
ROLE_BINDING: Final = Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings")

#: What survives an uninstall, in the order in which it is erased: the volumes first, since they hold people's mail.
SURVIVING: Final = (VOLUME_CLAIM, SECRET, CONFIG_MAP, LEASE)

# `{base}` is the chart's full name or a pool's name.
_TABLE: Final[Mapping[Kind, tuple[str, ...]]] = {
    VOLUME_CLAIM: (r"data-{base}-nats-\d+", r"data-{base}-custodian-0", r"data-{base}-\d+-0"),
    SECRET: (
        *(rf"{{base}}-{part}" for part in ("authority", "mailbox", "ca", "nats-tls", "nats-accounts", "nats-auth")),
        r"{base}-(authority|custodian)-nats",
        r"{base}-\d+-(keys|nats)",
    ),
    CONFIG_MAP: (r"{base}-network", r"{base}-register"),
    LEASE: (r"{base}-operator",),
}
_ANY_BASE: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"


def survives(kind: Kind, name: str, base: str | None = None) -> bool:
    """Tell whether the contract's table has an object of that kind and name among those that survive.

    Args:
        kind: kind of the object.
        name: its name.
        base: the chart's full name or a pool's name; None for any.

    >>> survives(SECRET, "prod-naisho-7-keys", "prod-naisho"), survives(SECRET, "database-password")
    (True, False)
    """
    part = _ANY_BASE if base is None else re.escape(base)
    return any(re.fullmatch(pattern.replace("{base}", part), name) for pattern in _TABLE.get(kind, ()))


def full_name(release: str) -> str:
    """Return how the chart calls itself for a release, unless values give it another name.

    >>> full_name("prod"), full_name("my-naisho")
    ('prod-naisho', 'my-naisho')
    """
    return release if APP in release else f"{release}-{APP}"


def name_of(thing: Object) -> str:
    """Return an object's name."""
    return str(thing["metadata"]["name"])


def labels_of(thing: Object) -> Mapping[str, str]:
    """Return an object's labels."""
    return thing["metadata"].get("labels") or {}


def annotations_of(thing: Object) -> Mapping[str, str]:
    """Return an object's annotations."""
    return thing["metadata"].get("annotations") or {}


def status_of(thing: Object) -> Mapping[str, Any]:
    """Return an object's status; empty while nobody has written one."""
    return thing.get("status") or {}


def condition_of(thing: Object, kind: str) -> Mapping[str, Any]:
    """Return one of an object's conditions by its type; empty if it has none of that type."""
    return next((c for c in status_of(thing).get("conditions") or () if c.get("type") == kind), {})
