"""What an operator may decide about membership; the domain's only settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from naisho.protocol.grade import Grade
from operators.membership.domain.assignment import SwarmSizes

SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in milliseconds.

    Attributes:
        sizes: how large swarms are kept.
        grade: the grade to claim, if what is there bears it out.
        simulated: nodes and families stand for others.
        missed_ms: so long without a heartbeat counts as missed.
        confirmations: so many peers must confirm that a missed node is away (all living ones if there are fewer).
        clock_tolerance_ms: a clock further off counts as being away.
        unreachable_ms: an unreachable node keeps its place so long.
        patience_ms: an announced or joining node that falls silent is forgotten after so long.
        sign_again_ms: an unchanged directory is signed anew after so long.
        first_nodes: the first directory waits for so many nodes ...
        first_wait_ms: ... at most so long after the first announcement.
        smallest_network: a drain that leaves fewer nodes must be forced; clients refuse smaller networks.
        private_addresses: nodes may announce loopback and private addresses; for networks of one machine or site.
        allowed: keys that may join; ``None`` admits everybody.
        assigned: where each of them may say that it is, host and port; ``None`` takes their word for it.
    """

    sizes: SwarmSizes = field(default_factory=SwarmSizes)
    grade: Grade = Grade.SINGLE_OPERATOR
    simulated: bool = False
    missed_ms: int = 15 * SECOND_MS
    confirmations: int = 2
    clock_tolerance_ms: int = 10 * SECOND_MS
    unreachable_ms: int = 2 * HOUR_MS
    patience_ms: int = 10 * MINUTE_MS
    sign_again_ms: int = 24 * HOUR_MS
    first_nodes: int = 12
    first_wait_ms: int = 30 * SECOND_MS
    smallest_network: int = 12
    private_addresses: bool = False
    allowed: frozenset[bytes] | None = None
    assigned: Mapping[bytes, frozenset[tuple[str, int]]] | None = None
