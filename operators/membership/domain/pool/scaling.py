"""How many nodes a pool should have, by what its nodes did lately: one pure function (docs/operating/scaling.md).

Growing costs little and is decided by the mean of the last minute. Shrinking drains a node, so it waits until the load
has been low for the whole of the stabilisation window, every node's known, and goes by one node at a time.

What a node receives falls with every node that comes. What it stores for others, and the bytes that it holds, fall only
when a swarm more is formed: every member of a swarm holds all of it. So bytes ask for the next swarm or for nothing,
and no node leaves if that ends a swarm and those that remain could then be above their targets. With that, a constant
load is never answered by growing after shrinking.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any, Final

from operators.membership.domain.assignment import MOST_SWARMS, swarm_count
from operators.membership.domain.pool.scaling_policy import ScalingPolicy, Targets
from operators.membership.domain.pool.scaling_window import LONGEST_SPAN_MS, Load, Window
from operators.membership.domain.pool.spec import FEWEST

#: A part of a node so small that it is more likely rounding.
_ROUNDING: Final = 1e-6


class Movement(enum.StrEnum):
    """What is under way and must end before the next step; values are for people."""

    RESIZE = "nodes come or leave"
    JOIN = "a node joins or catches up"
    DRAIN = "a node is drained"
    ROLL = "nodes are rolled"
    SWARMS = "swarms change"


class Reason(enum.StrEnum):
    """Why a pool is to have so many nodes. Values are reasons of Kubernetes events: stable."""

    # The size changes.
    LOAD_ABOVE_TARGET = "LoadAboveTarget"
    BYTES_ABOVE_TARGET = "BytesAboveTarget"
    LOAD_BELOW_TARGET = "LoadBelowTarget"
    BELOW_MINIMUM = "BelowMinimum"
    ABOVE_MAXIMUM = "AboveMaximum"
    # It stays.
    WITHIN_TARGETS = "WithinTargets"
    AT_MAXIMUM = "AtMaximum"
    AT_MINIMUM = "AtMinimum"
    SPLIT_BEYOND_MAXIMUM = "SplitBeyondMaximum"
    WOULD_MERGE_SWARMS = "WouldMergeSwarms"
    COOLING_DOWN = "CoolingDown"
    STABILIZING = "Stabilizing"
    METRICS_MISSING = "MetricsMissing"
    NODES_MOVING = "NodesMoving"


#: With these it is not known what the load asks for, or it asks for what is there.
_UNASKED: Final = frozenset({Reason.NODES_MOVING, Reason.METRICS_MISSING, Reason.WITHIN_TARGETS})


@dataclass(frozen=True, slots=True)
class Fleet:
    """A pool as it is.

    Attributes:
        replicas: nodes that it is to have now.
        nodes: names of those that are there and stay.
        swarms: of the whole network.
        others: the network's nodes outside of this pool.
        movement: what is under way, if anything.
    """

    replicas: int
    nodes: frozenset[str]
    swarms: int
    others: int = 0
    movement: Movement | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What the nodes did, as people are told: means per node, and the bytes of the fullest one; ``None`` if unknown."""

    load: Load | None = None
    held_bytes: float | None = None

    def as_status(self) -> dict[str, Any]:
        """Return ``status.autoscaling.metrics``, of two digits each, lest every scrape changes it."""
        shown: dict[str, Any] = {}
        if self.load is not None:
            shown["storesPerSecond"] = _two_digits(self.load.stores_per_s)
            shown["onionsPerSecond"] = _two_digits(self.load.onions_per_s)
            shown["cpuPercent"] = int(_two_digits(round(self.load.cpu_percent)))
        if self.held_bytes is not None:
            shown["bytes"] = int(_two_digits(self.held_bytes))
        return shown


@dataclass(frozen=True, slots=True)
class Decision:
    """How many nodes a pool is to have from now on.

    Attributes:
        replicas: the number, the same as before if nothing is to change.
        desired: what the load asks for, within the bounds, were there no waiting and no steps.
        reason: why.
        message: the same for people.
        measured: what it was decided by.
    """

    replicas: int
    desired: int
    reason: Reason
    message: str
    measured: Measured


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the load asks for.

    Attributes:
        nodes: by the mean of the last minute; the pool has so many, or a share of a node more or fewer.
        peak: the same by the highest of the stabilisation window.
        fullest: bytes in the fullest node, 0 if that is not known.
        next_swarm: nodes of this pool with which a swarm more is formed, if bytes ask for that; ``None`` if not.
    """

    nodes: float
    peak: float
    fullest: float
    next_swarm: int | None


def decide(policy: ScalingPolicy, fleet: Fleet, window: Window, last_change_ms: int | None, now_ms: int) -> Decision:
    """Return how many nodes the pool should have.

    Args:
        policy: the pool's.
        fleet: what is there.
        window: what its nodes did; made with the policy's stabilisation time, and emptied whenever nodes moved.
        last_change_ms: when the size was last changed, ``None`` for never.
        now_ms: the present.
    """
    asked = _ask(policy, fleet, window)
    replicas, reason, message = _step(policy, fleet, window, asked, _Waited(last_change_ms, now_ms))
    desired = replicas if reason in _UNASKED else max(math.ceil(asked.nodes - _ROUNDING), asked.next_swarm or 0)
    return Decision(
        replicas, min(max(desired, policy.minimum), policy.maximum), reason, message, _measure(fleet, window)
    )


@dataclass(frozen=True, slots=True)
class _Waited:
    last_change_ms: int | None
    now_ms: int

    def for_ms(self, cooldown_ms: int) -> bool:
        """Tell whether a cool-down is over. A change in the future (the clock was set back) counts as a past one."""
        return self.last_change_ms is None or abs(self.now_ms - self.last_change_ms) >= cooldown_ms


_Step = tuple[int, Reason, str]


def _step(policy: ScalingPolicy, fleet: Fleet, window: Window, asked: _Asked, waited: _Waited) -> _Step:
    size = fleet.replicas
    if fleet.movement is not None or size != len(fleet.nodes):
        return size, Reason.NODES_MOVING, f"waits: {fleet.movement or Movement.RESIZE}"
    if size < policy.minimum:
        return _up(policy, size, policy.minimum), Reason.BELOW_MINIMUM, f"minReplicas is {policy.minimum}"
    if size > policy.maximum:
        if size <= _fewest(policy, fleet, FEWEST):
            return size, Reason.AT_MINIMUM, "clients refuse networks of fewer nodes"
        return size - 1, Reason.ABOVE_MAXIMUM, f"maxReplicas is {policy.maximum}"
    if abs(waited.now_ms - window.end_ms) > LONGEST_SPAN_MS:
        return size, Reason.METRICS_MISSING, "no node was measured lately"
    return _grow(policy, fleet, asked, waited) or _shrink(policy, fleet, window, asked, waited)


def _grow(policy: ScalingPolicy, fleet: Fleet, asked: _Asked, waited: _Waited) -> _Step | None:
    """Return the step up, or why it must wait; ``None`` if nothing asks for more."""
    size = fleet.replicas
    by_load = math.ceil(asked.nodes - _ROUNDING) if asked.nodes > size * (1 + policy.tolerance) + _ROUNDING else size
    by_bytes = asked.next_swarm or size
    wanted = max(by_load, by_bytes if by_bytes <= policy.maximum else size)
    if wanted <= size:
        return None
    if size >= policy.maximum:
        return size, Reason.AT_MAXIMUM, f"the load asks for {wanted} nodes, maxReplicas is {policy.maximum}"
    if not waited.for_ms(policy.up_cooldown_ms):
        return size, Reason.COOLING_DOWN, f"{wanted} nodes are wanted, but the size has just changed"
    step = _up(policy, size, wanted)
    if by_load >= wanted:
        return step, Reason.LOAD_ABOVE_TARGET, f"the load asks for {wanted} nodes, {size} are there"
    return (
        step,
        Reason.BYTES_ABOVE_TARGET,
        f"a node holds {asked.fullest:.3g} bytes; {wanted} nodes form one swarm more",
    )


def _shrink(policy: ScalingPolicy, fleet: Fleet, window: Window, asked: _Asked, waited: _Waited) -> _Step:
    """Return the step down, or why there is none; called if nothing asks for more."""
    size = fleet.replicas
    if not window.is_complete(fleet.nodes):
        return size, Reason.METRICS_MISSING, "not every node was measured in the last scrape"
    if not _is_less(policy, size, asked.nodes):
        if asked.next_swarm is not None and asked.next_swarm > policy.maximum:
            message = f"one swarm more needs {asked.next_swarm} nodes, maxReplicas is {policy.maximum}"
            return size, Reason.SPLIT_BEYOND_MAXIMUM, message
        return size, Reason.WITHIN_TARGETS, "the load is what so many nodes shall carry"
    if size <= _fewest(policy, fleet, policy.minimum):
        return size, Reason.AT_MINIMUM, "fewer nodes would do, but there may be no fewer"
    if not window.is_complete(fleet.nodes, policy.stabilization_ms) or not _is_less(policy, size, asked.peak):
        return size, Reason.STABILIZING, "the load has not been low for long enough, or is not known for so long"
    if _harmful_merge(policy, fleet, asked):
        return (
            size,
            Reason.WOULD_MERGE_SWARMS,
            "with a node less there would be a swarm less, and too much on the others",
        )
    if not waited.for_ms(policy.down_cooldown_ms):
        return size, Reason.COOLING_DOWN, "a node less would do, but the size has just changed"
    wanted = math.ceil(asked.peak - _ROUNDING)
    return size - 1, Reason.LOAD_BELOW_TARGET, f"the load asks for {wanted} nodes, {size} are there"


def _ask(policy: ScalingPolicy, fleet: Fleet, window: Window) -> _Asked:
    """Return what the load asks for; a node that is not known counts as idle, and only on the way up."""
    targets, size = policy.targets, fleet.replicas
    if targets.rates == (None, None, None):
        nodes = peak = float(size)  # bytes alone never let a pool shrink
    else:
        total = Load()
        for name in sorted(fleet.nodes):
            total = total.plus(window.average(name) or Load())
        nodes = _nodes_for(targets, total)
        totals = window.totals(sorted(fleet.nodes), policy.stabilization_ms)
        peak = max((_nodes_for(targets, then) for then in totals), default=nodes)
    fullest = window.fullest(fleet.nodes) or 0.0
    next_swarm = None
    if targets.held_bytes is not None and fullest > targets.held_bytes * (1 + policy.tolerance):
        next_swarm = _next_swarm(policy, fleet)
    return _Asked(nodes, peak, fullest, next_swarm)


def _nodes_for(targets: Targets, total: Load) -> float:
    """Return how many nodes a load is for, by the target that asks for most."""
    return max(load / target for load, target in zip(total, targets.rates, strict=True) if target is not None)


def _next_swarm(policy: ScalingPolicy, fleet: Fleet) -> int | None:
    """Return with how many nodes of this pool the network has a swarm more; ``None`` if it can have no more."""
    if not 0 < fleet.swarms < MOST_SWARMS:
        return None
    return policy.sizes.ideal * (fleet.swarms + 1) - fleet.others


def _is_less(policy: ScalingPolicy, size: int, nodes: float) -> bool:
    """Tell whether a load is clearly below what so many nodes shall carry, and one fewer can carry it."""
    return nodes < size * (1 - policy.tolerance) - _ROUNDING and math.ceil(nodes - _ROUNDING) < size


def _harmful_merge(policy: ScalingPolicy, fleet: Fleet, asked: _Asked) -> bool:
    """Tell whether one node fewer ends a swarm and the others may then be above their targets.

    The work of the swarm that ends is taken over by the members of the others, all of a node's work at worst; its bytes
    go to two neighbours, all to one at worst.
    """
    swarms, size = fleet.swarms, fleet.replicas
    if swarm_count(size + fleet.others - 1, swarms, policy.sizes) >= swarms:
        return False
    target = policy.targets.held_bytes
    overfull = target is not None and 2 * asked.fullest > target
    return overfull or asked.peak * swarms > size * (swarms - 1)


def _up(policy: ScalingPolicy, size: int, wanted: int) -> int:
    """Return the size after one step: one swarm's worth at most."""
    return min(wanted, size + policy.sizes.ideal, policy.maximum)


def _fewest(policy: ScalingPolicy, fleet: Fleet, bound: int) -> int:
    return max(bound, policy.smallest_network - fleet.others)


def _measure(fleet: Fleet, window: Window) -> Measured:
    known = [load for name in sorted(fleet.nodes) if (load := window.average(name)) is not None]
    total = Load()
    for load in known:
        total = total.plus(load, 1 / len(known))
    return Measured(total if known else None, window.fullest(fleet.nodes))


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
