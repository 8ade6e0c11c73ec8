"""Signs of life: who is missed, and whether others confirm it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
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
        """Return the sign after one more heartbeat.

        One that is no newer than the last changes nothing: it is played back. Unless it is nearer to the present than
        the last one was when it came: then the node's clock was ahead and has been set right.
        """
        offset_ms = heartbeat.time_ms - now_ms
        last = self.heartbeat
        if last is not None and heartbeat.time_ms <= last.time_ms and abs(offset_ms) >= abs(self.offset_ms):
            return self
        return Sign(now_ms, heartbeat, offset_ms)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the signs say of one node."""

    #: A heartbeat came lately.
    heard: bool
    #: None came for too long, or ever.
    silent: bool
    #: Why it counts as being away; empty if it does not.
    away: str = ""

    @property
    def well(self) -> bool:
        """Heard of lately, and not away."""
        return self.heard and not self.away


def judge(keys: Collection[bytes], signs: Mapping[bytes, Sign], policy: Policy, now_ms: int) -> dict[bytes, Verdict]:
    """Return a verdict on each node.

    A node is away if it is silent and enough peers cannot reach it, if most peers cannot reach it though it speaks,
    or if its clock is off. Without living peers nobody is away: then it is likelier the authority that hears nothing.
    """
    lately = {key: sign for key in keys if (sign := signs.get(key)) and now_ms - sign.heard_ms < policy.missed_ms}
    spoke = {key: sign for key, sign in lately.items() if sign.heartbeat is not None}
    reference = clock_reference(spoke.values())
    doubts: Counter[bytes] = Counter()
    for key, sign in spoke.items():
        assert sign.heartbeat is not None
        doubts.update(sign.heartbeat.unreachable_peers - {key})

    def verdict(key: bytes) -> Verdict:
        peers = len(spoke.keys() - {key})
        if key not in lately:
            confirmed = peers > 0 and doubts[key] >= min(policy.confirmations, peers)
            return Verdict(heard=False, silent=True, away="heartbeats missed, and peers confirm" if confirmed else "")
        if key not in spoke:
            return Verdict(heard=False, silent=False)
        if abs(spoke[key].offset_ms - reference) > policy.clock_tolerance_ms:
            return Verdict(heard=True, silent=False, away="its clock is off")
        if doubts[key] >= _OUTVOTE and doubts[key] * 2 > peers:
            return Verdict(heard=True, silent=False, away="most of its peers cannot reach it")
        return Verdict(heard=True, silent=False)

    return {key: verdict(key) for key in keys}


def clock_reference(signs: Iterable[Sign]) -> int:
    """Return the offset that most clocks agree on, the authority's own (0) among them.

    If the authority's clock is the wrong one, the nodes are not blamed for it.
    """
    return median_low([0, *(sign.offset_ms for sign in signs)])
