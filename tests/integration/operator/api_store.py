"""The objects of one namespace, with the rules of a real API server that the operator leans on.

Versions and conflicts, generations, the status subresource, label selectors, owners whose dependents go with them, and
fields that nobody may change. What the operator does not use is not here.
"""

from __future__ import annotations

import copy
import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from tests.crds.defaulting import completed, pruned
from tests.crds.definitions import definitions
from tests.crds.validation import complaints

Manifest: TypeAlias = dict[str, Any]


class Objects(Protocol):
    """Where objects of one namespace are looked up, whatever keeps them."""

    def find(self, plural: str, name: str) -> Manifest | None:
        """Return an object; ``None`` if there is none."""

    def get(self, plural: str, name: str) -> Manifest:
        """Return an object that is there."""


class Served(NamedTuple):
    """A kind of objects: ``apiVersion``, ``kind``, and whether its status is written apart from the rest."""

    api: str
    kind: str
    status: bool = False


SERVED: Final[Mapping[str, Served]] = {
    "configmaps": Served("v1", "ConfigMap"),
    "events": Served("v1", "Event"),
    "secrets": Served("v1", "Secret"),
    "services": Served("v1", "Service", status=True),
    "pods": Served("v1", "Pod", status=True),
    "persistentvolumeclaims": Served("v1", "PersistentVolumeClaim", status=True),
    "statefulsets": Served("apps/v1", "StatefulSet", status=True),
    "poddisruptionbudgets": Served("policy/v1", "PodDisruptionBudget", status=True),
    "leases": Served("coordination.k8s.io/v1", "Lease"),
    "nodepools": Served("naisho.dev/v1alpha1", "NodePool", status=True),
    "servicenodes": Served("naisho.dev/v1alpha1", "ServiceNode", status=True),
}
#: Of a StatefulSet's spec; a change of anything else is refused.
_CHANGEABLE: Final = frozenset({"template", "replicas", "updateStrategy", "minReadySeconds"})


class Rejected(Exception):
    """The API server says no."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Change(NamedTuple):
    """One entry of a watch."""

    version: int
    plural: str
    event: str
    there: Manifest


@dataclass
class ApiStore:
    """Everything that is there.

    Attributes:
        observers: are told of every change, within the call that makes it.
    """

    namespace: str
    observers: list[Callable[[Change], None]] = field(default_factory=list)
    _objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    _changes: list[Change] = field(default_factory=list)
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _addresses: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def version(self) -> int:
        """Of the newest change."""
        return self._changes[-1].version if self._changes else 0

    def changes(self, plural: str, since: int) -> list[Change]:
        return [change for change in self._changes if change.version > since and change.plural == plural]

    def every(self) -> Iterator[Manifest]:
        yield from self._objects.values()

    def names(self, plural: str) -> set[str]:
        return {name for kind, name in self._objects if kind == plural}

    def find(self, plural: str, name: str) -> Manifest | None:
        """Return an object as it is, to be read only."""
        return self._objects.get((plural, name))

    def get(self, plural: str, name: str) -> Manifest:
        there = self.find(plural, name)
        if there is None:
            raise Rejected(404, "NotFound", f'{plural} "{name}" not found')
        return copy.deepcopy(there)

    def list(self, plural: str, selector: str = "") -> list[Manifest]:
        found = (there for (kind, _), there in self._objects.items() if kind == plural)
        return [copy.deepcopy(there) for there in found if selects(selector, there)]

    def create(self, plural: str, manifest: Manifest) -> Manifest:
        served, there = SERVED[plural], copy.deepcopy(manifest)
        meta = there.setdefault("metadata", {})
        if "name" not in meta:
            meta["name"] = meta["generateName"] + secrets.token_hex(3)
        if (plural, meta["name"]) in self._objects:
            raise Rejected(409, "AlreadyExists", f'{plural} "{meta["name"]}" already exists')
        if there.get("kind", served.kind) != served.kind or there.get("apiVersion", served.api) != served.api:
            raise Rejected(400, "BadRequest", f"{there.get('kind')} is no {served.kind}")
        if meta.get("namespace", self.namespace) != self.namespace:
            raise Rejected(400, "BadRequest", "the namespace of the object is not that of the request")
        there |= {"apiVersion": served.api, "kind": served.kind}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta |= {"namespace": self.namespace, "uid": secrets.token_hex(8), "creationTimestamp": now, "generation": 1}
        if served.status:
            there["status"] = {}
        if plural == "services" and "clusterIP" not in there["spec"]:
            number = next(self._addresses)
            there["spec"]["clusterIP"] = f"10.96.{number // 250}.{number % 250 + 1}"
        return self._put(plural, "ADDED", _admitted(there))

    def merge(self, plural: str, name: str, patch: Manifest, *, subresource: str = "") -> Manifest:
        there = self.get(plural, name)
        wanted = (patch.get("metadata") or {}).get("resourceVersion")
        if wanted not in {None, there["metadata"]["resourceVersion"]}:
            raise Rejected(409, "Conflict", f'{plural} "{name}" has been modified')
        served = SERVED[plural]
        if subresource == "status":
            patch = {"status": patch.get("status")}
        elif served.status:
            patch = {part: value for part, value in patch.items() if part != "status"}
        changed = _admitted(merged(there, patch))
        changed["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        if changed == there:
            return there  # no write, no new version, nobody is told
        if changed.get("spec") != there.get("spec"):
            self._check(plural, there["spec"], changed["spec"])
            changed["metadata"]["generation"] += 1
        return self._put(plural, "MODIFIED", changed)

    def delete(self, plural: str, name: str, *, uid: str | None = None) -> Manifest:
        """Remove an object, and then what it owns: nothing of ours has a finalizer."""
        there = self.get(plural, name)
        if uid not in {None, there["metadata"]["uid"]}:
            raise Rejected(409, "Conflict", f'{plural} "{name}" is another one')
        del self._objects[plural, name]
        there["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell(Change(int(there["metadata"]["resourceVersion"]), plural, "DELETED", there))
        for (kind, dependent), entry in list(self._objects.items()):
            owners = {owner["uid"] for owner in entry["metadata"].get("ownerReferences") or ()}
            if there["metadata"]["uid"] in owners and (kind, dependent) in self._objects:
                self.delete(kind, dependent)
        return there

    def put_status(self, plural: str, name: str, **status: Any) -> None:
        """Write a status as controllers do it."""
        self.merge(plural, name, {"status": status}, subresource="status")

    @staticmethod
    def _check(plural: str, before: Manifest, after: Manifest) -> None:
        if plural == "statefulsets":
            changed = {part for part in before.keys() | after.keys() if before.get(part) != after.get(part)}
            if not changed <= _CHANGEABLE:
                raise Rejected(422, "Invalid", f"spec: Forbidden: updates to {sorted(changed)}")
        if plural == "services" and before["clusterIP"] != after.get("clusterIP"):
            raise Rejected(422, "Invalid", "spec.clusterIP: field is immutable")

    def _put(self, plural: str, event: str, there: Manifest) -> Manifest:
        version = next(self._versions)
        there["metadata"]["resourceVersion"] = str(version)
        self._objects[plural, there["metadata"]["name"]] = there
        self._tell(Change(version, plural, event, there))
        return copy.deepcopy(there)

    def _tell(self, change: Change) -> None:
        self._changes.append(change)
        for observer in tuple(self.observers):
            observer(change)


def _admitted(there: Manifest) -> Manifest:
    """Return one of our own resources as its definition leaves it; CEL rules are not looked at."""
    definition = definitions().get(there["kind"])
    if definition is None:
        return there
    whole = pruned(definition, completed(definition, there))
    if wrong := complaints(definition, whole):
        raise Rejected(422, "Invalid", "; ".join(wrong))
    return whole


def merged(there: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(there) if isinstance(there, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def selects(selector: str, there: Manifest) -> bool:
    """Tell whether a label selector (``a=b,c``) chooses an object."""
    labels = there["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        name, equals, value = term.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return True
