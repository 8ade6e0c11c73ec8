"""Patches (RFC 7396) that bring an object from what it says to what it should say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.membership.domain.pool.quantities import quantity
from operators.membership.manifests.site import Manifest


def change(there: Manifest, wanted: Manifest) -> Manifest:
    """Return the patch by which an object comes to say what is wanted, and keeps what others have added.

    A pod template is replaced as a whole: what is no longer wanted goes.
    The patch counts only for the very object that was looked at.
    """
    patch: Manifest = {"metadata": {"resourceVersion": there["metadata"]["resourceVersion"]}}
    for part in ("labels", "annotations", "ownerReferences"):
        if value := wanted["metadata"].get(part):
            patch["metadata"][part] = value
    spec = dict(wanted["spec"])
    if "template" in spec:
        spec["template"] = replacement(there["spec"]["template"], spec["template"])
    if wanted.get("kind") == "Service":
        spec |= _of_a_service(there["spec"], spec)
    patch["spec"] = spec
    return patch


def growth(claim: Manifest, size: str) -> Manifest | None:
    """Return the patch by which a volume claim asks for more; ``None`` if it asks for as much, or has no volume yet."""
    if (claim.get("status") or {}).get("phase") != "Bound":
        return None  # nothing of it may be changed before
    asked = claim["spec"]["resources"]["requests"]["storage"]
    there, wanted = quantity(str(asked)), quantity(size)
    if there is None or wanted is None or wanted <= there:
        return None
    return {
        "metadata": {"resourceVersion": claim["metadata"]["resourceVersion"]},
        "spec": {"resources": {"requests": {"storage": size}}},
    }


def _of_a_service(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Manifest:
    """Return what a Service's patch must say besides: ports keep the numbers that were given to them."""
    given = {port["name"]: port["nodePort"] for port in there.get("ports") or () if port.get("nodePort")}
    if wanted["type"] == "ClusterIP":
        return {}
    ports = [port | ({"nodePort": given[port["name"]]} if port["name"] in given else {}) for port in wanted["ports"]]
    return {"ports": ports}


def replacement(there: Any, wanted: Any) -> Any:
    """Return the patch that leaves nothing of ``there`` but what is wanted (and what the API server adds)."""
    if not isinstance(wanted, Mapping) or not isinstance(there, Mapping):
        return wanted
    gone = {name: None for name in there if name not in wanted}
    return gone | {name: replacement(there.get(name), value) for name, value in wanted.items()}


def changed_leaves(before: Any, after: Any) -> Any:
    """Return the patch that says only what differs between two versions of somebody's wishes.

    What others have changed in the object meanwhile stays, unless the wish for it has changed, too.
    """
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return after
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        if name not in before:
            patch[name] = value
        elif before[name] != value:
            patch[name] = changed_leaves(before[name], value)
    return patch
