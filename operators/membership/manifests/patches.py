"""Patches (RFC 7396) that bring an object from what it says to what it should say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.membership.manifests.site import Manifest


def change(there: Manifest, wanted: Manifest) -> Manifest:
    """Return the patch by which an object comes to say what is wanted, and keeps what others have added.

    A pod template, and the spec of one of our own resources, are replaced as a whole: what is no longer wanted goes.
    The patch counts only for the very object that was looked at.
    """
    patch: Manifest = {"metadata": {"resourceVersion": there["metadata"]["resourceVersion"]}}
    for part in ("labels", "annotations", "ownerReferences"):
        if value := wanted["metadata"].get(part):
            patch["metadata"][part] = value
    spec = dict(wanted["spec"])
    if "template" in spec:
        spec["template"] = replacement(there["spec"]["template"], spec["template"])
    patch["spec"] = spec
    return patch


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
