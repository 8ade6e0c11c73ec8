"""Signs of life: who is missed, and whether others confirm it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Final

from naisho.protocol.directory.statements import Heartbeat
from operators.membership.domain.policy import Policy

#: So many reporters at least, and more than half of all living peers, outweigh a node's own heartbeat.
_OUTVOTE: Final = 3


@dataclass(frozen=True, slots=True)
class Sign:
    """The last that was heard of a node. Not recorded: a new authority starts with silence and waits."""

    #: When, by the authority's clock; without a heartbeat, since when it listens.
    heard_ms: int
    heartbeat: Heartbeat | None = None
    #: The node's clock minus the authority's, at arrival.
    offset_ms: int = 0

    def heard(self, heartbeat: Heartbeat, now_ms: int) -> Sign:
        """Return the sign after one more heartbeat; one that is no newer than the last changes nothing."""
        if self.heartbeat is not None and heartbeat.time_ms <= self.heartbeat.time_ms:
            return self
        return replace(self, heard_ms=now_ms, heartbeat=heartbeat, offset_ms=heartbeat.time_ms - now_ms)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the signs say of one node."""

    #: No heartbeat for too long, or never one.
    silent: bool
    #: Why it counts as being away; empty if it does not.
    away: str = ""

    @property
    def well(self) -> bool:
        """Heard of lately, and not away."""
        return not self.silent and not self.away


def judge(keys: Iterable[bytes], signs: Mapping[bytes, Sign], policy: Policy, now_ms: int) -> dict[bytes, Verdict]:
    """Return a verdict on each node.

    A node is away if it is silent and enough peers cannot reach it, if most peers cannot reach it though it speaks,
    or if its clock is off. Without living peers nobody is away: then it is likelier the authority that hears nothing.
    """
    known = sorted(keys)
    spoke = {
        key: sign
        for key in known
        if (sign := signs.get(key)) is not None and sign.heartbeat and now_ms - sign.heard_ms < policy.missed_ms
    }
    reference = clock_reference(spoke.values())
    doubts: Counter[bytes] = Counter()
    for key, sign in spoke.items():
        assert sign.heartbeat is not None
        doubts.update(sign.heartbeat.unreachable_peers - {key})
    return {key: _judge(spoke.get(key), reference, doubts[key], len(spoke.keys() - {key}), policy) for key in known}


def clock_reference(signs: Iterable[Sign]) -> int:
    """Return the offset that most clocks agree on, the authority's own (0) among them.

    If the authority's clock is the wrong one, the nodes are not blamed for it.
    """
    return median_low([0, *(sign.offset_ms for sign in signs)])


def _judge(sign: Sign | None, reference: int, doubts: int, peers: int, policy: Policy) -> Verdict:
    if sign is None:
        confirmed = peers > 0 and doubts >= min(policy.confirmations, peers)
        return Verdict(silent=True, away="heartbeats missed, and peers confirm" if confirmed else "")
    if abs(sign.offset_ms - reference) > policy.clock_tolerance_ms:
        return Verdict(silent=False, away="its clock is off")
    if doubts >= _OUTVOTE and doubts * 2 > peers:
        return Verdict(silent=False, away="most of its peers cannot reach it")
    return Verdict(silent=False)
