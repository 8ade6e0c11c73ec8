"""A NodePool's wishes, read from its ``spec``, and what the operator itself refuses in them.

An API server checks the rules of the resource definition, but an old one knows no CEL; what protects data is checked
here again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Fewer nodes than this are no swarm that clients accept (wire 11).
FEWEST: Final = 3
#: Fewer nodes than this are no network that clients accept.
FEW: Final = 12
#: Annotation of a NodePool: nodes that leave without a replacement and are no longer counted in ``spec.replicas``.
NOT_REPLACED: Final = "naisho.dev/not-replaced"
#: Roles of a node, each a container.
ROLES: Final = ("onion", "swarm")


@dataclass(frozen=True, slots=True)
class Exposure:
    """How clients reach the nodes.

    Attributes:
        kind: ``ClusterIP``, ``NodePort``, ``LoadBalancer`` or ``HostPort``.
        annotations: of the nodes' Services, for load balancers.
        first_port: with ``HostPort``: node N listens on this plus N of its machine.
    """

    kind: str = "ClusterIP"
    annotations: Mapping[str, str] = field(default_factory=dict)
    first_port: int = 28443


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Where pods may run; the members as Kubernetes knows them."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    topology_key: str = "kubernetes.io/hostname"
    when_unsatisfiable: str = "ScheduleAnyway"
    priority_class: str | None = None


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One pool as people want it.

    Attributes:
        name: of the pool; its nodes are called ``<name>-<ordinal>``.
        uid: of the NodePool object.
        generation: of the spec.
        replicas: nodes that stay.
        allow_unsafe: fewer nodes than clients accept are wanted all the same.
        family: the operator family that the nodes declare.
        country: that they declare, two letters.
        image: that they run; empty for the operator's own.
        storage_size: of each volume, as Kubernetes writes quantities.
        storage_class: ``None`` for the cluster's default.
        exposure: how clients reach the nodes.
        scheduling: where pods may run.
        resources: per role, as a container's ``resources``.
        settings: per role, name and value, such as ``rate.burst``.
        budgets: whether a disruption budget is kept for each swarm.
        paused: the operator only watches.
        autoscaling: as it stands in the spec; empty if there is none.
        not_replaced: nodes that leave without a replacement and are no longer counted in ``replicas``.
    """

    name: str
    uid: str = ""
    generation: int = 0
    replicas: int = 15
    allow_unsafe: bool = False
    family: str = "unnamed"
    country: str = "ZZ"
    image: str = ""
    storage_size: str = "10Gi"
    storage_class: str | None = None
    exposure: Exposure = field(default_factory=Exposure)
    scheduling: Scheduling = field(default_factory=Scheduling)
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    budgets: bool = True
    paused: bool = False
    autoscaling: Mapping[str, Any] = field(default_factory=dict)
    not_replaced: frozenset[str] = frozenset()

    @property
    def unsafe(self) -> bool:
        """Whether so few nodes are wanted that no swarm could be formed, and nobody said that this is meant."""
        return self.replicas < FEWEST and not self.allow_unsafe


def read_pool(body: Mapping[str, Any]) -> PoolSpec:
    """Return the wishes of a NodePool object; what is not said has its default."""
    meta, spec = body["metadata"], body.get("spec") or {}
    said = PoolSpec(name=meta["name"])
    exposure, scheduling = spec.get("exposure") or {}, spec.get("scheduling") or {}
    storage = spec.get("storage") or {}
    return PoolSpec(
        name=meta["name"],
        uid=meta.get("uid", ""),
        generation=meta.get("generation", 0),
        replicas=spec.get("replicas", said.replicas),
        allow_unsafe=spec.get("allowUnsafe", False),
        family=spec.get("family", said.family),
        country=spec.get("country", said.country),
        image=spec.get("image") or "",
        storage_size=str(storage.get("size", said.storage_size)),
        storage_class=storage.get("className"),
        exposure=Exposure(
            exposure.get("type", said.exposure.kind),
            dict(exposure.get("annotations") or {}),
            exposure.get("firstPort", said.exposure.first_port),
        ),
        scheduling=Scheduling(
            dict(scheduling.get("nodeSelector") or {}),
            tuple(scheduling.get("tolerations") or ()),
            scheduling.get("topologyKey", said.scheduling.topology_key),
            scheduling.get("whenUnsatisfiable", said.scheduling.when_unsatisfiable),
            scheduling.get("priorityClassName"),
        ),
        resources={role: (spec.get("resources") or {}).get(role) or {} for role in ROLES},
        settings={role: dict((spec.get("settings") or {}).get(role) or {}) for role in ROLES},
        budgets=spec.get("podDisruptionBudgets", True),
        paused=spec.get("paused", False),
        autoscaling=dict(spec.get("autoscaling") or {}),
        not_replaced=frozenset(filter(None, (meta.get("annotations") or {}).get(NOT_REPLACED, "").split(","))),
    )
