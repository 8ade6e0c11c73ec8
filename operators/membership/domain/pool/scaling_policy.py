"""How many nodes a pool may have and what one node shall carry, read from a NodePool's ``spec.autoscaling``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from operators.membership.domain.assignment import SwarmSizes
from operators.membership.domain.policy import SECOND_MS
from operators.membership.domain.pool.spec import FEW, FEWEST, PoolSpec

#: What was measured is kept for so long at most.
LONGEST_STABILIZATION_MS: Final = 3600 * SECOND_MS
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E|[eE]\+?\d{1,2})?")
_BINARY: Final = {suffix: 1024**power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL: Final = {suffix: 1000**power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)}


@dataclass(frozen=True, slots=True)
class Targets:
    """What one node shall carry; ``None`` is not looked at.

    Attributes:
        stores_per_s: commands that change mailboxes, received by the node.
        onions_per_s: onion layers that came from other nodes.
        cpu_percent: of one core, both processes together.
        held_bytes: in the store of the fullest node.
    """

    stores_per_s: float | None = None
    onions_per_s: float | None = None
    cpu_percent: float | None = None
    held_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse targets that no node can meet, and a policy that looks at nothing."""
        given = [target for target in (*self.rates, self.held_bytes) if target is not None]
        if not given:
            raise ValueError("a scaling policy needs at least one target")
        if min(given) <= 0:
            raise ValueError("targets are above zero")

    @property
    def rates(self) -> tuple[float | None, float | None, float | None]:
        """The targets in the order of ``Load``."""
        return self.stores_per_s, self.onions_per_s, self.cpu_percent


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """The rules by which a pool grows and shrinks. Times in milliseconds.

    Attributes:
        minimum: fewest nodes, at least 3.
        maximum: most nodes.
        targets: what one node shall carry.
        tolerance: a share of the targets; while the load is nearer to them than this, nothing changes.
        up_cooldown_ms: the pool grows no earlier than this after it last changed its size.
        down_cooldown_ms: the pool shrinks no earlier than this after it last changed its size.
        stabilization_ms: the pool shrinks only if the load has been low for so long, every node's known throughout.
        sizes: how large swarms are kept.
        smallest_network: the authority refuses drains that leave fewer nodes, so none is asked for.
    """

    minimum: int
    maximum: int
    targets: Targets
    tolerance: float = 0.1
    up_cooldown_ms: int = 120 * SECOND_MS
    down_cooldown_ms: int = 600 * SECOND_MS
    stabilization_ms: int = 300 * SECOND_MS
    sizes: SwarmSizes = field(default_factory=SwarmSizes)
    smallest_network: int = FEW

    def __post_init__(self) -> None:
        """Refuse rules that contradict each other; an old API server does not check them."""
        if not FEWEST <= self.minimum <= self.maximum:
            raise ValueError(f"{FEWEST} ≤ minReplicas ≤ maxReplicas does not hold: {self.minimum}, {self.maximum}")
        if not 0 <= self.tolerance < 1:
            raise ValueError("tolerancePercent is from 0 to 99")
        if min(self.up_cooldown_ms, self.down_cooldown_ms) < 0:
            raise ValueError("a cool-down is not below zero")
        if not 0 <= self.stabilization_ms <= LONGEST_STABILIZATION_MS:
            raise ValueError(f"stabilizationSeconds is from 0 to {LONGEST_STABILIZATION_MS // SECOND_MS}")


def read_policy(pool: PoolSpec, sizes: SwarmSizes | None = None) -> ScalingPolicy | None:
    """Return the policy of a pool; ``None`` if it has none, or it is switched off.

    Args:
        pool: what people want.
        sizes: how large the authority keeps swarms.

    Raises:
        ValueError: the policy contradicts itself; the text says where, for people.
    """
    said = pool.autoscaling
    if not said.get("enabled"):
        return None
    missing = [name for name in ("minReplicas", "maxReplicas") if said.get(name) is None]
    if missing:
        raise ValueError(f"a scaling policy needs {' and '.join(missing)}")
    targets: Mapping[str, Any] = said.get("targets") or {}
    held = targets.get("bytes")
    return ScalingPolicy(
        minimum=said["minReplicas"],
        maximum=said["maxReplicas"],
        targets=Targets(
            targets.get("storesPerSecond"),
            targets.get("onionsPerSecond"),
            targets.get("cpuPercent"),
            None if held is None else read_quantity(str(held)),
        ),
        tolerance=said.get("tolerancePercent", 10) / 100,
        up_cooldown_ms=said.get("scaleUpCooldownSeconds", 120) * SECOND_MS,
        down_cooldown_ms=said.get("scaleDownCooldownSeconds", 600) * SECOND_MS,
        stabilization_ms=said.get("stabilizationSeconds", 300) * SECOND_MS,
        sizes=sizes or SwarmSizes(),
        smallest_network=FEWEST if pool.allow_unsafe else FEW,
    )


def read_quantity(text: str) -> int:
    """Return a Kubernetes quantity of bytes, such as ``8Gi``, as a number, rounded down.

    Raises:
        ValueError: it is none, or is no number of bytes.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"not a quantity of bytes: {text[:40]}")
    number, suffix = found.groups(default="")
    if suffix[:1] in {"e", "E"} and len(suffix) > 1 and suffix not in _BINARY:
        return int(float(number + suffix))
    return int(float(number) * (_BINARY.get(suffix) or _DECIMAL.get(suffix) or 1))
