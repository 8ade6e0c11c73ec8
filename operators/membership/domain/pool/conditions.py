"""Conditions in Kubernetes' standard form; every type, every reason and its status (docs/operating/conditions.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

#: By type, then by reason: whether the condition holds; ``None`` is not known.
Reasons: TypeAlias = Mapping[str, Mapping[str, bool | None]]

#: Of a NodePool. The first reason of each type is the one of a pool that is well.
POOL_REASONS: Final[Reasons] = MappingProxyType(
    {
        "Ready": {
            "AllActive": True,
            "NotAllActive": False,
            "NoDirectory": False,
            "LogUnreachable": None,
            "Paused": None,
        },
        "Progressing": {
            "Stable": False,
            "CreatingNodes": True,
            "DrainingNodes": True,
            "RollingOut": True,
            "MovingSwarms": True,
        },
        "Degraded": {
            "Whole": False,
            "NodesUnreachable": True,
            "SwarmShort": True,
            "VolumeLost": True,
            "NodeFailed": True,
            "LogUnreachable": None,
        },
        "MembershipAgreed": {"Agreed": True, "NodesBehind": False, "NoDirectory": None, "LogUnreachable": None},
        "ConfigurationWarning": {
            "None": False,
            "RuleBroken": True,
            "FewNodes": True,
            "UnsafeReplicas": True,
            "SingleMachine": True,
            "DelegationEnds": True,
            "LogCramped": True,
        },
        "DrainRefused": {"NotAsked": False, "TooFewNodes": True},
    }
)

#: Of a ServiceNode. The first reason of each type is the one of a node that is well.
NODE_REASONS: Final[Reasons] = MappingProxyType(
    {
        "Ready": {
            "Serving": True,
            "Starting": False,
            "Behind": False,
            "NotReady": False,
            "PodMissing": False,
            "PodFailing": False,
            "VolumeLost": False,
            "Failed": False,
            "Left": False,
        },
        "Joined": {
            "Listed": True,
            "NotAnnounced": False,
            "CatchingUp": False,
            "Unreachable": False,
            "Left": False,
            "LogUnreachable": None,
        },
        "Drained": {
            "NotAsked": False,
            "WaitingForSwarm": False,
            "Refused": False,
            "HandedOver": True,
            "Skipped": True,
        },
        "UpToDate": {"Current": True, "Waiting": False, "Rolling": False},
    }
)

_STATUS: Final = {True: "True", False: "False", None: "Unknown"}
#: Of a message, in characters.
_LONGEST: Final = 1024
_NAMED: Final = 5


class Condition(NamedTuple):
    """One of them; the tables above say which reasons a type has."""

    type: str
    reason: str
    message: str = ""


def written(
    reasons: Reasons,
    conditions: Iterable[Condition],
    before: Iterable[Mapping[str, Any]],
    *,
    generation: int,
    now: str,
) -> list[dict[str, Any]]:
    """Return conditions as they stand in a status; the time of the last change is kept where nothing changed.

    Args:
        reasons: those of the kind.
        conditions: as they are now.
        before: as they stand in the status.
        generation: of the spec that was looked at.
        now: RFC 3339.
    """
    known = {condition["type"]: condition for condition in before}
    entries = []
    for condition in conditions:
        status = _STATUS[reasons[condition.type][condition.reason]]
        last = known.get(condition.type, {})
        entries.append(
            {
                "type": condition.type,
                "status": status,
                "reason": condition.reason,
                # Never empty: old API servers take an empty text for none at all, and refuse it.
                "message": (condition.message or _as_words(condition.reason))[:_LONGEST],
                "observedGeneration": generation,
                "lastTransitionTime": last.get("lastTransitionTime", now) if last.get("status") == status else now,
            }
        )
    return entries


def some(what: str, names: Sequence[str]) -> str:
    """Return a message about some nodes or swarms; not all of them are named."""
    shown = ", ".join(names[:_NAMED])
    return f"{what}{shown}" + (f" and {len(names) - _NAMED} more" if names[_NAMED:] else "") if names else ""


def _as_words(reason: str) -> str:
    """Return ``all active`` for ``AllActive``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", reason).lower()
