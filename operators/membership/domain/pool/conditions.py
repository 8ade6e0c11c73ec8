"""Conditions in Kubernetes' standard form; every type and every reason that there is (docs/operating/conditions.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

#: Reasons by type, of a NodePool. The first of each is the one of a pool that is well.
POOL_REASONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Ready": ("AllActive", "NotAllActive", "NoDirectory", "LogUnreachable", "Paused"),
        "Progressing": ("Stable", "CreatingNodes", "DrainingNodes", "RollingOut", "MovingSwarms"),
        "Degraded": ("Whole", "NodesUnreachable", "SwarmShort", "VolumeLost", "NodeFailed"),
        "MembershipAgreed": ("Agreed", "NodesBehind", "NoDirectory"),
        "ConfigurationWarning": ("None", "FewNodes", "UnsafeReplicas", "SingleMachine"),
        "DrainRefused": ("NotRefused", "TooFewNodes"),
    }
)

#: Reasons by type, of a ServiceNode. The first of each is the one of a node that is well.
NODE_REASONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Ready": ("Serving", "NotReady", "PodMissing", "PodFailing", "VolumeLost", "Failed"),
        "Joined": ("Listed", "CatchingUp", "Unreachable", "NotAnnounced", "Unknown"),
        "Drained": ("NotAsked", "WaitingForSwarm", "Refused", "HandedOver"),
        "UpToDate": ("Current", "Waiting", "Rolling"),
    }
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One of them; ``reason`` stands in the tables above."""

    type: str
    holds: bool
    reason: str
    message: str = ""


def written(
    conditions: Iterable[Condition], before: Iterable[Mapping[str, Any]], *, generation: int, now: str
) -> list[dict[str, Any]]:
    """Return conditions as they stand in a status; the time of the last change is kept where nothing changed.

    Args:
        conditions: as they are now.
        before: as they stand in the status.
        generation: of the spec that was looked at.
        now: RFC 3339.
    """
    known = {condition["type"]: condition for condition in before}
    entries = []
    for condition in conditions:
        status = "True" if condition.holds else "False"
        last = known.get(condition.type, {})
        entries.append(
            {
                "type": condition.type,
                "status": status,
                "reason": condition.reason,
                # Never empty: old API servers take an empty text for none at all, and refuse it.
                "message": (condition.message or _as_words(condition.reason))[:1024],
                "observedGeneration": generation,
                "lastTransitionTime": last["lastTransitionTime"] if last.get("status") == status else now,
            }
        )
    return entries


def _as_words(reason: str) -> str:
    """Return ``all active`` for ``AllActive``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", reason).lower()
