"""Telling people: statuses, and Kubernetes events with stable reasons. Only what has changed is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from operators.membership.kube.cluster import EVENTS, Cluster, Kind
from operators.membership.kube.errors import ClusterAway, KubeError
from operators.membership.manifests.site import API, MANAGER, Manifest

log = logging.getLogger(__name__)

#: Conditions whose being true is no good news.
_BAD_IF_TRUE: Final = frozenset({"Degraded", "ConfigurationWarning", "DrainRefused"})
_NEUTRAL: Final = frozenset({"Progressing", "UpToDate", "Drained", "Joined"})


class Told(NamedTuple):
    """One event."""

    warning: bool
    reason: str
    message: str


def differs(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether a status does not say what it should; ``None`` is the same as not being there."""
    return any(there.get(name) != value for name, value in wanted.items())


def events_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Told]:
    """Return what is worth an event between two statuses: a changed phase, and conditions with another reason."""
    told = []
    if (phase := after.get("phase")) and phase != before.get("phase") and before.get("phase"):
        told.append(Told(warning=phase == "Unreachable", reason=phase, message=after.get("reason") or f"now {phase}"))
    scaled, last_scaled = (status.get("autoscaling") or {} for status in (after, before))
    if scaled.get("lastScaleTime") != last_scaled.get("lastScaleTime") and "lastScaleTime" in scaled:
        asked = f"the load asks for {scaled['desiredReplicas']} nodes"
        told.append(Told(warning=False, reason=scaled["reason"], message=asked))
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    for condition in after.get("conditions") or ():
        last = known.get(condition["type"])
        changed = last is not None and (last["reason"], last["status"]) != (condition["reason"], condition["status"])
        if changed and condition["reason"] not in {entry.reason for entry in told}:
            told.append(Told(_is_bad(condition), condition["reason"], condition["message"] or condition["type"]))
    return told


def _is_bad(condition: Mapping[str, Any]) -> bool:
    if condition["type"] in _NEUTRAL:
        return condition["reason"] in {"Refused", "Unreachable"}
    return bool((condition["status"] == "True") == (condition["type"] in _BAD_IF_TRUE))


class Teller:
    """Writes statuses and events.

    Args:
        cluster: to write to.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def tell(self, kind: Kind, there: Manifest, status: Mapping[str, Any], *, now_ms: int) -> int:
        """Bring an object's status to what it should be, and tell what changed; return how much was written.

        Raises:
            ClusterAway: the API server does not answer.
        """
        before = there.get("status") or {}
        if not differs(before, status):
            return 0
        name = there["metadata"]["name"]
        writes = 0
        try:
            if await self._cluster.merge(kind, name, {"status": dict(status)}, subresource="status") is None:
                return 0  # it is gone, and nobody asks any more
            writes += 1
            for entry in events_of(before, status):
                await self._cluster.create(EVENTS, event(there, entry, now_ms=now_ms))
                writes += 1
        except ClusterAway:
            raise
        except KubeError as error:
            log.warning("how %s is could not be told: %s", name, error)
        return writes


def event(about: Manifest, told: Told, *, now_ms: int) -> Manifest:
    """Return an event as the API takes it."""
    meta = about["metadata"]
    time = timestamp(now_ms)
    return {
        "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": API,
            "kind": about["kind"],
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
        },
        "type": "Warning" if told.warning else "Normal",
        "reason": told.reason,
        "message": told.message[:1024],
        "source": {"component": MANAGER},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def timestamp(now_ms: int) -> str:
    """Return a time as Kubernetes writes it, to the second."""
    return datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
