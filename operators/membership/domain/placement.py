"""Which swarm each node serves now, and which it will serve next: changes are announced first and made later.

A new placement is published as ``next`` swarms. Nodes follow the shards of both, and report when they hold everything.
Then, and at once for all that have, next becomes now. Until then everybody is served by the swarms that hold his mail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from naisho.protocol.ring import INVALID_SWARM
from operators.membership.domain.assignment import FLOOR, Placed, assign
from operators.membership.domain.life import STAYING, Life, Roster
from operators.membership.domain.scene import Scene


@dataclass(frozen=True, slots=True)
class Placement:
    """Swarm ids by node, ``INVALID_SWARM`` for none."""

    #: Whom each listed node serves now.
    serving: Mapping[bytes, int]
    #: Whom each staying node will serve.
    target: Mapping[bytes, int]
    #: Staying nodes that hold everything for their target.
    ready: frozenset[bytes]

    def waits(self) -> tuple[str, ...]:
        """Say what the placement waits for; nothing when it is done."""
        waiting = Counter(swarm for key, swarm in self.target.items() if self.serving[key] != swarm)
        ready = Counter(self.target[key] for key in self.ready)
        planned = Counter(self.target.values())
        return tuple(
            f"swarm {swarm:016x}: {count} of {planned[swarm]} members still to switch, {ready[swarm]} have caught up"
            for swarm, count in sorted(waiting.items())
        )


def place(roster: Roster, scene: Scene) -> Placement:
    """Return the placement to publish next."""
    listed = {key for key, member in roster.items() if member.life in STAYING | {Life.DRAINING}}
    staying = {key for key in listed if roster[key].life in STAYING}
    shown = {key: node for key in listed if (node := scene.shown(key)) is not None}
    serving = {key: shown[key].swarm_id if key in shown else INVALID_SWARM for key in listed}
    planned = {key: shown[key].planned_swarm_id if key in shown else INVALID_SWARM for key in staying}
    target = assign(
        (Placed(key, roster[key].node.family, swarm) for key, swarm in planned.items()),
        scene.policy.sizes,
        spread=all(serving[key] == swarm for key, swarm in planned.items()),
    )
    ready = frozenset(key for key in staying if planned[key] == target[key] and scene.holds(key))
    switched = _switch(Placement(serving, target, ready), roster, scene)
    return Placement(switched, target, ready)


def _switch(placement: Placement, roster: Roster, scene: Scene) -> dict[bytes, int]:
    """Let those switch who may; nobody before the swarms to come are published, for what to hold depends on all."""
    swarms = set(placement.target.values())
    if scene.current is None or set(scene.current.planned_swarm_ids) != swarms:
        return dict(placement.serving)
    if set(placement.serving.values()) - {INVALID_SWARM} == swarms:
        return _switch_some(placement, roster, scene)
    return _switch_all(placement, roster, scene)


def _switch_some(placement: Placement, roster: Roster, scene: Scene) -> dict[bytes, int]:
    """Switch within the swarms there are: newcomers as they come; movers together, if nobody's swarm runs short."""
    serving, target = placement.serving, placement.target
    newcomers = {key: target[key] for key in placement.ready if serving[key] == INVALID_SWARM}
    everybody = {**serving, **{key: target[key] for key in placement.ready}}
    well = Counter(
        everybody[key] for key in target if scene.verdicts[key].well and roster[key].life is not Life.UNREACHABLE
    )
    planned = Counter(target.values())
    short = any(well[swarm] < min(scene.policy.sizes.minimum, count) for swarm, count in planned.items())
    return {**serving, **newcomers} if short else everybody


def _switch_all(placement: Placement, roster: Roster, scene: Scene) -> dict[bytes, int]:
    """Switch to another set of swarms: at once, when enough members of every one of them hold everything."""
    serving, target = placement.serving, placement.target
    planned = Counter(target.values())
    present = Counter(swarm for key, swarm in target.items() if scene.verdicts[key].well)
    holding = Counter(target[key] for key in placement.ready)
    if any(
        holding[swarm] < max(min(scene.policy.sizes.minimum, present[swarm]), min(FLOOR, count))
        for swarm, count in planned.items()
    ):
        return dict(serving)
    switched = dict(serving)
    for key, swarm in target.items():
        if key in placement.ready or roster[key].life is Life.UNREACHABLE:
            switched[key] = swarm
        elif serving[key] != swarm:
            switched[key] = INVALID_SWARM  # not there yet: it joins its new swarm when it has caught up
    # Who drains goes on serving his swarm, but does not keep one alive that all others have left.
    return {key: swarm if key in target or swarm in planned else INVALID_SWARM for key, swarm in switched.items()}
